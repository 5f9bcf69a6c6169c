"""A request as somebody saw it, or as a line of curl; the deprecated call that it is; and how it may be signed."""

from __future__ import annotations

import getopt
import hashlib
import hmac
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, unquote_plus

from compat.errors import CompatError
from compat.legacy.parameters import UnreadableBody, form_pairs, gather, media_type, read_body
from compat.legacy.query import OPERATORS, STATUSES
from compat.legacy.routes import ROUTES, LegacyCall, match_route
from compat.legacy.verifier import token_of
from compat.schemas import COLUMNS
from compat.text.json import Number

__all__ = [
    "DIGESTS",
    "Draft",
    "Evidence",
    "SeenRequest",
    "UnreadableCall",
    "evidence_of",
    "legacy_call",
    "masked",
    "read_curl",
    "token_seen",
]

DIGESTS: Mapping[str, Callable[[bytes, bytes], bytes]] = {
    "hmac-sha256": lambda key, text: hmac.digest(key, text, "sha256"),
    "hmac-sha1": lambda key, text: hmac.digest(key, text, "sha1"),
    "hmac-sha512": lambda key, text: hmac.digest(key, text, "sha512"),
    "hmac-md5": lambda key, text: hmac.digest(key, text, "md5"),
    "key-then-text": lambda key, text: hashlib.sha256(key + text).digest(),
    "text-then-key": lambda key, text: hashlib.sha256(text + key).digest(),
    "text-as-key": lambda key, text: hmac.digest(text, key, "sha256"),
    "text-alone": lambda key, text: hashlib.sha256(text).digest(),
}
"""Name to the bytes of a signature, of a key and a text; the first is the right one."""

_FORM = re.compile("(?:application/x-www-form-urlencoded)?")


class _Rejoined(NamedTuple):
    """The values of a query that an unencoded & has cut, by name, and the names of what was cut off."""

    whole: Mapping[str, str]
    rests: frozenset[str]


@dataclass(frozen=True)
class Evidence:
    """A call as far as signatures go.

    Attributes:
        values: the merged parameters as the gateway sees them, without the signature.
        sent: the names in the order in which they were sent; the path's id is not among them.
        raw: name to the text of a query or form, not yet decoded.
        body_names: the parameters that came in the body alone, as query_names are those of the query alone.
        other_id: an id of query or body that is not the path's, or None.
        base_url: what stands before the path.
        other_keys: other callers' names and keys, for a call whose token and key do not belong together.
        rejoined: what the call holds if pieces of the query that look like no parameter belong to the value before.
        older_signatures: signatures that were sent before this one, in this call or in earlier ones.
    """

    values: Mapping[str, str] = field(repr=False)
    signature: str = field(repr=False)
    sent: tuple[str, ...]
    raw: Mapping[str, str] = field(repr=False)
    body_names: frozenset[str]
    query_names: frozenset[str]
    other_id: str | None
    method: str
    path: str
    base_url: str
    secret_key: str = field(repr=False)
    api_token: str = field(default="", repr=False)
    other_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    rejoined: _Rejoined = field(default=_Rejoined({}, frozenset()), repr=False)
    older_signatures: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Draft:
    """One way in which a signature may have been made; as it stands at first, the documented one.

    Attributes:
        order: the names in the order in which they are signed; None for sorted.
        equals: between a name and its value.
        joiner: between two parameters.
        digest: one of :data:`DIGESTS`.
    """

    values: Mapping[str, str] = field(repr=False)
    order: tuple[str, ...] | None = None
    equals: str = "="
    joiner: str = "?"
    before: str = ""
    after: str = ""
    charset: str = "utf-8"
    key: bytes = field(default=b"", repr=False)
    digest: str = "hmac-sha256"

    def text(self, shown: Callable[[str, str], str] = lambda name, value: value) -> str:
        """The text that is signed, with what is to be shown in place of each value, by name and value."""
        names = sorted(self.values) if self.order is None else [name for name in self.order if name in self.values]
        pairs = (f"{name}{self.equals}{shown(name, self.values[name])}" for name in names)
        return f"{self.before}{self.joiner.join(pairs)}{self.after}"

    def encoded(self) -> bytes | None:
        """The text in bytes; None where its charset has no such character."""
        errors = "surrogatepass" if self.charset.startswith("utf") else "strict"
        try:
            return self.text().encode(self.charset, errors)
        except UnicodeEncodeError:
            return None


