"""A list query, parsed and typed, and how each type of column reads and compares a value (contract, section 1).

A *comparable* is what stands for a value in comparisons: an ``int``, a ``bool``, a ``str`` or an
:data:`~compat.text.instants.Instant`. Within one column all comparables are of one type, and null is None.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timezone, tzinfo
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from compat.errors import InvalidParameter
from compat.legacy.parameters import Parameters, check, shown
from compat.legacy.routes import INDEX_STUDENTS
from compat.schemas import COLUMNS
from compat.schemas.fields import Boolean, Integer, String, Time, Typed
from compat.schemas.student import STATUSES
from compat.text import instants
from compat.text.json import DuplicateKeyError, Number, dumps, loads_strictly

__all__ = [
    "LARGEST_LIMIT",
    "OPERATORS",
    "ORDERINGS",
    "STATUSES",
    "Comparable",
    "Condition",
    "Query",
    "SortKey",
    "columns_needed",
    "comparable",
    "parse_query",
    "read_value",
]

Comparable = int | bool | str | instants.Instant

_INTEGER = re.compile(r"-?[0-9]+", re.ASCII)
_QUOTED_MILLISECONDS = re.compile(r"-?[0-9]{11,13}", re.ASCII)
_LARGEST_EXPONENT = 400
_LONGEST = 4000
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def read_value(column: Typed, value: Any, zone: tzinfo) -> Comparable | None:
    """Read a value of a filter, as :func:`compat.text.json.loads_strictly` gave it.

    Raises:
        ValueError: the column's type cannot read it; the text states the rule.
    """
    if value is None:
        return None
    return _READERS[type(column)](value, zone)


def _whole_number(value: Number) -> int | None:
    if len(value.text) > _LONGEST:
        return None
    try:
        number = Decimal(value.text)
    except InvalidOperation:  # an exponent beyond any number that there is
        return None
    if abs(number.adjusted()) > _LARGEST_EXPONENT + len(value.text):
        return None
    return int(number) if number == number.to_integral_value() else None


def _read_integer(value: Any, zone: tzinfo) -> int:
    found: int | None = None
    if isinstance(value, Number):
        found = _whole_number(value)
    elif isinstance(value, str) and _INTEGER.fullmatch(value) and len(value) <= _LONGEST:
        found = int(value)
    if found is None:
        raise ValueError("Must be an integer, or its digits as text")
    return found


def _read_boolean(value: Any, zone: tzinfo) -> bool:
    text = value.text if isinstance(value, Number) else value
    if isinstance(text, bool):
        return text
    if not isinstance(text, str) or text.lower() not in _BOOLEANS:
        raise ValueError("Must be one of: true, false, 1, 0")
    return _BOOLEANS[text.lower()]


def _read_string(value: Any, zone: tzinfo) -> str:
    if isinstance(value, Number):
        return value.text
    if not isinstance(value, str):
        raise ValueError("Must be a String")
    return value


def _read_time(value: Any, zone: tzinfo) -> instants.Instant:
    if isinstance(value, Number):
        milliseconds = _whole_number(value)
    elif isinstance(value, str) and _QUOTED_MILLISECONDS.fullmatch(value):
        milliseconds = int(value)
    elif isinstance(value, str):
        try:
            return instants.read(value, zone)
        except ValueError:
            hint = "; a + in a URL has to be sent as %2B" if " " in value else ""
            raise ValueError(_TIME_RULE + hint) from None
    else:
        milliseconds = None
    if milliseconds is None:
        raise ValueError(_TIME_RULE)
    return instants.from_milliseconds(milliseconds)


_TIME_RULE = "Must be a time such as 2018-11-17T17:09:39.373+01:00, a date such as 2018-11-17, or epoch milliseconds"
_READERS: dict[type[Typed], Callable[[Any, tzinfo], Comparable]] = {
    Integer: _read_integer,
    Boolean: _read_boolean,
    String: _read_string,
    Time: _read_time,
}


def comparable(column: Typed, value: Any, zone: tzinfo) -> Comparable | None:
    """What stands for a record's value in comparisons.

    Raises:
        ValueError: the value has another type than the column; the text says which it should be.
    """
    if value is None:
        return None
    if not column.accepts(value):
        raise ValueError(column.kind)
    if isinstance(column, Time):
        try:
            return instants.read(value, zone)
        except ValueError:
            raise ValueError(column.kind) from None
    found: Comparable = value.integer() if isinstance(value, Number) else value
    return found


LARGEST_LIMIT = 300
"""Records of a page by default and at most (seed 001)."""

ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
OPERATORS = (*ORDERINGS, "in", "nin")

_PLAIN = ("id", "status", "page", "limit")
"""The parameters of a query without filter and sort."""


@dataclass(frozen=True)
class Condition:
    """One comparison of a filter, by SQL's rules for null.

    Attributes:
        column: the legacy field.
        operator: eq, gt, gte, lt, lte, ne, in or nin.
        operand: what the column is compared with; a tuple of those for in and nin.
    """

    column: str
    operator: str
    operand: Comparable | tuple[Comparable | None, ...] | None

    def holds(self, value: Comparable | None) -> bool:
        """Whether a column's comparable satisfies the condition."""
        if self.operator in ("in", "nin"):
            among = value in self.operand  # type: ignore[operator]
            return among if self.operator == "in" else not self.operand or (value is not None and not among)
        if self.operand is None:
            return self.operator in ("eq", "ne") and (value is None) == (self.operator == "eq")
        return value is not None and ORDERINGS[self.operator](value, self.operand)


