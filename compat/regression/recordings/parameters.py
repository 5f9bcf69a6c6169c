"""What a recording keeps of a call: its parameters, so that it selects the same among the recorded records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any

from compat.legacy.parameters import gather
from compat.legacy.query import OPERATORS, STATUSES
from compat.legacy.routes import INDEX_STUDENTS, LegacyCall
from compat.regression.comparing.pairs import Answered
from compat.regression.recordings.format import RecordedAnswer, RecordedCall
from compat.regression.recordings.pseudonyms import Names, OrderedNames, PseudonymKey
from compat.regression.recordings.redact import ReadAnswer, Redaction, is_personal
from compat.schemas import COLUMNS
from compat.schemas.fields import Typed
from compat.text.json import DuplicateKeyError, Number, dumps, loads_strictly

__all__ = [
    "CallRedactor",
    "Question",
]

_LONGEST_NUMBER = 40


@dataclass(frozen=True)
class _Operand:
    """A value of a filter, read by its column's type."""

    column: str
    value: Any

    @property
    def personal(self) -> bool:
        return is_personal(COLUMNS[self.column], self.value)


@dataclass
class Question:
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
    comparisons: Mapping[str, Mapping[str, Any]] | None = None
    withheld: dict[str, str] = field(default_factory=dict, repr=False)
    problems: bool = False

    @classmethod
    def of(cls, call: LegacyCall, zone: tzinfo) -> Question:
        """Read a call, as it came.

        Args:
            call: the call.
            zone: what a time of a filter without an offset is in.
        """
        parameters = gather(call)
        exam_id = call.exam_id if _is_number(call.exam_id) else None
        question = cls(exam_id, problems=bool(parameters.problems) or exam_id is None)
        for name, value in parameters.values.items():
            if name in _READERS and name not in parameters.problems:
                question._read(call, name, value, zone)
        return question

    def _read(self, call: LegacyCall, name: str, value: str, zone: tzinfo) -> None:
        if name == "filter" and call.route is INDEX_STUDENTS:
            self.comparisons = _read_filter(value, zone)
            found = None if self.comparisons is None else ""
        else:
            found = _READERS[name](value)
        if found is None:
            self.withheld[name] = value
        elif found:
            self.plain[name] = found

    def values(self) -> dict[str, list[Any]]:
        """The values that become pseudonyms, by column."""
        return {
            column: [each.value for operand in operators.values() for each in _each(operand) if each.personal]
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
                    column: {operator: _translated(operand, names) for operator, operand in operators.items()}
                    for column, operators in self.comparisons.items()
                }
            )
        for name, text in self.withheld.items():
            kept[name] = f"withheld-{key.digest(name, text).hex()}"
        return kept, exact


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER


def _number(text: str) -> str | None:
    return text if _is_number(text) else None


def _status(text: str) -> str | None:
    return text if text in STATUSES else None


def _each(operand: Any) -> list[_Operand]:
    return operand if isinstance(operand, list) else [operand]


def _translated(operand: Any, names: Names) -> Any:
    if isinstance(operand, list):
        return [_translated(each, names) for each in operand]
    return names.of(operand.column, operand.value) if operand.personal else operand.value


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
            try:
                operands = [_operand(name, COLUMNS[name], item, zone) for item in _each(value)]
            except ValueError:
                return None
            found[name][operator] = operands if isinstance(value, list) else operands[0]
    return found


def _operand(name: str, column: Typed, value: Any, zone: tzinfo) -> _Operand:
    read = None if value is None else column.read(value, zone)
    # A time stays as it was written: what it means without an offset is the zone's to say.
    return _Operand(name, value if column.is_time and isinstance(value, str | Number) else read)


_READERS: Mapping[str, Callable[[str], str | None]] = {
    "page": _number,
    "limit": _number,
    "student_session_id": _number,
    "status": _status,
    "sort": _sort,
    "filter": lambda text: None,
}
"""Parameter to what is kept of a text that keeps the rules; no other parameter leaves a trace."""


class CallRedactor:
    """Makes recorded calls; its pseudonyms sort among each other.

    Args:
        key: makes the digests.
        zone: in which the old endpoint reads times without an offset.
        names: gives the pseudonyms; None for new ones.
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
        """What is kept of a call.

        Args:
            call: the call, as it came.
            old: what the old endpoint answered, where it was asked.
            new: what the shim answered from the new one, where it was asked.
            caller: whose it is by the configuration.
            at: when it came, seconds since the epoch.

        Raises:
            Exhausted: the pseudonyms have no place left for one more; others have.
        """
        question = Question.of(call, self._zone)
        answers = [None if answered is None else ReadAnswer(answered) for answered in (old, new)]
        for column, values in question.values().items():
            self._names.assign(column, values)
        self._redaction.take_note([record for answer in answers if answer is not None for record in answer.records])
        parameters, exact = question.translated(self._names, self._key)
        return RecordedCall(
            route=call.route.action,
            exam_id=question.exam_id or f"withheld-{self._key.digest('id', call.exam_id).hex()}",
            parameters=parameters,
            exact=exact,
            caller=caller,
            at=round(at, 3),
            method=call.method,
            old=self._kept(answers[0]),
            new=self._kept(answers[1]),
        )

    def answer(self, answered: Answered) -> RecordedAnswer:
        """What is kept of an answer alone.

        Raises:
            Exhausted: as :meth:`call` does.
        """
        read = ReadAnswer(answered)
        self._redaction.take_note(read.records)
        return read.kept(self._redaction, self._key)

    def _kept(self, read: ReadAnswer | None) -> RecordedAnswer | None:
        return None if read is None else read.kept(self._redaction, self._key)
