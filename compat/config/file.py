"""A configuration file (contract, section 7): found, read, checked by schema, and made into a configuration."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import timezone, tzinfo
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from compat.config.schemas import checked_table, checked_upstream
from compat.config.settings import CallerSettings, Configuration
from compat.errors import ConfigurationError
from compat.legacy.signature import Caller
from compat.settings_checks import checked_exams, checked_key, checked_token, checked_url, reason_of, without_api_path
from compat.upstream import Upstream
from compat.upstream.base import LegacySettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "CONFIG_NAME",
    "CONFIG_VARIABLE",
    "OPTION_VARIABLE",
    "RECORDING_KEY_NAME",
    "config_of_file",
    "configured_kind",
    "content_of",
    "find_config",
    "load_config",
    "nothing_at",
    "nothing_in",
    "read_config",
    "time_zone",
]

CONFIG_NAME = "exam-compat.toml"
RECORDING_KEY_NAME = "exam-compat-recording.key"
CONFIG_VARIABLE = "EXAM_COMPAT_CONFIG"
OPTION_VARIABLE = "EXAM_COMPAT_CONFIG_OPTION"
"""What ``exam-compat run --config`` sets beside it, so that a message names what its user wrote."""
_SECRET = frozenset(("api_token", "bearer_token", "client_secret", "key", "secret_key"))


def find_config() -> Path:
    """The file named by ``EXAM_COMPAT_CONFIG``, else ``exam-compat.toml`` in the working directory.

    Raises:
        ConfigurationError: there is none.
    """
    named = os.environ.get(CONFIG_VARIABLE)
    path = Path(named or CONFIG_NAME)
    if not path.is_file():
        raise ConfigurationError(f"no configuration: {nothing_at(path) if named else nothing_in(Path.cwd())}")
    return path


def nothing_at(path: Path, by: str | None = None) -> str:
    """That a named configuration is not there, and what to do.

    Args:
        by: what named it; None for the environment, in which ``exam-compat run`` may have put it.
    """
    by = by or ("--config" if os.environ.get(OPTION_VARIABLE) == str(path) else CONFIG_VARIABLE)
    what = "a folder and no file" if path.is_dir() else "no file"
    return f"{by} names {path}, which is {what}; correct the name, or leave it out to use {CONFIG_NAME} where you are"


def nothing_in(folder: Path) -> str:
    """That nobody named a configuration and that there is none to find, and what to do."""
    return f"no {CONFIG_NAME} in {folder}; go to its folder, or name one by --config or {CONFIG_VARIABLE}"


def load_config(path: str | Path | None = None) -> Configuration:
    """Read a configuration file, one that is found where no path is given.

    Raises:
        ConfigurationError: it cannot be read, or a value cannot be used; the text names the key and the way out.
    """
    path = find_config() if path is None else Path(path)
    return config_of_file(path, content_of(path))


def config_of_file(
    path: Path, content: Mapping[str, Any], admit: Callable[[Path], object] | None = None
) -> Configuration:
    """The configuration of a file that is parsed already.

    Args:
        path: of the file, which errors name.
        admit: called with each file that is read for it, before it is; what it raises is raised here.

    Raises:
        ConfigurationError: a value cannot be used; the text names file and key.
    """
    try:
        return read_config(content, folder=path.parent, in_file=True, admit=admit)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def configured_kind(path: Path | None = None) -> str:
    """The kind of upstream that a configuration file names, without looking at the rest; empty where it names none.

    Raises:
        ConfigurationError: it cannot be read, or there is none.
    """
    upstream = content_of(find_config() if path is None else path).get("upstream")
    kind = upstream.get("kind") if isinstance(upstream, Mapping) else None
    return kind if isinstance(kind, str) else ""


def content_of(path: Path, read: Callable[[], str] | None = None) -> dict[str, Any]:
    """What a configuration file holds, as ``read`` reads it where that is given; errors name its path.

    Raises:
        ConfigurationError: it cannot be read, or is no TOML.
    """
    try:
        content: dict[str, Any] = tomllib.loads(read() if read is not None else path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: {reason_of(error)}") from None
    return content


def read_config(
    content: Mapping[str, Any],
    folder: Path = Path(),
    *,
    in_file: bool = False,
    admit: Callable[[Path], object] | None = None,
) -> Configuration:
    """Read a configuration that is a dictionary already.

    Args:
        content: tables and keys as in the file.
        folder: what a roster's path is relative to.
        in_file: whether it stands in a file, beside which deprecated calls are counted where ``[store]`` says nothing.
        admit: called with the roster's path before it is read, to refuse it.

    Raises:
        ConfigurationError: a value cannot be used; the text names the key and the way out.
    """
    content = _resolved(content, "")
    checked_table("", content, "")
    legacy, migration, store = (checked_table(name, content.get(name, {})) for name in ("legacy", "migration", "store"))
    callers = tuple(_caller(entry, number) for number, entry in enumerate(content.get("callers", []), 1))
    exams = checked_exams(content.get("exams", {}))
    upstream = _upstream(content["upstream"], folder, exams, admit)
    return Configuration(
        upstream=upstream,
        **_legacy(legacy, upstream),
        callers=callers,
        store=_store_url(store.get("url", Configuration.store), folder),
        when_store_down=store.get("when_down", Configuration.when_store_down),
        max_walk=store.get("max_walk", Configuration.max_walk),
        exams=exams,
        mode=migration.get("mode"),
        exam_modes=_by_exam(migration),
        gateway=_gateway(content, folder),
        migration=_migration(migration, counted=in_file or "store" in content),
        regression=_regression(content, folder),
        secrets=tuple(_secrets(content)),
    )


def _legacy(table: Mapping[str, Any], upstream: Upstream) -> dict[str, Any]:
    extra, base_url = table.get("extra_fields", ()), table.get("base_url")
    return {
        "legacy_base_url": None if base_url is None else checked_url("[legacy] base_url", without_api_path(base_url)),
        "legacy_account": _legacy_account(table, upstream),
        "settings": LegacySettings(time_zone(table.get("time_zone", "UTC")), extra if extra == "all" else tuple(extra)),
        **{name: table.get(name) for name in ("deprecated", "sunset")},
    }


def _caller(entry: Any, number: int) -> CallerSettings:
    table = checked_table("callers", entry, f"[[callers]] {number}: ")
    caller = Caller(table["name"], table["api_token"], table["secret_key"])
    return CallerSettings(caller, table.get("replay", "nonce"), table.get("mode"), _by_exam(table))


def time_zone(name: str) -> tzinfo:
    """A zone by its IANA name.

    Raises:
        ConfigurationError: there is no such zone, or no zone data on this machine.
    """
    if name == "UTC":
        return timezone.utc
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, ZoneInfoNotFoundError):
        raise ConfigurationError(
            f"[legacy] time_zone = {name!r}: no such zone here; use a name such as Europe/Amsterdam, "
            "and install tzdata where the system has no zone data"
        ) from None


def _upstream(
    table: Mapping[str, Any], folder: Path, exams: Mapping[int, str], admit: Callable[[Path], object] | None
) -> Upstream:
    kind, settings = checked_upstream(table)
    for name in kind.files:
        if name in settings:
            settings[name] = folder / settings[name]
            if admit is not None:
                admit(settings[name])
    if kind.maps_records:
        settings["exams"] = exams
    try:
        return kind.type()(**settings)
    except ConfigurationError as error:
        raise ConfigurationError(f"[upstream] {error}") from None


def _by_exam(table: Mapping[str, Any]) -> Mapping[int, str]:
    return {int(exam): mode for exam, mode in table.get("exams", {}).items()}


def _legacy_account(legacy: Mapping[str, Any], upstream: Upstream) -> Caller | None:
    """The account of our own calls of the old endpoint: student sessions are of the same system, and take the same."""
    given = [name for name in ("api_token", "secret_key") if name in legacy]
    if len(given) == 1:
        raise ConfigurationError("[legacy]: api_token and secret_key go together")
    if given:
        return Caller(
            "legacy",
            checked_token("[legacy] api_token", legacy["api_token"]),
            checked_key("[legacy] secret_key", legacy["secret_key"]),
        )
    return upstream.account


def _migration(table: Mapping[str, Any], *, counted: bool) -> Mapping[str, Any]:
    """What is left of ``[migration]`` beside the modes; calls are counted unless it says otherwise."""
    windows = {
        name: [
            checked_table(f"migration.{name}", entry, f"[[migration.{name}]] {number}: ")
            for number, entry in enumerate(table.get(name, ()), 1)
        ]
        for name in ("brownouts", "blackouts")
    }
    options = {name: table.get(name, False) for name in ("fields", "thread_origins")}
    return {"inventory": table.get("inventory", counted), **options, **windows}


def _gateway(content: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    table = _table_of_paths(content, "gateway", folder, "tls_certificate", "tls_key")
    if "deprecation_page" in table:
        checked_url("[gateway] deprecation_page", table["deprecation_page"])
    return table


def _regression(content: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    key_file = str(folder / RECORDING_KEY_NAME)
    return {"key_file": key_file, **_table_of_paths(content, "regression", folder, "key_file", "record", "known")}


def _table_of_paths(content: Mapping[str, Any], name: str, folder: Path, *paths: str) -> dict[str, Any]:
    table = checked_table(name, content.get(name, {}))
    return {key: str(folder / value) if key in paths else value for key, value in table.items()}


def _secrets(content: Any) -> Iterator[str]:
    """The tokens and keys in any table."""
    for name, value in content.items() if isinstance(content, Mapping) else enumerate(content):
        if isinstance(value, Mapping | list):
            yield from _secrets(value)
        elif name in _SECRET and isinstance(value, str):
            yield value


def _store_url(url: str, folder: Path) -> str:
    """A database file without a path from the root lies beside the configuration, wherever a worker runs."""
    scheme, slashes, path = url.partition(":///")
    if scheme != "sqlite" or not slashes or path.startswith("/"):
        return url
    return f"sqlite:///{quote(folder.as_posix() + '/') if folder != Path() else ''}{path}"


def _resolved(value: Any, where: str) -> Any:
    """Read ``env:NAME`` wherever it stands as a value."""
    if isinstance(value, Mapping):
        return {key: _resolved(item, f"{where}.{key}".lstrip(".")) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolved(item, where) for item in value]
    if isinstance(value, str) and value.startswith("env:"):
        name = value[4:]
        if name not in os.environ:
            raise ConfigurationError(f"{where}: the environment has no variable {name}")
        return os.environ[name]
    return value
