"""Values of another type than declared: kept as their text, while all else is decoded as usual.

Which field holds one is read off the decoder's own error. From then on a decoder is used that keeps this field as its
text, which costs no more than reading it. One decoder is in use at a time, and each field is found out once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from compat.drift import DRIFT
from compat.mapping.compiled.refused import REFUSED
from compat.schemas.fields import Typed, json_type
from compat.text.json import array_of, decode_masked, loads

__all__ = ["OddFields", "has_negative_zero", "typed_values"]

_T = TypeVar("_T")
_PLACE = re.compile(r" - at `\$(?:(?:\.\w+)?\[[^\]]*\])?\.([^`]+)`\Z")
_ZERO = re.compile(rb"-0[,}\]\s]")
_BEFORE = 64
"""Bytes before a value in which its colon is looked for."""


class OddFields:
    """The fields of which some record has shown a value of another type; safe across threads.

    Args:
        columns: the declarations of the fields that may have one, by their path in a record as the decoder's errors
            name it.

    Attributes:
        found: the paths of those that have shown one.
        masking: whether lone surrogates have been masked.
    """

    def __init__(self, columns: Mapping[str, Typed]) -> None:
        self._columns = columns
        self._all = frozenset(columns)
        self._integers = frozenset(path for path, column in columns.items() if column.json == "integer")
        self._reported: frozenset[str] = frozenset()
        self.found: frozenset[str] = frozenset()
        self.masking = False

    def decode(
        self,
        body: bytes,
        decoder: Callable[[frozenset[str]], Callable[[bytes], _T]],
        values: Callable[[_T, str], Sequence[Any]],
        paths: Collection[str] | None = None,
        *,
        shown: bool = True,
    ) -> _T:
        """Decode a page or its records.

        Args:
            body: the JSON text.
            decoder: gives the decoder that keeps some fields as their text.
            values: a field's values out of what was decoded.
            paths: the fields that it looks at; None for all.
            shown: whether the records are for a caller, so that drift is reported.

        Returns:
            what was decoded; lone surrogates are masked in its texts once :attr:`masking` says so.

        Raises:
            ValueError: another field has a value of another type, or it is no JSON.
            RecursionError: it is nested too deeply.
        """
        looked_at = self._all if paths is None else self._all.intersection(paths)
        if shown and not self._integers <= self.found and has_negative_zero(body):
            # An integer would lose its sign, and the decoder says nothing of that.
            self.found |= self._integers
        fields = self.found & looked_at
        try:
            value, masked = decode_masked(decoder(fields), body)
        except msgspec.ValidationError as error:
            fields |= {self._path(error)}
            try:
                value, masked = decode_masked(decoder(fields), body)
            except msgspec.ValidationError:
                # Several fields: with all of them as texts, one look at each says which.
                value, masked = decode_masked(decoder(looked_at), body)
                fields |= {path for path in looked_at if not _fits(self._columns[path], values(value, path))}
            self.found |= fields
        self.masking |= masked
        if shown and not fields <= self._reported:
            for path in fields - self._reported:
                self._report(path, values(value, path))
        return value

    def _path(self, error: msgspec.ValidationError) -> str:
        """The field that an error is about.

        Raises:
            msgspec.ValidationError: that error, where the field has to be of its type.
        """
        place = _PLACE.search(str(error))
        if place is None or place[1] not in self._columns:
            raise error
        return place[1]

    def _report(self, path: str, values: Sequence[Any]) -> None:
        column = self._columns[path]
        if _fits(column, values):
            return
        for text in values:
            value = _shallow(bytes(text)) if isinstance(text, Raw) else None
            if value is not None and not column.accepts(value):
                self._reported |= {path}
                DRIFT.report(path.rpartition(".")[2], json_type(value))
                return


def has_negative_zero(body: bytes) -> bool:
    """Whether a value of some JSON may be ``-0``; a text that reads like one counts as well."""
    for found in _ZERO.finditer(body):
        begin = found.start()
        if body[max(begin - _BEFORE, 0) : begin].rstrip().endswith((b":", b"[", b",")):
            return True
    return False


def _fits(column: Typed, values: Sequence[Any]) -> bool:
    """Whether the values that are kept as texts are all of the field's type, or null."""
    texts = [text for text in values if isinstance(text, Raw)]
    try:
        typed_values(column)(array_of(texts))
    except REFUSED:
        return False
    return True


def typed_values(column: Typed) -> Callable[[bytes], list[Any]]:
    """Decodes an array of a field's values, null among them."""
    return _decoder(column.compiled_type)


@lru_cache(maxsize=16)
def _decoder(compiled_type: Any) -> Callable[[bytes], list[Any]]:
    return msgspec.json.Decoder(list[compiled_type | None]).decode


def _shallow(text: bytes) -> Any:
    """A value whose type is all that matters: what is in an array or object is not read."""
    if text.startswith((b"[", b"{")):
        return [] if text.startswith(b"[") else {}
    return loads(text)
