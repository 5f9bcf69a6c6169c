"""The differences that the mapping declares: what the new endpoint cannot say, and what stands there instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from compat.json_text import dumps
from compat.regression.differences import Difference
from compat.schemas import COLUMNS
from compat.schemas.fields import Time
from compat.schemas.rules import Constant, Default, Exact, Latest, LookedUp, Rule, SessionText

__all__ = ["DeclaredLosses"]

_WRITTEN_TIME = re.compile(rb'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,}(?:[+-]\d\d:\d\d|Z)"')
_WITHHELD = "a field beyond the documented ones, which is withheld"

_Reason = Callable[[Difference], "str | None"]


class DeclaredLosses:
    """Explains a difference by the declaration, where the new value is the very one that is declared to stand in.

    A default that is not the declared one, or a null where a session has a value, is no declared loss.

    Args:
        upstream: the kind of the new endpoint; None where it is not known, so that no field may lose anything.
        extra_fields: the fields beyond the documented ones that are let through, or "all".
    """

    def __init__(self, upstream: str | None, extra_fields: Any = ()) -> None:
        self._fields: Mapping[str, _Reason] = {}
        self._extra = extra_fields
        if upstream == "paginated_sessions":
            self._fields = {
                name: _reason_of(name, column.rule) for name, column in COLUMNS.items() if column.rule is not None
            }

    def reason(self, difference: Difference) -> str | None:
        """Why the declaration expects this difference; None where it does not."""
        field = difference.field
        if field is None or difference.record is None:
            return None
        if difference.kind == "field missing":
            withheld = field not in COLUMNS and self._extra != "all" and field not in self._extra
            return _WITHHELD if withheld else None
        found = self._fields.get(field)
        return None if found is None else found(difference)


def _reason_of(name: str, rule: Rule) -> _Reason:
    if isinstance(rule, Default | Constant):
        return _stands_in(rule.loss, dumps(rule.value).encode())
    if isinstance(rule, LookedUp):
        return _stands_in(rule.loss, b"null")
    if isinstance(rule, SessionText):
        return lambda difference: rule.loss if difference.kind in ("text", "truncated", "was null") else None
    if isinstance(rule, Latest):
        # Which of the session's times it is, is seen where the record's own times are compared.
        return lambda difference: rule.loss if _is_written_time(difference.new) else None
    if isinstance(rule, Exact) and isinstance(COLUMNS[name], Time):
        return _own_text
    return lambda difference: None


def _stands_in(loss: str, expected: bytes) -> _Reason:
    def reason(difference: Difference) -> str | None:
        new = difference.new
        return loss if new is not None and bytes(new) == expected else None

    return reason


def _own_text(difference: Difference) -> str | None:
    if difference.kind == "time text" and _is_written_time(difference.new):
        return "its own text; the instant is the same"
    return None


def _is_written_time(text: Any) -> bool:
    return text is not None and _WRITTEN_TIME.fullmatch(bytes(text)) is not None
