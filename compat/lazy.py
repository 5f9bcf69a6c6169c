"""Names of a package that are imported when they are first asked for (PEP 562).

A script that lists students needs neither the lens nor the client classes; what it does not ask for, it does not wait
for. Where a package does this, type checkers read plain imports beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["on_first_use"]


def on_first_use(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A ``__getattr__`` for a package: the names that it has beside the imported ones, each with its module."""

    def found(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(homes[name]), name)
        # From now on it is an attribute like any other.
        setattr(sys.modules[package], name, value)
        return value

    return found
