"""What a recording keeps of a record and of an answer: what is declared, and nothing else.

A field keeps its name, and null, empty texts, booleans, times and whatever else its declaration lets be kept. Any other
value of the declared type becomes a pseudonym; a value of another type, a field that is not declared and an array's
element that is no integer become a digest, which only equal ones share.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timezone
from typing import Any

import msgspec

from compat.legacy.routes import ANSWERED_BY, READING
from compat.mapping.tables import markdown_table
from compat.regression.comparing.pairs import Answered
from compat.regression.recordings.format import RecordedAnswer
from compat.regression.recordings.pseudonyms import Names, PseudonymKey
from compat.schemas import COLUMNS
from compat.schemas.fields import Array, Boolean, Integer, String, Time, Typed, json_type
from compat.text import instants
from compat.text.json import dumps, loads

__all__ = [
    "KEPT_HEADERS",
    "ReadAnswer",
    "Redaction",
    "is_personal",
    "kept_table",
    "pseudonymous",
]

_MOST_REMEMBERED = 20_000
"""Texts of each column."""


def pseudonymous(column: Typed) -> bool:
    """Whether values of a column can become pseudonyms that sort."""
    return column.comparable and column.kept is not True


def is_personal(column: Typed, value: Any) -> bool:
    """Whether a value of the column's type becomes a pseudonym."""
    if value is None or value == "" or not pseudonymous(column):
        return False
    return not (isinstance(column.kept, tuple) and value in column.kept)


class Redaction:
    """Makes of legacy records what a recording keeps of them: digests by the key, pseudonyms by the names."""

    def __init__(self, key: PseudonymKey, names: Names) -> None:
        self.key = key
        self._names = names
        self._kept: dict[str, Callable[[Any], Any]] = {
            name: self._keeper(name, column) for name, column in COLUMNS.items()
        }
        # Text to what is kept of it: most values come again and again, and telling them apart is most of the work.
        self._texts: dict[str, dict[str, Any]] = {name: {} for name in COLUMNS}

    def take_note(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Let the names know every value that will become a pseudonym, all at once.

        Raises:
            Exhausted: as :class:`~compat.regression.recordings.pseudonyms.OrderedNames` does.
        """
        for name, column in _PSEUDONYMOUS.items():
            expected, seen = (int, ()) if column.json == "integer" else (str, self._texts[name])
            given = {value for record in records if type(value := record.get(name)) is expected and value not in seen}
            self._names.assign(name, [value for value in given if is_personal(column, value)])

    def record(self, record: Any) -> Any:
        """What is kept of a record, once it was noted."""
        if not isinstance(record, Mapping):
            return self.digest("record", record)
        texts = self._texts
        found: dict[str, Any] = {}
        for name, value in record.items():
            seen = texts.get(name)
            if seen is None:
                found[self.name(name)] = self.digest("undeclared", value)
            elif value is None:
                found[name] = None
            elif type(value) is not str:
                found[name] = self._kept[name](value)
            else:
                kept = seen.get(value)
                found[name] = self._remembered(name, value) if kept is None else kept
        return found

    def _remembered(self, name: str, text: str) -> Any:
        seen = self._texts[name]
        if len(seen) >= _MOST_REMEMBERED:
            seen.clear()
        seen[text] = kept = self._kept[name](text)
        return kept

    def name(self, name: str) -> str:
        """What stands for a name that is not declared."""
        return f"undeclared-{self.key.digest('name', name).hex()}"

    def digest(self, where: str, value: Any) -> str:
        """What stands for a value of which nothing is kept but its type."""
        return f"{json_type(value).split()[-1]}-{self.key.digest(where, dumps(value)).hex()}"

    def _keeper(self, name: str, column: Typed) -> Callable[[Any], Any]:
        """Gives what is kept of a column's value that is not null."""
        digest = self.digest
        given = self._names.of

        def text(value: Any) -> Any:
            if type(value) is not str:
                return digest(name, value)
            return given(name, value) if is_personal(column, value) else value

        def integer(value: Any) -> Any:
            if type(value) is not int:
                return digest(name, value)
            return value if column.kept is True else given(name, value)

        def time(value: Any) -> Any:
            return value if _says_a_time(value) else digest(name, value)

        def boolean(value: Any) -> Any:
            return value if isinstance(value, bool) else digest(name, value)

        def array(value: Any) -> Any:
            if not isinstance(value, list):
                return digest(name, value)
            return [item if column.kept and type(item) is int else digest(name, item) for item in value]

        keepers = {String: text, Integer: integer, Time: time, Boolean: boolean, Array: array}
        return keepers[type(column)]


def _says_a_time(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        instants.read(value, timezone.utc)
    except ValueError:
        return False
    return True


_PSEUDONYMOUS = {name: column for name, column in COLUMNS.items() if pseudonymous(column)}


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


class ReadAnswer:
    """An answer, as it came, its body read."""

    def __init__(self, answered: Answered) -> None:
        self._answered = answered
        self._content: Any = None
        try:
            self._content = loads(answered.body) if answered.body else None
            self._readable = bool(answered.body)
        except ValueError:
            self._readable = False

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records of a list, or the one of a single student."""
        if not isinstance(self._content, dict):
            return []
        listed = self._content.get("students")
        found = listed if isinstance(listed, list) else [self._content.get("student")]
        return [record for record in found if isinstance(record, dict)]

    def kept(self, redaction: Redaction) -> RecordedAnswer:
        """What is kept of it, once its records were noted."""
        given, key = self._answered, redaction.key
        failure = given.failure
        if failure is not None and not _FAILURE.fullmatch(failure):
            failure = key.withheld("failure", failure)
        return RecordedAnswer(
            given.status,
            _headers(given.headers, key),
            msgspec.Raw(msgspec.json.encode(self._body(redaction))),
            round(given.seconds, 6),
            failure,
        )

    def _body(self, redaction: Redaction) -> Any:
        if not self._readable or not isinstance(self._content, dict):
            body = self._answered.body
            return {"unreadable": redaction.key.digest("body", body.decode("latin-1")).hex()} if body else None
        return dict(self._member(name, value, redaction) for name, value in self._content.items())

    def _member(self, name: str, value: Any, redaction: Redaction) -> tuple[str, Any]:
        """A member of the body, by the forms that the old interface has."""
        if name == "students" and isinstance(value, list):
            return name, [redaction.record(record) for record in value]
        if name == "student":
            return name, redaction.record(value)
        if name == "error":
            return name, redaction.digest("message", value)
        if name == "errors" and isinstance(value, dict):
            kept = {each: each if each in _PARAMETERS or each in COLUMNS else redaction.name(each) for each in value}
            return name, {kept[each]: _messages(texts, redaction) for each, texts in value.items()}
        return redaction.name(name), redaction.digest("undeclared", value)


def _messages(texts: Any, redaction: Redaction) -> Any:
    if isinstance(texts, list):
        return [redaction.digest("message", text) for text in texts]
    return redaction.digest("message", texts)


def _headers(headers: Mapping[str, str], key: PseudonymKey) -> dict[str, str]:
    kept = {}
    for name, value in headers.items():
        lower = name.lower()
        if lower in KEPT_HEADERS:
            known = KEPT_HEADERS[lower].fullmatch(value)
            kept[lower] = value if known else key.withheld(lower, value)
    return kept
