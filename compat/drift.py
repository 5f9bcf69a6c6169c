"""Values of another JSON type than the documents declare: passed on, and said once (contract, section 2)."""

from __future__ import annotations

import logging
from collections.abc import Callable

from compat.processes import ForkLock

__all__ = ["DRIFT", "Drift"]

_log = logging.getLogger("compat.drift")


class Drift:
    """Remembers which fields have been reported, so that a log is not flooded."""

    def __init__(self) -> None:
        self._lock = ForkLock()
        self._seen: dict[str, str] = {}
        self._listener: Callable[[str], object] | None = None

    def listen(self, listener: Callable[[str], object] | None) -> None:
        """Have somebody told each field's name when it is first seen; None for nobody."""
        self._listener = listener

    def report(self, field: str, found: str) -> None:
        """Log a field's first value of an undeclared type, by that JSON type alone."""
        with self._lock:
            if field in self._seen:
                return
            self._seen[field] = found
        if self._listener is not None:
            self._listener(field)
        _log.warning("the upstream sends %s in '%s', which is declared otherwise; it is passed on", found, field)

    def seen(self) -> dict[str, str]:
        """Field to the JSON type that it was first seen with."""
        with self._lock:
            return dict(self._seen)

    def forget(self) -> None:
        """Start anew."""
        with self._lock:
            self._seen.clear()


DRIFT = Drift()
"""The process's own."""
