"""Check pairs of answers: those of a recording, or those that shadow and canary keep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timezone, tzinfo
from functools import reduce
from pathlib import Path
from typing import Literal

from compat.config.file import time_zone
from compat.regression.comparing.explain import Explainer, Rereader
from compat.regression.comparing.known import DeclaredLosses, KnownDifferences
from compat.regression.comparing.pairs import Pair
from compat.regression.evidence.result import CheckResult, RecordingUse
from compat.regression.evidence.totals import Totals
from compat.regression.recordings.format import RecordedCall, RecordingHead
from compat.regression.recordings.reader import Recording, open_recording, read_head
from compat.regression.replay import Endpoints, RecordedAgain, Replay

__all__ = ["RecordingCheck", "check_pairs", "check_recordings"]


def check_pairs(
    pairs: Iterable[Pair],
    *,
    upstream: str | None = None,
    known: KnownDifferences | None = None,
    rereader: Rereader | None = None,
    zone: tzinfo = timezone.utc,
    pseudonymised: bool = False,
) -> CheckResult:
    """Check pairs one by one; the memory that it takes does not grow with their number.

    Args:
        upstream: the kind of the new endpoint, whose declared losses are then explained.
        known: the differences that people know of.
        rereader: makes calls again whose differences nothing else explains.
        zone: of times without an offset.
        pseudonymised: whether what is personal in the answers is a pseudonym, and may be shown.
    """
    rules = known or KnownDifferences()
    explainer = Explainer(DeclaredLosses(upstream, zone), rules, zone)
    totals = Totals(rules, pseudonymised=pseudonymised)
    for pair in pairs:
        totals.add(explainer.outcome(pair, rereader))
    return totals.result()


_ONE_SIDED = "the other endpoint was not asked, and cannot be now"
_LOST = "they were dropped, or could not be written"
_OTHER_KEY = "the recording was made with another key of pseudonyms"
_UNKNOWN = "nobody has the value any more that a filter compares with"


@dataclass(frozen=True)
class RecordingCheck:
    """How recordings are checked; what it needs can be sent to another process.

    Attributes:
        known: the differences that people know of.
        endpoints: who can be asked; None for what is recorded alone.
        upstream: the kind of the new endpoint, for recordings that do not say it.
        unfinished: whether a file without its end is refused, or read as far as it goes.
        rereads: calls of a file that are made again in vain at most, their differences being the same then. A fault of
            all calls would ask both endpoints about each of them, and is as certain after a thousand.
    """

    known: KnownDifferences = field(default_factory=KnownDifferences)
    endpoints: Endpoints | None = None
    upstream: str | None = None
    unfinished: Literal["refuse", "accept"] = "refuse"
    rereads: int = 1000

    def __call__(self, path: str | Path, watch: Callable[[], object] | None = None) -> CheckResult:
        """Check a file; ``watch`` is called after each of its calls.

        Raises:
            RecordingError: it cannot be read, or not to its end.
        """
        path = Path(path)
        head = read_head(path)
        checked = _Checked(self, head)
        recording = Recording((path,), self.unfinished)
        compared = 0
        for recorded in recording:
            compared += checked.add(recorded, f"{path}:{recording.files[0].line}:1")
            if watch is not None:
                watch()
        (read,) = recording.files
        checked.totals.skip(_LOST, read.lost)
        return checked.totals.result((RecordingUse(path.name, head.made_at, read.calls, compared),))


class _Checked:
    """A file that is being checked; ``head`` is its first line."""

    def __init__(self, check: RecordingCheck, head: RecordingHead) -> None:
        zone = time_zone(head.zone)
        losses = DeclaredLosses(head.upstream or check.upstream, zone)
        self._explainer = Explainer(losses, check.known, zone=zone)
        self._other_key = check.endpoints is not None and check.endpoints.key.id != head.key_id
        self._replay = None if check.endpoints is None or self._other_key else Replay(check.endpoints, zone)
        self._ours = head.source == "queries"
        self._rereads = check.rereads
        self.totals = Totals(check.known, pseudonymised=True)

    def add(self, recorded: RecordedCall, place: str) -> bool:
        """Check a call that stands at a place of its file; whether it was compared."""
        again = None
        pair = recorded.pair()
        if self._replay is not None and recorded.old is not None:
            if self._rereads:
                again = RecordedAgain(recorded, self._replay, ours=self._ours)
            pair = pair or self._replay.pair(recorded)
        if pair is None:
            one_sided = recorded.old is None or self._replay is None
            why = _UNKNOWN if not one_sided else _OTHER_KEY if self._other_key else _ONE_SIDED
            self.totals.skip(why, of=recorded.call(), caller=recorded.caller)
            return False
        outcome = self._explainer.outcome(pair, again)
        self._rereads -= outcome.reread and bool(outcome.unexplained)
        withheld = again is None and self._replay is not None
        self.totals.add(outcome, repeatable=recorded.exact, withheld=withheld, place=place)
        return outcome.not_comparable is None


def check_recordings(
    places: Sequence[str | Path], check: RecordingCheck = RecordingCheck(), watch: Callable[[], object] | None = None
) -> CheckResult:
    """Check the recordings of files and folders, one after the other; ``watch`` is called after each call.

    Raises:
        RecordingError: one cannot be read.
    """
    paths = open_recording(*places).paths
    return reduce(CheckResult.merge, (check(path, watch) for path in paths), CheckResult())
