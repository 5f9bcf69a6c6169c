"""What an upstream lists, read one by one: each has to be an object (contract, section 2)."""

from __future__ import annotations

from typing import Any

from compat.errors import UpstreamError
from compat.json_text import loads
from compat.schemas.fields import json_type

__all__ = ["listed_object"]


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
