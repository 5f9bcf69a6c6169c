"""What some commands need beyond the command line itself."""

from __future__ import annotations

import importlib.util

import click

__all__ = ["migration_extra"]


def migration_extra() -> None:
    """Refuse where the packages of the extra ``migration`` are not installed.

    Raises:
        click.UsageError: names the first that is missing, and how to get it.
    """
    for name in ("libcst", "pathspec"):
        if importlib.util.find_spec(name) is None:
            raise click.UsageError(f"this needs {name}: get it with: pip install 'exam-students-compat[migration]'")
