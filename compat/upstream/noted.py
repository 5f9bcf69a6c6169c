"""Pages of records by column: what a walk looks at, and what it keeps of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from compat import instants
from compat.legacy.values import Comparable
from compat.mapping.exact import FIRST_SURROGATE

if TYPE_CHECKING:
    from compat.upstream.records import Row

__all__ = ["Columns", "Noted", "Sortable", "bare", "columns_of"]

Sortable = int | bool | str
"""What stands for a value in comparisons within a column: a comparable, and of a time its sortable text."""


class Columns(NamedTuple):
    """What was looked at of a page's records.

    Attributes:
        keys: each record's own id, a number where it is one.
        surrogates: the legacy ids of the others.
        places: where the records of the exam that was asked for stand among all.
        values: of those alone the columns asked for, by name; null is None.
    """

    keys: Sequence[int | str]
    surrogates: Mapping[int | str, int]
    places: Sequence[int]
    values: Mapping[str, Sequence[Sortable | None]]


class Noted(NamedTuple):
    """What is kept of a page's records.

    Attributes:
        keys: each record's own id, a number where it is one.
        surrogates: the legacy ids of the others.
        places: where the wanted records stand among all.
        sorting: of those the columns to sort by, one after the other; null is None.
        texts: of those the JSON text, as bytes or what makes bytes.
    """

    keys: Sequence[int | str]
    surrogates: Mapping[int | str, int]
    places: Sequence[int]
    sorting: Sequence[Sequence[Sortable | None]]
    texts: Sequence[Any]


def bare(value: Comparable | None) -> Sortable | None:
    """A comparable as columns have it."""
    return instants.sortable(value) if isinstance(value, tuple) else value


def columns_of(rows: Sequence[Row], exam_id: int, names: Sequence[str]) -> Columns:
    """Records that were looked at one by one, by column."""
    places = [place for place, row in enumerate(rows) if row.exam_id == exam_id]
    return Columns(
        [row.id if row.id < FIRST_SURROGATE else row.key for row in rows],
        {row.key: row.id for row in rows if isinstance(row.key, str) and row.id >= FIRST_SURROGATE},
        places,
        {name: [bare(rows[place].values[name]) for place in places] for name in names},
    )
