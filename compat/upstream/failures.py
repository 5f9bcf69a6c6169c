"""A failed connection in words: what was asked, why it failed, what to do about it, and what a certificate says.

The words name host and port, and never a path, a query, a header or what a proxy's URL holds beside its host. The
failures of urllib3, ``requests``, aiohttp and the standard library are read in one way: each wraps the system's own
error, and that one says what happened.
"""

from __future__ import annotations

import errno
import http.client
import os
import re
import socket
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from compat.text.json import several

__all__ = [
    "CLOCK_MAY_DIFFER",
    "EXPIRES_SOON",
    "Certificate",
    "ConnectionFailure",
    "address_of",
    "certificate_at",
    "certificate_in",
    "clock_difference",
    "clock_hint",
    "clock_words",
    "connection_failure",
    "day_of",
    "place_of",
    "renewal_due",
]

_PORTS = {"http": 80, "https": 443}
_LOOKING = 2.0
"""Seconds that a look at a server's certificate may take."""

CLOCK_MAY_DIFFER = 60.0
"""Seconds between two clocks that nobody is told of: signatures are good for five minutes."""

_SHOWN_NAMES = 3
_LONGEST_NAME = 80

_LATER = "Try again later; if it stays so, the log of whoever runs it says why."
_TRUST = "Put the authority's certificate into a PEM file, and name that file in REQUESTS_CA_BUNDLE."
_PROXY_SETTINGS = "Look at HTTP_PROXY, HTTPS_PROXY and NO_PROXY, and at the proxies of the session where it has some."
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")


@dataclass(frozen=True)
class ConnectionFailure:
    """Why there was no answer.

    Attributes:
        reason: why it failed, a part of a sentence.
        remedy: what to do about it, a sentence.
        reached: whether a connection had come about.
    """

    place: str
    reason: str
    remedy: str
    reached: bool = False

    def told(self, name: str) -> str:
        """It in sentences, of something that is called such as "student sessions upstream"."""
        verb = "gave no whole answer" if self.reached else "could not be reached"
        return f"The {name} at {self.place} {verb}: {self.reason}. {self.remedy}"


@dataclass(frozen=True)
class _Asked:
    """What was asked: host and port, by which proxy, how long connecting might take, and whether an answer began."""

    host: str
    port: int
    proxy: str | None = None
    seconds: float | None = None
    began: bool = False


def place_of(url: str) -> str:
    """Host and port of a URL, such as ``acme.proctorexam.com:443``."""
    host, port = address_of(url)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def address_of(url: str) -> tuple[str, int]:
    """Host and port of a URL, or of a proxy that is named without a scheme."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    return parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 80)


def connection_failure(
    error: BaseException, url: str, proxy: str | None = None, seconds: float | None = None, *, began: bool = False
) -> ConnectionFailure:
    """What an error of a connection means.

    Args:
        error: what the library raised; the system's error is looked for in it.
        url: what was asked for; its host and port are named, and nothing else of it.
        proxy: the URL of the proxy that led there, or None.
        seconds: how long connecting was allowed to take, or None where that is not known.
        began: a part of the answer had come.
    """
    host, port = address_of(url)
    asked = _Asked(host, port, proxy, seconds, began)
    causes = list(_causes(error))
    if proxy is not None and any("Proxy" in type(each).__name__ for each in causes):
        return _proxy_failed(causes, place_of(url), proxy)
    reason, remedy, reached = _words(causes, asked)
    return ConnectionFailure(place_of(url), reason, remedy, reached)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and those that it wraps, the outermost first."""
    left, seen = [error], set()
    while left:
        each = left.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        held = (getattr(each, name, None) for name in ("reason", "original_error", "os_error", "certificate_error"))
        left += [inner for inner in (each.__cause__, *each.args, *held) if isinstance(inner, BaseException)]


_Words = tuple[str, str, bool]
"""Reason, remedy, and whether a connection had come about."""


def _proxy_failed(causes: list[BaseException], place: str, proxy: str) -> ConnectionFailure:
    named = place_of(proxy)
    for each in causes:
        refused = _TUNNEL.search(str(each))
        status = refused[1] if refused is not None else getattr(each, "status", None)
        if status is not None:
            return ConnectionFailure(
                place,
                f"the proxy {named} answered with status {status}",
                "Have whoever runs the proxy let this through, or name the host in NO_PROXY.",
            )
    reason, _, reached = _words(causes, _Asked(*address_of(proxy)))
    verb = "gave no answer" if reached else "could not be reached"
    return ConnectionFailure(place, f"the proxy {named} {verb}: {reason}", _PROXY_SETTINGS)


def _words(causes: list[BaseException], asked: _Asked) -> _Words:
    """The words for the innermost error that has some."""
    known = [(each, told) for each in reversed(causes) for kinds, told in _KINDS if isinstance(each, kinds)]
    # urllib3 and aiohttp have names of their own for some, and wrap nothing.
    known += [(each, told) for each in causes for part, told in _NAMES.items() if part in type(each).__name__]
    for each, told in known:
        return told(each, asked) if callable(told) else told
    for each in reversed(causes):
        # Those of requests and aiohttp are of this class too, and have no number.
        if isinstance(each, OSError) and each.errno is not None:
            return _system(each.errno)
    return f"an error of the kind {type(causes[0]).__name__}", _LATER, False


