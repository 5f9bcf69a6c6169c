"""What is asked of the upstream, what is selected and sorted here, and the checks that it did what it was asked.

A page that holds the whole list shows by itself that nothing else is in it, and in which order. One page of many does
not: an ignored filter leaves no trace on a page whose records happen to fit, and yet the count is wrong. No document
says that the endpoint filters or sorts; so before such a page is believed, each of the two has to have made a
difference. The status is documented (seed 002), and an exam's list is an endpoint of its own: their records tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Any

from compat.legacy.query import OPERATORS, Condition, Query, SortKey, columns_needed
from compat.processes import cached_property
from compat.text.json import dumps
from compat.upstream.base import Capability, Chunk, Columns, PushdownIgnored, Sortable, Upstream
from compat.upstream.records import bare
from compat.upstream.senders import CallOptions

__all__ = ["Plan", "believed", "make_plan", "sort_places"]

_Test = Callable[[Sequence[Any]], list[bool]]


@dataclass(frozen=True)
class Plan:
    """How a query is answered.

    Attributes:
        pushed: what is left to the upstream.
        direct: the upstream does all of it: one legacy page is one of its pages.
    """

    query: Query
    pushed: frozenset[Capability]
    direct: bool

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns to look at: to select and sort here, or to check that the upstream did."""
        needed = columns_needed(self.query.conditions, self.query.sort)
        return needed if self.query.status is None else tuple(dict.fromkeys(("status", *needed)))

    def select(self, page: Columns) -> Columns:
        """The records of a page that match.

        Raises:
            PushdownIgnored: one does not match, though the upstream was to see to it.
        """
        if len(page.places) != len(page.keys):
            self._check("exam")
        places, values = page.places, page.values
        for capability, column, test in self._tests:
            flags = test(values[column])
            if not all(flags):
                self._check(capability)
                places = list(compress(places, flags))
                values = {name: list(compress(found, flags)) for name, found in values.items()}
        return page._replace(places=places, values=values)

    @cached_property
    def _tests(self) -> list[tuple[Capability, str, _Test]]:
        tests: list[tuple[Capability, str, _Test]] = []
        if self.query.status is not None:
            tests.append(("status", "status", _test(Condition("status", "eq", self.query.status))))
        return tests + [("filter", condition.column, _test(condition)) for condition in self.query.conditions]

    def _check(self, capability: Capability) -> None:
        if capability in self.pushed:
            raise PushdownIgnored(capability)

    def check_order(self, page: Columns) -> None:
        """See that an upstream that sorts gave the records of a page in order.

        Raises:
            PushdownIgnored: it did not.
        """
        if sort_places(page.values, self.query.sort, range(len(page.places))) != [*range(len(page.places))]:
            raise PushdownIgnored("sort")


def _test(condition: Condition) -> _Test:
    """:meth:`Condition.holds` of every value of a column."""
    operator, operand = OPERATORS[condition.operator], condition.operand
    if operand is None:
        return lambda values: list(map(condition.holds, values))
    # A set finds one among many at once.
    bound = frozenset(map(bare, operand)) if operator.many else bare(operand)  # type: ignore[arg-type]
    if (column := operator.column) is not None:
        return lambda values: column(values, bound)
    compares, at_null = operator.compares, operator.of_null(bound)
    return lambda values: [at_null if value is None else compares(value, bound) for value in values]


def make_plan(query: Query, capabilities: frozenset[Capability]) -> Plan:
    """Leave to the upstream what it can do, as far as the query asks for it."""
    needed: set[Capability] = {"exam"}
    if query.status is not None:
        needed.add("status")
    if query.conditions:
        needed.add("filter")
    if query.sort:
        needed.add("sort")
    return Plan(query, capabilities & needed, direct=needed <= capabilities)


def sort_places(
    columns: Mapping[str, Sequence[Sortable | None]], sort: Sequence[SortKey], among: Iterable[int]
) -> list[int]:
    """The places of records in their order: stable, nulls last ascending and first descending.

    Args:
        among: the places, in the order of records that are equal.
    """
    places = list(among)
    for key in reversed(sort):
        column = columns[key.column]
        values: Sequence[Any] = [(value is None, value) for value in column] if None in column else column
        places.sort(key=values.__getitem__, reverse=key.descending)
    return places


_UNDOCUMENTED: frozenset[Capability] = frozenset({"filter", "sort"})


def believed(upstream: Upstream, plan: Plan, chunk: Chunk, options: CallOptions) -> bool:
    """Whether a page that passed the checks of its records can be believed.

    The upstream has to show what it does before that, and again after a while.

    Raises:
        LegacyError: a question to the upstream failed.
    """
    if plan.query.page == 1 and chunk.total <= plan.query.limit:
        return True

    def first(query: Query, pushed: frozenset[Capability]) -> Chunk:
        return upstream.sources(query, pushed, options)[0].fetch(0, 1, None, None)

    def shown(capability: Capability) -> bool:
        if capability == "sort":
            there, back = first(plan.query, plan.pushed), first(_turned_round(plan.query), plan.pushed)
            return [bytes(row) for row in there.rows[:1]] != [bytes(row) for row in back.rows[:1]]
        # What narrows a list shows in its total: without it there is more.
        return first(plan.query, plan.pushed - {capability}).total > chunk.total

    for capability in sorted(plan.pushed & _UNDOCUMENTED):
        if not upstream.pushdown.proved(capability):
            if not shown(capability):
                return False
            upstream.pushdown.prove(capability)
    return True


def _turned_round(query: Query) -> Query:
    keys: list[dict[str, Any]] = [{key.column: "asc" if key.descending else "desc"} for key in query.sort]
    return replace(query, sort_text=dumps(keys))
