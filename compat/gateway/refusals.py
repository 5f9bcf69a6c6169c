"""The refusals that the gateway makes by itself: status, text and further headers of each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from compat.errors import LegacyError

__all__ = [
    "BadRequest",
    "BodyTooLarge",
    "BodyTooSlow",
    "CallerGone",
    "GatewayFailed",
    "HeadTooSlow",
    "HeadersTooLarge",
    "MethodNotAllowed",
    "MisspeltPath",
    "NoSuchPath",
    "NothingPassesThrough",
    "Refusal",
    "TooManyBodies",
    "TooManyCalls",
    "TooManyConnections",
    "TransferCodingUnknown",
    "UrlTooLong",
    "VersionNotSupported",
]


class Refusal(LegacyError):
    """An error whose text is filled in with what it is about.

    Attributes:
        text: the message, a template of :meth:`str.format`.
        further: headers of the answer.
    """

    text: ClassVar[str] = "{}"
    further: ClassVar[Mapping[str, str]] = MappingProxyType({})

    def __init__(self, *about: object) -> None:
        super().__init__(self.text.format(*about))

    @property
    def headers(self) -> Mapping[str, str]:
        return self.further


class BadRequest(Refusal):
    status = 400


class NoSuchPath(Refusal):
    status = 404
    text = (
        "There is no such path here: the deprecated exam students routes are answered from paginated sessions, "
        "and the old endpoint's other paths have no counterpart there."
    )


class NothingPassesThrough(Refusal):
    status = 404
    text = (
        "There is no such path here: this gateway answers the deprecated exam students routes and passes nothing "
        "else through; call the new endpoint at its own address."
    )


class MisspeltPath(Refusal):
    """Passed on, it would be asked of an endpoint that may read it as the route and does not check who calls."""

    status = 404
    text = "There is no such path: {}; it is /api/v3/exams/<id>/ and one of {}."


class MethodNotAllowed(Refusal):
    status = 405
    text = "This path answers {} alone."

    def __init__(self, methods: tuple[str, ...]) -> None:
        super().__init__(" and ".join(methods))
        self._methods = methods

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Allow": ", ".join(self._methods)}


class HeadTooSlow(Refusal):
    status = 408
    text = "The head of the request did not come within {} seconds."


class BodyTooSlow(Refusal):
    """The rest of a body did not come in time, so nothing else can be asked on this connection."""

    status = 408
    further = MappingProxyType({"Connection": "close"})


class BodyTooLarge(Refusal):
    status = 413
    text = "The body is too large: it may have {} bytes."


class UrlTooLong(Refusal):
    status = 414
    text = "The URL is too long: its path and query may have {} bytes."


class TooManyCalls(Refusal):
    """A caller has as many calls running as it may have. The call spent nothing and may be sent again as it is.

    Attributes:
        caller: the caller's name.
    """

    status = 429
    text = "Too many calls at once: {} may run at a time."
    further = MappingProxyType({"Retry-After": "1"})

    def __init__(self, most: int, caller: str) -> None:
        super().__init__(most)
        self.caller = caller


class HeadersTooLarge(Refusal):
    status = 431
    text = "The headers are too large: they may have {} bytes."


class CallerGone(Refusal):
    """Nobody is there to read an answer; a server may still want one."""

    status = 499
    text = "The caller went away before it was answered."


class GatewayFailed(Refusal):
    status = 500
    text = "The gateway failed; its log says where."


class TransferCodingUnknown(Refusal):
    status = 501
    text = "Transfer-Encoding: {:.60} is not understood here, but chunked alone."


class TooManyBodies(Refusal):
    status = 503
    text = "Too many unfinished bodies are being read; send the call again, signed anew."
    further = MappingProxyType({"Retry-After": "1", "Connection": "close"})


class TooManyConnections(Refusal):
    status = 503
    text = "Too many connections: {} calls are being answered; come back later."
    further = MappingProxyType({"Retry-After": "1"})


class VersionNotSupported(Refusal):
    status = 505
    text = "HTTP/{} is not spoken here, but 1.1 and 1.0."
