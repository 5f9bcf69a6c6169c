"""Python values written as the parameters of a list call."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import urlencode

from compat.errors import InvalidParameter

__all__ = ["Filter", "Sort", "written"]

Filter = str | Mapping[str, Mapping[str, Any]] | None
Sort = str | Sequence[Mapping[str, str]] | None


def written(parameters: Mapping[str, Any]) -> str:
    """The query of a call; what is None is left out.

    Raises:
        InvalidParameter: a value cannot be written; the text names it.
    """
    given = {name: _text(name, value) for name, value in parameters.items() if value is not None}
    try:
        return urlencode(given)
    except UnicodeEncodeError:
        raise InvalidParameter({"query": ["Must be UTF-8."]}) from None


def _text(name: str, value: Any) -> str:
    if not isinstance(value, Mapping | Sequence) or isinstance(value, str):
        return str(value)
    try:
        return json.dumps(value, default=_iso)
    except (TypeError, ValueError) as error:
        raise InvalidParameter({name: [f"Must be a value that JSON can hold: {error}."]}) from None


def _iso(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is none")
