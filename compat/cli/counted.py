"""What the commands about counted calls share: the counts of the configured store, and a clock that can be set."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone, tzinfo
from typing import TYPE_CHECKING, Any, TypeVar

import click

from compat.errors import ConfigurationError

if TYPE_CHECKING:
    from compat.config.settings import Configuration
    from compat.stores.ledger import AllCounts

__all__ = ["CLOCK_VARIABLE", "counted_in", "day_of", "kept_elsewhere", "moment_of", "now_option", "shown_day"]

CLOCK_VARIABLE = "EXAM_COMPAT_NOW"

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _moment(context: click.Context, parameter: click.Parameter, value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is no day such as 2027-03-01, and no time such as 2027-03-01T09:00."
        ) from None


def now_option(command: _Command) -> _Command:
    """Add ``--now``, which is also called ``--today``."""
    return click.option(
        "--now",
        "--today",
        "now",
        envvar=CLOCK_VARIABLE,
        callback=_moment,
        metavar="TIME",
        help=f"Act as if it were this day or time.  [default: {CLOCK_VARIABLE}, else the clock]",
    )(command)


def moment_of(now: datetime | None, zone: tzinfo = timezone.utc) -> datetime:
    """The time that counts; one without an offset is of a zone."""
    if now is None:
        return datetime.fromtimestamp(time.time(), zone)
    return now if now.tzinfo is not None else now.replace(tzinfo=zone)


def kept_elsewhere(given: Configuration) -> None:
    """See that other processes share the store.

    Raises:
        ConfigurationError: they do not.
    """
    if given.store.startswith("memory:"):
        raise ConfigurationError(
            "[store] url: memory:// is each process's own, so nothing can be seen from here; use sqlite:/// or redis://"
        )


def counted_in(given: Configuration) -> AllCounts:
    """All that is counted in a configuration's store.

    Raises:
        ConfigurationError: no other process could have counted there.
        StoreUnavailable: it cannot be read.
    """
    from compat.stores.ledger import open_ledger

    kept_elsewhere(given)
    with open_ledger(given.store) as ledger:
        return ledger.counted()


def day_of(seconds: float, zone: tzinfo) -> str:
    """The day of a time, in a zone."""
    return datetime.fromtimestamp(seconds, zone).date().isoformat()


def shown_day(seconds: float | None, zone: tzinfo) -> str:
    """The day of a time for a table; nothing for none."""
    return "" if seconds is None else day_of(seconds, zone)
