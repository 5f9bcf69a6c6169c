"""Writing recordings: each call redacted, searched for secrets, and written in frames that stand for themselves.

A frame is a gzip member of whole lines. It can be read without those before it, so that what was written stays readable
whatever becomes of the rest, and one that was cut off shows. ``zcat`` reads such a file too. Measured on recorded
answers, zstandard makes files of the same size and reads twice as fast: a twentieth of what checking a call costs, and
no reason for a package.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import timezone, tzinfo
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, quote_plus

import msgspec

from compat._version import __version__
from compat.legacy.parameters import gather
from compat.legacy.routes import LegacyCall
from compat.legacy.verifier import token_of
from compat.processes import renew_after_fork
from compat.regression.comparing.pairs import Answered, Pair
from compat.regression.recordings.format import (
    NewOrder,
    RecordedCall,
    RecordingEnd,
    RecordingError,
    RecordingHead,
    SecretFound,
)
from compat.regression.recordings.pseudonyms import Exhausted, OrderedNames, PseudonymKey
from compat.regression.recordings.reader import SUFFIX
from compat.regression.recordings.redact import CallRedactor
from compat.text.json import several

__all__ = ["SHORTEST", "Recorder", "Sought"]

SHORTEST = 6
"""Characters that a secret has at least, to be looked for: a shorter one stands everywhere by chance."""


def _forms_of(secret: str) -> set[bytes]:
    """The bytes that betray a secret: itself, quoted for a URL or JSON, in hex, in base64 at any offset, reversed."""
    octets = secret.encode(errors="surrogatepass")
    found = {octets, octets[::-1], secret[::-1].encode(errors="surrogatepass")}
    found |= {octets.hex().encode(), octets.hex().upper().encode()}
    quoted = {quote(octets), quote(octets, safe=""), quote_plus(octets)}
    found |= {text.encode() for text in (*quoted, "".join(f"%{octet:02X}" for octet in octets))}
    found |= {text.lower().encode() for text in quoted if "%" in text}
    for ascii_only in (True, False):
        found.add(json.dumps(secret, ensure_ascii=ascii_only)[1:-1].encode("utf-8", "replace"))
    found |= {part for encode in (base64.b64encode, base64.urlsafe_b64encode) for part in _inner(octets, encode)}
    found |= {base64.b32encode(octets).rstrip(b"=")[:-1], base64.b32hexencode(octets).rstrip(b"=")[:-1]}
    return found


def _inner(octets: bytes, encode: Callable[[bytes], bytes]) -> Iterable[bytes]:
    """What base64 makes of bytes wherever they stand in what is encoded: all but the characters shared with others."""
    for offset in range(3):
        padded = encode(b"\0" * offset + octets).rstrip(b"=")
        whole = (offset + len(octets)) * 8 // 6
        yield padded[-(-offset * 8 // 6) : whole]


class Sought:
    """Secrets that must not stand anywhere; those that are too short to be looked for are left out."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._forms = sorted({form for secret in secrets if len(secret) >= SHORTEST for form in _forms_of(secret)})

    def __repr__(self) -> str:
        return f"Sought(forms={len(self._forms)})"

    def stands_in(self, octets: bytes) -> bool:
        """Whether one of them does."""
        return any(form in octets for form in self._forms)


_CALLS_A_FRAME = 64
_BYTES_A_FRAME = 1 << 20
_LONGEST_WAIT = 5.0
"""Seconds after which the next call takes along those that wait to be written."""
_LEVEL = 4
_MOST_VALUES = 200_000
"""Values of persons in memory, some hundred bytes each; beyond that their places are given anew."""


_NEW_ORDER = msgspec.json.encode(NewOrder())


