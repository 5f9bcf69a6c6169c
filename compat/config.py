"""What a configuration says (contract, section 7), whether a file said it or a program."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from compat.errors import ConfigurationError
from compat.legacy.signature import Caller
from compat.upstream import Upstream
from compat.upstream.interface import LegacySettings

__all__ = ["CallerSettings", "Configuration", "mode_of_all", "mode_over_all", "settings_of", "sunset_of", "upstream_of"]

_MODE_VARIABLE = "EXAM_COMPAT_MODE"


@dataclass(frozen=True)
class CallerSettings:
    """One of ``[[callers]]``.

    Attributes:
        caller: who calls, and with which key.
        replay: "nonce", or "signature" for one whose nonces are seconds.
        mode: which endpoint answers it.
    """

    caller: Caller
    replay: str = "nonce"
    mode: str = "new"


@dataclass(frozen=True)
class Configuration:
    """What an ``exam-compat.toml`` says.

    Attributes:
        upstream: the new endpoint.
        legacy_base_url: the old endpoint's base, or None.
        settings: how the old interface is shown.
        deprecated: the day that the wire headers name, or None for no header.
        sunset: the day after which the old interface ends, or None.
        callers: the old integrations that may call the gateway.
        store: the URL of where nonces and walks are kept.
        when_store_down: what becomes of a call while the store cannot record it, "refuse" or "serve".
        max_walk: bytes of the largest walk that the store is given for other processes.
        exams: exam id to applicationId, also where the upstream needs none.
        gateway: the keys of ``[gateway]`` that are given; :mod:`compat.gateway.settings` says what the others are.
        regression: the keys of ``[regression]`` that are given; paths are relative to the working directory.
        secrets: every token and key that the configuration holds, so that what is written can be searched for them.
    """

    upstream: Upstream
    legacy_base_url: str | None = None
    settings: LegacySettings = LegacySettings()
    deprecated: date | None = None
    sunset: date | None = None
    callers: tuple[CallerSettings, ...] = ()
    store: str = field(default="sqlite:///exam-compat.db", repr=False)
    when_store_down: Literal["refuse", "serve"] = "refuse"
    max_walk: int = 256 * 1024 * 1024
    exams: Mapping[int, str] = field(default_factory=dict)
    gateway: Mapping[str, Any] = field(default_factory=dict)
    regression: Mapping[str, Any] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


def upstream_of(given: Upstream | Configuration) -> Upstream:
    """The upstream of either."""
    return given.upstream if isinstance(given, Configuration) else given


def settings_of(given: Upstream | Configuration) -> LegacySettings:
    """The settings of either; an upstream alone has the defaults."""
    return given.settings if isinstance(given, Configuration) else LegacySettings()


def sunset_of(given: Upstream | Configuration) -> date | None:
    """The day after which the old interface ends, where a configuration says so."""
    return given.sunset if isinstance(given, Configuration) else None


def mode_of_all() -> str:
    """What ``EXAM_COMPAT_MODE`` says, the switch over every mode: "new" where it says nothing.

    Raises:
        ConfigurationError: it names a mode that this version does not have.
    """
    return mode_over_all() or "new"


def mode_over_all() -> str | None:
    """As :func:`mode_of_all`, with None where it says nothing, so that each caller's own mode counts.

    Raises:
        ConfigurationError: it names a mode that this version does not have.
    """
    mode = os.environ.get(_MODE_VARIABLE) or None
    if mode not in (None, "legacy", "new"):
        raise ConfigurationError(f"{_MODE_VARIABLE}={mode}: this version knows the modes legacy and new")
    return mode
