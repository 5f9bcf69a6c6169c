"""Whole columns of times, compared and written: cut, checked and looked up together.

``2018-11-17T16:09:39.373Z`` and ``2018-11-17T17:09:39.373+01:00`` differ in their hour and offset alone, and hours
repeat. So a column whose texts all have one of these two forms is cut into hours, what lies within them, and offsets;
each hour is looked up, and what lies within it is copied. A column with any other form in it goes to :class:`Times`,
text by text. Both always agree (tests hold them against each other).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from operator import gt
from struct import Struct
from typing import Any, Final, NamedTuple

from compat.mapping.fast.times import Times, remembered

__all__ = ["PIECES_OF_TIME", "TimeColumns", "WrittenTimes"]

PIECES_OF_TIME: Final = 3
_IN_UTC: Final = b"0000-00-00T00:00:00.000Z\n"
_LOCAL: Final = len("0000-00-00T00:00:00.000+00:00\n")
_REST: Final = b":00:00.000"
_UNKNOWN: Final[Any] = object()
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")

_Hour = tuple[bytes, bytes]


@lru_cache(maxsize=64)
def _unpack(form: str, count: int) -> Callable[[bytes], tuple[bytes, ...]]:
    """Cuts many texts of one form at once."""
    return Struct(form * count).unpack


class _Cut(NamedTuple):
    """Times of one form: their hours, what lies within the hour, and the offsets; no offsets where all are in UTC.

    That their hours are any is not looked at, nor what lies within those with an offset.
    """

    hours: Sequence[bytes]
    rests: Sequence[bytes]
    ends: Sequence[bytes] | None


class WrittenTimes(NamedTuple):
    """A column of times as JSON, each of them three pieces to be put together.

    Attributes:
        begins: the beginning, up to the hour; a null, or a time in an unusual form, whole.
        rests: what lies within the hour.
        ends: the offset.
        live: the times as they were, null being None.
        in_utc: the times as they read in UTC, null being None.
        alike: whether all in UTC have as many digits.
        as_they_were: whether they are written as they were.
    """

    begins: Sequence[bytes]
    rests: Sequence[bytes]
    ends: Sequence[bytes]
    live: Sequence[str | None]
    in_utc: Sequence[str | None]
    alike: bool
    as_they_were: bool

    @property
    def pieces(self) -> tuple[Sequence[bytes], Sequence[bytes], Sequence[bytes]]:
        """The three."""
        return self[:3]

    def texts(self) -> Sequence[str | None]:
        """The times as they are written."""
        if self.as_they_were:
            return self.live
        return [None if text == "null" else text[1:-1] for text in _rows(*self.pieces)]

    def latest(self, other: WrittenTimes) -> WrittenTimes:
        """The later one of two times, of each pair in two columns; null is earlier than any time."""
        alike = self.alike and other.alike
        later = list(map(gt, other._comparable(alike), self._comparable(alike)))
        if not any(later):
            return self

        def chosen(mine: Sequence[Any], others: Sequence[Any]) -> list[Any]:
            return [two if flag else one for flag, one, two in zip(later, mine, others, strict=True)]

        begins, rests, ends, live, in_utc = map(chosen, self[:5], other[:5])
        return WrittenTimes(begins, rests, ends, live, in_utc, alike, self.as_they_were and other.as_they_were)

    def _comparable(self, alike: bool) -> Sequence[Any]:
        """Texts that compare as the times do: with other digits behind them, they do so without their ``Z``."""
        if alike:
            return [text or "" for text in self.in_utc] if None in self.in_utc else self.in_utc
        return ["" if text is None else text[:-1] for text in self.in_utc]


class TimeColumns:
    """Compares and writes columns of times; safe across threads.

    Args:
        times: reads and writes single ones.
    """

    def __init__(self, times: Times) -> None:
        self._times = times
        self._hours: dict[bytes, bool] = {}
        self._here: dict[bytes, _Hour | None] = {}
        self._unquoted: dict[bytes, _Hour | None] = {}
        self._moved: dict[_Hour, tuple[bytes, bool] | None] = {}

    def sortable(self, texts: Sequence[str | None]) -> list[str | None]:
        """Each time of a column as :func:`compat.text.instants.sortable` has it, null staying null.

        Raises:
            ValueError: one of them is no time.
        """
        there = _present(texts)
        cut = _cut(there)
        if cut is None:
            found = None
        elif cut.ends is None:
            known = _looked_up(self._hours, set(cut.hours), self._is_hour)
            found = None if known is None else [text[:-1] for text in there]
        else:
            moved = self._in_utc(cut.hours, cut.rests, cut.ends)
            found = None if moved is None else _rows(moved[0], cut.rests)
        if found is None:
            found = list(map(self._times.sortable, there))
        return _among_nulls(texts, found, None) if len(found) < len(texts) else found  # type: ignore[return-value]

    def write(self, texts: Sequence[str | None]) -> WrittenTimes:
        """A column of times as they read in the zone, null staying null.

        Raises:
            ValueError: one is no time, or the zone cannot write it.
        """
        there = _present(texts)
        found = self._usual(there) or self._each(there)
        if len(there) == len(texts):
            return found
        begins = _among_nulls(texts, found.begins, b"null")
        rests, ends = (_among_nulls(texts, each, b"") for each in (found.rests, found.ends))
        in_utc = _among_nulls(texts, found.in_utc, None)
        return WrittenTimes(begins, rests, ends, texts, in_utc, found.alike, found.as_they_were)

    def keep(self, carried: Sequence[Any], live: Sequence[str | None]) -> Sequence[str | None]:
        """The carried text where it names the live instant, else the live one written.

        Args:
            carried: texts, or None or UNSET where none is carried.
            live: the session's own, null staying null.

        Returns:
            ``carried`` itself where all of it is kept.

        Raises:
            ValueError: a live text that is no time, or that the zone cannot write.
        """
        there = _present(live)
        if len(there) != len(live):
            kept = self.keep([one for one, other in zip(carried, live, strict=True) if other is not None], there)
            return _among_nulls(live, kept, None)
        if not any(type(text) is str for text in carried):
            return self.write(live).texts()
        if self._are_same(_cut(carried), _cut(there)):
            return carried
        same, write = self._times.same, self._times.write
        return [
            one if type(one) is str and same(one, other) else write(other)
            for one, other in zip(carried, there, strict=True)
        ]

    def _are_same(self, local: _Cut | None, in_utc: _Cut | None) -> bool:
        """Whether times with offsets are those in UTC; False also where that is not as good as known."""
        if local is None or in_utc is None or local.ends is None or in_utc.ends is not None:
            return False
        if local.rests != in_utc.rests:
            return False
        here = _looked_up(self._unquoted, in_utc.hours, self._hour_unquoted)
        if here == list(zip(local.hours, local.ends, strict=True)):
            return True
        moved = self._in_utc(local.hours, None, local.ends)
        return moved is not None and moved[0] == in_utc.hours

    def _usual(self, texts: Sequence[str]) -> WrittenTimes | None:
        """Times of one form, of hours within which the zone's clock does not move."""
        cut = _cut(texts)
        if cut is None:
            return None
        hours, in_utc, as_they_were = cut.hours, texts, False
        if cut.ends is not None:
            moved = self._in_utc(hours, cut.rests, cut.ends)
            if moved is None:
                return None
            hours, as_they_were = moved[0], all(moved[1])
            in_utc = _rows(hours, cut.rests, [b"Z"] * len(texts))
        here = _looked_up(self._here, hours, self._hour_here)
        if here is None:
            return None
        begins, ends = zip(*here, strict=True)
        return WrittenTimes(begins, cut.rests, ends, texts, in_utc, True, as_they_were)

    def _each(self, texts: Sequence[str]) -> WrittenTimes:
        begins, nothing = [f'"{self._times.write(text)}"'.encode() for text in texts], [b""] * len(texts)
        return WrittenTimes(begins, nothing, nothing, texts, list(map(self._times.write_utc, texts)), False, False)

    def _is_hour(self, hour: bytes) -> bool | None:
        return self._times.hour_in_utc(hour.decode(), "Z") is not None or None

    def _hour_here(self, hour: bytes) -> _Hour | None:
        found = self._hour_unquoted(hour)
        return None if found is None else (b'"' + found[0], found[1] + b'"')

    def _hour_unquoted(self, hour: bytes) -> _Hour | None:
        found = self._times.hour_here(hour.decode())
        return None if found is None else (found[0].encode(), found[1].encode())

    def _in_utc(
        self, hours: Sequence[bytes], rests: Sequence[bytes] | None, ends: Sequence[bytes]
    ) -> tuple[Sequence[bytes], Sequence[bool]] | None:
        """Hours with offsets as they read in UTC, and whether the zone would write them just so.

        Args:
            rests: what lies within them, to be checked; None where it has been.
        """
        if rests is not None and not _lie_within(rests):
            return None
        found = _looked_up(self._moved, list(zip(hours, ends, strict=True)), self._hour_in_utc)
        if found is None:
            return None
        in_utc, as_they_were = zip(*found, strict=True)
        return in_utc, as_they_were

    def _hour_in_utc(self, moved: _Hour) -> tuple[bytes, bool] | None:
        # As Latin-1 any bytes are a text; what is no hour is none in that either.
        hour, end = (part.decode("latin-1") for part in moved)
        found = self._times.hour_in_utc(hour, end)
        return None if found is None else (found.encode(), self._times.hour_here(found) == (hour, end))