class Recorder:
    """Writes calls and their answers to a file of its own.

    Threads may share one. A process that was forked from its owner begins a file of its own, where the place is a
    folder.

    Args:
        place: a file that ends with ``.ndjson.gz`` and is not there yet, or a folder for one.
        key: makes the pseudonyms.
        zone, upstream, source: as :class:`~compat.regression.recordings.format.RecordingHead` has them.
        sought: secrets that must not get into it, beside the token and the signature of each call.

    Raises:
        RecordingError: the file cannot be made.
    """

    def __init__(
        self,
        place: str | Path,
        key: PseudonymKey,
        *,
        zone: tzinfo = timezone.utc,
        upstream: str | None = None,
        source: str = "traffic",
        sought: Iterable[str] = (),
    ) -> None:
        self._place = Path(place)
        self._key = key
        self._zone = zone
        self._upstream, self._source = upstream, source
        self._sought = Sought([*sought, key.secret.hex(), key.secret.decode("latin-1")])
        self._lock = threading.Lock()
        self._begin()
        renew_after_fork(self.renew)

    def __enter__(self) -> Recorder:
        return self

    @property
    def path(self) -> Path:
        """The file that is written."""
        return self._file.path

    @property
    def key_id(self) -> str:
        """Tells the key of its pseudonyms from others."""
        return self._key.id

    def __exit__(self, kind: type[BaseException] | None, *more: object) -> None:
        """Close it, or write what waits but no end, so that a reader says that there should have been more."""
        if kind is None:
            self.close()
        else:
            with self._lock, suppress(RecordingError):
                self._finish(end=False)

    def _begin(self) -> None:
        self._closed = self._inherited = False
        self._begin_order()
        self._waiting: list[bytes] = []
        self._since = 0.0
        self._size = self._calls = self._lost = 0
        now = time.time()
        head = RecordingHead(
            made_at=now,
            made_by=__version__,
            key_id=self._key.id,
            zone=getattr(self._zone, "key", None) or str(self._zone),
            upstream=self._upstream,
            source=self._source,
        )
        path = self._place
        if not path.name.endswith(SUFFIX):
            stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
            path = path / f"{stamp}-{os.getpid()}-{secrets.token_hex(3)}{SUFFIX}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _FrameFile(path)
            self._file.append(msgspec.json.encode(head))
        except OSError as error:
            raise RecordingError(f"{path}: {error.strerror or error}") from None

    def renew(self) -> None:
        """Leave the file to the parent of this process; with the next call begins one of its own."""
        self._lock = threading.Lock()
        if not self._closed:
            self._file.close(durable=False)
        self._closed = self._inherited = True
        self._waiting = []
        self._calls = self._lost = 0

    def keep_pair(self, pair: Pair) -> None:
        """Record a call that both endpoints answered, as :meth:`keep` does; what shadow and canary hand over."""
        self.keep(**vars(pair))

    def keep(
        self,
        call: LegacyCall,
        *,
        old: Answered | None = None,
        new: Answered | None = None,
        caller: str | None = None,
        at: float | None = None,
        served: Literal["legacy", "new"] | None = None,
    ) -> None:
        """Record a call, which is a read, as it came, with what was answered by each endpoint that was asked.

        The names are those of :class:`~compat.regression.comparing.pairs.Pair`; ``at`` is now where it is None.

        Raises:
            SecretFound: a secret stands in what would be written. The call is left out and counted as lost.
            RecordingError: the file was closed, or cannot be written. What waited for it is counted as lost.
            ValueError: the call is a write.
        """
        if "GET" not in call.route.methods:
            raise ValueError(f"{call.route.action} writes, and only reads are recorded")
        with self._lock:
            if self._inherited:
                self._begin()
            if self._closed:
                raise RecordingError(f"{self._file.path}: was closed")
            kept = {"old": old, "new": new, "caller": caller, "at": time.time() if at is None else at}
            recorded = self._redacted(call, kept)
            line = msgspec.json.encode(msgspec.structs.replace(recorded, served=served))
            own = Sought((token_of(call.authorization), gather(call).values.get("signature", "")))
            if self._sought.stands_in(line) or own.stands_in(line):
                self._lost += 1
                raise SecretFound(f"{self._file.path}: a secret stood in a call to be recorded; it was left out")
            self._add(line)

    def _redacted(self, call: LegacyCall, kept: Mapping[str, Any]) -> RecordedCall:
        if len(self._names) <= _MOST_VALUES:
            with suppress(Exhausted):
                return self._redactor.call(call, **kept)
        self._begin_order()
        self._waiting.append(_NEW_ORDER)
        return self._redactor.call(call, **kept)

    def _begin_order(self) -> None:
        self._names = OrderedNames(self._key)
        self._redactor = CallRedactor(self._key, self._zone, self._names)

    def _add(self, line: bytes) -> None:
        now = time.monotonic()
        self._since = self._since or now
        self._waiting.append(line)
        self._size += len(line)
        self._calls += 1
        if len(self._waiting) >= _CALLS_A_FRAME or self._size >= _BYTES_A_FRAME or now - self._since >= _LONGEST_WAIT:
            self._write()

    def _write(self, *last: bytes) -> None:
        waiting, self._waiting = self._waiting, []
        self._size, self._since = 0, 0.0
        if not waiting and not last:
            return
        try:
            self._file.append(*waiting, *last)
        except OSError as error:
            self._waiting = [line for line in waiting if line is _NEW_ORDER]
            lost = len(waiting) - len(self._waiting)
            self._calls -= lost
            self._lost += lost
            gone = f"{several(lost, 'call')} {'was' if lost == 1 else 'were'} lost"
            raise RecordingError(f"{self._file.path}: {error.strerror or error}; {gone}") from None

    def lose(self, number: int = 1) -> None:
        """Count calls that its owner does not hand over, so that the end says that they are missing."""
        with self._lock:
            self._lost += number

    def flush(self) -> None:
        """Write what waits.

        Raises:
            RecordingError: the file cannot be written. What waited is counted as lost.
        """
        with self._lock:
            if not self._closed:
                self._write()

    def close(self) -> None:
        """Write what waits and the end, without which a reader would say that it is missing.

        Raises:
            RecordingError: the file cannot be written; the end is missing then.
        """
        with self._lock:
            self._finish(end=True)

    def _finish(self, *, end: bool) -> None:
        if self._closed:
            return
        try:
            self._write()
        finally:
            try:
                if end:
                    self._write(msgspec.json.encode(RecordingEnd(calls=self._calls, lost=self._lost)))
            finally:
                self._closed = True
                self._file.close()


class _FrameFile:
    """Appends frames to a file of its own, which is not there yet, and which only its owner may read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._whole = 0

    def append(self, *lines: bytes) -> None:
        """Write a frame of some lines, or nothing of it."""
        frame = gzip.compress(b"\n".join(lines) + b"\n", _LEVEL, mtime=0)
        try:
            rest = memoryview(frame)
            while rest:
                rest = rest[os.write(self._number, rest) :]
        except OSError:
            # A part of it would pass for a file that was cut off, and hide what is appended later.
            os.ftruncate(self._number, self._whole)
            os.lseek(self._number, self._whole, os.SEEK_SET)
            raise
        self._whole += len(frame)

    def close(self, *, durable: bool = True) -> None:
        """Close the file, once the disk has it."""
        try:
            if durable:
                os.fsync(self._number)
        finally:
            os.close(self._number)
