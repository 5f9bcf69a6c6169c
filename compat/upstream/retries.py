"""How often and how long an upstream is tried (contract, section 4); tenacity does the work."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from compat.errors import LegacyError, UpstreamThrottled, UpstreamTimeout
from compat.forks import cached_property
from compat.steps import never

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["Deadline", "RetryPolicy", "TryAgain"]

_T = TypeVar("_T")
_HEADERS = Retry()
_SPREAD = secrets.SystemRandom()
"""Not the ``random`` module: its state is the script's, which may have set it to draw the same numbers each time."""
_NAP = 0.25
"""Seconds between two looks at whether a further attempt is still wanted."""


class TryAgain(Exception):
    """An attempt failed in a way that another attempt may mend.

    Attributes:
        error: what to say if it was the last.
        retry_after: seconds that the upstream asked for, or None.
    """

    def __init__(self, error: LegacyError, retry_after: str | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.retry_after = _seconds(retry_after)


def _seconds(header: str | None) -> float | None:
    if header is None:
        return None
    try:
        return _HEADERS.parse_retry_after(header)
    except (InvalidHeader, ValueError, OverflowError):
        return None


@dataclass(frozen=True)
class Deadline:
    """A limit in time.

    Attributes:
        at: the end, on the monotonic clock, in seconds.
        name: what the limit is called in the error that it raises.
    """

    at: float
    name: str

    @classmethod
    def after(cls, seconds: float, name: str) -> Deadline:
        """The limit that many seconds from now."""
        return cls(time.monotonic() + seconds, name)

    def remaining(self) -> float:
        """Seconds left.

        Raises:
            UpstreamTimeout: none are.
        """
        left = self.at - time.monotonic()
        if left <= 0:
            raise self.passed()
        return left

    def passed(self) -> UpstreamTimeout:
        """The error that says so."""
        return UpstreamTimeout(f"The upstream was too slow: {self.name} was reached.")

    def sooner(self, other: Deadline | None) -> Deadline:
        """The one of the two that ends first."""
        return other if other is not None and other.at < self.at else self


@dataclass(frozen=True)
class RetryPolicy:
    """When to try again, and when to stop.

    Attributes:
        attempts: tries at most, the first included.
        budget: seconds for one request over all its attempts, the waits included.
        first_wait: seconds to wait after the first failure, doubled after each further one, with jitter.
        longest_wait: seconds to wait at most, unless the upstream's ``Retry-After`` asks for more.
    """

    attempts: int = 6
    budget: float = 30.0
    first_wait: float = 0.1
    longest_wait: float = 5.0

    def deadline(self, walk: Deadline | None = None) -> Deadline:
        """The end of a request that starts now, within a walk's own."""
        return Deadline.after(self.budget, self._limit).sooner(walk)

    @cached_property
    def _limit(self) -> str:
        return f"the limit of {self.budget:g} seconds a request"

    def wished(self, retries: Retry | None) -> RetryPolicy:
        """As a script's own adapter counts its tries, within the same seconds."""
        if retries is None or retries.total is None:
            return self
        # As urllib3 has it, False stands for none.
        return replace(self, attempts=int(retries.total) + 1)

    def run(self, attempt: Callable[[], _T], deadline: Deadline, enough: Callable[[], bool] = never) -> _T:
        """Call ``attempt`` until it gives a result.

        Args:
            attempt: tries once.
            deadline: the end of all attempts.
            enough: whether there should be no further attempt; asked while one is waited for too.

        Raises:
            LegacyError: of the last :class:`TryAgain`, or whatever else the attempt raised.
        """
        try:
            return attempt()
        except TryAgain as error:
            failed = error
        return self._run_on(attempt, failed, deadline, enough)

    def _run_on(
        self, attempt: Callable[[], _T], failed: TryAgain, deadline: Deadline, enough: Callable[[], bool]
    ) -> _T:
        """What is left to do where the first attempt failed, which counts as one of them."""
        # Imported here: tenacity brings asyncio, and most calls never fail.
        import tenacity

        failures = [failed]

        def again() -> _T:
            if failures:
                raise failures.pop()
            return attempt()

        growing = tenacity.wait_exponential(multiplier=self.first_wait, max=self.longest_wait)

        def wait(state: RetryCallState) -> float:
            failed = state.outcome.exception() if state.outcome else None
            asked = failed.retry_after if isinstance(failed, TryAgain) else None
            waiting = growing(state) + _SPREAD.uniform(0, self.first_wait)
            return max(min(waiting, self.longest_wait), asked or 0.0)

        bounds = tenacity.stop_any(
            tenacity.stop_after_attempt(self.attempts), tenacity.stop_before_delay(deadline.at - time.monotonic())
        )
        retrying = tenacity.Retrying(
            stop=lambda state: bounds(state) or enough(),
            sleep=lambda seconds: _sleep(seconds, enough),
            wait=wait,
            retry=tenacity.retry_if_exception_type(TryAgain),
            reraise=True,
        )
        try:
            return retrying(again)
        except TryAgain as last:
            raise last.error from None


def _sleep(seconds: float, enough: Callable[[], bool]) -> None:
    """Sleep, in short naps: what nobody waits for any more is not slept for."""
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0 and not enough():
        time.sleep(min(left, _NAP))


def throttled(status: int, retry_after: str | None) -> TryAgain:
    """An upstream that asks to come back later."""
    error = UpstreamThrottled(f"The upstream asked to come back later (status {status}).", retry_after)
    return TryAgain(error, retry_after)
