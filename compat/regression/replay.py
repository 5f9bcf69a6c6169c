"""Ask recorded calls again, under the pseudonyms of their recording, or write what curl needs for it.

A filter that names persons holds pseudonyms, which no endpoint knows. With the key they can be told again: the exam's
whole list is read once, and whose digest a pseudonym has is whose value was asked for. These values stay in memory.

``curl -s -K <(python -m compat.regression.replay index_students 17 limit=10 page=2)``

The address, the token and the key come from the environment, so that none of them stands in an argument, where other
people of the machine would see it.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Any
from urllib.parse import urlencode

from compat.legacy.query import OPERATORS
from compat.legacy.routes import LegacyCall
from compat.legacy.signature import signed
from compat.regression.comparing.pairs import Answered, Pair
from compat.regression.recordings.call_lists import Asker, listing, pages_of
from compat.regression.recordings.format import RecordedCall
from compat.regression.recordings.pseudonyms import WITHHELD, PseudonymKey, RecordedNames, identity
from compat.regression.recordings.redact import CallRedactor, is_personal, pseudonymous, records_of, with_operands
from compat.schemas import COLUMNS
from compat.text.json import loads

__all__ = ["Endpoints", "RecordedAgain", "Replay", "command_of", "curl_options"]


@dataclass(frozen=True)
class Endpoints:
    """Who can be asked, and the key of recordings, which makes pseudonyms of what they answer.

    Attributes:
        old: caller to who asks the old endpoint with that caller's account, of those whose account is known; None as a
            caller is the account of our own calls. What another account may see says nothing of a caller's answers.
    """

    key: PseudonymKey
    new: Asker
    old: Mapping[str | None, Asker] = field(default_factory=dict)


class Replay:
    """Asks recorded calls again; the zone is the one in which the old endpoint reads times without an offset.

    ``unasked`` counts the calls that could not be asked again, since what they asked for is not known any more.
    """

    def __init__(self, endpoints: Endpoints, zone: tzinfo) -> None:
        self.endpoints = endpoints
        self._key = endpoints.key
        self._zone = zone
        self._values: dict[str, dict[tuple[str, bytes], str | int]] = {}
        self.unasked = 0

    def pair(self, recorded: RecordedCall) -> Pair | None:
        """The old endpoint's answer as it was recorded, and the answer of today; None where one of them is missing."""
        if recorded.old is None:
            return None
        new = self.answer_of(recorded, self.endpoints.new)
        if new is None:
            self.unasked += 1
            return None
        return Pair(recorded.call(), recorded.caller, recorded.at, recorded.old.answered(), new, "legacy")

    def answer_of(self, recorded: RecordedCall, asker: Asker) -> Answered | None:
        """An answer of today under the pseudonyms of the recorded old one, to compare them byte by byte, or None."""
        call = self.call_of(recorded)
        if call is None:
            return None
        names = RecordedNames(self._key, () if recorded.old is None else records_of(recorded.old.answered()))
        return CallRedactor(self._key, self._zone, names).answer(asker(call)).answered()

    def call_of(self, recorded: RecordedCall) -> LegacyCall | None:
        """The call with the values that it was made with; None where they are not known any more."""
        if recorded.exact:
            return recorded.call()
        text = recorded.parameters.get("filter")
        withheld = any(value.startswith(WITHHELD) for value in (recorded.exam_id, *recorded.parameters.values()))
        if withheld or text is None:
            return None
        values = self._values_of(recorded.exam_id)

        def restored(column: str, operator: str, operand: Any) -> Any:
            digest = identity(operand) if pseudonymous(COLUMNS[column]) else None
            if digest is None:
                return operand
            if (column, digest) not in values and not OPERATORS[operator].by_equality:
                raise LookupError(operand)
            # Nobody has the unknown ones, and nobody has their pseudonyms either.
            return values.get((column, digest), operand)

        try:
            comparisons = with_operands(loads(text), restored)
        except LookupError:
            return None
        return replace(recorded.call(), query=urlencode({**recorded.parameters, "filter": json.dumps(comparisons)}))

    def _values_of(self, exam_id: str) -> Mapping[tuple[str, bytes], str | int]:
        """The values of an exam's records of today, by column and digest."""
        if exam_id not in self._values:
            self._values[exam_id] = values = {}

            def read(call: LegacyCall) -> Answered:
                answered = self.endpoints.new(call)
                for record in records_of(answered):
                    for column, value in record.items():
                        if column in COLUMNS and type(value) in (str, int) and is_personal(COLUMNS[column], value):
                            values[column, self._key.digest_of(column, value)] = value
                return answered

            for _ in pages_of(listing(exam_id, {}), read):
                pass
        return self._values[exam_id]


class RecordedAgain:
    """Asks again what a recorded call asked; what reads a pair that differs again.

    A call without a caller may be one of our own (``ours``), as those of ``exam-compat record`` are.
    """

    def __init__(self, recorded: RecordedCall, replay: Replay, *, ours: bool) -> None:
        self._recorded = recorded
        self._replay = replay
        known = recorded.caller is not None or ours
        self._old = replay.endpoints.old.get(recorded.caller) if known else None

    def old(self, call: LegacyCall) -> Answered | None:
        return None if self._old is None else self._replay.answer_of(self._recorded, self._old)

    def new(self, call: LegacyCall) -> Answered | None:
        return self._replay.answer_of(self._recorded, self._replay.endpoints.new)


URL, TOKEN, KEY = "EXAM_STUDENTS_URL", "EXAM_STUDENTS_TOKEN", "EXAM_STUDENTS_SECRET"


def command_of(route: str, exam: str, parameters: Mapping[str, str]) -> str:
    """A line for a shell that makes a call again."""
    words = [route, exam, *(f"{name}={text}" for name, text in parameters.items())]
    return f"curl -s -K <(python -m compat.regression.replay {shlex.join(words)})"


def curl_options(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """The options of curl for a route, an exam, and parameters as ``name=text``, as its file of options has them.

    Raises:
        KeyError: the environment lacks the base URL, the token or the key.
    """
    route, exam, *given = arguments
    parameters = dict(each.split("=", 1) for each in given)
    query = urlencode(signed(parameters, environment[KEY], {"id": exam}))
    url = f"{environment[URL].rstrip('/')}/api/v3/exams/{exam}/{route}?{query}"
    return f'url = "{url}"\nheader = "Authorization: Token token={environment[TOKEN]}"\n'


if __name__ == "__main__":
    try:
        sys.stdout.write(curl_options(sys.argv[1:], os.environ))
    except KeyError as error:
        sys.exit(f"the environment has no variable {error.args[0]}: the base URL, the token and the key go there")
    except ValueError:
        sys.exit("usage: python -m compat.regression.replay ROUTE EXAM [NAME=TEXT ...]")