def evidence_of(
    call: LegacyCall,
    secret_key: str,
    *,
    path: str | None = None,
    base_url: str = "",
    api_token: str = "",
    other_keys: Mapping[str, str] | None = None,
    earlier: Sequence[LegacyCall] = (),
) -> Evidence:
    """What a call shows of itself, with calls that the same caller made ``earlier``.

    Args:
        path: its path as it was sent; None for the plain one of its route.
    """
    values = dict(gather(call).values)
    query = _pieces(call.query)
    body = _body_pieces(call)
    ids = [place["id"] for place in (query, body) if "id" in place]
    return Evidence(
        values={name: text for name, text in values.items() if name != "signature"},
        signature=values.get("signature", ""),
        sent=tuple(name for name in dict.fromkeys([*query, *body]) if name != "signature"),
        raw={name: piece.raw for name, piece in {**query, **body}.items() if piece.raw is not None},
        body_names=frozenset(body) - frozenset(query),
        query_names=frozenset(query) - frozenset(body),
        other_id=next((each.value for each in ids if each.value != call.exam_id), None),
        method=call.method.upper(),
        path=path if path is not None else f"/api/v3/exams/{call.exam_id}/{call.route.action}",
        base_url=base_url,
        secret_key=secret_key,
        api_token=api_token,
        other_keys=other_keys or {},
        rejoined=_rejoined(call),
        older_signatures=_older_signatures(call, earlier),
    )


def _rejoined(call: LegacyCall) -> _Rejoined:
    known = call.route.known | {"signature"}
    whole: dict[str, str] = {}
    cut: set[str] = set()
    rests: set[str] = set()
    last = None
    for piece in call.query.encode("latin-1").decode(errors="replace").split("&"):
        name, equals, value = piece.partition("=")
        if equals and unquote_plus(name) in known:
            last = unquote_plus(name)
            whole[last] = unquote(value)
        elif last is not None:
            whole[last] += f"&{unquote(piece)}"
            cut.add(last)
            rests.add(unquote_plus(name))
    return _Rejoined({name: whole[name] for name in cut}, frozenset(rests))


def _older_signatures(call: LegacyCall, earlier: Sequence[LegacyCall]) -> tuple[str, ...]:
    sent = [signature for each in (*earlier, call) for signature in _signatures(each)]
    return tuple(dict.fromkeys(each for each in sent if each != sent[-1]))


def _signatures(call: LegacyCall) -> list[str]:
    try:
        pairs = [*form_pairs(call.query), *read_body(call).pairs]
    except UnreadableBody:
        return []
    return [value for name, value in pairs if name == "signature" and isinstance(value, str)]


class _Piece(NamedTuple):
    """A parameter of one place: its value, and its text before it was decoded where it had to be."""

    value: str
    raw: str | None


def _body_pieces(call: LegacyCall) -> dict[str, _Piece]:
    if _FORM.fullmatch(media_type(call.content_type)) and call.body.lstrip()[:1] != b"{":
        return _pieces(call.body.decode("latin-1"))
    return {
        name: _Piece(value.text if isinstance(value, Number) else str(value), None)
        for name, value in read_body(call).pairs
    }


def _pieces(text: str) -> dict[str, _Piece]:
    found = {}
    for piece in text.encode("latin-1").decode(errors="replace").split("&"):
        for name, value in parse_qsl(piece, keep_blank_values=True):
            found[name] = _Piece(value, piece.partition("=")[2])
    return found


class UnreadableCall(CompatError, ValueError):
    """What was given is no call that can be read; the text says why, without the call."""


