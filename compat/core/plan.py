"""What is asked of the upstream, what is left to do here, and the checks that it did what it was asked.

A page that holds the whole list shows by itself that nothing else is in it, and in which order. One page of many does
not: an ignored filter leaves no trace on a page whose records happen to fit, and yet the count is wrong. No document
says that the endpoint filters or sorts; so before such a page is believed, each of the two has to have made a
difference. The status is documented (seed 002), and an exam's list is an endpoint of its own: their records tell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import compress
from typing import Any

from compat.legacy.query import OPERATORS, Condition, Query, SortKey, columns_needed
from compat.processes import cached_property
from compat.text.json import dumps
from compat.upstream.base import Capability, Chunk, Row, Upstream
from compat.upstream.page_columns import Columns, Noted, bare
from compat.upstream.senders import CallOptions

__all__ = [
    "Plan",
    "Proofs",
    "PushdownIgnored",
    "make_plan",
    "sort_rows",
]

_Test = Callable[[Sequence[Any]], list[bool]]


class PushdownIgnored(Exception):
    """A record came back that breaks what was left to the upstream.

    Attributes:
        capability: what it was to do.
    """

    def __init__(self, capability: Capability) -> None:
        super().__init__(capability)
        self.capability = capability


@dataclass(frozen=True)
class Plan:
    """How a query is answered.

    Attributes:
        query: the query.
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

    def wants(self, row: Row) -> bool:
        """Whether a record matches.

        Raises:
            PushdownIgnored: it does not, though the upstream was to see to it.
        """
        query = self.query
        if row.exam_id != query.exam_id:
            return self._unless("exam")
        if query.status is not None and row.values["status"] != query.status:
            return self._unless("status")
        return query.matches(row.values) or self._unless("filter")

    def note(self, page: Columns, texts: Sequence[Any]) -> Noted:
        """What to keep of a page: of the records that match, their texts and what they are sorted by.

        Raises:
            PushdownIgnored: one does not match, though the upstream was to see to it.
        """
        if len(page.places) != len(page.keys):
            self._unless("exam")
        places, values = page.places, page.values
        for capability, column, test in self._tests:
            flags = test(values[column])
            if not all(flags):
                self._unless(capability)
                places = list(compress(places, flags))
                values = {name: list(compress(found, flags)) for name, found in values.items()}
        sorting = [values[key.column] for key in self.query.sort]
        return Noted(page.keys, page.surrogates, places, sorting, [texts[place] for place in places])

    @cached_property
    def _tests(self) -> list[tuple[Capability, str, _Test]]:
        tests: list[tuple[Capability, str, _Test]] = []
        if self.query.status is not None:
            tests.append(("status", "status", _test(Condition("status", "eq", self.query.status))))
        return tests + [("filter", condition.column, _test(condition)) for condition in self.query.conditions]

    def _unless(self, capability: Capability) -> bool:
        if capability in self.pushed:
            raise PushdownIgnored(capability)
        return False


def _test(condition: Condition) -> _Test:
    """:meth:`Condition.holds` of every value of a column."""
    operator, operand = OPERATORS[condition.operator], condition.operand
    if operand is None:
        return lambda values: list(map(condition.holds, values))
    # A set finds one among many at once.
    bound = frozenset(map(bare, operand)) if operator.many else bare(operand)  # type: ignore[arg-type]
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


def sort_rows(rows: Sequence[Row], sort: Sequence[SortKey]) -> list[Row]:
    """Sort stably; nulls come last ascending and first descending."""
    ordered = list(rows)
    for key in reversed(sort):
        ordered.sort(key=partial(_place, key.column), reverse=key.descending)
    return ordered


def _place(column: str, row: Row) -> tuple[bool, Any]:
    value = row.values[column]
    return (True, 0) if value is None else (False, value)


_UNDOCUMENTED: frozenset[Capability] = frozenset({"filter", "sort"})
_One = Callable[[Query, frozenset[Capability]], Chunk]


class Proofs:
    """Has an upstream show what it does, before it is believed, and again after a while.

    Args:
        upstream: the upstream.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def hold(self, plan: Plan, chunk: Chunk, options: CallOptions) -> bool:
        """Whether a page that passed the checks of its records can be believed.

        Args:
            plan: all of it is left to the upstream.
            chunk: the page.
            options: how the old call was to be sent.

        Raises:
            LegacyError: a question to the upstream failed.
        """
        if plan.query.page == 1 and chunk.total <= plan.query.limit:
            return True

        def one(query: Query, pushed: frozenset[Capability]) -> Chunk:
            return self._upstream.sources(query, pushed, options)[0].fetch(0, 1, None, None)

        trust = self._upstream.pushdown
        return all(
            trust.proved(capability) or self._shown(capability, plan, chunk, one)
            for capability in sorted(plan.pushed & _UNDOCUMENTED)
        )

    def _shown(self, capability: Capability, plan: Plan, chunk: Chunk, one: _One) -> bool:
        if capability == "sort":
            shown = _first(one(plan.query, plan.pushed)) != _first(one(_turned_round(plan.query), plan.pushed))
        else:
            # What narrows a list shows in its total: without it there is more.
            shown = one(plan.query, plan.pushed - {capability}).total > chunk.total
        if shown:
            self._upstream.pushdown.prove(capability)
        return shown


def _first(chunk: Chunk) -> bytes | None:
    return bytes(chunk.rows[0]) if chunk.rows else None


def _turned_round(query: Query) -> Query:
    keys: list[dict[str, Any]] = [{key.column: "asc" if key.descending else "desc"} for key in query.sort]
    return replace(query, sort_text=dumps(keys))
