"""Columns of times, written: checked and looked up together where a page's times all have the usual form.

Of ``2018-11-17T16:09:39.373Z`` only the hour and the offset change on the way into a zone; what lies between is copied.
A column with any other form in it goes to :class:`Times` text by text. Both always agree (tests hold them against each
other).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from struct import Struct
from typing import Any, Final, NamedTuple

from compat.mapping.compiled.times import Times, remembered

__all__ = ["Written", "WrittenTimes"]

_USUAL: Final = b"0000-00-00T00:00:00.000Z"
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
_SPLIT: Final = Struct("13s10sx")
_SPLIT_LOCAL: Final = Struct("13s10s6s")
_FIVE: Final = ord("5")
_WHOLE_HOUR: Final = ":00:00.000"
_NULL: Final = (b"null", b"", b"")

Hour = tuple[bytes, bytes]


class Written(NamedTuple):
    """A column of times as JSON, each of them three pieces to be put together.

    Attributes:
        hours: the beginning, up to the hour; a null, or a time in an unusual form, whole.
        rests: what lies within the hour.
        offsets: the end.
    """

    hours: Sequence[bytes]
    rests: Sequence[bytes]
    offsets: Sequence[bytes]

    def texts(self) -> list[str | None]:
        """The times themselves."""
        written = map(b"".join, zip(*self, strict=True))
        return [None if text == b"null" else text[1:-1].decode() for text in written]

    def chosen(self, other: Written, flags: Sequence[bool]) -> Written:
        """These times, or the other's where the flag is set."""
        if not any(flags):
            return self
        columns = [
            [two if flag else one for flag, one, two in zip(flags, mine, others, strict=True)]
            for mine, others in zip(self, other, strict=True)
        ]
        return Written(*columns)


class WrittenTimes:
    """Writes columns of times, and compares them.

    Args:
        times: reads and writes single ones.
    """

    def __init__(self, times: Times) -> None:
        self._times = times
        self._hours: dict[bytes, Hour] = {}
        self._same: dict[tuple[bytes, bytes, bytes], bool] = {}

    def write(self, texts: Sequence[str | None]) -> Written:
        """A column of times as they read in the zone, null staying null.

        Raises:
            ValueError: one is no time, or the zone cannot write it.
        """
        there = texts if all(texts) else [text for text in texts if text is not None]
        found = self._usual(there) or self._each(there)
        if len(there) == len(texts):
            return found
        following = iter(zip(*found, strict=True))
        pieces = [_NULL if text is None else next(following) for text in texts]
        return Written(*zip(*pieces, strict=True))

    def later(self, ones: Sequence[str | None], others: Sequence[str | None]) -> list[bool]:
        """Whether each of the others is later than its one; null is earlier than any time.

        Args:
            ones: times that can be written.
            others: as many more.
        """
        if _usual_bytes([text for text in chain(ones, others) if text is not None]) is not None:
            return [(other or "") > (one or "") for one, other in zip(ones, others, strict=True)]
        instant = self._times.instant
        return [
            other is not None and (one is None or instant(other) > instant(one))
            for one, other in zip(ones, others, strict=True)
        ]

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
            whole = "".join(carried)
        except TypeError:
            return False
        in_utc = _usual_bytes(live)
        size = _SPLIT_LOCAL.size
        if not in_utc or not whole.isascii() or len(whole) != size * len(live) or max(map(len, carried)) != size:
            return False
        hours, rests, offsets = zip(*_SPLIT_LOCAL.iter_unpack(whole.encode()), strict=True)
        live_hours, live_rests = zip(*_SPLIT.iter_unpack(in_utc), strict=True)
        if rests != live_rests:
            return False
        try:
            return all(map(self._same.__getitem__, zip(hours, offsets, live_hours, strict=True)))
        except KeyError:
            return all(map(self._hours_are_same, set(zip(hours, offsets, live_hours, strict=True))))

    def _hours_are_same(self, key: tuple[bytes, bytes, bytes]) -> bool:
        # Both have an offset of their own, so that what holds for the hour holds for every moment in it.
        hour, offset, live = key
        one, other = f"{hour.decode()}{_WHOLE_HOUR}{offset.decode()}", f"{live.decode()}{_WHOLE_HOUR}Z"
        return bool(remembered(self._same, key, self._times.same(one, other)))

    def _usual(self, texts: Sequence[Any]) -> Written | None:
        """Texts that are all UTC with milliseconds, and of hours within which the zone's clock does not move."""
        whole = _usual_bytes(texts)
        if not whole:
            return None
        hours, rests = zip(*_SPLIT.iter_unpack(whole), strict=True)
        try:
            there = list(map(self._hours.__getitem__, hours))
        except KeyError:
            known = {hour: self._hour_there(hour) for hour in set(hours)}
            if None in known.values():
                return None
            there = [known[hour] for hour in hours]  # type: ignore[misc]  # it was just looked at
        begins, ends = zip(*there, strict=True)
        return Written(begins, rests, ends)

    def _hour_there(self, hour: bytes) -> Hour | None:
        found = self._hours.get(hour)
        if found is None and (there := self._times.hour_there(hour.decode())) is not None:
            found = (f'"{there[0]}'.encode(), f'{there[1]}"'.encode())
            remembered(self._hours, hour, found)
        return found

    def _each(self, texts: Sequence[Any]) -> Written:
        write, nothing = self._times.write, [b""] * len(texts)
        return Written([f'"{write(text)}"'.encode() for text in texts], nothing, nothing)


def _usual_bytes(texts: Sequence[Any]) -> bytes | None:
    """The texts in one, if all look like times in UTC with milliseconds; of their hours nothing is said."""
    whole = "".join(texts).encode()
    size = len(_USUAL)
    if whole.translate(_DIGITS) != _USUAL * len(texts) or max(map(len, texts), default=size) != size:
        return None
    if texts and (max(whole[14::size]) > _FIVE or max(whole[17::size]) > _FIVE):
        return None
    return whole
