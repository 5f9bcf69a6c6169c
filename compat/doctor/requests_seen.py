"""A request as somebody saw it, and the deprecated call that it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from compat.errors import CompatError
from compat.legacy.routes import ROUTES, LegacyCall, match_route
from compat.legacy.verifier import token_of

__all__ = ["SeenRequest", "UnreadableCall", "legacy_call", "token_seen"]


class UnreadableCall(CompatError, ValueError):
    """What was given is no call that can be read; the text says why, without the call."""


@dataclass(frozen=True)
class SeenRequest:
    """A request as somebody saw it.

    Attributes:
        method: the HTTP method.
        url: the URL as it was written, or only its path and query.
        headers: names in lower case; None where a URL alone was given and nothing is known of them.
        body: the body.
    """

    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def base_url(self) -> str:
        """What stands before the path's ``/api/v3``."""
        return self._address[: self._begin]

    @property
    def path(self) -> str:
        """The path from ``/api/v3`` on, as it was sent; all of it where that is not in it."""
        return self._address[self._begin :]

    @property
    def query(self) -> str:
        """The query, one character a byte, as a server hands it on."""
        query = self.url.partition("#")[0].partition("?")[2]
        return query.encode().decode("latin-1")

    @property
    def _address(self) -> str:
        return self.url.partition("#")[0].partition("?")[0]

    @property
    def _begin(self) -> int:
        found = self._address.find("/api/v3/")
        if found >= 0:
            return found
        scheme, mark, rest = self._address.partition("://")
        return len(scheme) + len(mark) + (rest + "/").index("/") if mark else 0


def legacy_call(request: SeenRequest) -> tuple[LegacyCall, bool] | None:
    """The deprecated call that a request is, and whether its method is one of the route's; None for any other.

    A call by a wrong method is read as one by the route's first, so that its signature can be looked at all the same.
    """
    for method in (request.method, *(route.methods[0] for route in ROUTES)):
        matched = match_route(method, request.path)
        if matched is not None:
            route, exam_id = matched
            headers = request.headers or {}
            call = LegacyCall(
                route,
                exam_id,
                request.query,
                headers.get("content-type"),
                request.body,
                headers.get("authorization"),
                method,
                headers.get("content-encoding"),
            )
            return call, method == request.method
    return None


def token_seen(request: SeenRequest) -> str:
    """The API token of a request, or nothing."""
    return token_of((request.headers or {}).get("authorization"))
