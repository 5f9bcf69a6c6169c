"""What several commands take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from compat.config import Configuration

__all__ = ["config_option", "configuration", "named_config"]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_KEY = "compat.cli.config"


def _remember(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:
    # All contexts of one call share their meta: it does not matter before or after which word the option stood.
    if value is not None:
        context.meta[_KEY] = value


def config_option(command: _Command) -> _Command:
    """Add ``--config``, which :func:`configuration` reads."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        expose_value=False,
        callback=_remember,
        help="The configuration, instead of exam-compat.toml; before or after the command.",
    )(command)


def named_config() -> Path | None:
    """The file that ``--config`` named, or None."""
    return click.get_current_context().meta.get(_KEY)


def configuration() -> Configuration:
    """The configuration that the command is to use.

    Raises:
        ConfigurationError: there is none, or a value in it cannot be used.
    """
    from compat.config_file import load_config

    return load_config(named_config())
