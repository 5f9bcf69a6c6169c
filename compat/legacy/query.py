"""A list query, parsed and typed, and the operators of its filter (contract, section 1)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timezone, tzinfo
from functools import lru_cache
from typing import Any

from compat.errors import InvalidParameter
from compat.legacy.parameters import Parameters, check, shown
from compat.legacy.routes import INDEX_STUDENTS
from compat.processes import cached_property
from compat.schemas import COLUMNS
from compat.schemas.fields import Boolean, Comparable, Integer, String, Time, Typed
from compat.schemas.student import STATUSES
from compat.text.json import DuplicateKeyError, dumps, loads_strictly

__all__ = [
    "LARGEST_LIMIT",
    "OPERATORS",
    "STATUSES",
    "Comparable",
    "Condition",
    "Operator",
    "Query",
    "SortKey",
    "columns_needed",
    "operators_of",
    "parse_query",
]

LARGEST_LIMIT = 300
"""Records of a page by default and at most (seed 001)."""

_COMPARED = (Integer, Boolean, String, Time)


@dataclass(frozen=True)
class Operator:
    """A comparison that a filter may make, all that is known of it.

    Attributes:
        name: as a filter writes it.
        compares: whether a column's comparable holds for an operand; null is neither of them.
        many: its operand is a JSON array, within which null is one more value.
        of_types: the types of column that it compares.
        by_equality: it asks only which values are the same, so that null is an operand too, and a pseudonym does.
        of_null: whether a null column holds for an operand.
        column: a quicker form for the values of a whole column, nulls among them, and an operand that is a set.

    Raises:
        TypeError: it compares no type of column.
    """

    name: str
    compares: Callable[[Any, Any], bool]
    many: bool = False
    of_types: tuple[type[Typed], ...] = _COMPARED
    by_equality: bool = False
    of_null: Callable[[Any], bool] = lambda operand: False
    column: Callable[[Sequence[Any], Any], list[bool]] | None = None

    def __post_init__(self) -> None:
        if not self.of_types:
            raise TypeError(f"the operator {self.name!r} compares no type of column")

    def holds(self, value: Any, operand: Any) -> bool:
        """Whether a column's comparable satisfies the comparison, by SQL's rules for null."""
        if value is None:
            return self.of_null(operand)
        return (operand is not None or self.by_equality) and self.compares(value, operand)


def _operators(*declared: Operator) -> dict[str, Operator]:
    return {each.name: each for each in declared}


OPERATORS = _operators(
    Operator("eq", operator.eq, by_equality=True, of_null=lambda operand: operand is None),
    Operator("ne", operator.ne, by_equality=True),
    Operator("gt", operator.gt),
    Operator("gte", operator.ge),
    Operator("lt", operator.lt),
    Operator("lte", operator.le),
    Operator(
        "in",
        lambda value, among: value in among,
        many=True,
        by_equality=True,
        of_null=lambda among: None in among,
        column=lambda values, among: [value in among for value in values],
    ),
    Operator(
        "nin", lambda value, among: value not in among, many=True, by_equality=True, of_null=lambda among: not among
    ),
)
"""By name, in the order in which messages list them."""


def operators_of(column: Typed) -> list[Operator]:
    """The operators that compare a column."""
    return [each for each in OPERATORS.values() if type(column) in each.of_types]


_PLAIN = ("id", "status", "page", "limit")
"""The parameters of a query without filter and sort."""


@dataclass(frozen=True)
class Condition:
    """One comparison of a filter, by SQL's rules for null.

    Attributes:
        operator: the name of one of :data:`OPERATORS`.
        operand: what the column is compared with; a tuple of those where the operator takes many.
    """

    column: str
    operator: str
    operand: Comparable | tuple[Comparable | None, ...] | None

    def holds(self, value: Comparable | None) -> bool:
        """Whether a column's comparable satisfies the condition."""
        return OPERATORS[self.operator].holds(value, self.operand)


@dataclass(frozen=True)
class SortKey:
    """One column to sort by; nulls come last ascending and first descending."""

    column: str
    descending: bool = False


@dataclass(frozen=True)
class Query:
    """What a legacy list call asks for.

    Attributes:
        status: one of the eleven, or None for all.
        page: from 1.
        limit: records a page, 1 to 300.
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

    @cached_property
    def start(self) -> int:
        """How many matches lie before the page."""
        return (self.page - 1) * self.limit


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
    found = OPERATORS.get(operation)
    if found is None or type(column) not in found.of_types:
        fitting = ", ".join(each.name for each in operators_of(column))
        raise ValueError(f"Must use one of {fitting}: '{shown(operation)}' for '{name}'.")
    if not found.many:
        return Condition(name, operation, _operand(name, column, value, zone))
    if not isinstance(value, list):
        raise ValueError(f"Must give '{operation}' of '{name}' a JSON array: '{shown(dumps(value))}'.")
    return Condition(name, operation, tuple(_operand(name, column, item, zone) for item in value))


def _operand(name: str, column: Typed, value: Any, zone: tzinfo) -> Comparable | None:
    try:
        return None if value is None else column.read(value, zone)
    except ValueError as error:
        raise ValueError(f"{error}: '{shown(dumps(value))}' for '{name}'.") from None


def columns_needed(conditions: Sequence[Condition], sort: Sequence[SortKey]) -> tuple[str, ...]:
    """The columns that a filter and a sort look at, each once."""
    return tuple(dict.fromkeys([*(item.column for item in conditions), *(item.column for item in sort)]))
