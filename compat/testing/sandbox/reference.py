"""The documented rules of filter, sort and paging, and how a filter's values are read, as plainly as they can be.

Differential tests hold the translated answers against this module, so it favours being obviously right
over being fast, and it shares no code with what it judges.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol, TypeVar

from compat.testing.sandbox.records import column_type
from compat.testing.sandbox.text import (
    MOST_DIGITS,
    Instant,
    Number,
    Pairs,
    read_instant,
    read_milliseconds,
    read_strict_json,
)

Readable = int | bool | str | Instant


def read_whole_number(text: str) -> int:
    """The whole number that a number's text stands for: 5, 5.0, 1e2; bounded, so that 1e999999 is refused."""
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{text} is not a whole number.") from error
    if value.is_zero():
        return 0
    if value.adjusted() >= MOST_DIGITS or value != int(value):
        raise ValueError(f"{text} is not a whole number of at most {MOST_DIGITS} digits.")
    return int(value)


def read_integer(value: object, zone: tzinfo) -> int:
    """A JSON number with a whole value, or digits as text."""
    if isinstance(value, Number):
        return read_whole_number(value.text)
    if isinstance(value, str) and re.fullmatch("-?[0-9]+", value):
        return read_whole_number(value)
    raise ValueError("Must be a whole number.")


def read_boolean(value: object, zone: tzinfo) -> bool:
    """true, false, 1 or 0, as JSON or as text in any case."""
    if isinstance(value, bool):
        return value
    text = value.text if isinstance(value, Number) else value
    if isinstance(text, str) and text.lower() in ("true", "1"):
        return True
    if isinstance(text, str) and text.lower() in ("false", "0"):
        return False
    raise ValueError("Must be one of: true, false, 1, 0.")


def read_string(value: object, zone: tzinfo) -> str:
    """A text, or a number's own text."""
    if isinstance(value, Number):
        return value.text
    if isinstance(value, str):
        return value
    raise ValueError("Must be a text.")


def read_time(value: object, zone: tzinfo) -> Instant:
    """An ISO 8601 text, or milliseconds since 1970 as a whole number or as 11 to 13 digits of text."""
    if isinstance(value, Number):
        return read_milliseconds(read_whole_number(value.text))
    if not isinstance(value, str):
        raise ValueError("Must be a time.")
    if re.fullmatch("-?[0-9]{11,13}", value):
        return read_milliseconds(int(value))
    return read_instant(value, zone)


READERS: dict[str, Callable[[object, tzinfo], Readable]] = {
    "integer": read_integer,
    "boolean": read_boolean,
    "string": read_string,
    "time": read_time,
}


OPERATORS = ("eq", "gt", "gte", "lt", "lte", "ne", "in", "nin")


class Row(Protocol):
    """Anything that stands for one legacy record."""

    @property
    def record(self) -> Mapping[str, Any]:
        """The record's values."""


R = TypeVar("R", bound=Row)


@dataclass(frozen=True)
class Condition:
    """One operator on one column; ``value`` is a list for in and nin."""

    column: str
    operator: str
    value: Readable | list[Readable | None] | None


@dataclass(frozen=True)
class SortKey:
    """One column to sort by."""

    column: str
    descending: bool


def read_filter(text: str, zone: tzinfo) -> list[Condition]:
    """The conditions of a ``filter`` parameter; ValueError says what is wrong with it."""
    value = read_strict_json(text)
    if not isinstance(value, Pairs):
        raise ValueError("Must be a JSON object of columns.")
    conditions = []
    for column, operators in value.items:
        column_type(column)
        if not isinstance(operators, Pairs):
            raise ValueError(f"{column!r} must hold an object of operators.")
        for operator, operand in operators.items:
            conditions.append(_condition(column, operator, operand, zone))
    return conditions


def _condition(column: str, operator: str, operand: object, zone: tzinfo) -> Condition:
    if operator not in OPERATORS:
        raise ValueError(f"{operator!r} is not an operator.")
    if operator not in ("in", "nin"):
        return Condition(column, operator, _operand(column, operand, zone))
    if not isinstance(operand, list):
        raise ValueError(f"{operator!r} takes an array.")
    return Condition(column, operator, [_operand(column, each, zone) for each in operand])


def _operand(column: str, operand: object, zone: tzinfo) -> Readable | None:
    if operand is None:
        return None
    try:
        return READERS[column_type(column)](operand, zone)
    except ValueError as error:
        raise ValueError(f"{column!r}: {error}") from error


def read_sort(text: str) -> list[SortKey]:
    """The keys of a ``sort`` parameter, first one first; ValueError says what is wrong with it."""
    value = read_strict_json(text)
    if not isinstance(value, list):
        raise ValueError("Must be a JSON array of objects.")
    keys = []
    for each in value:
        if not isinstance(each, Pairs):
            raise ValueError("Must be a JSON array of objects.")
        for column, direction in each.items:
            column_type(column)
            keys.append(SortKey(column, _descending(direction)))
    return keys


def _descending(direction: object) -> bool:
    if not isinstance(direction, str) or direction.lower() not in ("asc", "desc"):
        raise ValueError("A direction must be asc or desc.")
    return direction.lower() == "desc"


def comparable(record: Mapping[str, Any], column: str, zone: tzinfo) -> Any:
    """A column's value in the form that compares: times as instants, all others as they are."""
    value = record[column]
    if value is not None and column_type(column) == "time":
        return READERS["time"](value, zone)
    return value


def holds(record: Mapping[str, Any], condition: Condition, zone: tzinfo) -> bool:
    """Whether a record fulfils a condition."""
    actual = comparable(record, condition.column, zone)
    if isinstance(condition.value, list):
        if condition.operator == "in":
            return any(_compares(actual, "eq", each) for each in condition.value)
        if not condition.value:
            return True
        return actual is not None and all(_compares(actual, "ne", each) for each in condition.value)
    return _compares(actual, condition.operator, condition.value)


def _compares(actual: Any, operator: str, wanted: Any) -> bool:
    if wanted is None:
        return (operator == "eq" and actual is None) or (operator == "ne" and actual is not None)
    if actual is None:
        return False
    outcomes: dict[str, bool] = {
        "eq": actual == wanted,
        "ne": actual != wanted,
        "gt": actual > wanted,
        "gte": actual >= wanted,
        "lt": actual < wanted,
        "lte": actual <= wanted,
    }
    return outcomes[operator]


def filtered(rows: Sequence[R], conditions: Sequence[Condition], zone: tzinfo) -> list[R]:
    """The rows that fulfil every condition, in their order."""
    result = list(rows)
    for condition in conditions:
        result = [row for row in result if holds(row.record, condition, zone)]
    return result


def ordered(rows: Sequence[R], keys: Sequence[SortKey], zone: tzinfo) -> list[R]:
    """The rows sorted: ties keep their order, nulls come last ascending and first descending."""
    result = list(rows)
    for key in reversed(keys):
        nulls = [row for row in result if row.record[key.column] is None]
        others = [row for row in result if row.record[key.column] is not None]
        others = _by_column(others, key, zone)
        result = nulls + others if key.descending else others + nulls
    return result


def _by_column(rows: list[R], key: SortKey, zone: tzinfo) -> list[R]:
    return sorted(rows, key=lambda row: comparable(row.record, key.column, zone), reverse=key.descending)


def one_page(rows: Sequence[R], page: int, limit: int) -> list[R]:
    """The rows of a page, counted from 1; none past the end."""
    return list(rows[(page - 1) * limit : page * limit])


def page_count(rows: int, limit: int) -> int:
    """How many pages that many rows fill."""
    return -(-rows // limit)
