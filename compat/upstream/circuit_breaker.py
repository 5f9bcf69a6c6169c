"""A stop to asking an upstream that keeps failing: one call tries, the others are told at once.

Of the libraries for this, pybreaker holds its lock while it calls, so that all calls go one after the other;
circuitbreaker and purgatory have no lock, and let through every call that comes while they are half open. None of them
looks at the time without a success.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from copy import copy
from typing import Any

from compat.errors import ConfigurationError, LegacyError
from compat.forks import renew_after_fork

__all__ = ["BREAKER_FAILURES", "CircuitBreaker"]

BREAKER_FAILURES = 20
"""Attempts in a row that fail before calls are told at once."""

_FAILING_FOR = 5.0
"""Seconds that they spread over at least: what is over sooner is left to further attempts."""

_TRIAL_ENDS = 3.0
"""Seconds after which another call tries beside one that is still waiting."""

_FORGOTTEN_AFTER = 60.0
"""Seconds after the last failure from which on nothing is known of the upstream any more."""


class CircuitBreaker:
    """Knows whether an upstream fails, over all calls of a process; safe across threads.

    It opens when so many attempts in a row have failed, none has succeeded since the first of them, and that was some
    seconds ago. While it is open one call at a time goes on trying, with all the attempts that it has; it is for a
    caller alone, whose calls come one after the other, as if there were no breaker. One success closes it.

    Args:
        failures: attempts in a row; 0 for a breaker that never opens.
        clock: seconds on a clock that never goes back.

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

    def __getstate__(self) -> dict[str, Any]:
        return {"failures": self._most, "clock": self._clock}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

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
