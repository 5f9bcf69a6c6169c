"""Deprecated calls in a HAR file, as browsers and proxies save what they saw.

Whoever writes such files keeps to no rule. So only the file as a whole has to be readable: each entry is read by
itself, and one that cannot be is counted by reason (:mod:`compat.regression.recordings.har_entry` has them).
"""

from __future__ import annotations

import gzip
import io
import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from compat.regression.recordings.format import RecordingError
from compat.regression.recordings.har_entry import Attached, PassedOver, SeenCall, SeenElsewhere, base_of, seen_call

__all__ = ["HarCalls"]

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_LONGEST_ATTACHED = 1 << 26
_BROKEN = (msgspec.MsgspecError, ValueError, RecursionError)
"""What readers of JSON raise; a text that is not Unicode is a ValueError too."""


class _Log(msgspec.Struct):
    entries: list[Any]


class _Har(msgspec.Struct):
    log: _Log


class _RawLog(msgspec.Struct):
    entries: list[msgspec.Raw]


class _RawHar(msgspec.Struct):
    log: _RawLog


class HarCalls:
    """The reads of deprecated routes in a file, in its order; counts what is passed over.

    Args:
        path: the file: JSON in UTF-8, UTF-16 or UTF-32, alone, in gzip or in a zip archive, whatever its name says.
        base_urls: where the calls went: the old endpoint, and gateways before it. Calls of other addresses are counted.

    Raises:
        RecordingError: it is no HAR file; the text says where it is none, without its content.

    Attributes:
        entries: how many entries there are.
        looked_at: how many of them were looked at.
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
            read = _json(entry) if isinstance(entry, msgspec.Raw) else entry
            return seen_call(read, self._bases, self._attached)
        except SeenElsewhere as error:
            self.elsewhere[error.host] += 1
        except PassedOver as error:
            (self.left_out if error.ours else self.others)[error.reason] += 1
        except _BROKEN:
            self.left_out["an entry that is no JSON"] += 1
        return None


def _read(path: Path) -> tuple[Sequence[Any], Attached]:
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
        return msgspec.json.decode(content, type=_RawHar).log.entries
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError as error:
        # NaN, half of a surrogate pair and bare line breaks in texts: some writers have them, and Python reads them.
        try:
            read = msgspec.convert(json.loads(bytes(content), strict=False), type=dict[str, Any])
            return msgspec.convert(read, type=_Har).log.entries
        except msgspec.ValidationError:
            raise
        except _BROKEN:
            raise error from None


def _json(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except msgspec.MsgspecError:
        return json.loads(bytes(raw), strict=False)


def _opened(path: Path) -> tuple[bytes | memoryview, Attached]:
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
