"""Make recorded calls again: today's answers, with the pseudonyms of the recording, so that both can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Any

from compat.json_text import loads
from compat.legacy.routes import LegacyCall
from compat.regression.asking import Asker
from compat.regression.pairs import Answered, Pair
from compat.regression.pseudonyms import PseudonymKey, RecordedNames
from compat.regression.recorded import RecordedAnswer, RecordedCall
from compat.regression.redactor import CallRedactor

__all__ = ["Endpoints", "Replayed"]


@dataclass(frozen=True)
class Endpoints:
    """Who can be asked, and the key that makes pseudonyms of what they answer.

    Attributes:
        key: the key that recordings were made with.
        old: asks the old endpoint; None where it cannot be asked.
        new: asks the new one.
    """

    key: PseudonymKey
    old: Asker | None = None
    new: Asker | None = None


class Replayed:
    """A recorded call that can be made again.

    Args:
        recorded: the call.
        endpoints: who can be asked.
        zone: in which the old endpoint reads times without an offset.
    """

    def __init__(self, recorded: RecordedCall, endpoints: Endpoints, zone: tzinfo) -> None:
        self._recorded = recorded
        self._endpoints = endpoints
        self._zone = zone
        self._redactor: CallRedactor | None = None

    def pair(self) -> Pair | None:
        """Both answers, the one that was not recorded asked for now; None where it cannot be."""
        recorded = self._recorded
        if recorded.old is None:
            # What the old endpoint says today is not what it said when the new one was asked.
            return None
        call, old = recorded.call(), recorded.old.answered()
        new = recorded.new.answered() if recorded.new is not None else self.new(call)
        return None if new is None else Pair(call, recorded.caller, recorded.at, old, new, "legacy")

    def old(self, call: LegacyCall) -> Answered | None:
        """What the old endpoint answers now."""
        return self._asked(self._endpoints.old, call)

    def new(self, call: LegacyCall) -> Answered | None:
        """What the new one answers now."""
        return self._asked(self._endpoints.new, call)

    def _asked(self, asker: Asker | None, call: LegacyCall) -> Answered | None:
        # With a pseudonym in its filter a call selects nothing.
        if asker is None or not self._recorded.exact:
            return None
        answered = asker(call)
        kept = self._names().answer(answered).answered()
        return replace(kept, seconds=answered.seconds)

    def _names(self) -> CallRedactor:
        if self._redactor is None:
            listed = [*_records(self._recorded.old), *_records(self._recorded.new)]
            names = RecordedNames(self._endpoints.key, listed)
            self._redactor = CallRedactor(self._endpoints.key, self._zone, names)
        return self._redactor


def _records(answer: RecordedAnswer | None) -> Iterable[Mapping[str, Any]]:
    if answer is None or answer.failure is not None:
        return []
    content = loads(bytes(answer.body))
    listed = content.get("students", [content.get("student")]) if isinstance(content, dict) else []
    return [record for record in listed if isinstance(record, dict)] if isinstance(listed, list) else []
