"""What users of the package hold on to, as one JSON document: names, commands, entry points, pickles.

``python tests/surface.py`` prints it for the package that is importable, so that two versions can be compared::

    python tests/surface.py > before.json        # in one checkout
    python tests/surface.py | diff before.json - # in another

``test_surface.py`` holds the package against the frozen ``surface.json``. A change of it is a change for users, and
belongs into the changelog.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from importlib.metadata import distribution
from typing import Any

import click

from compat.cli.program import program

__all__ = ["surface"]

PUBLIC = (
    "compat",
    "compat.gateway",
    "compat.mapping",
    "compat.regression",
    "compat.regression.check_recordings",
    "compat.regression.reading",
    "compat.regression.result",
    "compat.regression.verdict",
    "compat.schemas",
    "compat.schemas.fields",
    "compat.schemas.rules",
    "compat.stores",
    "compat.testing",
    "compat.testing.laws",
    "compat.testing.strategies",
    "compat.upstream",
)
"""Modules that the documents import from."""


def surface() -> dict[str, Any]:
    """Everything, by what it is: ``names``, ``help``, ``entry_points``, ``start_up`` and ``fixtures``."""
    return {
        "names": {module: _names(module) for module in PUBLIC},
        "help": dict(_helps()),
        "entry_points": sorted(
            f"{each.group}: {each.name}" for each in distribution("exam-students-compat").entry_points
        ),
        "start_up": sorted(importlib.import_module("exam_compat_startup").__all__),
        "fixtures": sorted(
            name
            for name in dir(importlib.import_module("compat.testing.pytest_plugin"))
            if name.startswith(("exam_compat_", "pytest_"))
        ),
    }


def _names(module: str) -> dict[str, Any]:
    # The gateway's application is made of a configuration when it is asked for.
    loaded = importlib.import_module(module)
    return {name: _described(getattr(loaded, name)) for name in sorted(loaded.__all__) if name != "application"}


def _described(value: Any) -> Any:
    if inspect.isclass(value):
        members = {name for name in dir(value) if not name.startswith("_")}
        if issubclass(value, BaseException):
            # They have it from Python 3.11 on.
            members.discard("add_note")
        return {"parameters": _parameters(value), "members": sorted(members)}
    # From 3.14 on, one type stands for both ways of writing a union.
    return _parameters(value) if callable(value) else type(value).__name__.replace("UnionType", "Union")


def _parameters(value: Any) -> list[str]:
    try:
        return [str(each).split(":")[0].split("=")[0].strip() for each in inspect.signature(value).parameters.values()]
    except (TypeError, ValueError):
        return []


def _helps() -> list[tuple[str, str]]:
    shown = []
    pending: list[tuple[str, click.Command]] = [("exam-compat", program)]
    while pending:
        path, command = pending.pop()
        context = click.Context(command, info_name=path, terminal_width=100)
        shown.append((path, command.get_help(context)))
        if isinstance(command, click.Group):
            pending += [
                (f"{path} {name}", found)
                for name in command.list_commands(context)
                if (found := command.get_command(context, name)) is not None
            ]
    return sorted(shown)


if __name__ == "__main__":
    json.dump(surface(), sys.stdout, indent=1, sort_keys=True, ensure_ascii=False)
    print()  # noqa: T201 - this is what it is for
