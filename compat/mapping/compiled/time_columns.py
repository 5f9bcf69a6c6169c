"""Columns of times as text that sorts as they do, without reading each of them (law 5).

A time of UTC with milliseconds is nearly that text already; one with an offset differs in its hour alone, which
:class:`~compat.mapping.compiled.times.Times` remembers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from compat.mapping.compiled.times import Times
from compat.text import instants

__all__ = ["TimeColumns"]

_USUAL: Final = "0000-00-00T00:00:00.000Z"
_DIGITS: Final = str.maketrans("123456789", "000000000")
_HOUR = 13
_MINUTE, _SECOND = 14, 17
_MOST_HOURS = 50_000


class TimeColumns:
    """Makes columns of times comparable; safe across threads.

    Args:
        times: reads the times that are not in the usual form.
    """

    def __init__(self, times: Times) -> None:
        self._times = times
        self._hours: set[str] = set()

    def sortable(self, texts: Sequence[str | None]) -> list[str | None]:
        """Each time of a column as :func:`compat.text.instants.sortable` has it, null staying null.

        Raises:
            ValueError: one of them is no time.
        """
        there: Sequence[str] = [text for text in texts if text is not None]
        found = [text[:-1] for text in there] if self._usual(there) else self._by_hour(there)
        if len(found) == len(texts):
            return found  # type: ignore[return-value]  # list is invariant
        following = iter(found)
        return [None if text is None else next(following) for text in texts]

    def _by_hour(self, texts: Sequence[str]) -> list[str]:
        try:
            in_utc, _ = self._times.write_utc_each(texts)
        except ValueError:
            return [instants.sortable(self._times.instant(text)) for text in texts]
        return [text[:-1] for text in in_utc if text is not None]

    def _usual(self, texts: Sequence[str]) -> bool:
        """Whether all are UTC with milliseconds; the checks look at all of them at once."""
        joined = "".join(texts)
        if joined.translate(_DIGITS) != _USUAL * len(texts):
            return False
        if texts and (max(joined[_MINUTE :: len(_USUAL)]) > "5" or max(joined[_SECOND :: len(_USUAL)]) > "5"):
            return False
        return all(map(self._is_hour, {text[:_HOUR] for text in texts} - self._hours))

    def _is_hour(self, hour: str) -> bool:
        try:
            self._times.instant(f"{hour}:00:00.000Z")
        except ValueError:
            return False
        if len(self._hours) >= _MOST_HOURS:
            self._hours = set()
        self._hours.add(hour)
        return True