def _certificate(error: BaseException, asked: _Asked) -> _Words:
    code = getattr(error, "verify_code", 0)
    # By a proxy another way leads there, and what it ends at cannot be seen from here.
    shown = None
    if asked.proxy is None and code in _DATED:
        shown = certificate_at(asked.host, asked.port, min(_LOOKING, asked.seconds or _LOOKING))
    now = time.time()
    if code == _EXPIRED:
        if shown is not None and shown.ends > now:
            return "a certificate of its authorities has expired", _RENEW, False
        return f"its certificate has expired{f' on {day_of(shown.ends)}' if shown else ''}", _RENEW, False
    if code == _NOT_YET:
        begins = f" before {day_of(shown.begins)}" if shown is not None and shown.begins > now else " yet"
        return f"its certificate is not good{begins}", _CLOCK, False
    if code in _WRONG_NAMES:
        # Whoever answers there writes them as they like.
        shown_names = shown.names[:_SHOWN_NAMES] if shown is not None else ()
        names = [name[:_LONGEST_NAME] for name in shown_names if name.isprintable()]
        others = f"for {' and '.join(names)}" if names else "for another name"
        return f"its certificate is {others}, and not for {asked.host}", _NAME, False
    if code == _SELF_SIGNED:
        return "its certificate is signed by itself, and not known here", _TRUST, False
    if code in _UNKNOWN:
        return "its certificate is signed by an authority that is not known here", _TRUST, False
    told = str(getattr(error, "verify_message", "") or "it cannot be checked")
    return f"its certificate is not accepted: {told}", "Have the certificate replaced by whoever runs it.", False


# As OpenSSL numbers what is wrong with a certificate (x509_vfy.h).
_NOT_YET, _EXPIRED, _SELF_SIGNED = 9, 10, 18
_UNKNOWN = frozenset((2, 19, 20, 21))
_WRONG_NAMES = frozenset((62, 64))
_DATED = frozenset((_NOT_YET, _EXPIRED, *_WRONG_NAMES))
_RENEW = (
    "Have the certificate renewed by whoever runs it; if it is good elsewhere, set the clock of this machine right."
)
_CLOCK = "Set the clock of this machine right; if it is right, have the certificate replaced by whoever runs it."
_NAME = "Ask for it by a name that the certificate has, or have one made for this name."


def _tls(error: BaseException, asked: _Asked) -> _Words:
    reason = str(getattr(error, "reason", None) or "")
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or "UNEXPECTED_EOF" in reason:
        return "the connection was closed while TLS was agreed on", _LATER, False
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"):
        remedy = "Look whether the port is right, and whether http is meant."
        return "what answers there does not speak TLS", remedy, False
    if "CERTIFICATE_REQUIRED" in reason or "BAD_CERTIFICATE" in reason:
        return "it wants a certificate of the client", "Give the session a certificate by its cert attribute.", True
    told = f"TLS failed ({reason.replace('_', ' ').lower()})" if reason else "TLS failed"
    return told, "Look which versions of TLS and which ciphers it takes.", False


def _lookup(error: BaseException, asked: _Asked) -> _Words:
    if error.args[:1] == (socket.EAI_AGAIN,):
        remedy = "Look whether this machine reaches its name server."
        return "its name could not be looked up at the moment", remedy, False
    return "no such host", "Look whether the name is written right, and whether this machine looks names up.", False


def _silent(error: BaseException, asked: _Asked) -> _Words:
    within = "in time" if asked.seconds is None else f"within {asked.seconds:.3g} seconds"
    remedy = "Look whether host and port are right, and whether a firewall lets this machine through."
    return f"no connection came about {within}", remedy, False


def _closed(error: BaseException, asked: _Asked) -> _Words:
    return _CUT_OFF if asked.began else ("the connection was closed before an answer came", _LATER, True)


def _system(number: int) -> _Words:
    if number in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN):
        return "no way through the network leads there", "Look whether this machine's network is up.", False
    if number in (errno.EMFILE, errno.ENFILE):
        return "too many files are open here", "Raise the limit on open files, or make fewer calls at once.", False
    told = os.strerror(number)
    return f"{told[:1].lower()}{told[1:]}", _LATER, False


_REFUSED: _Words = "connection refused", "Look whether it runs there, and whether the port is right.", False
_CUT_OFF: _Words = "the connection was closed in the middle of the answer", _LATER, True
_NO_HTTP: _Words = "what came is no HTTP answer", "Look whether host and port are those of the endpoint.", True

