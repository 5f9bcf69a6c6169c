"""Values of a call as a report may show them: without what is said of a person."""

from __future__ import annotations

import re
from urllib.parse import unquote

from compat.legacy.query import STATUSES
from compat.legacy.routes import ROUTES
from compat.schemas import COLUMNS

__all__ = ["masked"]

_SHOWN = frozenset(
    (
        "exam_id",
        "limit",
        "nonce",
        "page",
        "timestamp",
        *(name for route in ROUTES for name in (*route.numbers, *route.flags)),
    )
)
"""Parameters that say nothing of a person: ids, numbers, flags, and the time of the call."""

_STRUCTURED = ("filter", "sort", "status")
_WORDS = frozenset(
    (*COLUMNS, *STATUSES, "eq", "gt", "gte", "lt", "lte", "ne", "in", "nin", "asc", "desc", "true", "false", "null")
)
_PIECE = re.compile(r"%[0-9A-Fa-f]{2}|\\u[0-9a-f]{4}|\w+")
_LONGEST_SHOWN = 40


def masked(name: str, value: str) -> str:
    """A value with letters as x and digits as 0 where it may speak of a person.

    What is left are the marks between them, which tell one encoding from another.
    """
    if name in _SHOWN and len(value) <= _LONGEST_SHOWN and _harmless(value):
        return value
    return _PIECE.sub(lambda found: _masked_piece(found[0], name in _STRUCTURED), value)


def _harmless(value: str) -> bool:
    return value.isascii() and (value.isdigit() or value.lower() in ("true", "false", "none", "null", ""))


def _masked_piece(piece: str, structured: bool) -> str:
    if structured and piece in _WORDS:
        return piece
    if piece.startswith("%"):
        mark = unquote(piece)
        return piece if mark.isascii() and not mark.isalnum() else "%00"
    if piece.startswith("\\"):
        return "\\u0000"
    return "".join("0" if char.isdigit() else "_" if char == "_" else "x" for char in piece)
