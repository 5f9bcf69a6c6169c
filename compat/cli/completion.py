"""``exam-compat completion``: a script for bash, zsh or fish, and what it offers beside commands, options and paths."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from click.shell_completion import BashComplete, CompletionItem, FishComplete, ShellComplete, ZshComplete

from compat.cli.console import named_config, say

__all__ = ["completion", "offering", "offering_callers", "offering_exams", "offering_files"]

_SHELLS: Mapping[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
_VARIABLE = "_EXAM_COMPAT_COMPLETE"
"""What Click looks at to tell a question of the shell from a call."""

_Offer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


@click.command(short_help="Print a script for the Tab key in bash, zsh or fish.")
@click.argument("shell", type=click.Choice(tuple(_SHELLS)))
def completion(shell: str) -> None:
    """Print a script for your shell, so that the Tab key completes exam-compat commands.

    It completes commands, options and their values, callers, exams and paths. The script asks exam-compat each time. So
    it stays right when exam-compat is updated. Callers and exams are those of the configuration. No endpoint is asked.

    \b
    Exit status:
      0  printed
      2  wrong usage

    \b
    Examples:
      exam-compat completion bash >> ~/.bashrc
      exam-compat completion zsh >> ~/.zshrc
      exam-compat completion fish > ~/.config/fish/completions/exam-compat.fish
    """
    program = click.get_current_context().find_root().command
    asked = _SHELLS[shell](program, {}, "exam-compat", _VARIABLE)
    # Not by its source(), which looks at the bash that is here; the script may be for another machine.
    say(asked.source_template % asked.source_vars())


def offering(values: Iterable[str]) -> _Offer:
    """Completes one of some values."""
    known = tuple(values)
    return lambda context, parameter, begun: _items(known, begun)


def offering_files(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Completes paths."""
    return [CompletionItem(begun, type="file")]


def offering_callers(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Completes the name of one of ``[[callers]]``."""
    callers = _content(context).get("callers")
    named = [each.get("name") for each in callers if isinstance(each, dict)] if isinstance(callers, list) else []
    return _items([each for each in named if isinstance(each, str)], begun)


def offering_exams(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Completes the id of an exam of ``[exams]``."""
    exams = _content(context).get("exams")
    return _items(exams if isinstance(exams, dict) else (), begun)


def _items(values: Iterable[str], begun: str) -> list[CompletionItem]:
    return [CompletionItem(_quoted(each)) for each in values if each.startswith(begun)]


def _quoted(value: str) -> str:
    """A value as the script for bash takes it: that reads a backslash away, and quotes nothing itself."""
    if os.environ.get(_VARIABLE) != "bash_complete":
        return value
    return "".join(char if char.isalnum() or char in "-_.:+/@,=" else rf"\\{char}" for char in value)


def _content(context: click.Context) -> dict[str, Any]:
    """What the configuration file holds; nothing where there is none, or it is none: a completion says no errors."""
    from compat.config.file import content_of, find_config
    from compat.errors import ConfigurationError

    try:
        path: Path = named_config(context) or find_config()
        return content_of(path, lambda: path.read_text(encoding="utf-8"))
    except (ConfigurationError, OSError):
        return {}
