"""What several commands take: paths, the configuration, times, exams, callers, and what the Tab key offers of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timezone, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from compat.errors import ConfigurationError

if TYPE_CHECKING:
    from compat.config.settings import Configuration
    from compat.legacy.signature import Caller


class ExistingPath(click.Path):
    """A path that has to be there already; with ``dash`` a text, since ``-`` may stand for the standard input."""

    def __init__(self, *, folder: bool = True, dash: bool = False) -> None:
        super().__init__(dir_okay=folder, allow_dash=dash, path_type=str if dash else Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; ConfigurationError where there is nothing, or a folder that it may not be."""
        if value == "-" and self.allow_dash:
            return value
        path = Path(value)
        if not path.exists():
            raise ConfigurationError(f"{path}: no such {'file or folder' if self.dir_okay else 'file'}{_where(path)}")
        if path.is_dir() and not self.dir_okay:
            raise ConfigurationError(f"{path}: a folder, and a file is needed")
        return super().convert(value, param, ctx)


class NewFile(click.Path):
    """A file that is written, in a folder that has to be there already; one line says so where it is not."""

    def __init__(self, *, dash: bool = False) -> None:
        super().__init__(dir_okay=False, allow_dash=dash, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; ConfigurationError where it is a folder, or lies in one that is not there."""
        path = Path(value)
        if path.is_dir():
            raise ConfigurationError(f"{path}: a folder, and a file is to be written")
        if not path.parent.is_dir():
            raise ConfigurationError(f"{path}: no folder {path.parent}{_where(path)} to write it in")
        return super().convert(value, param, ctx)


def _where(path: Path) -> str:
    return "" if path.is_absolute() else f" in {Path.cwd()}"


_Command = TypeVar("_Command", bound=Callable[..., Any])
_KEY = "compat.cli.config"


def _remember(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    # All contexts of one call share their meta: it does not matter before or after which word the option stood.
    if value is not None:
        context.meta[_KEY] = value


config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    expose_value=False,
    callback=_remember,
    help="Use this configuration file. The option may stand before or after the command.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")


def address_options(what_for: str, port: int, prefix: str = "") -> Callable[[_Command], _Command]:
    """Add ``--host`` and ``--port``, where something listens; ``prefix`` stands before both names."""
    host = click.option(f"--{prefix}host", default="127.0.0.1", show_default=True, help=what_for)
    ports = click.option(f"--{prefix}port", type=click.IntRange(0, 65535), default=port, show_default=True,
                         help="The port; 0 takes any free one.")  # fmt: skip
    return lambda command: host(ports(command))


CLOCK_VARIABLE = "EXAM_COMPAT_NOW"


def _moment(value: str) -> datetime:
    try:
        return datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is no day such as 2027-03-01, and no time such as 2027-03-01T09:00."
        ) from None


now_option = click.option(
    "--now",
    "--today",
    "now",
    envvar=CLOCK_VARIABLE,
    type=_moment,
    metavar="TIME",
    help=f"Act as if it were this day or time.  [default: {CLOCK_VARIABLE}, else the clock]",
)


def moment_of(now: datetime | None, zone: tzinfo = timezone.utc) -> datetime:
    """The time that counts, by ``--now``; one without an offset is of a zone."""
    if now is None:
        return datetime.fromtimestamp(time.time(), zone)
    return now if now.tzinfo is not None else now.replace(tzinfo=zone)


def checked_exam(exam: str | None) -> int | None:
    """The id that ``--exam`` names."""
    if exam is None:
        return None
    if not (exam.isascii() and exam.isdigit()):
        raise click.BadParameter(f"{exam!r} is no exam id, which is digits.", param_hint="--exam")
    return int(exam)


def named_config(*, there: bool = True) -> Path | None:
    """The file that ``--config`` named, if any; ConfigurationError where it has to be ``there`` and is not."""
    named: Path | None = click.get_current_context().meta.get(_KEY)
    if there and named is not None and not named.is_file():
        from compat.config.file import nothing_at

        raise ConfigurationError(f"no configuration: {nothing_at(named, '--config')}")
    return named


def configuration() -> Configuration:
    """The configuration that the command is to use; ConfigurationError where there is none that can be used."""
    from compat.config.file import load_config

    return load_config(named_config())


def configuration_if_any() -> Configuration | None:
    """The configuration; None where none is named and there is none to find."""
    from compat.config.file import find_config

    if named_config() is None:
        try:
            find_config()
        except ConfigurationError:
            return None
    return configuration()


def caller_named(name: str, option: str, callers: Iterable[Caller]) -> Caller:
    """The caller of a name; ConfigurationError where an option names another."""
    for caller in callers:
        if caller.name == name:
            return caller
    raise ConfigurationError(f"{option} {name!r}: [[callers]] has no such name")


COMPLETION_VARIABLE = "_EXAM_COMPAT_COMPLETE"
"""What Click looks at to tell a question of the shell from a call."""

_Offer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def offering(values: Iterable[str]) -> _Offer:
    """Completes one of some values."""
    known = tuple(values)
    return lambda context, parameter, begun: _items(known, begun)


def offering_callers(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Completes the name of one of ``[[callers]]``."""
    callers = _content(context).get("callers")
    names = [each.get("name") for each in callers if isinstance(each, dict)] if isinstance(callers, list) else []
    return _items([each for each in names if isinstance(each, str)], begun)


def offering_exams(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Completes the id of an exam of ``[exams]``."""
    exams = _content(context).get("exams")
    return _items(exams if isinstance(exams, dict) else (), begun)


def _items(values: Iterable[str], begun: str) -> list[CompletionItem]:
    return [CompletionItem(_quoted(each)) for each in values if each.startswith(begun)]


def _quoted(value: str) -> str:
    """A value as the script for bash takes it: that reads a backslash away, and quotes nothing itself."""
    if os.environ.get(COMPLETION_VARIABLE) != "bash_complete":
        return value
    return "".join(char if char.isalnum() or char in "-_.:+/@,=" else rf"\\{char}" for char in value)


def _content(context: click.Context) -> dict[str, Any]:
    """What the configuration file holds; nothing where there is none, or it is none: a completion says no errors."""
    from compat.config.file import content_of, find_config

    try:
        path: Path = context.meta.get(_KEY) or find_config()
        return content_of(path, lambda: path.read_text(encoding="utf-8"))
    except (ConfigurationError, OSError):
        return {}