_Told = _Words | Callable[[BaseException, _Asked], _Words]
_KINDS: tuple[tuple[tuple[type[BaseException], ...], _Told], ...] = (
    ((ssl.SSLCertVerificationError,), _certificate),
    ((ssl.SSLError,), _tls),
    ((socket.gaierror, UnicodeError), _lookup),
    ((ConnectionRefusedError,), _REFUSED),
    ((TimeoutError,), _silent),
    ((http.client.RemoteDisconnected, ConnectionResetError, ConnectionAbortedError, BrokenPipeError), _closed),
    ((http.client.IncompleteRead,), _CUT_OFF),
    ((http.client.HTTPException,), _NO_HTTP),
)
"""The system's errors; of two kinds that fit, the first counts."""

_NAMES: dict[str, _Told] = {
    "Disconnected": _closed,
    "IncompleteRead": _CUT_OFF,
    "PayloadError": _CUT_OFF,
    "NameResolution": _lookup,
    "ConnectTimeout": _silent,
    "ConnectionTimeout": _silent,
    "InvalidChunkLength": _NO_HTTP,
    "ResponseError": _NO_HTTP,
    "ProtocolError": _CUT_OFF,
}


def clock_difference(date: str | None, now: float) -> float | None:
    """Seconds by which this machine's clock is ahead of a server's, by its ``Date`` header; None where it has none."""
    if date is None:
        return None
    try:
        return now - parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def clock_hint(date: str | None, url: str) -> str:
    """What to do about this machine's clock where it differs from a server's by more than a minute; else nothing.

    Args:
        date: the server's ``Date`` header, from just now.
    """
    off = clock_difference(date, time.time())
    if off is None or abs(off) <= CLOCK_MAY_DIFFER:
        return ""
    return (
        f"The clock of this machine is {clock_words(off)} by that of {place_of(url)}, and calls are signed with the "
        "time: set it right."
    )


def clock_words(seconds: float) -> str:
    """How far off this machine's clock is, such as "7 minutes behind"."""
    size = abs(seconds)
    unit, length = next((name, length) for name, length, least in _UNITS if size >= least)
    whole = round(size / length)
    return f"{whole} {unit}{'' if whole == 1 else 's'} {'ahead' if seconds > 0 else 'behind'}"


_UNITS = (("day", 86400, 86400 * 2), ("hour", 3600, 7200), ("minute", 60, 60), ("second", 1, 0))
"""Each with its seconds, and from how many on it is spoken of."""


_decode: Any = getattr(import_module("_ssl"), "_test_decode_cert", None)
"""The standard library has no public name for it. Without it a message names no day."""

EXPIRES_SOON = 14
"""Days before its end from which on a certificate is spoken of."""

_KEPT = 60.0
"""Seconds for which what a server showed is not asked for again: an attempt that fails is often made again."""


@dataclass(frozen=True)
class Certificate:
    """A certificate, by what it says.

    Attributes:
        names: the hosts that it is for, as it writes them.
        begins: from when it is good, seconds since the epoch.
        ends: until when.
    """

    names: tuple[str, ...]
    begins: float
    ends: float


def day_of(moment: float) -> str:
    """The day of a moment in UTC, such as 2026-01-03."""
    return time.strftime("%Y-%m-%d", time.gmtime(moment))


def renewal_due(certificate: Certificate | None) -> str | None:
    """What to say of a certificate that has ended or soon does; None of another, or where nothing is known."""
    if certificate is None or (left := int((certificate.ends - time.time()) // 86400)) >= EXPIRES_SOON:
        return None
    if left < 0:
        return f"it has expired on {day_of(certificate.ends)}: have it renewed"
    return f"it ends on {day_of(certificate.ends)}, in {several(left, 'day')}: have it renewed"


def certificate_in(path: Path) -> Certificate | None:
    """The first certificate of a PEM file, which is that of the server; None where there is none that can be read."""
    if _decode is None:
        return None
    try:
        found = _decode(str(path))
        names = (str(value) for kind, value in found.get("subjectAltName", ()) if kind in ("DNS", "IP Address"))
        begins, ends = (ssl.cert_time_to_seconds(found[name]) for name in ("notBefore", "notAfter"))
        return Certificate(tuple(names), begins, ends)
    except (OSError, ValueError, KeyError):
        return None


_shown: dict[tuple[str, int], tuple[float, Certificate | None]] = {}
"""By host and port: when it was asked for, and what came."""


def certificate_at(host: str, port: int, seconds: float) -> Certificate | None:
    """The certificate that a server shows, whether or not it can be trusted; None where it shows none in time.

    A connection of its own is opened for it, over which nothing is sent. It is only for messages.
    """
    found = _shown.get((host, port))
    if found is None or time.monotonic() - found[0] > _KEPT:
        found = _shown[host, port] = (time.monotonic(), _shown_at(host, port, seconds))
    return found[1]


def _shown_at(host: str, port: int, seconds: float) -> Certificate | None:
    with suppress(OSError, ValueError):
        pem = ssl.get_server_certificate((host, port), timeout=seconds)
        with tempfile.TemporaryDirectory(prefix="exam-compat-") as folder:
            path = Path(folder, "shown.pem")
            path.write_text(pem, encoding="ascii")
            return certificate_in(path)
    return None
