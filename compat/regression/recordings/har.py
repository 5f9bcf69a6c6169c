"""Deprecated calls in a HAR file, as browsers and proxies save what they saw.

Whoever writes such files keeps to no rule. So only the file as a whole has to be readable: each entry is read by
itself, and one that cannot be is counted by reason. Any part of an entry may be missing, null, or of another type: what
is not as it should be is treated as not there.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timezone
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import unquote, urlencode, urlsplit

import msgspec

from compat.doctor.calls import SeenRequest, legacy_call
from compat.legacy.routes import ANSWERED_BY, LegacyCall
from compat.regression.comparing.pairs import Answered
from compat.regression.recordings.format import RecordingError
from compat.regression.recordings.har_body import Body, body_of
from compat.text import instants

__all__ = ["HarCalls", "SeenCall", "base_of"]

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_LONGEST_ATTACHED = 1 << 26
_BROKEN = (msgspec.MsgspecError, ValueError, RecursionError)
"""What readers of JSON raise; a text that is not Unicode is a ValueError too."""
_Entry = TypeVar("_Entry")
_Attached = Callable[[str], "bytes | None"]
"""Gives the content of a file that an entry names, or None where there is none."""


class _Log(msgspec.Struct, Generic[_Entry]):
    entries: list[_Entry]


class _Har(msgspec.Struct, Generic[_Entry]):
    log: _Log[_Entry]


class SeenCall(msgspec.Struct, frozen=True):
    """A deprecated call and the answer that it got.

    Attributes:
        call: the call, as it was sent.
        at: when, seconds since the epoch; 0 where the file does not say.
        by_shim: whether the shim or its gateway gave the answer.
        odd: what of it is missing or odd, each in the same words for all calls.
    """

    call: LegacyCall
    at: float
    answered: Answered
    by_shim: bool
    odd: tuple[str, ...] = ()


class _PassedOver(Exception):
    """An entry that is not recorded, for a reason in the same words for entries of one kind, without anything of them.

    ``ours`` says whether it is a call to be recorded, or may be one; ``host`` is the scheme, host and port of a call of
    another address than those that were given.
    """

    def __init__(self, reason: str, *, ours: bool = True, host: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.ours = ours
        self.host = host


class HarCalls:
    """The reads of deprecated routes in a file, in its order; counts what is passed over.

    Args:
        path: the file: JSON in UTF-8, UTF-16 or UTF-32, alone, in gzip or in a zip archive, whatever its name says.
        base_urls: where the calls went: the old endpoint, and gateways before it. Calls of other addresses are counted.

    Raises:
        RecordingError: it is no HAR file; the text says where it is none, without its content.

    Attributes:
        entries: how many entries there are, and ``looked_at`` how many of them were looked at.
        others: entries that are nothing to record, such as requests to other sites and writes, by kind.
        elsewhere: calls of addresses that are none of those given, by host.
        left_out: entries that are calls, or may be, and cannot be read, by reason.
        odd: calls of which something is missing or odd, by what that is; they are given all the same.
    """

    def __init__(self, path: Path, base_urls: Sequence[str]) -> None:
        self._bases = frozenset(map(base_of, base_urls))
        self._listed, self._attached = _read(path)
        self.entries = len(self._listed)
        self.looked_at = 0
        self.others: Counter[str] = Counter()
        self.elsewhere: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.odd: Counter[str] = Counter()

    def __iter__(self) -> Iterator[SeenCall]:
        """The calls."""
        for self.looked_at, entry in enumerate(self._listed, 1):  # noqa: B020
            seen = self._seen(entry)
            if seen is not None:
                self.odd.update(seen.odd)
                yield seen

    def _seen(self, entry: Any) -> SeenCall | None:
        try:
            return _seen_call(_json(entry) if isinstance(entry, msgspec.Raw) else entry, self._bases, self._attached)
        except _PassedOver as error:
            counts = self.elsewhere if error.host else self.left_out if error.ours else self.others
            counts[error.host or error.reason] += 1
        except _BROKEN:
            self.left_out["an entry that is no JSON"] += 1
        return None


def _read(path: Path) -> tuple[Sequence[Any], _Attached]:
    try:
        content, attached = _opened(path)
        return _entries(content), attached
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror or error}") from None
    except (EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise RecordingError(f"{path}: no HAR file: packed, and damaged: {error}") from None
    except _BROKEN as error:
        raise RecordingError(f"{path}: no HAR file: {_said(error)}") from None


def _said(error: BaseException) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"JSON is malformed: {error.msg} (byte {error.pos})"
    if isinstance(error, UnicodeError):
        return "neither UTF-8 nor UTF-16"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _entries(content: bytes | memoryview) -> Sequence[Any]:
    """Each entry as it stands in the file, so that one at a time is in memory as objects."""
    try:
        return msgspec.json.decode(content, type=_Har[msgspec.Raw]).log.entries
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError as error:
        # NaN, half of a surrogate pair and bare line breaks in texts: some writers have them, and Python reads them.
        try:
            read = msgspec.convert(json.loads(bytes(content), strict=False), type=dict[str, Any])
            return msgspec.convert(read, type=_Har[Any]).log.entries
        except msgspec.ValidationError:
            raise
        except _BROKEN:
            raise error from None


def _json(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except msgspec.MsgspecError:
        return json.loads(bytes(raw), strict=False)


def _opened(path: Path) -> tuple[bytes | memoryview, _Attached]:
    """The text of a file in UTF-8, and who reads the bodies that it names as files of their own."""
    content = path.read_bytes()
    if content.startswith(_ZIP):
        # As Playwright packs it: the HAR file and the bodies side by side.
        archive = zipfile.ZipFile(io.BytesIO(content))
        names = [name for name in archive.namelist() if name.lower().endswith(".har")]
        if len(names) != 1:
            raise RecordingError(
                f"{path}: no HAR file: an archive has to have one in it, and this one has {len(names)}"
            )
        return _utf_8(archive.read(names[0])), lambda name: _of_archive(archive, name)
    if content.startswith(_GZIP):
        content = gzip.decompress(content)
    return _utf_8(content), lambda name: _beside(path, name)


def _utf_8(content: bytes) -> bytes | memoryview:
    if not content or content.isspace():
        raise ValueError("it is empty")
    encoding = json.detect_encoding(content)
    if encoding == "utf-8":
        return content
    if encoding == "utf-8-sig":
        return memoryview(content)[3:]
    return content.decode(encoding, "surrogatepass").encode("utf-8", "surrogatepass")


def _beside(path: Path, name: str) -> bytes | None:
    """A file of the same folder; no other, whatever the name says."""
    found = path.parent / name
    try:
        if Path(name).name != name or not found.is_file() or found.stat().st_size > _LONGEST_ATTACHED:
            return None
        return found.read_bytes()
    except (OSError, ValueError):
        return None


def _of_archive(archive: zipfile.ZipFile, name: str) -> bytes | None:
    try:
        return archive.read(name) if archive.getinfo(name).file_size <= _LONGEST_ATTACHED else None
    except (KeyError, OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return None


_Base = tuple[str, str, int, str]
"""Scheme, host, port and path of a base URL."""

_OFFSET = re.compile(r"([+-]\d\d)(\d\d)$", re.ASCII)
_NUMBER = re.compile(r"\d{1,19}(\.\d{1,9})?", re.ASCII)
_LAST = 253_402_300_800
"""The end of the year 9999, in seconds since the epoch."""
_PORTS = {"http": 80, "https": 443}
_BODILESS = (204, 304)
_CACHED = ("_fromCache", "fromCache")
"""What Chrome and Firefox have where an answer is out of a cache; Safari has ``_fetchType``."""


def base_of(url: str) -> _Base:
    """A base URL in the form in which two can be compared.

    Raises:
        ValueError: its host or port cannot be read.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not parts.hostname:
        raise ValueError("no http or https URL with a host")
    return scheme, parts.hostname.rstrip("."), parts.port or _PORTS[scheme], parts.path.rstrip("/")


