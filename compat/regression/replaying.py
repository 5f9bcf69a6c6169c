"""Asks recorded calls again, and gives the answers of today under the pseudonyms of the recording.

A filter that names persons holds pseudonyms, which no endpoint knows. With the key they can be told again: the exam's
whole list is read once, and whose digest a pseudonym has is whose value was asked for. These values stay in memory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import tzinfo
from typing import Any
from urllib.parse import urlencode

from compat.json_text import loads
from compat.legacy.routes import LegacyCall
from compat.regression.asked_for import listing
from compat.regression.asking import Asker, pages_of
from compat.regression.pairs import Answered, Pair
from compat.regression.pseudonyms import PseudonymKey, RecordedNames, identity
from compat.regression.recorded import RecordedAnswer, RecordedCall
from compat.regression.redaction import is_personal, pseudonymous
from compat.regression.redactor import CallRedactor
from compat.schemas import COLUMNS

__all__ = ["Replay"]

_BY_EQUALITY = ("eq", "ne", "in", "nin")


class Replay:
    """Asks recorded calls again.

    Args:
        key: the key of the recording.
        zone: in which the old endpoint reads times without an offset.
        ask: asks the endpoint of today; :class:`~compat.regression.asking.NewEndpoint` is the shim.

    Attributes:
        unasked: how many calls could not be asked again, since what they asked for is not known any more.
    """

    def __init__(self, key: PseudonymKey, zone: tzinfo, ask: Asker) -> None:
        self._key = key
        self._zone = zone
        self._ask = ask
        self._values: dict[str, dict[tuple[str, bytes], str | int]] = {}
        self.unasked = 0

    def pair(self, recorded: RecordedCall) -> Pair | None:
        """The old endpoint's answer as it was recorded, and the answer of today.

        Returns:
            the pair; None where the old endpoint's answer was not recorded, or the call cannot be asked again.
        """
        if recorded.old is None:
            return None
        call = self.call_of(recorded)
        if call is None:
            self.unasked += 1
            return None
        new = self.redacted(self._ask(call), recorded.old)
        return Pair(recorded.call(), recorded.caller, recorded.at, recorded.old.answered(), new, "legacy")

    def redacted(self, answered: Answered, recorded: RecordedAnswer) -> Answered:
        """An answer under the pseudonyms of a recorded one, so that what is equal is equal byte by byte.

        Args:
            answered: an answer to the same call.
            recorded: the recorded one.
        """
        names = RecordedNames(self._key, _records(bytes(recorded.body)))
        return CallRedactor(self._key, self._zone, names).answer(answered).answered()

    def call_of(self, recorded: RecordedCall) -> LegacyCall | None:
        """The call with the values that it was made with; None where they are not known any more."""
        if recorded.exact:
            return recorded.call()
        text = recorded.parameters.get("filter")
        withheld = any(value.startswith("withheld-") for value in (recorded.exam_id, *recorded.parameters.values()))
        if withheld or text is None:
            return None
        restored = self._restored(loads(text), self._values_of(recorded.exam_id))
        if restored is None:
            return None
        given = {**recorded.parameters, "filter": json.dumps(restored)}
        return replace(recorded.call(), query=urlencode(given))

    def _restored(
        self, comparisons: Mapping[str, Any], values: Mapping[tuple[str, bytes], str | int]
    ) -> dict[str, dict[str, Any]] | None:
        restored: dict[str, dict[str, Any]] = {}
        for column, operators in comparisons.items():
            restored[column] = {}
            for operator, operand in operators.items():
                found = [_value(column, each, values) for each in (operand if isinstance(operand, list) else [operand])]
                if operator not in _BY_EQUALITY and not all(known for _, known in found):
                    return None
                # Nobody has the unknown ones, and nobody has their pseudonyms either.
                told = [value for value, _ in found]
                restored[column][operator] = told if isinstance(operand, list) else told[0]
        return restored

    def _values_of(self, exam_id: str) -> Mapping[tuple[str, bytes], str | int]:
        """The values of an exam's records of today, by column and digest."""
        if exam_id not in self._values:
            self._values[exam_id] = values = {}

            def read(call: LegacyCall) -> Answered:
                answered = self._ask(call)
                for record in _records(answered.body):
                    values.update(_digests(record, self._key))
                return answered

            for _ in pages_of(listing(exam_id, {}), read):
                pass
        return self._values[exam_id]


def _records(body: bytes) -> list[Mapping[str, Any]]:
    try:
        content = loads(body) if body else None
    except ValueError:
        return []
    if not isinstance(content, dict):
        return []
    listed = content["students"] if isinstance(content.get("students"), list) else [content.get("student")]
    return [record for record in listed if isinstance(record, dict)]


def _digests(record: Mapping[str, Any], key: PseudonymKey) -> dict[tuple[str, bytes], str | int]:
    found: dict[tuple[str, bytes], str | int] = {}
    for column, value in record.items():
        if column in COLUMNS and type(value) in (str, int) and is_personal(COLUMNS[column], value):
            found[column, key.digest_of(column, value)] = value
    return found


def _value(column: str, operand: Any, values: Mapping[tuple[str, bytes], str | int]) -> tuple[Any, bool]:
    """What an operand stands for, and whether that is known."""
    digest = identity(operand) if pseudonymous(COLUMNS[column]) else None
    if digest is None:
        return operand, True
    known = values.get((column, digest))
    return (operand, False) if known is None else (known, True)
