"""One entry of a HAR file: its time, and the deprecated call that it is, or why it is none.

Any part of it may be missing, null, or of another type: what is not as it should be is treated as not there.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

import msgspec

from compat.doctor.calls import SeenRequest, legacy_call
from compat.legacy.routes import ANSWERED_BY, LegacyCall
from compat.regression.comparing.pairs import Answered
from compat.regression.recordings.har_body import Body, body_of
from compat.text import instants

__all__ = [
    "Attached",
    "Base",
    "PassedOver",
    "SeenCall",
    "SeenElsewhere",
    "base_of",
    "seconds_of",
    "seen_call",
    "started_at",
]

_OFFSET = re.compile(r"([+-]\d\d)(\d\d)$", re.ASCII)
_NUMBER = re.compile(r"\d{1,19}(\.\d{1,9})?", re.ASCII)
_LAST = 253_402_300_800
"""The end of the year 9999, in seconds since the epoch."""


def started_at(value: Any) -> float | None:
    """When a request was begun, in seconds since the epoch; None where nothing can be told.

    Text is ISO 8601 with any number of digits, without a zone in UTC, or a date as HTTP writes it. Numbers count from
    the epoch, in seconds, or in milliseconds, microseconds or nanoseconds where seconds would be beyond the year 5000.
    """
    found = _of_text(value.strip()) if isinstance(value, str) else _of_number(value)
    return found if found is not None and 0 < found < _LAST else None


def seconds_of(value: Any) -> float | None:
    """A duration in seconds, given in milliseconds; None where it is none."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) / 1000 if 0 <= value < 1e12 else None


def _of_number(value: Any) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e20:
        return None
    seconds = float(value)
    while seconds >= 1e11:
        seconds /= 1000
    return seconds if math.isfinite(seconds) else None


def _of_text(text: str) -> float | None:
    if _NUMBER.fullmatch(text):
        return _of_number(float(text))
    try:
        iso = text.upper().replace(" ", "T", 1).replace(" ", "")
        seconds, digits = instants.read(_OFFSET.sub(r"\1:\2", iso), timezone.utc)
        return seconds + float(f"0.{digits[:9] or 0}")
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


Attached = Callable[[str], "bytes | None"]
"""Gives the content of a file that an entry names, or None where there is none."""

Base = tuple[str, str, int, str]
"""Scheme, host, port and path of a base URL."""

_PORTS = {"http": 80, "https": 443}
_BODILESS = (204, 304)
_CACHED = ("_fromCache", "fromCache")
"""What Chrome and Firefox have where an answer is out of a cache; Safari has ``_fetchType``."""


