"""The mode router: which endpoint answers a call, what the other one is asked behind it, and where both answers go.

One way through for every entrance. A write goes to one endpoint only, and once, whatever became of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar

from compat.config.settings import Configuration
from compat.errors import ConfigurationError, UpstreamError
from compat.legacy.routes import LegacyCall
from compat.migration.modes.background import BackgroundQueue, Bounds
from compat.migration.modes.brownouts import Brownouts
from compat.migration.modes.rules import (
    LACKING,
    MODE_VARIABLE,
    Chosen,
    Mode,
    Rules,
    SwitchReader,
    chosen_of,
    configured_rules,
    mode_of_environment,
    share_of,
)
from compat.processes import ForkLock
from compat.regression.comparing.pairs import Answered, Pair

if TYPE_CHECKING:
    from compat.regression.recordings.traffic import TrafficRecorder

__all__ = ["ONLY_NEW", "Asker", "Decision", "Endpoint", "Identity", "ModeRouter"]

_T = TypeVar("_T")

Endpoint = Literal["legacy", "new"]

Asker = Callable[[], Answered]
"""Gives what an endpoint answered, or asks it; a failure is an answer too."""


@dataclass(frozen=True)
class Decision:
    """What is done with one call: which endpoint serves it, whether the other one is asked in the background to compare
    both, and whether the old one answers where the new one fails."""

    served: Endpoint
    compared: bool = False
    falls_back: bool = False


ONLY_NEW = Decision("new")
_ONLY_OLD = Decision("legacy")
_DECISIONS: Mapping[str, tuple[Decision, Decision]] = {
    "new": (ONLY_NEW, ONLY_NEW),
    "legacy": (_ONLY_OLD, _ONLY_OLD),
    "new+fallback": (Decision("new", falls_back=True), ONLY_NEW),
    "shadow": (Decision("legacy", compared=True), _ONLY_OLD),
    "canary": (Decision("new", compared=True), ONLY_NEW),
}
"""A mode's name to what it makes of a read and of a write."""


@dataclass(frozen=True)
class Identity:
    """Whose call it is: the name in the configuration, if any, and what tells callers apart, the same in every process:
    the name, or a digest of the token."""

    caller: str | None
    key: str


class Side(Protocol[_T]):
    """One endpoint, as an entrance asks it for one call."""

    def ask(self) -> _T:
        """The answer for the caller.

        Raises:
            LegacyError: of the new one.
            Exception: of the old one, as the caller would have met it.
        """

    def in_background(self) -> Asker:
        """Asks where nobody waits for the answer; all that the call was is taken down now."""

    def watch(self, given: _T, then: Callable[[Answered], object]) -> None:
        """Tell of the answer that :meth:`ask` gave, when the caller has read it to its end."""

    def failed(self, error: Exception) -> Answered:
        """What is kept of a failure of :meth:`ask`."""


def decision_of(mode: Mode, who: Identity, *, reads: bool) -> Decision:
    """What a mode makes of a call; one that does not only read goes to one endpoint, and never to another one too."""
    canary_of_others = mode.name == "canary" and share_of(who.key) >= mode.percent
    read, write = _DECISIONS["shadow" if canary_of_others else mode.name]
    return read if reads else write


_MAKING = ForkLock()
"""Held while a recorder is made, so that it is made once."""