@dataclass(frozen=True)
class SortKey:
    """One column to sort by; nulls come last ascending and first descending."""

    column: str
    descending: bool = False


@dataclass(frozen=True)
class Query:
    """What a legacy list call asks for.

    Attributes:
        exam_id: the exam.
        status: one of the eleven, or None for all.
        page: from 1.
        limit: records a page, 1 to 300.
        conditions: the filter; all must hold.
        sort: the columns to sort by, the first counts most.
        filter_text: the filter as the caller wrote it, for an upstream that filters by itself.
        sort_text: the same of the sort.
    """

    exam_id: int
    status: str | None = None
    page: int = 1
    limit: int = LARGEST_LIMIT
    conditions: tuple[Condition, ...] = ()
    sort: tuple[SortKey, ...] = ()
    filter_text: str | None = None
    sort_text: str | None = None

    @property
    def start(self) -> int:
        """How many matches lie before the page."""
        return (self.page - 1) * self.limit

    def matches(self, values: Mapping[str, Comparable | None]) -> bool:
        """Whether a record's comparables satisfy the filter."""
        return all(condition.holds(values[condition.column]) for condition in self.conditions)


def parse_query(parameters: Parameters, zone: tzinfo) -> Query:
    """Type the parameters of a list call.

    Raises:
        InvalidParameter: names each parameter that breaks a rule, with the rule.
    """
    values = parameters.values
    if parameters.problems or "filter" in values or "sort" in values:
        return _parsed(parameters, zone)
    return _plain_query(*map(values.get, _PLAIN))


@lru_cache(maxsize=1024)
def _plain_query(*texts: str | None) -> Query:
    """A query of :data:`_PLAIN` alone, kept: whoever polls a list asks the same again and again."""
    given = {name: text for name, text in zip(_PLAIN, texts, strict=True) if text is not None}
    return _parsed(Parameters(given, {}), timezone.utc)


