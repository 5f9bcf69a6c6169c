"""Recordings in users' own tests: what a test's calls were answered, and whether they still are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import compat
from compat.config import Configuration
from compat.plural import several

if TYPE_CHECKING:
    from compat.regression.result import CheckResult, Sample

__all__ = ["CallRecorder", "replay"]

_PATIENCE = 60.0
_SHOWN = 3


class CallRecorder:
    """Records the deprecated ``requests`` calls of a process with the answers of both endpoints.

    The old endpoint answers, as in the mode ``shadow``, and the new one is asked behind it.

    Args:
        configuration: both endpoints.
        folder: for the recording.

    Raises:
        ConfigurationError: nothing says where the old endpoint is.
    """

    def __init__(self, configuration: Configuration, folder: Path) -> None:
        self.folder = folder
        regression = {**configuration.regression, "record": str(folder)}
        self._adapter = compat.install(upstream=replace(configuration, mode="shadow", regression=regression))
        self._ended = False

    def finish(self) -> Path:
        """Wait until all is compared, end the recording, and give its folder.

        Raises:
            AssertionError: a call was lost.
        """
        if not self._ended:
            self._ended = True
            compat.uninstall()
            dial = self._adapter.dial
            settled = dial.behind.settle(_PATIENCE)
            dial.close(_PATIENCE)
            if not settled or dial.dropped:
                raise AssertionError(f"{dial.dropped or 'some'} calls were not recorded: they took too long to compare")
        return self.folder


def replay(configuration: Configuration, *recordings: str | Path, known: Path | None = None) -> CheckResult:
    """Check recordings against the new endpoint of a configuration.

    Args:
        configuration: the endpoints, and in its ``[regression]`` table the key of the recordings.
        recordings: files, and folders of files.
        known: a file of known differences.

    Raises:
        AssertionError: there is a difference that nothing explains, or nothing was compared.
        RecordingError: a recording cannot be read.
    """
    from compat.regression.asking import NewEndpoint
    from compat.regression.check_recordings import RecordingCheck, check_recordings
    from compat.regression.endpoints import Endpoints
    from compat.regression.headline import headline
    from compat.regression.keys import key_of
    from compat.regression.known import KnownDifferences, load_known
    from compat.regression.verdict import judge

    result = check_recordings(
        recordings,
        RecordingCheck(
            known=load_known(known) if known is not None else KnownDifferences(),
            endpoints=Endpoints(key_of(configuration), NewEndpoint(configuration)),
            upstream=configuration.upstream.kind,
        ),
    )
    judged = judge(result)
    too_few = judged.all.not_comparable > judged.thresholds.max_not_comparable * (judged.all.calls or 1)
    if result.all.unexplained or not result.all.calls or too_few:
        shown = [line for sample in result.samples[:_SHOWN] for line in _lines(sample)]
        reasons = [
            f"nothing could be compared in {several(calls, 'call')}: {why}"
            for why, calls in judged.not_comparable.items()
        ]
        raise AssertionError("\n".join([headline(judged), *reasons, *judged.notes, *shown]))
    return result


def _lines(sample: Sample) -> Sequence[str]:
    asked = " ".join(f"{name}={text}" for name, text in sample.parameters.items())
    return [
        f"{sample.route} of exam {sample.exam} {asked}: {each.kind}, record {each.record}, {each.field}: "
        f"{each.old or 'nothing'} became {each.new or 'nothing'}"
        for each in sample.differences
    ]
