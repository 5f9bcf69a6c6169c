"""What a recording keeps of a call and its answers: what is declared, and nothing else.

A field keeps its name, and null, empty texts, booleans, times and whatever else its declaration lets be kept. Any other
value of the declared type becomes a pseudonym; a value of another type, a field that is not declared and an array's
element that is no integer become a digest, which only equal ones share. Parameters select the same among the recorded
records as they did among those that came.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timezone, tzinfo
from functools import partial
from typing import Any

import msgspec

from compat.errors import InvalidParameter
from compat.legacy.parameters import Parameters, gather
from compat.legacy.query import STATUSES, parse_query
from compat.legacy.routes import ANSWERED_BY, READING, LegacyCall
from compat.mapping.tables import markdown_table
from compat.regression.comparing.pairs import Answered
from compat.regression.recordings.format import RecordedAnswer, RecordedCall
from compat.regression.recordings.pseudonyms import Names, OrderedNames, PseudonymKey
from compat.schemas import COLUMNS
from compat.schemas.fields import Typed, json_type
from compat.text import instants
from compat.text.json import Number, dumps, loads, loads_strictly

__all__ = ["KEPT_HEADERS", "CallRedactor", "is_personal", "kept_table", "pseudonymous", "records_of", "with_operands"]

_MOST_REMEMBERED = 20_000
"""Texts of each column."""
_LONGEST_NUMBER = 40
_TYPES: Mapping[str, type[Any]] = {"string": str, "integer": int, "boolean": bool, "array": list}


def pseudonymous(column: Typed) -> bool:
    """Whether values of a column can become pseudonyms that sort."""
    return column.comparable and column.kept is not True


_PSEUDONYMOUS = {name: column for name, column in COLUMNS.items() if pseudonymous(column)}


def is_personal(column: Typed, value: Any) -> bool:
    """Whether a value of the column's type becomes a pseudonym."""
    if value is None or value == "" or not pseudonymous(column):
        return False
    return not (isinstance(column.kept, tuple) and value in column.kept)


