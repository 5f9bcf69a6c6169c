"""Ask both endpoints again what a recorded call asked, under the pseudonyms of its recording."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from compat.legacy.routes import LegacyCall
from compat.regression.asking import Asker
from compat.regression.pairs import Answered
from compat.regression.pseudonyms import PseudonymKey
from compat.regression.recorded import RecordedAnswer, RecordedCall
from compat.regression.replaying import Replay

__all__ = ["Endpoints", "RecordedAgain"]


@dataclass(frozen=True)
class Endpoints:
    """Who can be asked, and the key that makes pseudonyms of what they answer.

    Attributes:
        key: the key that recordings were made with.
        new: asks the new endpoint.
        old: caller to who asks the old endpoint with that caller's account, of those whose account is known; None as a
            caller is the account of our own calls. What another account may see says nothing of a caller's answers.
    """

    key: PseudonymKey
    new: Asker
    old: Mapping[str | None, Asker] = field(default_factory=dict)


class RecordedAgain:
    """Asks again what a recorded call asked; what reads a pair that differs again.

    Args:
        recorded: the call, whose old answer was recorded.
        replay: knows which values its pseudonyms stand for.
        endpoints: who can be asked.
        ours: whether a call without a caller was one of our own, as those of ``exam-compat record`` are.
    """

    def __init__(self, recorded: RecordedCall, replay: Replay, endpoints: Endpoints, *, ours: bool) -> None:
        self._recorded = recorded
        self._replay = replay
        self._endpoints = endpoints
        known = recorded.caller is not None or ours
        self._old = endpoints.old.get(recorded.caller) if known else None

    def old(self, call: LegacyCall) -> Answered | None:
        """What the old endpoint answers now; None where it cannot be asked."""
        return self._asked(self._old)

    def new(self, call: LegacyCall) -> Answered | None:
        """What the new one answers now; None where the call cannot be made again."""
        return self._asked(self._endpoints.new)

    def _asked(self, asker: Asker | None) -> Answered | None:
        if asker is None or (call := self._replay.call_of(self._recorded)) is None:
            return None
        return self._replay.redacted(asker(call), self._recorded.old or RecordedAnswer())
