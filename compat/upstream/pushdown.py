"""What an upstream is trusted to do by itself (contract, section 4).

One record can be wrong by a fault: an answer that was mixed up, a page between two releases. So neither is believed for
good that the upstream ignores what was left to it, nor that it was once seen to do it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from compat.processes import ForkLock, MadeAnew

__all__ = ["BELIEVED_FOR", "LONGEST_SET_ASIDE", "SET_ASIDE_FOR", "Capability", "PushdownIgnored", "PushdownTrust"]

Capability = Literal["exam", "status", "filter", "sort"]

SET_ASIDE_FOR = 600.0
"""Seconds until what was disproved is tried again; twice as long each time that it is disproved at that."""

LONGEST_SET_ASIDE = 24 * 3600.0
"""Seconds that this grows to."""

BELIEVED_FOR = 600.0
"""Seconds for which an upstream that was seen to filter or sort is believed to."""

_log = logging.getLogger("compat.upstream")


class PushdownIgnored(Exception):
    """A record came back that breaks what was left to the upstream.

    Attributes:
        capability: what it was to do.
    """

    def __init__(self, capability: Capability) -> None:
        super().__init__(capability)
        self.capability = capability


@dataclass
class _Disproof:
    """What was disproved: for how long, until when, and whether it was tried since."""

    seconds: float
    until: float
    tried: bool = False


class PushdownTrust(MadeAnew):
    """What one upstream was seen to ignore and to do; safe across threads.

    Args:
        configured: what the configuration leaves to the upstream.
        name: the upstream's name in the log.
        clock: seconds on a clock that never goes back.
    """

    def __init__(
        self, configured: frozenset[Capability], name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._configured = configured
        self._name = name
        self._clock = clock
        self._set_aside: dict[Capability, _Disproof] = {}
        self._proved: dict[Capability, float] = {}
        self._lock = ForkLock()

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What is left to the upstream now."""
        if not self._set_aside:
            return self._configured
        with self._lock:
            now = self._clock()
            return self._configured - {each for each in list(self._set_aside) if not self._due(each, now)}

    def _due(self, capability: Capability, now: float) -> bool:
        found = self._set_aside[capability]
        if now < found.until:
            return False
        if now >= found.until + found.seconds and found.tried:
            # It held for as long as it had been set aside: what comes after is another matter.
            del self._set_aside[capability]
        elif not found.tried:
            found.tried = True
            _log.warning("the %s are to see to %r again: it is looked at whether they do", self._name, capability)
        return True

    def disprove(self, capability: Capability) -> None:
        """Do it here from now on, until it is tried again: a record came back that breaks it."""
        with self._lock:
            now = self._clock()
            found = self._set_aside.get(capability)
            if found is not None and now < found.until:
                # Of a call that began before the one by which it was disproved.
                return
            seconds = SET_ASIDE_FOR if found is None else min(2 * found.seconds, LONGEST_SET_ASIDE)
            self._set_aside[capability] = _Disproof(seconds, now + seconds)
            self._proved.pop(capability, None)
        _log.warning(
            "the %s ignored %r, which the configuration leaves to them: it is done here, and tried again in %d minutes",
            self._name,
            capability,
            seconds / 60,
        )

    def prove(self, capability: Capability) -> None:
        """Note that the upstream was seen to do it."""
        self._proved[capability] = self._clock()

    def proved(self, capability: Capability) -> bool:
        """Whether it was seen to do it a short while ago."""
        at = self._proved.get(capability)
        return at is not None and self._clock() - at < BELIEVED_FOR
