"""How often and how long an upstream is tried, and when it is left alone (contract, section 4).

Of the libraries for this, pybreaker holds its lock while it calls, so that all calls go one after the other;
circuitbreaker and purgatory have no lock, and let through every call that comes while they are half open. None of them
looks at the time without a success.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from compat.errors import ConfigurationError, LegacyError, UpstreamThrottled, UpstreamTimeout
from compat.processes import ForkLock, MadeAnew, renew_after_fork

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = [
    "BREAKER_FAILURES",
    "RETRY_NOTICE",
    "Cancelled",
    "CircuitBreaker",
    "Deadline",
    "RetryPolicy",
    "TryAgain",
    "never",
    "too_slow",
]

_T = TypeVar("_T")
_HEADERS = Retry()
_SPREAD = secrets.SystemRandom()
"""Not the ``random`` module: its state is the script's, which may have set it to draw the same numbers each time."""
_NAP = 0.25
"""Seconds between two looks at whether a further attempt is still wanted."""
_LONG = 1.0
"""Seconds of further attempts after which somebody who waits at a terminal is told of them."""


class Cancelled(Exception):
    """Nobody waits any more for what was being done."""


def never() -> bool:
    """Whether work that is always waited for was cancelled."""
    return False


class TryAgain(Exception):
    """An attempt failed in a way that another attempt may mend; ``retry_after`` are seconds, or None."""

    def __init__(self, error: LegacyError, retry_after: str | None = None) -> None:
        super().__init__(error)
        self.error = error
        self.retry_after = _seconds(retry_after)

    def without_frames(self) -> TryAgain:
        """The same, holding nothing of what the attempt held: its answer would stay while the next is waited for."""
        for each in (self, self.error):
            each.__traceback__ = each.__context__ = None
        return self


class RetryNotice:
    """Tells somebody once that an upstream is being tried again, where that takes longer than a second."""

    def __init__(self) -> None:
        self._lock = ForkLock()
        self._listener: Callable[[LegacyError, float], object] | None = None

    def listen(self, listener: Callable[[LegacyError, float], object] | None) -> None:
        """Have somebody told what failed, and the seconds that are left for further attempts; None for nobody."""
        self._listener = listener

    def waiting(self, error: LegacyError, since: float, deadline: Deadline) -> None:
        """A call waits for its next attempt.

        Args:
            since: when the first one failed, on the monotonic clock.
        """
        now = time.monotonic()
        if self._listener is None or now - since < _LONG:
            return
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None:
            listener(error, max(0.0, deadline.at - now))


RETRY_NOTICE = RetryNotice()
"""The process's own."""


def _seconds(header: str | None) -> float | None:
    if header is None:
        return None
    try:
        return _HEADERS.parse_retry_after(header)
    except (InvalidHeader, ValueError, OverflowError):
        return None


_RAISE_IT = "Raise that limit, or try again later."


def too_slow(limit: str, called: str = "The upstream") -> UpstreamTimeout:
    """The error that names the limit in time that was reached.

    Args:
        called: what was too slow, which begins a sentence.
    """
    return UpstreamTimeout(f"{called} was too slow: {limit} was reached. {_RAISE_IT}", limit)


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
    def after(cls, seconds: float, name: str, within: Deadline | None = None) -> Deadline:
        """The limit that many seconds from now, or the one that it lies within where that ends first."""
        at = time.monotonic() + seconds
        return within if within is not None and within.at < at else cls(at, name)

    def remaining(self) -> float:
        """Seconds left.

        Raises:
            UpstreamTimeout: none are.
        """
        left = self.at - time.monotonic()
        if left <= 0:
            raise too_slow(self.name)
        return left


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
        return Deadline.after(self.budget, f"the limit of {self.budget:g} seconds a request", walk)

    def wished(self, retries: Retry) -> RetryPolicy:
        """As a script's own adapter counts its tries, within the same seconds."""
        # As urllib3 has it, False stands for none.
        return self if retries.total is None else replace(self, attempts=int(retries.total) + 1)

    def run(self, attempt: Callable[[], _T], deadline: Deadline, enough: Callable[[], bool] = never) -> _T:
        """Call ``attempt`` until it gives a result.

        Args:
            enough: whether there should be no further attempt; asked while one is waited for too.

        Raises:
            LegacyError: of the last :class:`TryAgain`, or whatever else the attempt raised.
        """
        try:
            return attempt()
        except TryAgain as error:
            failed = error.without_frames()
        return self._run_on(attempt, failed, deadline, enough)

    def _run_on(
        self, attempt: Callable[[], _T], failed: TryAgain, deadline: Deadline, enough: Callable[[], bool]
    ) -> _T:
        """What is left to do where the first attempt failed, which counts as one of them."""
        # Imported here: tenacity brings asyncio, and most calls never fail.
        import tenacity

        first, since = True, time.monotonic()

        def again() -> _T:
            nonlocal failed, first
            if not first:
                try:
                    return attempt()
                except TryAgain as error:
                    failed = error.without_frames()
            first = False
            raise failed

        growing = tenacity.wait_exponential(multiplier=self.first_wait, max=self.longest_wait)

        def wait(state: RetryCallState) -> float:
            waiting = growing(state) + _SPREAD.uniform(0, self.first_wait)
            return max(min(waiting, self.longest_wait), failed.retry_after or 0.0)

        bounds = tenacity.stop_any(
            tenacity.stop_after_attempt(self.attempts), tenacity.stop_before_delay(deadline.at - time.monotonic())
        )
        retrying = tenacity.Retrying(
            stop=lambda state: bounds(state) or enough(),
            sleep=lambda seconds: _sleep(seconds, enough, lambda: RETRY_NOTICE.waiting(failed.error, since, deadline)),
            wait=wait,
            retry=tenacity.retry_if_exception_type(TryAgain),
            reraise=True,
        )
        try:
            return retrying(again)
        except TryAgain as given_up:
            raise given_up.error from None


