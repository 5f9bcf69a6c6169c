"""Keyed pseudonyms: equal values have equal ones, and they sort as the values do.

A text becomes ``-`` and two groups of sixteen of ``0-9A-V``: its place among the values of its column, then its digest
under the key. An integer becomes one in which the digest takes the lower 80 bits. The digest is the same in every
recording made with the key, and :func:`identity` gives it; the place holds within one recording, and only there.

Where a column keeps some words as they are, such as a status, another text gets the last of them that does not lie
behind it in front of its pseudonym, so that both kinds sort among each other. Empty stays empty.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32hexdecode, b32hexencode
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from compat.regression.order import LABEL_BITS, Labels
from compat.schemas import COLUMNS

__all__ = ["Names", "OrderedNames", "PseudonymKey", "RecordedNames", "identity"]

_DIGEST_BYTES = 10
_DIGEST = (1 << 8 * _DIGEST_BYTES) - 1
_PSEUDONYM = re.compile(r"[a-z0-9_./]*-[0-9A-V]{16}-([0-9A-V]{16})", re.ASCII)
_NOWHERE = (1 << LABEL_BITS) - 1
_ANCHORS: Mapping[str, list[str]] = {
    name: sorted(column.kept) for name, column in COLUMNS.items() if isinstance(column.kept, tuple)
}


class PseudonymKey:
    """The key that makes pseudonyms.

    Args:
        secret: 16 bytes at least.

    Raises:
        ValueError: it is shorter.
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
        return self.digest(*_place(column, value))

    def digest(self, where: str, text: str) -> bytes:
        """What stands for a text, 10 bytes: equal ones at the same place have the same."""
        # No name of a field holds a NUL, so that no two pairs of texts read alike.
        message = f"{where}\0{text}".encode(errors="surrogatepass")
        return hmac.digest(self.secret, message, "sha256")[:_DIGEST_BYTES]


class Names(Protocol):
    """Gives pseudonyms to the values of columns."""

    def assign(self, column: str, values: Iterable[str | int]) -> None:
        """Take note of values, so that their pseudonyms can be asked for."""

    def of(self, column: str, value: str | int) -> Any:
        """The pseudonym of a value that was taken note of."""


class OrderedNames:
    """Gives places as values come; what one recording is made with.

    Args:
        key: the key.
    """

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

    Args:
        key: the key that the recording was made with.
        recorded: records of the answer.
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
        """The pseudonym of a value."""
        digest = self._key.digest_of(column, value)
        return self._known.get((column, digest)) or _pseudonym(column, value, _NOWHERE, digest)


def identity(pseudonym: Any) -> bytes | None:
    """What is the same in every recording made with one key, of a pseudonym; None of any other value."""
    if type(pseudonym) is int:
        return (pseudonym & _DIGEST).to_bytes(_DIGEST_BYTES, "big")
    found = _PSEUDONYM.fullmatch(pseudonym) if isinstance(pseudonym, str) else None
    return b32hexdecode(found[1]) if found else None


def _place(column: str, value: str | int) -> tuple[str, str]:
    return (column, value) if isinstance(value, str) else (f"{column}\0#", str(value))


def _pseudonym(column: str, value: str | int, label: int, digest: bytes) -> str | int:
    if isinstance(value, int):
        return label << 8 * _DIGEST_BYTES | int.from_bytes(digest, "big")
    words = _ANCHORS.get(column, [])
    place = bisect_right(words, value)
    anchor = words[place - 1] if place else ""
    return f"{anchor}-{_text(label.to_bytes(LABEL_BITS // 8, 'big'))}-{_text(digest)}"


def _text(octets: bytes) -> str:
    """In sixteen characters, which sort as the bytes do."""
    return b32hexencode(octets).decode()