class PassedOver(Exception):
    """An entry that is not recorded, for a reason in the same words for entries of one kind, without anything of them.

    ``ours`` says whether it is a call to be recorded, or may be one.
    """

    def __init__(self, reason: str, *, ours: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.ours = ours


class SeenElsewhere(PassedOver):
    """A call of another address than those that were given, whose scheme, host and port are the ``host``."""

    def __init__(self, host: str) -> None:
        super().__init__("a call of another address", ours=True)
        self.host = host


class SeenCall(msgspec.Struct, frozen=True):
    """A deprecated call and the answer that it got.

    Attributes:
        call: the call, as it was sent.
        at: when, seconds since the epoch; 0 where the file does not say.
        answered: the answer.
        by_shim: whether the shim or its gateway gave it.
        odd: what of it is missing or odd, each in the same words for all calls.
    """

    call: LegacyCall
    at: float
    answered: Answered
    by_shim: bool
    odd: tuple[str, ...] = ()


def base_of(url: str) -> Base:
    """A base URL in the form in which two can be compared.

    Raises:
        ValueError: its host or port cannot be read.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not parts.hostname:
        raise ValueError("no http or https URL with a host")
    return scheme, parts.hostname.rstrip("."), parts.port or _PORTS[scheme], parts.path.rstrip("/")


def seen_call(entry: Any, bases: Collection[Base], attached: Attached) -> SeenCall:
    """The call that an entry is; ``bases`` are where calls went that are to be recorded.

    Raises:
        PassedOver: it is none, or cannot be read.
    """
    if not isinstance(entry, dict):
        raise PassedOver("an entry that is no JSON object", ours=True)
    try:
        call = _call(_part(entry, "request"), bases, attached)
    except UnicodeError:
        raise PassedOver("a request with characters that are none", ours=True) from None
    response, odd = _part(entry, "response"), []
    at, seconds = started_at(entry.get("startedDateTime")), seconds_of(entry.get("time"))
    if at is None:
        odd.append("no date and time that can be read")
    if seconds is None:
        odd.append("no duration that can be read")
    if any(part.get(name) for part in (entry, response) for name in _CACHED) or "Cache" in str(entry.get("_fetchType")):
        odd.append("an answer out of a browser's cache")
    headers = _headers(response)
    answered, why = _answered(call, response, headers, seconds or 0.0, attached)
    by_shim = headers.get(ANSWERED_BY.lower(), "legacy") != "legacy"
    return SeenCall(call, at or 0.0, answered, by_shim, (*odd, *why))


def _call(request: dict[str, Any], bases: Collection[Base], attached: Attached) -> LegacyCall:
    headers = _headers(request)
    url = _address(request, headers)
    method = request.get("method")
    # Interned, since a recording leaves out what is the default itself.
    method = sys.intern(method.strip().upper()) if isinstance(method, str) else ""
    # Read for its route alone at first: most entries are requests to other sites.
    matched = legacy_call(SeenRequest(method or "GET", url))
    if matched is None:
        raise PassedOver("no call of the old interface", ours=False)
    if not method:
        raise PassedOver("a request without a method", ours=True)
    if "GET" not in matched[0].route.methods:
        raise PassedOver("a write, which is never recorded", ours=False)
    if method not in matched[0].route.methods:
        raise PassedOver("a method that is not the route's, such as OPTIONS", ours=False)
    _refuse_other_addresses(SeenRequest(method, url).base_url, bases)
    content_type, body = _sent(request, headers, attached)
    # The body's encoding is left out: a HAR file holds bodies unpacked, whatever the headers say.
    return replace(
        matched[0], method=method, content_type=content_type, body=body, authorization=headers.get("authorization")
    )


def _refuse_other_addresses(base_url: str, bases: Collection[Base]) -> None:
    try:
        found = base_of(base_url)
    except ValueError:
        raise PassedOver("a request whose address cannot be read", ours=True) from None
    if found not in bases:
        scheme, host, port, path = found
        shown = f"[{host}]" if ":" in host else host
        suffix = "" if port == _PORTS[scheme] else f":{port}"
        raise SeenElsewhere(f"{scheme}://{shown}{suffix}{'/…' if path else ''}")


def _address(request: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """The URL; out of HTTP/2's pseudo headers where it is missing, its query out of the list where it has none."""
    url = request.get("url")
    url = (url.strip() if isinstance(url, str) else "") or headers.get(":path", "")
    if not url:
        raise PassedOver("a request without an address", ours=True)
    if url.startswith("/") and (host := headers.get(":authority") or headers.get("host")):
        url = f"{headers.get(':scheme', 'https')}://{host}{url}"
    if "?" not in url and (pairs := _pairs(request.get("queryString"))):
        url = f"{url.partition('#')[0]}?{urlencode(_unquoted(pairs))}"
    return url


def _unquoted(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Names and values as they are meant: Chrome lists them as the URL has them, all others unquoted."""
    whole = "".join(name + value for name, value in pairs)
    if "%" not in whole or not set(whole) <= _QUOTED:
        return pairs
    return [(unquote(name.replace("+", " ")), unquote(value.replace("+", " "))) for name, value in pairs]


_QUOTED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%+*!'()")


def _sent(request: Mapping[str, Any], headers: Mapping[str, str], attached: Attached) -> tuple[str | None, bytes]:
    """The type and the body of a request.

    Raises:
        PassedOver: it had a body, and the file has none: what was asked is not known.
    """
    posted = _part(request, "postData")
    kind = headers.get("content-type") or posted.get("mimeType")
    body = body_of(posted, None, attached)
    if not body.octets and (pairs := _pairs(posted.get("params"))):
        return "application/x-www-form-urlencoded", urlencode(pairs).encode()
    if not body.octets and (_whole(request.get("bodySize")) > 0 or _whole(headers.get("content-length")) > 0):
        raise PassedOver("a call with a body that the file does not have", ours=True)
    return kind if isinstance(kind, str) and kind else None, body.octets


def _answered(
    call: LegacyCall, response: Mapping[str, Any], headers: Mapping[str, str], seconds: float, attached: Attached
) -> tuple[Answered, Iterable[str]]:
    """The answer, and what is odd about it; a status of 0 is how a HAR file says that none came."""
    status = _whole(response.get("status"))
    if not 100 <= status < 1000:
        return Answered(0, seconds=seconds, failure="no answer"), ["no answer"]
    content = _part(response, "content")
    body = body_of(content, headers.get("content-encoding"), attached)
    return Answered(status, headers, body.octets, seconds), _odd(call, status, content, body)


def _odd(call: LegacyCall, status: int, content: Mapping[str, Any], body: Body) -> Iterable[str]:
    if body.odd:
        return [body.odd]
    if body.octets or call.method == "HEAD" or status in _BODILESS:
        return []
    # Browsers drop large bodies and keep their size; an empty one is there and has none.
    empty = _whole(content.get("size")) <= 0 and (body.there or content.get("size") == 0)
    return [] if empty else ["an answer whose body the file does not have"]


def _whole(value: Any) -> int:
    """A whole number, whichever JSON type it has; 0 for what is none."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value.strip()[:9])
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _part(whole: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = whole.get(name)
    return found if isinstance(found, dict) else {}


def _pairs(listed: Any) -> list[tuple[str, str]]:
    """The names and values of a list of such pairs."""
    if not isinstance(listed, list):
        return []
    found = [(each.get("name"), each.get("value")) for each in listed if isinstance(each, dict)]
    return [(name, value) for name, value in found if isinstance(name, str) and isinstance(value, str)]


def _headers(message: Mapping[str, Any]) -> dict[str, str]:
    """Names in lower case; of one that comes more than once the values as one list, as HTTP has it."""
    found: dict[str, str] = {}
    for name, value in _pairs(message.get("headers")):
        lower, text = name.strip().lower(), ", ".join(value.strip().split("\n"))
        found[lower] = f"{found[lower]}, {text}" if lower in found else text
    return found
