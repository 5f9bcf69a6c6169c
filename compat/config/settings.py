"""What a configuration says (contract, section 7), whether a file said it or a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from compat.errors import ConfigurationError
from compat.legacy.signature import Caller
from compat.upstream import Upstream
from compat.upstream.base import LegacySettings

__all__ = ["CallerSettings", "Configuration", "settings_of", "sunset_of", "thread_origins_of", "upstream_of"]


@dataclass(frozen=True)
class CallerSettings:
    """One of ``[[callers]]``.

    Attributes:
        caller: who calls, and with which key.
        replay: "nonce", or "signature" for one whose nonces are seconds.
        mode: which endpoint answers it; None to leave it to the rules for all.
        exams: exam id to the mode of its calls for that exam.
    """

    caller: Caller
    replay: str = "nonce"
    mode: str | None = None
    exams: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Configuration:
    """What an ``exam-compat.toml`` says.

    Attributes:
        legacy_base_url: the old endpoint's base, or None.
        legacy_account: what our own calls of the old endpoint are signed with; None where nothing says.
        settings: how the old interface is shown.
        deprecated: the day that the wire headers name, or None for no header.
        sunset: the day after which the old interface ends, or None.
        callers: the old integrations that may call the gateway.
        store: the URL of where nonces and walks are kept.
        when_store_down: what becomes of a call while the store cannot record it, "refuse" or "serve".
        max_walk: bytes of the largest walk that the store is given for other processes.
        exams: exam id to applicationId, also where the upstream needs none.
        mode: which endpoint answers every call for which no other rule counts; None for the new one.
        exam_modes: exam id to the mode of all calls for that exam.
        gateway: the keys of ``[gateway]`` that are given; :mod:`compat.gateway.limits` says what the others are.
        migration: the keys of ``[migration]`` beside the modes: ``inventory``, whether deprecated calls are counted in
            the store, ``fields``, whether it is noted which fields scripts read, ``thread_origins``, whether it is
            noted which line starts a thread, ``brownouts`` and ``blackouts``.
        regression: the keys of ``[regression]`` that are given; paths are relative to the working directory.
        secrets: every token and key that the configuration holds, so that what is written can be searched for them.
    """

    upstream: Upstream
    legacy_base_url: str | None = None
    legacy_account: Caller | None = None
    settings: LegacySettings = LegacySettings()
    deprecated: date | None = None
    sunset: date | None = None
    callers: tuple[CallerSettings, ...] = ()
    store: str = field(default="sqlite:///exam-compat.db", repr=False)
    when_store_down: Literal["refuse", "serve"] = "refuse"
    max_walk: int = 256 * 1024 * 1024
    exams: Mapping[int, str] = field(default_factory=dict)
    mode: str | None = None
    exam_modes: Mapping[int, str] = field(default_factory=dict)
    gateway: Mapping[str, Any] = field(default_factory=dict)
    migration: Mapping[str, Any] = field(default_factory=dict)
    regression: Mapping[str, Any] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)


def upstream_of(given: Upstream | Configuration) -> Upstream:
    """The upstream of either.

    Raises:
        ConfigurationError: it is neither.
    """
    found = given.upstream if isinstance(given, Configuration) else given
    if not hasattr(found, "codec"):
        raise ConfigurationError(
            f"upstream: must be an upstream or a configuration, not a {type(given).__name__}; "
            "compat.load_config(path) reads one from a file"
        )
    return found


def settings_of(given: Upstream | Configuration) -> LegacySettings:
    """The settings of either; an upstream alone has the defaults."""
    return given.settings if isinstance(given, Configuration) else LegacySettings()


def sunset_of(given: Upstream | Configuration) -> date | None:
    """The day after which the old interface ends, where a configuration says so."""
    return given.sunset if isinstance(given, Configuration) else None


def thread_origins_of(given: Upstream | Configuration) -> bool:
    """Whether it is to be noted which line starts a thread or hands work to one; what only a configuration asks for."""
    return isinstance(given, Configuration) and bool(given.migration.get("thread_origins"))
