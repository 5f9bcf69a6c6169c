"""Keyed pseudonyms that sort as the values do, and the key that they are made with.

A number is given where a value is first met, between those of its neighbours, and stays. So it tells a value's place
among the values of one recording, and when it came; not by how much values differ, nor what they begin with, which
encryption that keeps order gives away.

A text becomes ``-`` and two groups of sixteen of ``0-9A-V``: its place among the values of its column, then its digest
under the key. An integer becomes one in which the digest takes the lower 80 bits. The digest is the same in every
recording made with the key, and :func:`identity` gives it; the place holds within one recording, and only there.

Where a column keeps some words as they are, such as a status, another text gets the last of them that does not lie
behind it in front of its pseudonym, so that both kinds sort among each other. Empty stays empty.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import tempfile
from base64 import b32hexdecode, b32hexencode
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from compat.config.settings import Configuration
from compat.errors import ConfigurationError
from compat.schemas import COLUMNS

__all__ = [
    "KEY_VARIABLE",
    "WITHHELD",
    "Exhausted",
    "Labels",
    "Names",
    "OrderedNames",
    "PseudonymKey",
    "RecordedNames",
    "identity",
    "key_of",
]

_LABEL_BITS = 80
_END = 1 << _LABEL_BITS
_STEP = 1 << (_LABEL_BITS - 20)
"""Between values that come in their order, as those of sorted pages do: there is room for half a million of them."""

_LEAST_SHARE = 8
"""Values that come in their order between two others take ever less of the room: at last one part in 2 to this."""


class Exhausted(Exception):
    """Two neighbours have no number between them any more."""


class Labels:
    """The numbers of the values of one column; all are strings, or all are integers."""

    def __init__(self) -> None:
        self._sorted: list[Any] = []
        self._numbers: dict[Any, int] = {}
        self._latest: Any = None
        self._in_order = 1

    def __len__(self) -> int:
        return len(self._sorted)

    def __getitem__(self, value: Any) -> int:
        return self._numbers[value]

    def assign(self, values: Iterable[Any]) -> list[Any]:
        """Give numbers to those values that have none; these are returned in their order.

        Raises:
            Exhausted: some value got none.
        """
        new = sorted({value for value in values if value not in self._numbers})
        end = len(new)
        # From behind, so that the places found for what lies before stay right.
        while end:
            place = bisect_left(self._sorted, new[end - 1])
            begin = bisect_left(new, self._sorted[place - 1]) if place else 0
            self._insert(place, new[begin:end])
            end = begin
        if new:
            self._latest = new[-1]
        return new

    def _insert(self, place: int, run: list[Any]) -> None:
        before = self._sorted[place - 1] if place else None
        low = self._numbers[before] if place else 0
        last = place == len(self._sorted)
        high = _END if last else self._numbers[self._sorted[place]]
        step = (high - low) // (len(run) + 1)
        if not step:
            raise Exhausted
        if not self._sorted:
            low, step = _END // 2, min(step // 2, _STEP)
        elif last or not place:
            step = min(step, _STEP)
            low = low if last else high - step * (len(run) + 1)
        elif before == self._latest:
            # Else they would halve each time what is left.
            self._in_order = min(self._in_order + 1, _LEAST_SHARE)
            step = max(1, min(step, (high - low) >> self._in_order))
        else:
            self._in_order = 1
        for number, value in enumerate(run, 1):
            self._numbers[value] = low + step * number
        self._sorted[place:place] = run


WITHHELD = "withheld-"
_DIGEST_BYTES = 10
_DIGEST = (1 << 8 * _DIGEST_BYTES) - 1
_PSEUDONYM = re.compile(r"[a-z0-9_./]*-[0-9A-V]{16}-([0-9A-V]{16})", re.ASCII)
_NOWHERE = (1 << _LABEL_BITS) - 1
_ANCHORS: Mapping[str, list[str]] = {
    name: sorted(column.kept) for name, column in COLUMNS.items() if isinstance(column.kept, tuple)
}


class PseudonymKey:
    """The key that makes pseudonyms.

    Raises:
        ValueError: the secret has less than 16 bytes.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 16:
            raise ValueError("a key of pseudonyms has 16 bytes at least")
        self.secret = secret
        self.id = hmac.digest(secret, b"the key's id", "sha256")[:8].hex()

    def __repr__(self) -> str:
        return f"PseudonymKey(id={self.id!r})"

    def digest_of(self, column: str, value: str | int) -> bytes:
        """What stands for a value of a column, wherever it is recorded: its pseudonym's :func:`identity`."""
        return self.digest(column, value) if isinstance(value, str) else self.digest(f"{column}\0#", str(value))

    def digest(self, where: str, text: str) -> bytes:
        """What stands for a text, 10 bytes: equal ones at the same place have the same."""
        # No name of a field holds a NUL, so that no two pairs of texts read alike.
        message = f"{where}\0{text}".encode(errors="surrogatepass")
        return hmac.digest(self.secret, message, "sha256")[:_DIGEST_BYTES]

    def withheld(self, where: str, text: str) -> str:
        """What stands for a text that may hold anything."""
        return f"{WITHHELD}{self.digest(where, text).hex()}"


