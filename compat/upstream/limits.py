"""How much of one answer and of one walk is taken from an upstream (contract, section 4).

An upstream that is broken or hostile can send without an end, or send little that expands to much. No honest page comes
near these limits; each is a key of ``[upstream]`` and a keyword argument of an upstream.

One answer is bounded by its own limits; many at once would still take as many times as much, and each is twice or more
as large while it is decoded. An honest page is small enough to need no place.

An upstream may state any total and give any number of records a page. No honest list comes near these limits. Past the
first two a walk fails at once, with a 502 that names the key; the third only slows it down.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from compat.errors import ConfigurationError, UpstreamError, UpstreamThrottled
from compat.mapping.fast.scanner import ScannedRows
from compat.processes import MadeAnew, renew_after_fork
from compat.upstream.retries import Deadline

if TYPE_CHECKING:
    import requests

    from compat.upstream.retries import RetryPolicy

__all__ = [
    "FREE_PAGES",
    "SMALL",
    "USUAL_LIMITS",
    "AnswerLimits",
    "LimitKeys",
    "RateLimit",
    "SharedKeys",
    "WalkMeter",
    "WalkSettings",
    "place_of_a_large_answer",
    "too_large",
]

_MIB = 1 << 20
_OBJECTS, _VALUES = 40, 200
"""For each record of the largest page, more of both than any record of either upstream has."""


class LimitKeys(TypedDict, total=False):
    """The keys of :class:`AnswerLimits`, for signatures."""

    keep_alive: float
    answer_seconds: float
    answer_head_bytes: int
    answer_body_bytes: int
    answer_decoded_bytes: int
    page_records: int


class SharedKeys(LimitKeys, total=False):
    """The settings that every kind of upstream has, for signatures; :class:`compat.upstream.base.Upstream`
    describes them."""

    walk_deadline: float
    walk_pages: int
    walk_bytes: int
    walk_rate: float
    unsettled: Literal["serve", "refuse"]
    breaker_failures: int
    reuse_bytes: int
    session: requests.Session | None
    retries: RetryPolicy


@dataclass(frozen=True)
class AnswerLimits:
    """Limits on one answer.

    Attributes:
        keep_alive: seconds that an idle connection is trusted; 0 opens one for each request.
        answer_seconds: from the request to the last byte of the body.
        answer_head_bytes: of the head, and of the informational answers before it.
        answer_body_bytes: of the body as it is sent.
        answer_decoded_bytes: of the body once it is decoded, counted while that is done.
        page_records: records of a page.
    """

    keep_alive: float = 15.0
    answer_seconds: float = 30.0
    answer_head_bytes: int = 1 << 16
    answer_body_bytes: int = 16 * _MIB
    answer_decoded_bytes: int = 16 * _MIB
    page_records: int = 5_000

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            kinds, what = ((int, float), "a number") if each.type == "float" else ((int,), "a whole number")
            fits = isinstance(value, kinds) and not isinstance(value, bool) and 0 <= value < float("inf")
            if not fits or (value == 0 and each.name != "keep_alive"):
                least = "of at least 0" if each.name == "keep_alive" else "above 0"
                raise ConfigurationError(f"{each.name} = {value!r}: must be {what} {least}")

    def check_values(self, body: bytes) -> None:
        """Refuse a body that is all values before each of them is made an object, which takes twenty times its room.

        What stands in texts is counted too: the limits are far above what a page of records needs.

        Raises:
            UpstreamError: it has more objects or values than the largest page would.
        """
        if len(body) <= _MIB:
            return
        values = body.count(b",") + body.count(b"[")
        if body.count(b"{") > self.page_records * _OBJECTS or values > self.page_records * _VALUES:
            raise self.too_many_records()

    def expands_too_far(self) -> UpstreamError:
        """The error for a body that is too large once it is decoded."""
        return too_large("body", self.answer_decoded_bytes, "answer_decoded_bytes", " once decoded")

    def too_many_records(self) -> UpstreamError:
        """The error for a page with more records than a page may have."""
        return UpstreamError(f"The upstream's page holds more than {self.page_records} records (page_records).")


USUAL_LIMITS = AnswerLimits()


def too_large(part: str, most: int, key: str, when: str = "") -> UpstreamError:
    """The error for an answer of which a part has more bytes than its limit."""
    return UpstreamError(f"The upstream's answer has a {part} of more than {most} bytes{when} ({key}).")


SMALL = 1 << 20
"""Bytes that an answer may have without a place."""

_PLACES = 2

_free = threading.BoundedSemaphore(_PLACES)


def _renew() -> None:
    global _free  # noqa: PLW0603 - a forked process has places of its own
    _free = threading.BoundedSemaphore(_PLACES)


renew_after_fork(_renew)


@contextmanager
def place_of_a_large_answer(deadline: Deadline) -> Iterator[None]:
    """Wait for a place, and hold it.

    Raises:
        UpstreamThrottled: none came free in time.
    """
    places = _free
    if not places.acquire(timeout=deadline.remaining()):
        raise UpstreamThrottled(f"Too many answers of more than {SMALL} bytes are being read at once.", "1")
    try:
        yield
    finally:
        places.release()


_SMALL = 100
"""Records of a page; walks of pages that have fewer are slowed down to ``walk_rate``."""

FREE_PAGES = 20
"""Small pages of a walk that are read as fast as they come: most lists are not longer."""


class RateLimit(MadeAnew):
    """Lets so many calls a second begin, over all walks of an upstream in this process; safe across threads.

    Args:
        rate: calls a second. What was not called for within the last second is not made up for.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self.renew()
        renew_after_fork(self.renew)

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
        watch: is told after each page of a walk how many were read, and how many there will have been by its end as
            far as that is known.
    """

    deadline: float = 900.0
    unsettled: Literal["serve", "refuse"] = "serve"
    pages: int = 200_000
    bytes: int = 8 << 30
    rate: float = 100.0
    pace: RateLimit = field(init=False, repr=False, compare=False)
    watch: Callable[[int, int], object] | None = field(default=None, repr=False, compare=False)

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
        object.__setattr__(self, "pace", RateLimit(rate))

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
    """What one walk has taken of its limits; it counts in the thread that takes the pages."""

    def __init__(self, settings: WalkSettings) -> None:
        self._settings = settings
        self._pages = 0
        self._expected = 0
        self._bytes = 0
        self._small = 0

    def took(self, rows: Sequence[Any]) -> None:
        """Count a page, whose records are texts.

        Raises:
            UpstreamError: a limit is passed.
        """
        self._pages += 1
        self._small += len(rows) < _SMALL
        self._bytes += rows.size if isinstance(rows, ScannedRows) else sum(map(len, rows))
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
        if self._settings.watch is not None:
            self._expected = max(self._expected, self._pages + pages)
            self._settings.watch(self._pages, self._expected)

    def wait(self, rows_before: int, deadline: Deadline) -> None:
        """Wait before a page whose list had so few records on the page before; from any thread.

        Raises:
            UpstreamTimeout: the walk's deadline comes first.
        """
        if self._small > FREE_PAGES:
            self._settings.slow_down(rows_before, deadline)
