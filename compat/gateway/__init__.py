"""Entrance: the old endpoint over HTTP, for callers in any language.

``application`` is an ASGI application for any server, made on first use from the configuration that is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compat.gateway.entrance import Gateway, make_application
from compat.gateway.exchange import Exchange

if TYPE_CHECKING:
    application: Gateway

__all__ = ["Exchange", "Gateway", "application", "make_application"]


def __getattr__(name: str) -> Gateway:
    # Made on first use, since a server imports this in each of its workers and a command line may not want it at all.
    if name != "application":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from compat.config_file import load_config

    made = globals()["application"] = make_application(load_config())
    return made