class OrderedNames:
    """Gives places as values come; what one recording is made with."""

    def __init__(self, key: PseudonymKey) -> None:
        self._key = key
        self._labels: dict[str, Labels] = {}
        self._given: dict[str, dict[str | int, str | int]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._labels.values()))

    def assign(self, column: str, values: Iterable[str | int]) -> None:
        """Take note of values.

        Raises:
            Exhausted: there is no place left for one of them; a new recording has room again.
        """
        labels = self._labels.setdefault(column, Labels())
        given = self._given.setdefault(column, {})
        for value in labels.assign(values):
            given[value] = _pseudonym(column, value, labels[value], self._key.digest_of(column, value))

    def of(self, column: str, value: str | int) -> str | int:
        """The pseudonym of a value that was taken note of."""
        return self._given[column][value]


class RecordedNames:
    """Gives the pseudonyms that stand in a recorded answer, so that one of today can be compared with it, byte by byte.

    A value that the answer does not hold gets a pseudonym that is in no recording; its place says nothing.
    """

    def __init__(self, key: PseudonymKey, recorded: Iterable[Mapping[str, Any]]) -> None:
        self._key = key
        self._known: dict[tuple[str, bytes], str | int] = {}
        for record in recorded:
            for column, value in record.items():
                digest = identity(value) if column in COLUMNS and COLUMNS[column].kept is not True else None
                if digest is not None:
                    self._known[column, digest] = value

    def assign(self, column: str, values: Iterable[str | int]) -> None:
        """Nothing: the places were given where it was recorded."""

    def of(self, column: str, value: str | int) -> str | int:
        digest = self._key.digest_of(column, value)
        return self._known.get((column, digest)) or _pseudonym(column, value, _NOWHERE, digest)


Names = OrderedNames | RecordedNames
"""Gives pseudonyms to the values of columns, which are assigned before."""


def identity(pseudonym: Any) -> bytes | None:
    """What is the same in every recording made with one key, of a pseudonym; None of any other value."""
    if type(pseudonym) is int:
        return (pseudonym & _DIGEST).to_bytes(_DIGEST_BYTES, "big")
    found = _PSEUDONYM.fullmatch(pseudonym) if isinstance(pseudonym, str) else None
    return b32hexdecode(found[1]) if found else None


def _pseudonym(column: str, value: str | int, label: int, digest: bytes) -> str | int:
    if isinstance(value, int):
        return label << 8 * _DIGEST_BYTES | int.from_bytes(digest, "big")
    words = _ANCHORS.get(column, [])
    place = bisect_right(words, value)
    anchor = words[place - 1] if place else ""
    # Sixteen characters each, which sort as the bytes do.
    written = b32hexencode(label.to_bytes(_LABEL_BITS // 8, "big")), b32hexencode(digest)
    return f"{anchor}-{written[0].decode()}-{written[1].decode()}"


KEY_VARIABLE = "EXAM_COMPAT_RECORDING_KEY"
_DEFAULT = "exam-compat-recording.key"


def key_of(given: Configuration, key_file: Path | None = None) -> PseudonymKey:
    """The key to use: of the file named here, else ``key`` of ``[regression]``, the environment's, else ``key_file``.

    A file with a key may only be read by its owner. Where there is none, it is made.

    Raises:
        ConfigurationError: the key is too short, or the file cannot be read or made.
    """
    named = {"[regression] key": given.regression.get("key"), KEY_VARIABLE: os.environ.get(KEY_VARIABLE)}
    where, text = next(((where, text) for where, text in named.items() if text and key_file is None), ("", ""))
    if not text:
        path = key_file or Path(given.regression.get("key_file", _DEFAULT))
        where, text = str(path), _read_or_made(path)
    try:
        return PseudonymKey(text.encode())
    except ValueError as error:
        raise ConfigurationError(f"{where}: {error}") from None


def _read_or_made(path: Path) -> str:
    try:
        if not path.exists():
            _make(path)
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {getattr(error, 'strerror', None) or 'no text'}") from None


def _make(path: Path) -> None:
    """Put a new key there, whole or not at all, unless another process is first."""
    number, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(secrets.token_hex(32) + "\n")
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        os.unlink(draft)