def _seen_call(entry: Any, bases: Collection[_Base], attached: _Attached) -> SeenCall:
    """The call that an entry is; ``bases`` are where calls went that are to be recorded."""
    if not isinstance(entry, dict):
        raise _PassedOver("an entry that is no JSON object")
    try:
        call = _call(_part(entry, "request"), bases, attached)
    except UnicodeError:
        raise _PassedOver("a request with characters that are none") from None
    response, odd = _part(entry, "response"), []
    at, milliseconds = _started_at(entry.get("startedDateTime")), _real(entry.get("time"))
    if at is None:
        odd.append("no date and time that can be read")
    if milliseconds is None or milliseconds >= 1e12:
        milliseconds = 0.0
        odd.append("no duration that can be read")
    if any(part.get(name) for part in (entry, response) for name in _CACHED) or "Cache" in str(entry.get("_fetchType")):
        odd.append("an answer out of a browser's cache")
    headers = _headers(response)
    answered, why = _answered(call, response, headers, milliseconds / 1000, attached)
    by_shim = headers.get(ANSWERED_BY.lower(), "legacy") != "legacy"
    return SeenCall(call, at or 0.0, answered, by_shim, (*odd, *why))


def _call(request: dict[str, Any], bases: Collection[_Base], attached: _Attached) -> LegacyCall:
    headers = _headers(request)
    url = _address(request, headers)
    method = request.get("method")
    # Interned, since a recording leaves out what is the default itself.
    method = sys.intern(method.strip().upper()) if isinstance(method, str) else ""
    # Read for its route alone at first: most entries are requests to other sites.
    matched = legacy_call(SeenRequest(method or "GET", url))
    if matched is None:
        raise _PassedOver("no call of the old interface", ours=False)
    if not method:
        raise _PassedOver("a request without a method")
    if "GET" not in matched[0].route.methods:
        raise _PassedOver("a write, which is never recorded", ours=False)
    if method not in matched[0].route.methods:
        raise _PassedOver("a method that is not the route's, such as OPTIONS", ours=False)
    _refuse_other_addresses(SeenRequest(method, url).base_url, bases)
    content_type, body = _sent(request, headers, attached)
    # The body's encoding is left out: a HAR file holds bodies unpacked, whatever the headers say.
    return replace(
        matched[0], method=method, content_type=content_type, body=body, authorization=headers.get("authorization")
    )


