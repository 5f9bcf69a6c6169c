"""The refusals that the gateway makes by itself: status, text and further headers of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from compat.errors import LegacyError

__all__ = ["CallerGone", "Refusal", "RefusalKind", "TooManyCalls"]


@dataclass(frozen=True)
class RefusalKind:
    """A kind of refusal; called with what its text has places for, it makes one.

    Attributes:
        status: the HTTP status.
        text: the message, a template of :meth:`str.format`.
        headers: what the answer says beside it.
        name: what the OpenAPI document calls the answers of its status; empty where it says nothing of them, or
            another kind of the same status says it.
        meaning: what it says of them.
    """

    status: int
    text: str = "{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    name: str = ""
    meaning: str = ""

    def __call__(self, *about: object) -> Refusal:
        return Refusal(self, *about)


class Refusal(LegacyError):
    """What the gateway refuses by itself."""

    def __init__(self, kind: RefusalKind, *about: object) -> None:
        super().__init__(kind.text.format(*about))
        self.status = kind.status
        self._headers = kind.headers

    @property
    def headers(self) -> Mapping[str, str]:
        return self._headers


_SOON = {"Retry-After": "1"}
# Where the rest of a body may still come, nothing else can be asked on the connection.
_LAST = {"Connection": "close"}

BAD_REQUEST = RefusalKind(400)
NO_SUCH_PATH = RefusalKind(
    404,
    "There is no such path here: the deprecated exam students routes are answered from paginated sessions, and the old "
    "endpoint's other paths have no counterpart there.",
)
NOTHING_PASSES_THROUGH = RefusalKind(
    404,
    "There is no such path here: this gateway answers the deprecated exam students routes and passes nothing else "
    "through; call the new endpoint at its own address.",
)
# Passed on, it would be asked of an endpoint that may read it as the route and does not check who calls.
MISSPELT_PATH = RefusalKind(404, "There is no such path: {}; it is /api/v3/exams/<id>/ and one of {}.")
METHOD_NOT_ALLOWED = RefusalKind(
    405,
    "This path answers {} alone.",
    name="MethodNotAllowed",
    meaning="The path is deprecated, and the method is none of its own; on paginated sessions.",
)
HEAD_TOO_SLOW = RefusalKind(
    408,
    "The head of the request did not come within {} seconds.",
    name="RequestTooSlow",
    meaning="The rest of the head or body did not come in time.",
)
BODY_TOO_SLOW = RefusalKind(408, headers=_LAST)
BODY_TOO_LARGE = RefusalKind(
    413,
    "The body is too large: it may have {} bytes.",
    name="BodyTooLarge",
    meaning="The body is longer than the gateway takes.",
)
URL_TOO_LONG = RefusalKind(
    414,
    "The URL is too long: its path and query may have {} bytes.",
    name="UrlTooLong",
    meaning="Path and query are longer than the gateway takes.",
)
TOO_MANY_CALLS = RefusalKind(
    429,
    "Too many calls at once: {} may run at a time.",
    _SOON,
    name="TooManyCalls",
    meaning="Too many calls of this caller at once.",
)
HEADERS_TOO_LARGE = RefusalKind(
    431,
    "The headers are too large: they may have {} bytes.",
    name="HeadersTooLarge",
    meaning="The headers are larger than the gateway takes.",
)
CALLER_GONE = RefusalKind(499, "The caller went away before it was answered.")
GATEWAY_FAILED = RefusalKind(500, "The gateway failed; its log says where.")
TRANSFER_CODING_UNKNOWN = RefusalKind(
    501,
    "Transfer-Encoding: {:.60} is not understood here, but chunked alone.",
    name="TransferCodingUnknown",
    meaning="The body comes in a transfer coding that the gateway does not read.",
)
TOO_MANY_BODIES = RefusalKind(
    503, "Too many unfinished bodies are being read; send the call again, signed anew.", {**_SOON, **_LAST}
)
TOO_MANY_CONNECTIONS = RefusalKind(503, "Too many connections: {} calls are being answered; come back later.", _SOON)
VERSION_NOT_SUPPORTED = RefusalKind(
    505,
    "HTTP/{} is not spoken here, but 1.1 and 1.0.",
    name="HttpVersionUnknown",
    meaning="The call is of an HTTP version that the gateway does not speak.",
)

DOCUMENTED = tuple(kind for kind in globals().values() if isinstance(kind, RefusalKind) and kind.name)
"""The kinds of which the OpenAPI document says something."""


def method_not_allowed(methods: tuple[str, ...]) -> Refusal:
    """The refusal of a method that is none of a path's."""
    return replace(METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(methods)})(" and ".join(methods))


class TooManyCalls(Refusal):
    """A caller has as many calls running as it may have. The call spent nothing and may be sent again as it is.

    Attributes:
        caller: the caller's name.
    """

    def __init__(self, most: int, caller: str) -> None:
        super().__init__(TOO_MANY_CALLS, most)
        self.caller = caller


class CallerGone(Refusal):
    """Nobody is there to read an answer; a server may still want one."""

    def __init__(self) -> None:
        super().__init__(CALLER_GONE)