def _cut(texts: Sequence[Any]) -> _Cut | None:
    """Texts that look like times, all in UTC or all with an offset, and with milliseconds; None for others."""
    count = len(texts)
    try:
        whole = "\n".join([*texts, ""]).encode()
    except (TypeError, UnicodeEncodeError):
        return None
    if count and whole.translate(_DIGITS) == _IN_UTC * count:
        size = len(_IN_UTC)
        if (whole[14::size] + whole[17::size]).translate(None, b"012345"):
            return None
        found = _unpack("13s10s2x", count)(whole)
        return _Cut(found[::2], found[1::2], None)
    if count and len(whole) == _LOCAL * count and whole[_LOCAL - 1 :: _LOCAL] == b"\n" * count:
        found = _unpack("13s10s6sx", count)(whole)
        return _Cut(found[::3], found[1::3], found[2::3])
    return None


def _lie_within(rests: Sequence[bytes]) -> bool:
    """Whether all are minutes, seconds and milliseconds."""
    joined, size = b"".join(rests), len(_REST)
    return joined.translate(_DIGITS) == _REST * len(rests) and not (joined[1::size] + joined[4::size]).translate(
        None, b"012345"
    )


def _looked_up(table: dict[Any, Any], keys: Collection[Any], look: Callable[[Any], Any]) -> list[Any] | None:
    """What a table has for each key, and what is looked up and remembered first; None where one has nothing."""
    try:
        found = list(map(table.__getitem__, keys))
    except KeyError:
        known = {}
        for key in set(keys):
            # Looked at once: another thread may forget all of them meanwhile.
            value = table.get(key, _UNKNOWN)
            known[key] = remembered(table, key, look(key)) if value is _UNKNOWN else value
        found = [known[key] for key in keys]
    return None if None in found else found


def _rows(*columns: Sequence[bytes]) -> list[str]:
    """Texts without line breaks, put together of pieces at once."""
    stride, count = len(columns) + 1, len(columns[0])
    pieces = [b"\n"] * (stride * count)
    for place, column in enumerate(columns):
        pieces[place::stride] = column
    return b"".join(pieces).decode().split("\n")[:-1]


def _present(texts: Sequence[str | None]) -> Sequence[str]:
    return [text for text in texts if text is not None] if None in texts else texts  # type: ignore[return-value]


def _among_nulls(texts: Sequence[str | None], found: Iterable[Any], null: bytes | None) -> list[Any]:
    """What was found for the texts, in their places."""
    following = iter(found)
    return [null if text is None else next(following) for text in texts]