class CallRedactor:
    """Makes recorded calls; its pseudonyms sort among each other.

    Digests are made by the key. The zone is the one in which the old endpoint reads times without an offset.
    """

    def __init__(self, key: PseudonymKey, zone: tzinfo, names: Names | None = None) -> None:
        self._key = key
        self._zone = zone
        self._names = OrderedNames(key) if names is None else names
        # Text to what is kept of it: most values come again and again, and telling them apart is most of the work.
        self._texts: dict[str, dict[str, Any]] = {name: {} for name in COLUMNS}

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
        given = _GivenParameters.of(call, self._zone)
        for column, values in given.personal().items():
            self._names.assign(column, values)
        answers = [(answered, _content_of(answered)) for answered in (old, new) if answered is not None]
        self._take_note([record for _, content in answers for record in _records(content)])
        parameters, exact = given.redacted(self._names, self._key)
        kept = [self._kept_answer(*answer) for answer in answers]
        return RecordedCall(
            route=call.route.action,
            exam_id=given.exam_id or self._key.withheld("id", call.exam_id),
            parameters=parameters,
            exact=exact,
            caller=caller,
            at=round(at, 3),
            method=call.method,
            old=None if old is None else kept[0],
            new=None if new is None else kept[-1],
        )

    def answer(self, answered: Answered) -> RecordedAnswer:
        """What is kept of an answer alone.

        Raises:
            Exhausted: as :meth:`call` does.
        """
        content = _content_of(answered)
        self._take_note(_records(content))
        return self._kept_answer(answered, content)

    def _take_note(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Let the names know every value that will become a pseudonym, all at once."""
        for name, column in _PSEUDONYMOUS.items():
            expected, seen = (int, ()) if column.json == "integer" else (str, self._texts[name])
            given = {value for record in records if type(value := record.get(name)) is expected and value not in seen}
            self._names.assign(name, [value for value in given if is_personal(column, value)])

    def _kept_answer(self, answered: Answered, content: Mapping[str, Any] | None) -> RecordedAnswer:
        key, failure = self._key, answered.failure
        if failure is not None and not _FAILURE.fullmatch(failure):
            failure = key.withheld("failure", failure)
        headers = {name: value for name, value in answered.named.items() if name in KEPT_HEADERS}
        for name, value in headers.items():
            headers[name] = value if KEPT_HEADERS[name].fullmatch(value) else key.withheld(name, value)
        body: Any = None
        if content is not None:
            body = dict(self._member(name, value) for name, value in content.items())
        elif answered.body:
            body = {"unreadable": key.digest("body", answered.body.decode("latin-1")).hex()}
        encoded = msgspec.Raw(msgspec.json.encode(body))
        return RecordedAnswer(answered.status, headers, encoded, round(answered.seconds, 6), failure)

    def _member(self, name: str, value: Any) -> tuple[str, Any]:
        """A member of the body, by the forms that the old interface has."""
        if name == "students" and isinstance(value, list):
            return name, [self._record(record) for record in value]
        if name == "student":
            return name, self._record(value)
        if name == "error":
            return name, self._digest("message", value)
        if name == "errors" and isinstance(value, dict):
            kept = {each: each if each in _PARAMETERS or each in COLUMNS else self._undeclared(each) for each in value}
            return name, {
                kept[each]: [self._digest("message", text) for text in texts]
                if isinstance(texts, list)
                else self._digest("message", texts)
                for each, texts in value.items()
            }
        return self._undeclared(name), self._digest("undeclared", value)

    def _record(self, record: Any) -> Any:
        """What is kept of a record, once it was noted."""
        if not isinstance(record, Mapping):
            return self._digest("record", record)
        texts = self._texts
        found: dict[str, Any] = {}
        for name, value in record.items():
            seen = texts.get(name)
            if seen is None:
                found[self._undeclared(name)] = self._digest("undeclared", value)
            elif value is None:
                found[name] = None
            elif type(value) is not str:
                found[name] = self._kept(name, value)
            else:
                kept = seen.get(value)
                if kept is None:
                    if len(seen) >= _MOST_REMEMBERED:
                        seen.clear()
                    seen[value] = kept = self._kept(name, value)
                found[name] = kept
        return found

    def _kept(self, name: str, value: Any) -> Any:
        """What is kept of a column's value that is not null."""
        column = COLUMNS[name]
        if type(value) is not _TYPES[column.json] or (column.is_time and not _says_a_time(value)):
            return self._digest(name, value)
        if isinstance(value, list):
            return [item if column.kept and type(item) is int else self._digest(name, item) for item in value]
        return self._names.of(name, value) if name in _PSEUDONYMOUS and is_personal(column, value) else value

    def _undeclared(self, name: str) -> str:
        """What stands for a name that is not declared."""
        return f"undeclared-{self._key.digest('name', name).hex()}"

    def _digest(self, where: str, value: Any) -> str:
        """What stands for a value of which nothing is kept but its type."""
        return f"{json_type(value).split()[-1]}-{self._key.digest(where, dumps(value)).hex()}"


def _says_a_time(text: str) -> bool:
    try:
        instants.read(text, timezone.utc)
    except ValueError:
        return False
    return True


def kept_table() -> str:
    """What a recording keeps of each field, as a Markdown table read off the declaration."""
    rows = [(f"`{name}`", column.kind, _kept_of(column)) for name, column in COLUMNS.items()]
    return markdown_table(("Legacy field", "Type", "In a recording"), rows)


def _kept_of(column: Typed) -> str:
    if isinstance(column.kept, tuple):
        return f"{', '.join(f'`{word}`' for word in column.kept)} as they are; else a pseudonym that sorts"
    if column.json == "array":
        return "integers as they are; else a digest" if column.kept else "a digest of each element"
    return "as it is" if column.kept else "a pseudonym that sorts"


_NUMBER = r"[0-9]{1,20}"
KEPT_HEADERS: Mapping[str, re.Pattern[str]] = {
    name.lower(): re.compile(pattern, re.ASCII)
    for name, pattern in {
        "Content-Type": r"(application|text)/(json|html|plain)(; ?charset=(utf|UTF)-8)?",
        "X-Pagination-Item-Count": _NUMBER,
        "X-Pagination-Page-Count": _NUMBER,
        "X-Pagination-Page": _NUMBER,
        "X-Pagination-Limit": _NUMBER,
        "Retry-After": r"[0-9]{1,6}",
        READING: "unsettled",
        ANSWERED_BY: "legacy|new|gateway",
    }.items()
}
"""Header, in lower case, to what its value has to be; another value becomes a digest."""

_PARAMETERS = frozenset(("id", "status", "page", "limit", "sort", "filter", "student_session_id", "body", "query"))
_FAILURE = re.compile(r"[A-Za-z][A-Za-z_ ]{0,39}", re.ASCII)


def _content_of(answered: Answered) -> Mapping[str, Any] | None:
    """The JSON object that is a body; None for any other."""
    try:
        content = loads(answered.body) if answered.body else None
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _records(content: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if content is None:
        return []
    listed = content.get("students")
    found = listed if isinstance(listed, list) else [content.get("student")]
    return [record for record in found if isinstance(record, dict)]


def records_of(answered: Answered) -> list[dict[str, Any]]:
    """The records of a list, or the one of a single student."""
    return _records(_content_of(answered))


@dataclass
class _GivenParameters:
    """A call's parameters, read as far as anything of them is kept.

    Attributes:
        exam_id: the id of the path, or None where it is no short number.
        plain: name to text, of those that are kept as they are; of the filter that there is one, no text.
        comparisons: of the filter, column to operator to a value or a list of values.
        withheld: name to text, of those that break a rule and may hold anything.
        problems: whether parameters contradict each other or cannot be read, so that what is kept is not all.
    """

    exam_id: str | None
    problems: bool
    plain: dict[str, str] = field(default_factory=dict)
    comparisons: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    withheld: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, call: LegacyCall, zone: tzinfo) -> _GivenParameters:
        """Read a call, as it came; the zone is that of a filter's times without an offset."""
        parameters = gather(call)
        exam_id = _number(call.exam_id)
        found = cls(exam_id, bool(parameters.problems) or exam_id is None)
        for name, value in parameters.values.items():
            if name in parameters.problems or name not in ("filter", *_READERS):
                continue
            kept: str | None = None
            if name != "filter":
                kept = _READERS[name](value)
            elif name in call.route.json and _keeps_rules(name, value, zone):
                # Its values may be somebody's.
                found.comparisons, kept = with_operands(loads_strictly(value), partial(_operand, zone)), ""
            (found.withheld if kept is None else found.plain)[name] = value if kept is None else kept
        return found

    def personal(self) -> dict[str, list[Any]]:
        """The values that become pseudonyms, by column."""
        found: dict[str, list[Any]] = {column: [] for column in self.comparisons}

        def note(column: str, operator: str, value: Any) -> None:
            if is_personal(COLUMNS[column], value):
                found[column].append(value)

        with_operands(self.comparisons, note)
        return found

    def redacted(self, names: Names, key: PseudonymKey) -> tuple[dict[str, str], bool]:
        """The parameters as they are kept, and whether they ask what the call asked."""

        def pseudonym(column: str, operator: str, value: Any) -> Any:
            return names.of(column, value) if is_personal(COLUMNS[column], value) else value

        kept = dict(self.plain)
        if "filter" in kept:
            kept["filter"] = dumps(with_operands(self.comparisons, pseudonym))
        kept |= {name: key.withheld(name, text) for name, text in self.withheld.items()}
        return kept, not (self.problems or self.withheld or any(self.personal().values()))


def with_operands(
    comparisons: Mapping[str, Mapping[str, Any]], change: Callable[[str, str, Any], Any]
) -> dict[str, dict[str, Any]]:
    """A filter with other operands: ``change`` gets column, operator and operand, those of a list one by one."""
    return {
        column: {
            operator: [change(column, operator, each) for each in operand]
            if isinstance(operand, list)
            else change(column, operator, operand)
            for operator, operand in operators.items()
        }
        for column, operators in comparisons.items()
    }


def _operand(zone: tzinfo, column: str, operator: str, value: Any) -> Any:
    read = None if value is None else COLUMNS[column].read(value, zone)
    # A time stays as it was written: what it means without an offset is the zone's to say.
    return value if COLUMNS[column].is_time and isinstance(value, str | Number) else read


def _keeps_rules(name: str, text: str, zone: tzinfo) -> bool:
    """Whether a filter or a sort keeps all rules."""
    try:
        parse_query(Parameters({"id": "1", name: text}, {}), zone)
    except InvalidParameter:
        return False
    return True


def _number(text: str) -> str | None:
    return text if text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER else None


_READERS: Mapping[str, Callable[[str], str | None]] = {
    "page": _number,
    "limit": _number,
    "student_session_id": _number,
    "status": lambda text: text if text in STATUSES else None,
    "sort": lambda text: dumps(loads_strictly(text)) if _keeps_rules("sort", text, timezone.utc) else None,
}
"""Parameter to what is kept of a text that keeps the rules; beside these and a filter no parameter leaves a trace."""
