"""Records as both codecs look at them: one by one, and by column (contract, section 2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Any

import msgspec

from compat.errors import UpstreamError
from compat.legacy.query import Comparable
from compat.schemas.fields import Typed, json_type
from compat.schemas.rules import FIRST_SURROGATE
from compat.text import instants
from compat.text.json import loads, unmasked_text
from compat.upstream.base import Columns, Row, Sortable

__all__ = ["bare", "columns_of", "comparable_of", "listed_object"]


def bare(value: Comparable | None) -> Sortable | None:
    """A comparable as columns have it."""
    return instants.sortable(value) if isinstance(value, tuple) else value


def comparable_of(
    column: Typed, value: Any, zone: tzinfo, instant: Callable[[str], instants.Instant]
) -> Comparable | None:
    """What stands for a value that a typed decoder gave, which may be the text of an odd one.

    Args:
        column: the declaration of its column.
        value: the value; lone surrogates may be masked in it.
        zone: what a time without an offset means.
        instant: reads a time.

    Raises:
        ValueError: the column's type cannot read it.
    """
    if type(value) in (msgspec.Raw, bytes):
        value = loads(bytes(value))
    if type(value) is str:
        value = unmasked_text(value)
        if column.is_time:
            return instant(value)
    return column.compared(value, zone)


def columns_of(rows: Sequence[Row], exam_id: int | None, names: Sequence[str]) -> Columns:
    """The columns of records that were looked at one by one."""
    places = [place for place, row in enumerate(rows) if exam_id in (None, row.exam_id)]
    return Columns(
        [row.id if row.id < FIRST_SURROGATE else row.key for row in rows],
        {row.key: row.id for row in rows if isinstance(row.key, str) and row.id >= FIRST_SURROGATE},
        places,
        {name: [bare(rows[place].values[name]) for place in places] for name in names},
    )


def listed_object(text: Any, kind: str) -> dict[str, Any]:
    """The object in a list that a text is.

    Args:
        text: its JSON text.
        kind: the name of what it should be, for messages.

    Raises:
        UpstreamError: it is no JSON, or no object.
    """
    try:
        found = loads(bytes(text))
    except ValueError:
        raise UpstreamError(f"The upstream's list holds a {kind} that is not JSON.") from None
    if not isinstance(found, dict):
        raise UpstreamError(f"The upstream's list holds {json_type(found)} where a {kind} should be.")
    return found
