"""Columns of times, written: checked and looked up together where a page's times all have the usual form.

Of ``2018-11-17T16:09:39.373Z`` only the hour and the offset change on the way into a zone; what lies between is copied.
A column with any other form in it goes to :class:`Times` text by text. Both always agree (tests hold them against each
other).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import gt
from struct import Struct
from typing import Any, Final, NamedTuple

from compat.mapping.fast.times import Times, remembered

__all__ = ["PIECES_OF_TIME", "Written", "WrittenTimes"]

_USUAL: Final = b"0000-00-00T00:00:00.000Z\n"
_LOCAL: Final = len("0000-00-00T00:00:00.000+00:00\n")
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_TENS: Final = (14, 17)
_WHOLE_HOUR: Final = ":00:00.000"
PIECES_OF_TIME: Final = 3
_NULL: Final = (b"null", b"", b"")

Hour = tuple[bytes, bytes]


@lru_cache(maxsize=64)
def _split(form: str, count: int) -> Callable[[bytes], tuple[bytes, ...]]:
    """Cuts many texts of one form at once."""
    return Struct(form * count).unpack


class Written(NamedTuple):
    """A column of times as JSON, each of them three pieces to be put together.

    Attributes:
        hours: the beginning, up to the hour; a null, or a time in an unusual form, whole.
        rests: what lies within the hour.
        offsets: the end.
        live: the times as they were, null being None.
        sortable: texts that sort as the times do, null first; None where a time is in an unusual form.
    """

    hours: Sequence[bytes]
    rests: Sequence[bytes]
    offsets: Sequence[bytes]
    live: Sequence[str | None]
    sortable: Sequence[str] | None

    @property
    def pieces(self) -> tuple[Sequence[bytes], Sequence[bytes], Sequence[bytes]]:
        """The three."""
        return self[:3]

    def texts(self) -> list[str | None]:
        """The times as they are written."""
        written = map(b"".join, zip(*self.pieces, strict=True))
        return [None if text == b"null" else text[1:-1].decode() for text in written]

    def chosen(self, other: Written, flags: Sequence[bool]) -> Written:
        """These times, or the other's where the flag is set."""

        def choose(mine: Sequence[Any], others: Sequence[Any]) -> list[Any]:
            return [two if flag else one for flag, one, two in zip(flags, mine, others, strict=True)]

        both = self.sortable is not None and other.sortable is not None
        sortable = choose(self.sortable or (), other.sortable or ()) if both else None
        hours, rests, offsets, live = map(choose, self[:4], other[:4])
        return Written(hours, rests, offsets, live, sortable)


