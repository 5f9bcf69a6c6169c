"""Pages of records by column, each of whose records has to be an object (contract, section 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from compat.errors import UpstreamError
from compat.legacy.query import Comparable
from compat.mapping.exact import FIRST_SURROGATE
from compat.schemas.fields import json_type
from compat.text import instants
from compat.text.json import loads

if TYPE_CHECKING:
    from compat.upstream.base import Row

__all__ = [
    "Columns",
    "Noted",
    "Sortable",
    "bare",
    "columns_of",
    "listed_object",
]

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


def listed_object(text: Any, kind: str) -> dict[str, Any]:
    """The object that a text is.

    Args:
        text: its JSON text.
        kind: what it ought to be, for messages.

    Raises:
        UpstreamError: it is no JSON, or something else.
    """
    try:
        found = loads(bytes(text))
    except ValueError:
        raise UpstreamError(f"The upstream's list holds a {kind} that is not JSON.") from None
    if not isinstance(found, dict):
        raise UpstreamError(f"The upstream's list holds {json_type(found)} where a {kind} should be.")
    return found
