"""What a recording keeps of a call: its parameters, so that it selects the same among the recorded records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from compat.legacy.parameters import gather
from compat.legacy.query import OPERATORS, STATUSES
from compat.legacy.routes import LegacyCall
from compat.regression.comparing.pairs import Answered
from compat.regression.recordings.format import RecordedAnswer, RecordedCall
from compat.regression.recordings.pseudonyms import Names, OrderedNames, PseudonymKey
from compat.regression.recordings.redact import ReadAnswer, Redaction, is_personal
from compat.schemas import COLUMNS
from compat.schemas.fields import Typed
from compat.text.json import DuplicateKeyError, Number, dumps, loads_strictly

__all__ = [
    "CallRedactor",
    "RedactedParameters",
]

_LONGEST_NUMBER = 40


@dataclass
class RedactedParameters:
    """A call's parameters, read as far as anything of them is kept.

    Attributes:
        exam_id: the id of the path, or None where it is no short number.
        plain: name to text, of those that are kept as they are.
        comparisons: of the filter, column to operator to a value or a list of values.
        withheld: name to text, of those that break a rule and may hold anything.
        problems: whether parameters contradict each other or cannot be read, so that what is kept is not all.
    """

    exam_id: str | None
    plain: dict[str, str] = field(default_factory=dict)
    comparisons: Mapping[str, Mapping[str, Any]] | None = field(default=None, repr=False)
    withheld: dict[str, str] = field(default_factory=dict, repr=False)
    problems: bool = False

    @classmethod
    def of(cls, call: LegacyCall, zone: tzinfo) -> RedactedParameters:
        """Read a call, as it came; the zone is that of a filter's times without an offset."""
        parameters = gather(call)
        exam_id = _number(call.exam_id)
        found = cls(exam_id, problems=bool(parameters.problems) or exam_id is None)
        for name, value in parameters.values.items():
            if name in parameters.problems:
                continue
            if name == "filter":
                found.comparisons = _read_filter(value, zone) if name in call.route.json else None
                kept = None if found.comparisons is None else ""
            elif name in _READERS:
                kept = _READERS[name](value)
            else:
                continue
            if kept is None:
                found.withheld[name] = value
            elif kept:
                found.plain[name] = kept
        return found

    def values(self) -> dict[str, list[Any]]:
        """The values that become pseudonyms, by column."""
        return {
            column: [
                value
                for operand in operators.values()
                for value in (operand if isinstance(operand, list) else [operand])
                if is_personal(COLUMNS[column], value)
            ]
            for column, operators in (self.comparisons or {}).items()
        }

    def translated(self, names: Names, key: PseudonymKey) -> tuple[dict[str, str], bool]:
        """The parameters as they are kept, and whether they ask what the call asked."""
        kept = dict(self.plain)
        exact = not self.problems and not self.withheld
        if self.comparisons is not None:
            exact = exact and not any(self.values().values())
            kept["filter"] = dumps(
                {
                    column: {operator: _translated(column, operand, names) for operator, operand in operators.items()}
                    for column, operators in self.comparisons.items()
                }
            )
        for name, text in self.withheld.items():
            kept[name] = key.withheld(name, text)
        return kept, exact


def _translated(column: str, operand: Any, names: Names) -> Any:
    if isinstance(operand, list):
        return [_translated(column, each, names) for each in operand]
    return names.of(column, operand) if is_personal(COLUMNS[column], operand) else operand


def _number(text: str) -> str | None:
    return text if text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER else None


def _loaded(text: str) -> Any:
    try:
        return loads_strictly(text)
    except (DuplicateKeyError, ValueError):
        return None


def _sort(text: str) -> str | None:
    content = _loaded(text)
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        return None
    for item in content:
        for name, order in item.items():
            if not _comparable(name) or not isinstance(order, str) or order.lower() not in ("asc", "desc"):
                return None
    return dumps(content)


def _comparable(name: str) -> bool:
    return name in COLUMNS and COLUMNS[name].comparable


def _read_filter(text: str, zone: tzinfo) -> dict[str, dict[str, Any]] | None:
    """The comparisons of a filter; None where it breaks a rule."""
    content = _loaded(text)
    if not isinstance(content, dict):
        return None
    found: dict[str, dict[str, Any]] = {}
    for name, operators in content.items():
        if not _comparable(name) or not isinstance(operators, dict):
            return None
        found[name] = {}
        for operator, value in operators.items():
            if operator not in OPERATORS or isinstance(value, list) != OPERATORS[operator].many:
                return None
            values = value if isinstance(value, list) else [value]
            try:
                operands = [_operand(COLUMNS[name], item, zone) for item in values]
            except ValueError:
                return None
            found[name][operator] = operands if isinstance(value, list) else operands[0]
    return found


def _operand(column: Typed, value: Any, zone: tzinfo) -> Any:
    read = None if value is None else column.read(value, zone)
    # A time stays as it was written: what it means without an offset is the zone's to say.
    return value if column.is_time and isinstance(value, str | Number) else read


_READERS: Mapping[str, Callable[[str], str | None]] = {
    "page": _number,
    "limit": _number,
    "student_session_id": _number,
    "status": lambda text: text if text in STATUSES else None,
    "sort": _sort,
}
"""Parameter to what is kept of a text that keeps the rules; beside these and a filter no parameter leaves a trace."""


class CallRedactor:
    """Makes recorded calls; its pseudonyms sort among each other.

    Digests are made by the key. The zone is the one in which the old endpoint reads times without an offset.
    """

    def __init__(self, key: PseudonymKey, zone: tzinfo, names: Names | None = None) -> None:
        self._key = key
        self._zone = zone
        self._names = OrderedNames(key) if names is None else names
        self._redaction = Redaction(key, self._names)

    def call(
        self,
        call: LegacyCall,
        *,
        old: Answered | None = None,
        new: Answered | None = None,
        caller: str | None = None,
        at: float = 0.0,
    ) -> RecordedCall:
        """What is kept of a call, as it came, and of what was answered where an endpoint was asked.

        Raises:
            Exhausted: the pseudonyms have no place left for one more; others have.
        """
        redacted = RedactedParameters.of(call, self._zone)
        answers = [None if answered is None else ReadAnswer(answered) for answered in (old, new)]
        for column, values in redacted.values().items():
            self._names.assign(column, values)
        self._redaction.take_note([record for answer in answers if answer is not None for record in answer.records])
        parameters, exact = redacted.translated(self._names, self._key)
        kept = [None if answer is None else answer.kept(self._redaction) for answer in answers]
        return RecordedCall(
            route=call.route.action,
            exam_id=redacted.exam_id or self._key.withheld("id", call.exam_id),
            parameters=parameters,
            exact=exact,
            caller=caller,
            at=round(at, 3),
            method=call.method,
            old=kept[0],
            new=kept[1],
        )

    def answer(self, answered: Answered) -> RecordedAnswer:
        """What is kept of an answer alone.

        Raises:
            Exhausted: as :meth:`call` does.
        """
        read = ReadAnswer(answered)
        self._redaction.take_note(read.records)
        return read.kept(self._redaction)
