"""Check recordings, one or many, here or spread over processes and machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from functools import reduce
from pathlib import Path
from typing import Literal

from compat.config_file import time_zone
from compat.regression.declared import DeclaredLosses
from compat.regression.explain import Explainer
from compat.regression.known import KnownDifferences
from compat.regression.pairs import Pair
from compat.regression.reading import Recording, open_recording, read_head
from compat.regression.recorded import RecordedCall, RecordingHead
from compat.regression.replay import Endpoints, Replayed
from compat.regression.result import CheckResult
from compat.regression.tally import Tally

__all__ = ["RecordingCheck", "check_recordings"]

_ONE_SIDED = "the other endpoint was not asked, and cannot be now"
_OTHER_KEY = "the recording was made with another key of pseudonyms"
_INEXACT = "a filter holds a pseudonym, so that it cannot be asked again"


@dataclass(frozen=True)
class RecordingCheck:
    """How recordings are checked; what it needs can be sent to another process.

    Attributes:
        known: the differences that people know of.
        endpoints: who can be asked; None for what is recorded alone.
        upstream: the kind of the new endpoint, for recordings that do not say it.
        unfinished: whether a file without its end is refused, or read as far as it goes.
    """

    known: KnownDifferences = field(default_factory=KnownDifferences)
    endpoints: Endpoints | None = None
    upstream: str | None = None
    unfinished: Literal["refuse", "accept"] = "refuse"

    def __call__(self, path: str | Path, watch: Callable[[], object] | None = None) -> CheckResult:
        """Check a file.

        Args:
            path: the recording.
            watch: called after each call.

        Raises:
            RecordingError: it cannot be read, or not to its end.
        """
        path = Path(path)
        head = read_head(path)
        zone = time_zone(head.zone)
        explainer = Explainer(DeclaredLosses(head.upstream or self.upstream, zone=zone), self.known, zone=zone)
        tally = Tally(self.known, pseudonymised=True)
        tally.note_recording(path.name, head.made_at, compared=None)
        for recorded in Recording((path,), self.unfinished):
            compared = self._checked(recorded, head, zone, explainer, tally)
            tally.note_recording(path.name, head.made_at, compared=compared)
            if watch is not None:
                watch()
        return tally.result()

    def _checked(
        self, recorded: RecordedCall, head: RecordingHead, zone: tzinfo, explainer: Explainer, tally: Tally
    ) -> bool:
        same_key = self.endpoints is not None and self.endpoints.key.id == head.key_id
        replayed = Replayed(recorded, self.endpoints, zone) if self.endpoints is not None and same_key else None
        pair: Pair | None = recorded.pair() or (replayed.pair() if replayed is not None else None)
        if pair is None:
            tally.skip(_why_not(recorded, self.endpoints is not None and not same_key))
            return False
        rereader = replayed if recorded.exact else None
        outcome = explainer.outcome(pair, rereader)
        tally.add(outcome, repeatable=recorded.exact)
        return outcome.compared


def _why_not(recorded: RecordedCall, other_key: bool) -> str:
    if recorded.old is not None and other_key:
        return _OTHER_KEY
    return _ONE_SIDED if recorded.exact else _INEXACT


def check_recordings(
    places: Sequence[str | Path], check: RecordingCheck = RecordingCheck(), watch: Callable[[], object] | None = None
) -> CheckResult:
    """Check the recordings of files and folders, one after the other.

    Args:
        places: files, and folders of files.
        check: how.
        watch: called after each call.

    Raises:
        RecordingError: one cannot be read.
    """
    paths = open_recording(*places).paths
    return reduce(CheckResult.merge, (check(path, watch) for path in paths), CheckResult())
