"""The differences that the mapping declares: what the new endpoint cannot say, and what stands there instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timezone, tzinfo
from typing import Any

import msgspec

from compat.json_text import dumps
from compat.mapping.compiled import Times
from compat.regression.differences import Difference
from compat.schemas import COLUMNS
from compat.schemas.fields import Time
from compat.schemas.rules import Constant, Default, Exact, Latest, LookedUp, Rule, SessionText

__all__ = ["NO_LOSSES", "DeclaredLosses"]

_WRITTEN_TIME = re.compile(rb'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,}(?:[+-]\d\d:\d\d|Z)"').fullmatch
_WITHHELD = "a field beyond the documented ones, which is withheld"
_OWN_TEXT = "its own text; the instant is the same"


class DeclaredLosses:
    """Knows which values the declaration lets stand in for the old ones.

    A default that is not the declared one, or a null where a session has a value, is no declared loss. What a filter
    or a sort by a lost field does to a list is none either: that list is of no more use to its caller.

    Args:
        upstream: the kind of the new endpoint; None where it is not known, so that no field may lose anything.
        extra_fields: the fields beyond the documented ones that are let through, or "all".
        zone: of times without an offset.

    Attributes:
        texts: field to the one JSON text that may stand in.
        tests: field to whether a new text may stand where the old one stood.
    """

    def __init__(self, upstream: str | None = None, extra_fields: Any = (), zone: tzinfo = timezone.utc) -> None:
        self.texts: dict[str, msgspec.Raw] = {}
        self.tests: dict[str, Callable[[Any, Any], bool]] = {}
        self._reasons: dict[str, str] = {}
        self._extra = extra_fields
        self._times = Times(zone)
        rules: Mapping[str, Rule | None] = {name: column.rule for name, column in COLUMNS.items()}
        for name, rule in rules.items() if upstream == "paginated_sessions" else ():
            if rule is not None:
                self._declare(name, rule)

    def _declare(self, name: str, rule: Rule) -> None:
        if isinstance(rule, Default | Constant):
            self.texts[name] = msgspec.Raw(dumps(rule.value).encode())
        elif isinstance(rule, LookedUp):
            self.texts[name] = msgspec.Raw(b"null")
        elif isinstance(rule, SessionText):
            self.tests[name] = lambda old, new: bytes(new)[:1] == b'"'
        elif isinstance(rule, Latest):
            # Which of the session's times it is, is seen where the record's own times are compared.
            self.tests[name] = lambda old, new: _WRITTEN_TIME(new) is not None
        elif isinstance(rule, Exact) and isinstance(COLUMNS[name], Time):
            self.tests[name] = self._same_instant
        else:
            return
        self._reasons[name] = rule.loss or _OWN_TEXT

    def _same_instant(self, old: Any, new: Any) -> bool:
        if _WRITTEN_TIME(new) is None:
            return False
        try:
            return self._times.same(str(bytes(old)[1:-1], "utf-8"), str(bytes(new)[1:-1], "utf-8"))
        except ValueError:
            return False

    def reason(self, difference: Difference) -> str | None:
        """Why the declaration expects a difference; None where it does not."""
        field = difference.field
        if difference.kind == "stand-in":
            return self._reasons.get(field or "")
        if difference.kind == "field missing" and field is not None and field not in COLUMNS:
            return _WITHHELD if self._extra != "all" and field not in self._extra else None
        return None


NO_LOSSES = DeclaredLosses()
