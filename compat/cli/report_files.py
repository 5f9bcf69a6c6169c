"""The files that ``exam-compat check`` writes its report to."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from compat.cli.console import note
from compat.cli.whole_file import whole_file

if TYPE_CHECKING:
    from compat.regression.report.content import CallerLeft
    from compat.regression.result import CheckResult
    from compat.regression.verdict import Judgement

__all__ = ["FORMS", "write_reports"]

FORMS: Mapping[str, str] = {"html": "as_html", "markdown": "as_markdown", "junit": "as_junit"}
"""The forms of report: the module of each and its option have that name; the function is in it."""


def write_reports(
    files: Mapping[str, Path], result: CheckResult, judged: Judgement, callers_left: Sequence[CallerLeft] = ()
) -> None:
    """Write reports; one that was there before is replaced when the new one is whole.

    Args:
        files: form to file.
        result: what was counted.
        judged: what it says by the thresholds.
        callers_left: who still calls, by the inventory.

    Raises:
        OSError: a file cannot be written.
    """
    if not files:
        return
    from compat.regression.report.of_result import content_of

    content = content_of(result, judged, callers_left)
    made = {
        path: getattr(importlib.import_module(f"compat.regression.report.{form}"), FORMS[form])(content)
        for form, path in files.items()
    }
    for path, text in made.items():
        with whole_file(path) as file:
            file.write(text.encode())
        note(f"Wrote {path}.")