def _parsed(parameters: Parameters, zone: tzinfo) -> Query:
    problems: dict[str, list[str]] = {}
    try:
        check(INDEX_STUDENTS, parameters)
    except InvalidParameter as error:
        problems.update({name: list(texts) for name, texts in error.errors.items()})
    values = parameters.values
    if problems:
        values = {name: text for name, text in values.items() if name not in problems}

    def typed(name: str, reader: Callable[[str], Any], default: Any) -> Any:
        if name not in values:
            return default
        try:
            return reader(values[name])
        except ValueError as error:
            problems[name] = [str(error)]
            return default

    query = Query(
        exam_id=typed("id", int, 0),
        status=typed("status", _read_status, None),
        page=typed("page", int, 1),
        limit=min(typed("limit", int, LARGEST_LIMIT), LARGEST_LIMIT),
        conditions=typed("filter", lambda text: _read_filter(text, zone), ()),
        sort=typed("sort", _read_sort, ()),
        filter_text=values.get("filter"),
        sort_text=values.get("sort"),
    )
    if problems:
        raise InvalidParameter(problems, parameters.values)
    return query


def _read_status(text: str) -> str:
    if text not in STATUSES:
        raise ValueError(f"Must be one of: {', '.join(STATUSES)}.")
    return text


def _read_json(text: str) -> Any:
    try:
        return loads_strictly(text)
    except DuplicateKeyError as error:
        raise ValueError(f"Must not have a key twice: '{shown(error.key)}' in '{shown(text)}'.") from None
    except ValueError:
        raise ValueError(f"Must be stringified JSON: '{shown(text)}'.") from None


def _column(name: str) -> Typed:
    column = COLUMNS.get(name)
    if column is None:
        raise ValueError(f"Must name a column of the record: '{shown(name)}' is none.")
    if not column.comparable:
        raise ValueError(f"Must name a column that is no array: '{name}' is one.")
    return column


def _read_sort(text: str) -> tuple[SortKey, ...]:
    content = _read_json(text)
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        raise ValueError(f'Must be a JSON array of objects such as [{{"name": "asc"}}]: \'{shown(text)}\'.')
    return tuple(_sort_key(name, order) for item in content for name, order in item.items())


def _sort_key(name: str, order: Any) -> SortKey:
    _column(name)
    if not isinstance(order, str) or order.lower() not in ("asc", "desc"):
        raise ValueError(f"Must order by asc or desc: '{shown(dumps(order))}' for '{name}'.")
    return SortKey(name, order.lower() == "desc")


def _read_filter(text: str, zone: tzinfo) -> tuple[Condition, ...]:
    content = _read_json(text)
    if not isinstance(content, dict):
        raise ValueError(f'Must be a JSON object such as {{"name": {{"eq": "Ann"}}}}: \'{shown(text)}\'.')
    conditions: list[Condition] = []
    for name, comparisons in content.items():
        column = _column(name)
        if not isinstance(comparisons, dict):
            raise ValueError(f"Must give '{name}' an object of operators: '{shown(dumps(comparisons))}'.")
        for operation, value in comparisons.items():
            conditions.append(_condition(name, column, operation, value, zone))
    return tuple(conditions)


def _condition(name: str, column: Typed, operation: str, value: Any, zone: tzinfo) -> Condition:
    if operation not in OPERATORS:
        raise ValueError(f"Must use one of {', '.join(OPERATORS)}: '{shown(operation)}' for '{name}'.")
    if operation not in ("in", "nin"):
        return Condition(name, operation, _operand(name, column, value, zone))
    if not isinstance(value, list):
        raise ValueError(f"Must give '{operation}' of '{name}' a JSON array: '{shown(dumps(value))}'.")
    return Condition(name, operation, tuple(_operand(name, column, item, zone) for item in value))


def _operand(name: str, column: Typed, value: Any, zone: tzinfo) -> Comparable | None:
    try:
        return read_value(column, value, zone)
    except ValueError as error:
        raise ValueError(f"{error}: '{shown(dumps(value))}' for '{name}'.") from None


def columns_needed(conditions: Sequence[Condition], sort: Sequence[SortKey]) -> tuple[str, ...]:
    """The columns that a filter and a sort look at, each once."""
    return tuple(dict.fromkeys([*(item.column for item in conditions), *(item.column for item in sort)]))