def _sleep(seconds: float, enough: Callable[[], bool], tell: Callable[[], object]) -> None:
    """Sleep, in short naps, and tell before each: what nobody waits for any more is not slept for."""
    ends = time.monotonic() + seconds
    while (left := ends - time.monotonic()) > 0 and not enough():
        tell()
        time.sleep(min(left, _NAP))


def throttled(status: int, retry_after: str | None) -> TryAgain:
    """An upstream that asks to come back later."""
    error = UpstreamThrottled(f"The upstream asked to come back later (status {status}).", retry_after)
    return TryAgain(error, retry_after)


BREAKER_FAILURES = 20
"""Attempts in a row that fail before calls are told at once."""

_FAILING_FOR = 5.0
"""Seconds that they spread over at least: what is over sooner is left to further attempts."""

_TRIAL_ENDS = 3.0
"""Seconds after which another call tries beside one that is still waiting."""

_FORGOTTEN_AFTER = 60.0
"""Seconds after the last failure from which on nothing is known of the upstream any more."""


class CircuitBreaker(MadeAnew):
    """Knows whether an upstream fails, over all calls of a process; safe across threads.

    It opens when so many attempts in a row have failed, none has succeeded since the first of them, and that was some
    seconds ago. While it is open one call at a time goes on trying, with all the attempts that it has; it is for a
    caller alone, whose calls come one after the other, as if there were no breaker. One success closes it.

    Args:
        failures: attempts in a row; 0 for a breaker that never opens.

    Raises:
        ConfigurationError: that number cannot be used.
    """

    def __init__(self, failures: int = BREAKER_FAILURES, clock: Callable[[], float] = time.monotonic) -> None:
        if isinstance(failures, bool) or not isinstance(failures, int) or failures < 0:
            raise ConfigurationError(f"breaker_failures = {failures!r}: must be a whole number, or 0 for no stop")
        self._most = failures
        self._clock = clock
        self.renew()
        renew_after_fork(self.renew)

    def renew(self) -> None:
        """Begin anew, in a process that was forked."""
        self._lock = threading.Lock()
        self._failures = 0
        self._since = self._last = 0.0
        self._error: LegacyError | None = None
        self._trial: object = None
        self._trial_began = 0.0

    def succeeded(self) -> None:
        """An attempt was answered."""
        if self._failures:
            with self._lock:
                self._failures = 0
                self._trial = None

    def failed(self, error: LegacyError) -> None:
        """An attempt was not answered, or by a failure of the upstream."""
        with self._lock:
            now = self._clock()
            if not self._failures or now - self._last > _FORGOTTEN_AFTER:
                self._failures, self._since = 0, now
            self._failures += 1
            self._last = now
            self._error = error

    def refuses(self, call: object) -> bool:
        """Whether a call should not make an attempt now; where none is trying, this one is from now on.

        Args:
            call: tells calls apart; the pages of one walk are one.
        """
        if self._failures < self._most or not self._most:
            return False
        with self._lock:
            now = self._clock()
            if not self._open(now) or self._trial is call:
                return False
            if self._trial is not None and now - self._trial_began < _TRIAL_ENDS:
                return True
            self._trial, self._trial_began = call, now
            return False

    def ended(self, call: object) -> None:
        """A call makes no further attempt."""
        if self._trial is call:
            with self._lock:
                if self._trial is call:
                    self._trial = None

    def refusal(self) -> LegacyError:
        """What a call is told that is not sent: what the last one failed with."""
        with self._lock:
            error = self._error
        if error is None:
            return LegacyError("The upstream was not asked.")
        told = copy(error)
        told.message = f"{error.message} It keeps failing, so this call was not sent on."
        told.args = (told.message, *error.args[1:])
        return told

    def _open(self, now: float) -> bool:
        lasting = now - self._since >= _FAILING_FOR and now - self._last <= _FORGOTTEN_AFTER
        return self._failures >= self._most and lasting
