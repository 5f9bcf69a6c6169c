"""How much one walk may take: pages, bytes, and calls a second, so that an upstream cannot make it endless.

An upstream may state any total and give any number of records a page. No honest list comes near these limits. Past the
first two a walk fails at once, with a 502 that names the key; the third only slows it down.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from compat.errors import ConfigurationError, UpstreamError
from compat.forks import renew_after_fork
from compat.upstream.retries import Deadline

__all__ = ["FREE_PAGES", "Pace", "WalkMeter", "WalkSettings"]

_SMALL = 100
"""Records of a page; walks of pages that have fewer are slowed down to ``walk_rate``."""

FREE_PAGES = 20
"""Small pages of a walk that are read as fast as they come: most lists are not longer."""


class Pace:
    """Lets so many calls a second begin, over all walks of an upstream in this process; safe across threads.

    Args:
        rate: calls a second. What was not called for within the last second is not made up for.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self.renew()
        renew_after_fork(self.renew)

    def __getstate__(self) -> dict[str, Any]:
        return {"rate": self._rate}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def renew(self) -> None:
        """Begin anew, in a process that was forked."""
        self._lock = threading.Lock()
        self._next = 0.0

    def wait(self, deadline: Deadline) -> None:
        """Wait for a turn.

        Raises:
            UpstreamTimeout: it would come after the deadline.
        """
        with self._lock:
            now = time.monotonic()
            turn = max(self._next, now - 1.0)
            self._next = turn + 1 / self._rate
        if turn > now:
            time.sleep(min(turn - now, deadline.remaining()))


@dataclass(frozen=True)
class WalkSettings:
    """How a reading of the whole list is bounded; the keys of ``[upstream]`` that begin with ``walk_``.

    Attributes:
        deadline: seconds that one may take.
        unsettled: whether a list that kept changing is served and says so, or refused.
        pages: pages that one may read, all its attempts together.
        bytes: bytes of records that one may read, all its attempts together.
        rate: calls a second that walks of small pages make, all walks of an upstream in a process together.
        pace: sees to the rate.
    """

    deadline: float = 900.0
    unsettled: Literal["serve", "refuse"] = "serve"
    pages: int = 200_000
    bytes: int = 8 << 30
    rate: float = 100.0
    pace: Pace = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.deadline, int | float) or not self.deadline > 0:
            raise ConfigurationError(f"walk_deadline = {self.deadline!r}: must be seconds above 0")
        if self.unsettled not in ("serve", "refuse"):
            raise ConfigurationError(f'unsettled = {self.unsettled!r}: must be "serve" or "refuse"')
        for name, value in (("walk_pages", self.pages), ("walk_bytes", self.bytes)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigurationError(f"{name} = {value!r}: must be a whole number of at least 1")
        rate: Any = self.rate
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < float("inf"):
            raise ConfigurationError(f"walk_rate = {rate!r}: must be calls a second above 0")
        object.__setattr__(self, "pace", Pace(rate))

    def slow_down(self, rows: int, deadline: Deadline) -> None:
        """Wait for a turn where pages have no more than so many records.

        Raises:
            UpstreamTimeout: the deadline comes first.
        """
        if rows < _SMALL:
            self.pace.wait(deadline)

    def limit(self) -> Deadline:
        """The end of a reading that begins now."""
        return Deadline.after(self.deadline, f"walk_deadline of {self.deadline:g} seconds")


class WalkMeter:
    """What one walk has taken of its limits; it counts in the thread that takes the pages.

    Args:
        settings: the limits.
    """

    def __init__(self, settings: WalkSettings) -> None:
        self._settings = settings
        self._pages = 0
        self._bytes = 0
        self._small = 0

    def took(self, rows: Sequence[Any]) -> None:
        """Count a page, whose records are texts.

        Raises:
            UpstreamError: a limit is passed.
        """
        self._pages += 1
        self._small += len(rows) < _SMALL
        self._bytes += sum(map(len, rows))
        self.expect(0)
        if self._bytes > self._settings.bytes:
            raise UpstreamError(
                f"The upstream's list is too large: a walk may read walk_bytes = {self._settings.bytes} bytes."
            )

    def expect(self, pages: int) -> None:
        """Fail now where so many pages more would pass the limit.

        Raises:
            UpstreamError: they would.
        """
        if self._pages + pages > self._settings.pages:
            raise UpstreamError(
                f"The upstream's list is too long: a walk may read walk_pages = {self._settings.pages} pages."
            )

    def wait(self, rows_before: int, deadline: Deadline) -> None:
        """Wait before a page whose list had so few records on the page before; from any thread.

        Raises:
            UpstreamTimeout: the walk's deadline comes first.
        """
        if self._small > FREE_PAGES:
            self._settings.slow_down(rows_before, deadline)
