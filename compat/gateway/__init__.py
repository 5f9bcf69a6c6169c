"""Entrance: the old endpoint over HTTP, for callers in any language.

``application`` is an ASGI application for any server, made on first use from the configuration that is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compat.lazy import on_first_use

if TYPE_CHECKING:
    from compat.gateway.application import Gateway, make_application
    from compat.gateway.request import Exchange

    application: Gateway

__all__ = ["Exchange", "Gateway", "application", "make_application"]

# The OpenAPI document, which is in this package too, needs no server.
_HOME = "compat.gateway.application"
_found = on_first_use(__name__, {"Exchange": "compat.gateway.request", "Gateway": _HOME, "make_application": _HOME})


def __getattr__(name: str) -> Any:
    # Made on first use, since a server imports this in each of its workers and a command line may not want it at all.
    if name != "application":
        return _found(name)
    from compat.config.file import load_config
    from compat.gateway.application import make_application

    made = globals()["application"] = make_application(load_config())
    return made