@dataclass(frozen=True)
class SeenRequest:
    """A request as somebody saw it.

    Attributes:
        url: the URL as it was written, or only its path and query.
        headers: names in lower case; None where a URL alone was given and nothing is known of them.
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


_SHOWN = {"exam_id", "limit", "nonce", "page", "timestamp"}.union(*(route.numbers + route.flags for route in ROUTES))
"""Parameters that say nothing of a person: ids, numbers, flags, and the time of the call."""

_STRUCTURED = ("filter", "sort", "status")
_WORDS = frozenset((*COLUMNS, *STATUSES, *OPERATORS, "asc", "desc", "true", "false", "null"))
_PIECE = re.compile(r"%[0-9A-Fa-f]{2}|\\u[0-9a-f]{4}|\w+")
_LONGEST_SHOWN = 40


def masked(name: str, value: str) -> str:
    """A value with letters as x and digits as 0 where it may speak of a person.

    What is left are the marks between them, which tell one encoding from another.
    """
    harmless = value.isascii() and (value.isdigit() or value.lower() in ("true", "false", "none", "null", ""))
    if harmless and name in _SHOWN and len(value) <= _LONGEST_SHOWN:
        return value
    return _PIECE.sub(lambda found: _masked_piece(found[0], name in _STRUCTURED), value)


def _masked_piece(piece: str, structured: bool) -> str:
    if structured and piece in _WORDS:
        return piece
    if piece.startswith("%"):
        mark = unquote(piece)
        return piece if mark.isascii() and not mark.isalnum() else "%00"
    if piece.startswith("\\"):
        return "\\u0000"
    return "".join("0" if char.isdigit() else "_" if char == "_" else "x" for char in piece)


_SHORT = "#012346BGIJLMNORSVZafgijklnpqsvA:C:D:E:F:H:K:P:Q:T:U:X:Y:b:c:d:e:h:m:o:r:t:u:w:x:y:z:"
_FLAGS = """
    get head silent show-error verbose insecure location include fail fail-with-body compressed globoff path-as-is
    http1.0 http1.1 http2 http2-prior-knowledge no-buffer no-keepalive ipv4 ipv6 raw tcp-nodelay parallel
    remote-name create-dirs no-progress-meter progress-bar styled-output tlsv1.2 tlsv1.3 ssl-reqd disable
"""
_VALUED = """
    header request url data data-ascii data-raw data-binary data-urlencode json user-agent referer cookie cookie-jar
    user output write-out max-time connect-timeout proxy retry retry-delay retry-max-time cacert capath cert key
    resolve connect-to interface limit-rate dump-header trace trace-ascii noproxy oauth2-bearer
"""
_LONG = [*_FLAGS.split(), *(f"{name}=" for name in _VALUED.split())]
_DATA = ("-d", "--data", "--data-ascii", "--data-raw", "--data-binary", "--data-urlencode", "--json")


def read_curl(text: str) -> SeenRequest:
    """What a curl line sends.

    Raises:
        UnreadableCall: it cannot be told from the line alone; the text says why.
    """
    options, urls = _words(text)
    lines = [value.partition(":") for name, value in options if name in ("-H", "--header")]
    headers = {name.strip().lower(): value.strip() for name, _, value in lines}
    data = [(name, value) for name, value in options if name in _DATA]
    given = dict(options)
    as_json = "--json" in given
    body = "&".join(_encoded(name, value) for name, value in data if name != "--json")
    body += "".join(_encoded(name, value) for name, value in data if name == "--json")
    url = next(iter([*urls, *(value for name, value in options if name == "--url")]), "")
    if not url:
        raise UnreadableCall("the curl line names no URL")
    method = "HEAD" if "-I" in given or "--head" in given else "POST" if data else "GET"
    if data and ("-G" in given or "--get" in given):
        url = f"{url}{'&' if '?' in url else '?'}{body}"
        method, body, data = "GET", "", []
    if data:
        headers.setdefault("content-type", "application/json" if as_json else "application/x-www-form-urlencoded")
    method = given.get("-X") or given.get("--request") or method
    return SeenRequest(method.upper(), url, headers, body.encode())


def _words(text: str) -> tuple[list[tuple[str, str]], list[str]]:
    try:
        words = shlex.split(re.sub(r"[\\^]\r?\n", " ", text.strip()))
    except ValueError as error:
        raise UnreadableCall(f"the curl line cannot be split into words: {str(error).lower()}") from None
    words = words[words.index("curl") + 1 :] if "curl" in words else words
    try:
        return getopt.gnu_getopt(words, _SHORT, _LONG)
    except getopt.GetoptError as error:
        raise UnreadableCall(f"the curl line has an option that is not known here: --{error.opt}") from None


def _encoded(option: str, value: str) -> str:
    reads = "@" in value.partition("=")[0] if option == "--data-urlencode" else value.startswith("@")
    if reads and option != "--data-raw":
        raise UnreadableCall("the curl line takes its body from a file: write the body itself in its place")
    if option != "--data-urlencode":
        return value
    name, equals, content = value.partition("=")
    if not equals:
        return quote(value, safe="")
    return f"{name}={quote(content, safe='')}" if name else quote(content, safe="")
