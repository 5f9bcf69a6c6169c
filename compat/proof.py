"""Whether an upstream does what is left to it, where one page cannot tell (contract, section 4).

A page that holds the whole list shows by itself that nothing else is in it, and in which order. One page of many does
not: an ignored filter leaves no trace on a page whose records happen to fit, and yet the count is wrong. No document
says that the endpoint filters or sorts; so before such a page is believed, each of the two has to have made a
difference. The status is documented (seed 002), and an exam's list is an endpoint of its own: their records tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from compat.json_text import dumps
from compat.legacy.query import Query
from compat.plan import Plan
from compat.upstream.interface import Capability, Upstream
from compat.upstream.records import Chunk
from compat.upstream.senders import CallOptions

__all__ = ["Proofs"]

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