class ModeRouter:
    """Decides which endpoint answers, and has both compared in the background.

    Args:
        legacy: whether there is an old endpoint.
        switched: the run-time switches; None where there are none.
        sinks: take every pair of answers in the background, several at once; what one raises costs that pair alone.
        brownouts: asked before anything is answered; None where none is planned.
        configuration: says whether pairs are recorded too.
        lacking: what has to be configured where there is no old endpoint.

    Attributes:
        configured: whether more than the environment's variable may send a call elsewhere than to the new endpoint.
    """

    def __init__(
        self,
        rules: Rules = Rules(),
        *,
        legacy: bool,
        switched: SwitchReader | None = None,
        sinks: Iterable[Callable[[Pair], None]] = (),
        brownouts: Brownouts | None = None,
        bounds: Bounds = Bounds(),
        configuration: Configuration | None = None,
        lacking: str = LACKING,
    ) -> None:
        self._rules = rules
        self._legacy = legacy
        self._lacking = lacking
        self._switched = switched
        self._over_all: tuple[Mode | None] | None = None
        self._sinks = tuple(sinks)
        self._configuration = configuration
        self._recorder: TrafficRecorder | None = None
        self.brownouts = brownouts
        self.configured = bool(rules.modes) or switched is not None or brownouts is not None
        self.background = BackgroundQueue(bounds)
        self.background.ended = self._close_recorder

    @classmethod
    def of(
        cls,
        configuration: Configuration,
        *,
        legacy: bool | None = None,
        lacking: str = LACKING,
        read_environment_once: bool = False,
    ) -> ModeRouter:
        """The router of a configuration.

        Args:
            configuration: its modes, its store for the run-time switches, and what it has kept.
            legacy: whether there is an old endpoint, where that is not the configuration's to say.
            lacking: what has to be configured where there is none.
            read_environment_once: now, where nobody changes it while the process runs; else at every call.

        Raises:
            ConfigurationError: a mode is none, or needs an old endpoint that nobody named.
        """
        there = configuration.legacy_base_url is not None if legacy is None else legacy
        switched = SwitchReader(configuration.store, legacy=there)
        router = cls(
            configured_rules(configuration, legacy=there, lacking=lacking),
            legacy=there,
            switched=switched,
            brownouts=Brownouts.of(configuration, switched),
            configuration=configuration,
            lacking=lacking,
        )
        mode = router._mode_of_environment()
        if read_environment_once:
            router._over_all = (mode,)
        return router

    def __getstate__(self) -> dict[str, Any]:
        # A recorder may have files open, and is made anew.
        return {**self.__dict__, "_recorder": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.background.ended = self._close_recorder

    @property
    def dropped(self) -> int:
        """Comparisons that were not made, in this process."""
        return self.background.dropped

    def start(self) -> None:
        """Begin to read the run-time switches, so that the first call finds them read."""
        if self._switched is not None:
            self._switched.start()

    def close(self, within: float | None = None) -> None:
        """Compare what is left for a moment, and let go."""
        self.background.close(within)
        if self._switched is not None:
            self._switched.close()

    def chosen(self, caller: str | None, exam: str) -> Chosen:
        """The mode of a call, and what chose it.

        Raises:
            ConfigurationError: ``EXAM_COMPAT_MODE`` names no mode, or one that needs an old endpoint that nobody named.
        """
        over_all = self._over_all[0] if self._over_all is not None else self._mode_of_environment()
        switched = self._switched.rules if self._switched is not None else Rules()
        return chosen_of(caller, exam, over_all, switched, self._rules)

    def _mode_of_environment(self) -> Mode | None:
        mode = mode_of_environment()
        if mode is not None and mode.needs_legacy and not self._legacy:
            raise ConfigurationError(f"{MODE_VARIABLE}={mode}: needs {self._lacking}")
        return mode

    def decide(self, call: LegacyCall, who: Identity) -> Decision:
        """What is to be done with a call.

        Raises:
            LegacyError: a brownout.
            ConfigurationError: as :meth:`chosen`.
        """
        if self.brownouts is not None:
            error = self.brownouts.now(who.caller, call.exam_id)
            if error is not None:
                raise error
        mode = self.chosen(who.caller, call.exam_id).mode
        return decision_of(mode, who, reads=call.method in ("GET", "HEAD"))

    def answer(self, call: LegacyCall, who: Identity, old: Side[_T], new: Side[_T]) -> _T:
        """The answer to a call, by its mode.

        Raises:
            LegacyError: a brownout, or what the new endpoint failed with.
            Exception: what the old one failed with.
        """
        decision = self.decide(call, who)
        if decision.falls_back:
            try:
                return new.ask()
            except UpstreamError:
                # Unreachable, too slow, throttled to the end or unreadable: what the caller would have 502 to 504 for.
                return old.ask()
        served, other = (old, new) if decision.served == "legacy" else (new, old)
        if not decision.compared:
            return served.ask()
        at = time.time()

        def compare(given: Answered) -> None:
            self.compare(call, who.caller, at, decision.served, lambda: given, other.in_background(), len(given.body))

        try:
            found = served.ask()
        except Exception as error:
            compare(served.failed(error))
            raise
        served.watch(found, compare)
        return found

    def compare(
        self,
        call: LegacyCall,
        caller: str | None,
        at: float,
        served: Endpoint,
        given: Asker,
        other: Asker,
        size: int,
    ) -> None:
        """Ask the other endpoint in the background of a call that was answered, and hand both answers to the sinks.

        Args:
            call: the call, a read.
            caller: whose it is by the configuration.
            at: when it came, seconds since the epoch.
            served: which endpoint the caller got.
            given: gives what it answered; called from another thread, if ever, like the next.
            other: asks the other one.
            size: bytes that the first answer holds meanwhile.
        """

        def make() -> None:
            old, new = (given, other) if served == "legacy" else (other, given)
            pair = Pair(call, caller, at, old(), new(), served)
            for sink in self._sinks:
                sink(pair)
            if self._configuration is not None and "record" in self._configuration.regression:
                self._recorder_of(self._configuration)(pair)

        self.background.put(make, size)

    def _recorder_of(self, configuration: Configuration) -> TrafficRecorder:
        # Imported here: most processes record nothing.
        from compat.regression.recordings.traffic import TrafficRecorder

        with _MAKING:
            if self._recorder is None:
                self._recorder = TrafficRecorder(configuration, self.background.later, lambda: self.dropped)
            return self._recorder

    def _close_recorder(self) -> None:
        if self._recorder is not None:
            self._recorder.close()