def _refuse_other_addresses(base_url: str, bases: Collection[_Base]) -> None:
    try:
        found = base_of(base_url)
    except ValueError:
        raise _PassedOver("a request whose address cannot be read") from None
    if found not in bases:
        scheme, host, port, path = found
        shown = f"[{host}]" if ":" in host else host
        suffix = "" if port == _PORTS[scheme] else f":{port}"
        raise _PassedOver("a call of another address", host=f"{scheme}://{shown}{suffix}{'/…' if path else ''}")


def _address(request: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    """The URL; out of HTTP/2's pseudo headers where it is missing, its query out of the list where it has none."""
    url = request.get("url")
    url = (url.strip() if isinstance(url, str) else "") or headers.get(":path", "")
    if not url:
        raise _PassedOver("a request without an address")
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


def _sent(request: Mapping[str, Any], headers: Mapping[str, str], attached: _Attached) -> tuple[str | None, bytes]:
    """The type and the body of a request; what was asked is not known where it had one, and the file has none."""
    posted = _part(request, "postData")
    kind = headers.get("content-type") or posted.get("mimeType")
    body = body_of(posted, None, attached)
    if not body.octets and (pairs := _pairs(posted.get("params"))):
        return "application/x-www-form-urlencoded", urlencode(pairs).encode()
    if not body.octets and (_whole(request.get("bodySize")) > 0 or _whole(headers.get("content-length")) > 0):
        raise _PassedOver("a call with a body that the file does not have")
    return kind if isinstance(kind, str) and kind else None, body.octets


def _answered(
    call: LegacyCall, response: Mapping[str, Any], headers: Mapping[str, str], seconds: float, attached: _Attached
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


def _started_at(value: Any) -> float | None:
    """When a request was begun, in seconds since the epoch; None where nothing can be told.

    Text is ISO 8601 with any number of digits, without a zone in UTC, or a date as HTTP writes it. Numbers count from
    the epoch, in seconds, or in milliseconds, microseconds or nanoseconds where seconds would be beyond the year 5000.
    """
    found = _real(value)
    if found is None:
        found = _moment(value.strip()) if isinstance(value, str) else None
    else:
        while found >= 1e11:
            found /= 1000
    return found if found is not None and 0 < found < _LAST else None


def _moment(text: str) -> float | None:
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


def _real(value: Any) -> float | None:
    """A number from 0 on, or its digits as text; None for anything else."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value < 1e20 else None


def _whole(value: Any) -> int:
    """A whole number, whichever JSON type it has; 0 for what is none."""
    if isinstance(value, str) and not value.strip().isdecimal():
        return 0
    found = _real(value)
    return int(found) if found is not None and found.is_integer() else 0


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