class WrittenTimes:
    """Writes columns of times, and compares them.

    Args:
        times: reads and writes single ones.
    """

    def __init__(self, times: Times) -> None:
        self._times = times
        self._hours: dict[bytes, Hour] = {}
        self._same: dict[bytes, Hour] = {}

    def write(self, texts: Sequence[str | None]) -> Written:
        """A column of times as they read in the zone, null staying null.

        Raises:
            ValueError: one is no time, or the zone cannot write it.
        """
        there = texts if all(texts) else [text for text in texts if text is not None]
        found = self._usual(there) or self._each(there)
        if len(there) == len(texts):
            return found
        following = iter(zip(*found.pieces, strict=True))
        pieces = [_NULL if text is None else next(following) for text in texts]
        sortable = None if found.sortable is None else [text or "" for text in texts]
        hours, rests, offsets = zip(*pieces, strict=True)
        return Written(hours, rests, offsets, texts, sortable)

    def latest(self, one: Written, other: Written) -> Written:
        """The later one of two times, of each pair in two columns; null is earlier than any time."""
        if one.sortable is not None and other.sortable is not None:
            later = list(map(gt, other.sortable, one.sortable))
        else:
            later = list(map(self._is_later, other.live, one.live))
        return one.chosen(other, later) if any(later) else one

    def _is_later(self, text: str | None, than: str | None) -> bool:
        return text is not None and (than is None or self._times.instant(text) > self._times.instant(than))

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
        if not all(live) and None in live:
            return self._keep_there(carried, live)
        if not any(type(text) is str for text in carried):
            return self.write(live).texts()
        if self._all_same(carried, live):
            return carried
        return [self._kept(one, other) for one, other in zip(carried, live, strict=True)]

    def _keep_there(self, carried: Sequence[Any], live: Sequence[str | None]) -> list[str | None]:
        there = [place for place, text in enumerate(live) if text is not None]
        kept = iter(self.keep([carried[place] for place in there], [live[place] for place in there]))
        return [None if text is None else next(kept) for text in live]

    def _kept(self, one: Any, other: Any) -> str:
        if type(one) is str and self._times.same(one, other):
            return one
        return self._times.write(other)

    def _all_same(self, carried: Sequence[Any], live: Sequence[Any]) -> bool:
        """Whether every carried text is in the usual local form, and names the live instant."""
        try:
            whole = "\n".join([*carried, ""]).encode()
        except TypeError:
            return False
        in_utc, count = _usual_bytes(live), len(live)
        breaks = b"\n" * count
        if not in_utc or len(whole) != _LOCAL * count or whole[_LOCAL - 1 :: _LOCAL] != breaks:
            return False
        found, there = _split("13s10s6sx", count)(whole), _split("13s10s2x", count)(in_utc)
        if found[1::3] != there[1::2]:
            return False
        hours, local = there[::2], list(zip(found[::3], found[2::3], strict=True))
        try:
            return list(map(self._same.__getitem__, hours)) == local or self._hours_are_same(hours, local)
        except KeyError:
            return self._hours_are_same(hours, local)

    def _hours_are_same(self, hours: Sequence[bytes], local: Sequence[Hour]) -> bool:
        """Whether hours with offsets name hours of UTC, as they do where they were written in one zone."""
        # Both have an offset of their own, so that what holds for the hour holds for every moment in it.
        for hour, (begin, offset) in set(zip(hours, local, strict=True)):
            one, other = f"{begin.decode()}{_WHOLE_HOUR}{offset.decode()}", f"{hour.decode()}{_WHOLE_HOUR}Z"
            if not self._times.same(one, other):
                return False
            remembered(self._same, hour, (begin, offset))
        return True

    def _usual(self, texts: Sequence[Any]) -> Written | None:
        """Texts that are all UTC with milliseconds, and of hours within which the zone's clock does not move."""
        whole = _usual_bytes(texts)
        if not whole:
            return None
        found = _split("13s10s2x", len(texts))(whole)
        hours, rests = found[::2], found[1::2]
        try:
            there = list(map(self._hours.__getitem__, hours))
        except KeyError:
            known = {hour: self._hour_there(hour) for hour in set(hours)}
            if None in known.values():
                return None
            there = [known[hour] for hour in hours]  # type: ignore[misc]  # it was just looked at
        begins, ends = zip(*there, strict=True)
        return Written(begins, rests, ends, texts, texts)

    def _hour_there(self, hour: bytes) -> Hour | None:
        found = self._hours.get(hour)
        if found is None and (there := self._times.hour_there(hour.decode())) is not None:
            found = (f'"{there[0]}'.encode(), f'{there[1]}"'.encode())
            remembered(self._hours, hour, found)
        return found

    def _each(self, texts: Sequence[Any]) -> Written:
        write, nothing = self._times.write, [b""] * len(texts)
        return Written([f'"{write(text)}"'.encode() for text in texts], nothing, nothing, texts, None)


def _usual_bytes(texts: Sequence[Any]) -> bytes | None:
    """The texts, a line each, if all look like times in UTC with milliseconds; of their hours nothing is said."""
    whole = "\n".join([*texts, ""]).encode()
    size = len(_USUAL)
    if whole.translate(_DIGITS) != _USUAL * len(texts):
        return None
    tens = b"".join([whole[place::size] for place in _TENS])
    return None if tens.translate(None, b"012345") else whole
