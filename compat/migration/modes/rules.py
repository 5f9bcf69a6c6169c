"""Which endpoint answers a call: the modes, and which of several rules counts.

A mode comes from the environment (``EXAM_COMPAT_MODE``, the kill switch), else from a run-time switch, else from the
configuration. Within each of the last two, a rule for a caller and an exam goes before one for the caller, that before
one for the exam, and that before the one for everyone. Where nothing says anything, the mode is ``new``.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, get_args

from compat.config.settings import Configuration
from compat.errors import ConfigurationError
from compat.settings_checks import nearest

__all__ = ["LACKING", "LEGAL", "MODE_VARIABLE", "Chosen", "Mode", "Rules", "Scope"]

MODE_VARIABLE = "EXAM_COMPAT_MODE"
LACKING = "base_url in [legacy]"
"""What most modes need."""
LEGAL = "legacy, shadow, canary:25 (a percentage), new or new+fallback"

_CANARY = re.compile(r"canary:(100|[0-9]{1,2})", re.ASCII)
_SWITCH = re.compile(r"mode(?: exam=(?P<exam>[0-9]+))?(?: caller=(?P<caller>.+))?", re.ASCII | re.DOTALL)

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
