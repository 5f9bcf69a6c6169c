"""``exam-compat due``: what has to be gone, for a suite that should fail in time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Literal

import click

from compat._version import __version__
from compat.cli.console import config_option, configuration_if_any, note, say
from compat.cli.counted import counted_in, moment_of, now_option, shown_day
from compat.cli.tables import Column, show_table
from compat.text.json import several

if TYPE_CHECKING:
    from compat.config.settings import Configuration
    from compat.deprecation import Deprecation
    from compat.stores.ledger import Usage

__all__ = ["due"]

_FINE, _DUE = 0, 1


def _version(context: click.Context, parameter: click.Parameter, value: str) -> str:
    from packaging.version import InvalidVersion, Version

    try:
        return str(Version(value))
    except InvalidVersion:
        raise click.BadParameter(f"{value!r} is no version such as 2.0.0.") from None


@click.command(short_help="Fail if something deprecated has come to its end.")
@click.option(
    "--days",
    type=click.IntRange(min=0),
    default=30,
    show_default=True,
    help="Warn so many days before the sunset; count calls of so many past days.",
)
@click.option("--strict", is_flag=True, help="A warning makes the exit status 1 too.")
@click.option(
    "--against",
    default=__version__,
    callback=_version,
    metavar="VERSION",
    help="Act as if this version were installed.",
)
@now_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_option
def due(days: int, strict: bool, against: str, now: datetime | None, as_json: bool) -> int:
    """Say what has come to its end.

    Two things can end: names that this version no longer has, and the old interface after its sunset. The counts of the
    store show whether anybody still uses them. Without a configuration, only the names are looked at.

    \b
    Exit status:
      0  nothing is due
      1  something is due, or with --strict soon will be
      2  wrong usage or configuration

    \b
    Examples:
      exam-compat due
      exam-compat due --days 90 --strict
      exam-compat due --against 2.0.0 --json
    """
    given = configuration_if_any()
    moment = moment_of(now, given.settings.zone if given is not None else timezone.utc)
    sunset = given.sunset if given is not None else None
    found = _removals(against, sunset, moment.date(), days, _usages(given))
    bad = [each for each in found if each.verdict == "due" or (strict and each.verdict == "soon")]
    if as_json:
        content = {"version": against, "today": moment.date().isoformat(), "fails": bool(bad)}
        say(json.dumps({**content, "removals": [_as_json(each) for each in found]}, indent=2, ensure_ascii=False))
    else:
        show_table(
            (
                Column("name", least=20),
                Column("gone from", whole=True),
                Column("state", whole=True, styles={"due": "red", "soon": "yellow"}),
                Column(f"calls in {days} days", rank=1, number=True),
                Column("last call", rank=3, whole=True),
                Column("instead", rank=2, least=20),
            ),
            (
                (each.name, each.goes, each.verdict, str(each.calls), shown_day(each.last, timezone.utc), each.instead)
                for each in found
            ),
        )
    for each in found:
        if each.verdict == "soon":
            note(f"Warning: {each.name} goes on {each.goes}, within {several(days, 'day')}.")
    return _DUE if bad else _FINE


Verdict = Literal["due", "soon", "later"]


@dataclass(frozen=True)
class Removal:
    """Something that goes: a registered name, or the old interface.

    Attributes:
        goes: the version or the day from which it is gone.
        verdict: "due" where that has come, "soon" where the day is near, "later" otherwise.
        calls: how often it was used in the days looked at, as far as that was counted.
        last: when it was last used, seconds since the epoch; None where nobody was seen to use it.
    """

    name: str
    goes: str
    verdict: Verdict
    calls: int
    last: float | None
    instead: str


def _removals(version: str, sunset: date | None, today: date, days: int, usages: Iterable[Usage]) -> list[Removal]:
    """Everything that goes, the old interface first.

    Args:
        version: ours that counts.
        sunset: the configured day, or None.
        today: the day that counts.
        days: before the sunset that it is soon, and until today that uses are counted.
        usages: what was counted.
    """
    from packaging.version import Version

    from compat.deprecation import REGISTRY

    counted = list(usages)
    found = []
    if sunset is not None:
        soon = today + timedelta(days=days) >= sunset
        verdict: Verdict = "due" if today >= sunset else "soon" if soon else "later"
        calls, last = _used(counted, today, days)
        found.append(Removal("the old interface", sunset.isoformat(), verdict, calls, last, "student sessions"))
    for entry in REGISTRY.values():
        gone = Version(version) >= Version(entry.removed_in)
        calls, last = _used([each for each in counted if _is_of(entry, each)], today, days)
        found.append(Removal(entry.name, entry.removed_in, "due" if gone else "later", calls, last, entry.instead))
    return found


def _is_of(entry: Deprecation, usage: Usage) -> bool:
    """Whether calls used a name: a method of the client class, or a route by whatever else."""
    by_client = entry.name.startswith("ExamStudentsClient.")
    route = entry.name.rpartition("." if by_client else "/")[2]
    return usage.group.route == route and (usage.group.entrance == "client") == by_client


def _used(usages: Iterable[Usage], today: date, days: int) -> tuple[int, float | None]:
    ends = (today - date(1970, 1, 1)).days
    calls, last = 0, None
    for usage in usages:
        calls += sum(number for day, number in usage.days.items() if ends - days < day <= ends)
        last = usage.last if last is None else max(last, usage.last)
    return calls, last


def _usages(given: Configuration | None) -> tuple[Usage, ...]:
    from compat.errors import CompatError

    if given is None:
        return ()
    try:
        return counted_in(given).usages
    except CompatError as error:
        note(f"What is used is not known: {error}")
        return ()


def _as_json(removal: Removal) -> dict[str, object]:
    last = None if removal.last is None else datetime.fromtimestamp(removal.last, timezone.utc)
    return {**asdict(removal), "last": None if last is None else last.isoformat(timespec="seconds")}
