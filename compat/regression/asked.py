"""What a call asked, told apart from others and shown without anybody's data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from compat.json_text import Number, dumps, loads_strictly
from compat.legacy.parameters import gather
from compat.legacy.query import LARGEST_LIMIT
from compat.legacy.routes import LegacyCall
from compat.schemas import COLUMNS

__all__ = ["WITHHELD", "Asked"]

_SIGNED = frozenset(("id", "timestamp", "nonce", "signature"))
_SHOWN = frozenset(("status", "page", "limit", "sort", "student_session_id"))
_DEFAULTS = {"page": "1", "limit": str(LARGEST_LIMIT)}
WITHHELD = "…"
"""Stands where a filter compares with what may speak of a person."""


class Asked:
    """A call's question.

    Args:
        call: the call, as it came.
        caller: whose it is, or None.
    """

    def __init__(self, call: LegacyCall, caller: str | None) -> None:
        self._call = call
        self._caller = caller
        values = gather(call).values if call.query or call.body else {}
        self._parameters = {name: text for name, text in values.items() if name not in _SIGNED}

    @property
    def digest(self) -> int:
        """What two calls have in common that ask the same, 52 bits.

        A parameter that the old interface ignores, such as a number against caches, asks for nothing; neither does a
        default that is written out.
        """
        counted = {name: text for name, text in self._parameters.items() if name in _SHOWN or name == "filter"}
        stated = sorted(each for each in counted.items() if _DEFAULTS.get(each[0]) != each[1])
        asked = [self._call.route.action, self._call.exam_id, self._caller, stated]
        digested = hashlib.blake2b(json.dumps(asked).encode(), digest_size=8).digest()
        return int.from_bytes(digested, "big") >> 12

    def shown(self, pseudonymised: bool) -> Mapping[str, str]:
        """The parameters, without what a filter compares personal fields with."""
        shown = {name: text for name, text in self._parameters.items() if name in _SHOWN}
        if "filter" in self._parameters:
            text = self._parameters["filter"]
            shown["filter"] = text if pseudonymised else _without_values(text)
        return shown


def _without_values(text: str) -> str:
    try:
        content = loads_strictly(text)
    except ValueError:
        return WITHHELD
    if not isinstance(content, dict):
        return WITHHELD
    return dumps({name: _operators(name, operators) for name, operators in content.items() if name in COLUMNS})


def _operators(name: str, operators: Any) -> Any:
    if not isinstance(operators, dict):
        return WITHHELD
    return {operator: _operand(name, value) for operator, value in operators.items()}


def _operand(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_operand(name, each) for each in value]
    if value is None or isinstance(value, bool):
        return value
    kept = COLUMNS[name].kept
    if kept is True and isinstance(value, str | Number):
        return value
    return value if isinstance(kept, tuple) and value in kept else WITHHELD
