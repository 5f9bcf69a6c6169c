"""Regression checks: what the old endpoint answered, recorded, compared with what the new one answers, and judged."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compat.regression.check import RecordingCheck, check_pairs, check_recordings
    from compat.regression.comparing.known import KnownDifferences, load_known
    from compat.regression.evidence.result import CheckResult
    from compat.regression.evidence.verdict import Judgement, Thresholds, judge
    from compat.regression.recordings.format import RecordingError
    from compat.regression.recordings.reader import open_recording
else:
    from compat.lazy import on_first_use

    _HOMES = {
        "check": ("RecordingCheck", "check_pairs", "check_recordings"),
        "comparing.known": ("KnownDifferences", "load_known"),
        "evidence.result": ("CheckResult",),
        "evidence.verdict": ("Judgement", "Thresholds", "judge"),
        "recordings.format": ("RecordingError",),
        "recordings.reader": ("open_recording",),
    }
    __getattr__ = on_first_use(__name__, {name: f"{__name__}.{home}" for home in _HOMES for name in _HOMES[home]})

__all__ = [
    "CheckResult",
    "Judgement",
    "KnownDifferences",
    "RecordingCheck",
    "RecordingError",
    "Thresholds",
    "check_pairs",
    "check_recordings",
    "judge",
    "load_known",
    "open_recording",
]


def _old_path(name: str, home: str) -> ModuleType:
    """A module by a path that documents named once; its names are taken from where they are now, on first use."""
    module = ModuleType(name, f"The old path of ``{home}``.")
    vars(module)["__getattr__"] = lambda wanted: getattr(import_module(home), wanted)
    return module


for _old, _home in {
    "check_recordings": "check",
    "reading": "recordings.reader",
    "result": "evidence.result",
    "verdict": "evidence.verdict",
}.items():
    sys.modules[f"{__name__}.{_old}"] = _old_path(f"{__name__}.{_old}", f"{__name__}.{_home}")
