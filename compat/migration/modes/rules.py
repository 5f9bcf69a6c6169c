"""Which endpoint answers a call: the modes, and which of several rules counts.

A mode comes from the environment (``EXAM_COMPAT_MODE``, the kill switch), else from a run-time switch, else from the
configuration. Within each of the last two, a rule for a caller and an exam goes before one for the caller, that before
one for the exam, and that before the one for everyone. Where nothing says anything, the mode is ``new``. The run-time
switches are read again every second while everything runs.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, get_args

from compat.config.settings import Configuration
from compat.errors import CompatError, ConfigurationError
from compat.processes import renew_after_fork
from compat.settings_checks import nearest
from compat.stores.ledger import Ledger, open_ledger

__all__ = ["LACKING", "LEGAL", "MODE_VARIABLE", "Chosen", "Mode", "Rules", "Scope", "SwitchReader"]

MODE_VARIABLE = "EXAM_COMPAT_MODE"
LACKING = "base_url in [legacy]"
"""What most modes need."""
LEGAL = "legacy, shadow, canary:25 (a percentage), new or new+fallback"

_CANARY = re.compile(r"canary:(100|[0-9]{1,2})", re.ASCII)
_SWITCH = re.compile(r"mode(?: exam=(?P<exam>[0-9]+))?(?: caller=(?P<caller>.+))?", re.ASCII | re.DOTALL)
_EVERY = 1.0
"""Seconds between two readings."""
_FIRST = 1.0
"""Seconds that the first call of a process waits for the first reading, and no other call for any."""
_LETTING_GO = 1.0
"""Seconds that the end of reading is waited for: a store that is away is no reason to wait longer."""

_log = logging.getLogger("compat.migration")

Name = Literal["legacy", "shadow", "canary", "new", "new+fallback"]
_PLAIN: Mapping[str, Name] = {name: name for name in get_args(Name) if name != "canary"}


@dataclass(frozen=True)
class Mode:
    """Which endpoint answers.

    "legacy": the old one. "shadow": the old one, and the new one is asked beside it, to compare. "canary": as shadow,
    but for some callers, a percentage, the other way round. "new": the new one. "new+fallback": the new one, and the
    old one for reads where the new one fails.
    """

    name: Name
    percent: int = 0

    @classmethod
    def parse(cls, text: str, where: str) -> Mode:
        """A mode by its text, such as ``canary:25``, and what says so, for the error.

        Raises:
            ConfigurationError: there is no such mode; the text names it and those that there are.
        """
        name = _PLAIN.get(text)
        if name is not None:
            return cls(name)
        canary = _CANARY.fullmatch(text)
        if canary is None:
            raise _no_mode(f"{where} = {text!r}", text)
        return cls("canary", int(canary[1]))

    @property
    def needs_legacy(self) -> bool:
        """Whether the old endpoint has a part in it."""
        return self.name != "new"

    def __str__(self) -> str:
        return f"canary:{self.percent}" if self.name == "canary" else self.name


def share_of(caller: str) -> int:
    """Where a caller stands among a hundred, from 0 to 99: a canary of N takes those below N.

    It goes by the caller alone, so that it is the same in every process and on every machine, for every call, and so
    that a larger N takes more callers and lets go of none.
    """
    digest = hashlib.blake2b(caller.encode(errors="surrogatepass"), digest_size=8, person=b"compat canary").digest()
    return int.from_bytes(digest, "big") * 100 >> 64


@dataclass(frozen=True)
class Scope:
    """Whose calls a rule is for: those of one caller by name, for one exam by its digits; None for all of them."""

    caller: str | None = None
    exam: str | None = None

    def __str__(self) -> str:
        parts = [f"caller {self.caller!r}" if self.caller is not None else "", f"exam {self.exam}" if self.exam else ""]
        return " and ".join(filter(None, parts)) or "everyone"


@dataclass(frozen=True)
class Chosen:
    """The mode of a call, and what chose it: a rule for somebody, or "default" where nothing says anything."""

    mode: Mode
    by: Literal["environment", "switch", "configuration", "default"]
    scope: Scope = Scope()


_NOTHING_SAID = Chosen(Mode("new"), "default")


@dataclass(frozen=True)
class Rules:
    """What one place says of modes."""

    modes: Mapping[Scope, Mode] = field(default_factory=dict)

    def find(self, caller: str | None, exam: str) -> tuple[Scope, Mode] | None:
        """The most particular rule for a call of a caller, which may have no name, for an exam; or None."""
        modes = self.modes
        if not modes:
            return None
        exam = exam.lstrip("0") or exam[-1:]
        for scope in (Scope(caller, exam), Scope(caller), Scope(None, exam), Scope()):
            mode = modes.get(scope)
            if mode is not None:
                return scope, mode
        return None

    def __iter__(self) -> Iterator[tuple[Scope, Mode]]:
        return iter(self.modes.items())


def configured_rules(configuration: Configuration, *, legacy: bool, lacking: str = LACKING) -> Rules:
    """What a configuration says of modes; ``lacking`` is to be configured where there is no old endpoint.

    Raises:
        ConfigurationError: a mode is none, or needs an old endpoint that nobody named.
    """
    found: dict[Scope, Mode] = {}

    def add(scope: Scope, text: str, where: str) -> None:
        mode = found[scope] = Mode.parse(text, where)
        if mode.needs_legacy and not legacy:
            raise ConfigurationError(f"{where} = {text!r} needs {lacking}")

    if configuration.mode is not None:
        add(Scope(), configuration.mode, "[migration] mode")
    for exam, text in configuration.exam_modes.items():
        add(Scope(None, str(exam)), text, f"[migration.exams] {exam}")
    for each in configuration.callers:
        name = each.caller.name
        if each.mode is not None:
            add(Scope(name), each.mode, f"[[callers]] {name!r}: mode")
        for exam, text in each.exams.items():
            add(Scope(name, str(exam)), text, f"[[callers]] {name!r}: exams: {exam}")
    return Rules(found)


def chosen_of(caller: str | None, exam: str, over_all: Mode | None, switched: Rules, configured: Rules) -> Chosen:
    """The mode of a call by what the environment says over all, the run-time switches, and the configuration."""
    if over_all is not None:
        return Chosen(over_all, "environment")
    if not (switched.modes or configured.modes):
        return _NOTHING_SAID
    found = switched.find(caller, exam)
    if found is not None:
        return Chosen(found[1], "switch", found[0])
    found = configured.find(caller, exam)
    if found is not None:
        return Chosen(found[1], "configuration", found[0])
    return _NOTHING_SAID


def switch_name(scope: Scope) -> str:
    """What the run-time switch of a scope is called where switches are kept."""
    exam = f" exam={scope.exam}" if scope.exam is not None else ""
    # The caller stands last: its name may hold anything.
    return f"mode{exam}" + (f" caller={scope.caller}" if scope.caller is not None else "")


def switched_rules(switches: Mapping[str, str], *, legacy: bool) -> tuple[Rules, list[str]]:
    """What the run-time switches say of modes, and the names of those that cannot be followed.

    Those that are about something else are left alone.
    """
    found: dict[Scope, Mode] = {}
    strange: list[str] = []
    for name, value in switches.items():
        matched = _SWITCH.fullmatch(name)
        if matched is None:
            continue
        try:
            mode = Mode.parse(value, name)
        except ConfigurationError:
            mode = None
        if mode is None or (mode.needs_legacy and not legacy):
            strange.append(name)
        else:
            found[Scope(matched["caller"], matched["exam"])] = mode
    return Rules(found), strange


def mode_of_environment() -> Mode | None:
    """What ``EXAM_COMPAT_MODE`` says, the switch over every mode; None where it says nothing.

    Raises:
        ConfigurationError: it names no mode.
    """
    text = os.environ.get(MODE_VARIABLE)
    return _parsed(text) if text else None


@lru_cache(maxsize=16)
def _parsed(text: str) -> Mode:
    try:
        return Mode.parse(text, MODE_VARIABLE)
    except ConfigurationError:
        raise _no_mode(f"{MODE_VARIABLE}={text}", text) from None


def _no_mode(said: str, text: str) -> ConfigurationError:
    near = nearest(text, (*_PLAIN, "canary:25"))
    return ConfigurationError(f"{said}: must be {LEGAL}{f'; the nearest is {near}' if near else ''}")


class SwitchReader:
    """What the run-time switches say of modes; the last that is known while the store is away.

    A thread of its own reads them: an endpoint that holds up the background queue must not hold up the kill switch. It
    starts when somebody asks, in each process anew, and ends with this object.
    """

    def __init__(self, store: str, *, legacy: bool) -> None:
        self._store = store
        self._legacy = legacy
        self._begun = False
        self._thread: threading.Thread | None = None
        self._ending: weakref.finalize[[], SwitchReader] | None = None
        self._rules = Rules()
        self._switches: Mapping[str, str] = {}
        renew_after_fork(self.renew)

    def renew(self) -> None:
        """Begin to read when somebody asks, in a process that was forked; until then what was read last counts."""
        self._begun = False
        self._thread = None
        if self._ending is not None:
            # The thread that it would tell is not in this process, and may have held the event's lock.
            self._ending.detach()

    def __getstate__(self) -> dict[str, Any]:
        return {"store": self._store, "legacy": self._legacy}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    @property
    def rules(self) -> Rules:
        """What they say now, at most a second or so ago."""
        if not self._begun:
            self._await_first()
        return self._rules

    @property
    def switches(self) -> Mapping[str, str]:
        """All of them, name to value; of the same age."""
        if not self._begun:
            self._await_first()
        return self._switches

    def start(self) -> None:
        """Begin to read, so that the first call finds them read."""
        self._begun = True
        self._first = threading.Event()
        self._ended = threading.Event()
        self._ending = weakref.finalize(self, self._ended.set)
        self._ending.atexit = False
        # The thread holds its owner weakly, so that the one can go and the other ends.
        given = weakref.ref(self), self._store, self._first, self._ended
        self._thread = threading.Thread(target=_read_on, args=given, name="exam-compat-switches", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Read no more, and let go of the store."""
        if self._thread is not None:
            self._ended.set()
            self._thread.join(_LETTING_GO)

    def take(self, switches: Mapping[str, str]) -> None:
        """What the thread has read."""
        rules, strange = switched_rules(switches, legacy=self._legacy)
        for name in strange:
            _log.warning("the switch %r is left alone: no mode, or one that needs base_url in [legacy]", name)
        self._switches, self._rules = switches, rules

    def _await_first(self) -> None:
        self.start()
        self._first.wait(_FIRST)


def _read_on(owner: weakref.ref[SwitchReader], store: str, first: threading.Event, ended: threading.Event) -> None:
    """Read until the owner is gone."""
    ledger: Ledger | None = None
    found: Mapping[str, str] | None = None
    away = False
    while True:
        before = found
        try:
            ledger = ledger or open_ledger(store)
            found, away = ledger.switches(), False
        except Exception as error:  # noqa: BLE001 - a script runs on whatever is wrong with the store
            if not away:
                _log.warning("the run-time switches cannot be read, the last known ones stay: %s", type(error).__name__)
            away = True
        if found is not None and found != before and (there := owner()) is not None:
            there.take(found)
            del there
        first.set()
        if ended.wait(_EVERY):
            break
    if ledger is not None:
        with suppress(CompatError):
            ledger.close()
