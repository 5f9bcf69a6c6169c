"""``exam-compat callers`` and ``due``: who still makes deprecated calls, and what has to be gone by when."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any, Literal

import click

from compat._version import __version__
from compat.cli.console import Column, note, plain, say, say_json, show_table
from compat.cli.options import (
    config_option,
    configuration,
    configuration_if_any,
    json_option,
    moment_of,
    now_option,
    offering_callers,
)
from compat.errors import CompatError, ConfigurationError
from compat.text.json import several

if TYPE_CHECKING:
    from compat.config.settings import Configuration
    from compat.deprecation import Deprecation
    from compat.migration.inventory.report import CallerUsage
    from compat.stores.ledger import AllCounts, Usage


def kept_elsewhere(given: Configuration, done: str = "seen") -> None:
    """ConfigurationError where no other process shares the store, so that nothing can be done to it from here."""
    if given.store.startswith("memory:"):
        raise ConfigurationError(
            f"[store] url: memory:// is each process's own, so nothing can be {done} from here; "
            "use sqlite:/// or redis://"
        )


def counted_in(given: Configuration) -> AllCounts:
    """All that is counted in a configuration's store; StoreUnavailable where it cannot be read."""
    from compat.stores.ledger import open_ledger

    kept_elsewhere(given)
    with open_ledger(given.store) as ledger:
        return ledger.counted()


def shown_day(seconds: float | None, zone: tzinfo = timezone.utc) -> str:
    """The day of a time, in a zone; nothing for none."""
    return "" if seconds is None else datetime.fromtimestamp(seconds, zone).date().isoformat()


def _day_number(day: date) -> int:
    return (day - date(1970, 1, 1)).days


def _with_times(found: Any, zone: tzinfo, *names: str) -> dict[str, Any]:
    """What was found as a JSON object, with the times of these names as texts."""
    given = asdict(found)
    for name in names:
        if given[name] is not None:
            given[name] = datetime.fromtimestamp(given[name], zone).isoformat(timespec="seconds")
    return given


_NOTHING = """\
No deprecated call has been counted yet. Calls are counted where a configuration is given: by exam-compat serve, by
exam-compat run, and by compat.install() or compat.mount() with compat.load_config(); a script that is given an upstream
alone counts where EXAM_COMPAT_STORE says. Look here again after it has run, with the same [store]."""
_COLUMNS = (
    Column("caller", least=16),
    Column("state", whole=True, styles={"new": "yellow", "active": "yellow", "quiet": "green", "never": "green"}),
    Column("calls", number=True),
    Column("a day", rank=1, number=True),
    Column("first", rank=3, whole=True),
    Column("last", rank=1, whole=True),
    Column("answered by", rank=2),
    Column("routes", rank=4, least=16),
    Column("parameters", rank=5),
)
_LONGEST = 60


@click.command(short_help="Show who still makes deprecated calls.")
@click.option("--caller", metavar="NAME", shell_complete=offering_callers, help="Show only this caller.")
@click.option("--since", type=click.DateTime(("%Y-%m-%d",)), help="Count only calls from this day on, in UTC.")
@click.option("--left", is_flag=True, help="Show only callers that still have to move: the new and the active ones.")
@click.option("--new-days", type=click.FloatRange(min=0), default=7, show_default=True,
              help="A caller is new for so many days.")  # fmt: skip
@click.option("--quiet-days", type=click.FloatRange(min=0), default=30, show_default=True,
              help="A caller is quiet after so many days without a call.")  # fmt: skip
@now_option
@click.option("--json", "form", flag_value="json", help="Print a JSON object.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV.")
@config_option
def callers(
    caller: str | None,
    since: datetime | None,
    left: bool,
    new_days: float,
    quiet_days: float,
    now: datetime | None,
    form: str | None,
) -> None:
    """Show who still makes deprecated calls, who has begun to, and who has gone quiet.

    A caller is an entry of [[callers]], known by its token. Without a known token it is the line of the script that
    calls, else the user agent. A caller is quiet after --quiet-days without a call, or after more than three times its
    usual gap.

    \b
    Exit status:
      0  shown
      1  the store cannot be read
      2  wrong usage or configuration

    \b
    Examples:
      exam-compat callers
      exam-compat callers --left --csv > left.csv
      exam-compat callers --caller 'registrar nightly export' --json
    """
    from compat.migration.inventory.report import caller_report

    given = configuration()
    moment = moment_of(now, given.settings.zone)
    counted = counted_in(given)
    usages = counted.usages if since is None else tuple(_since(counted.usages, since.date()))
    names = [each.caller.name for each in given.callers]
    found = caller_report(usages, names, moment.timestamp(), new_days, quiet_days)
    shown = [each for each in found if (caller is None or each.name == caller) and (each.left or not left)]
    zone, days_left = given.settings.zone, None if given.sunset is None else (given.sunset - moment.date()).days
    if form == "json":
        head = {"sunset": given.sunset and given.sunset.isoformat(), "days_left": days_left, "dropped": counted.dropped}
        say_json({**head, "callers": [_caller_as_json(each, zone) for each in shown]})
    elif form == "csv":
        click.echo(_as_csv(shown, zone), nl=False)
    elif not counted.usages:
        say(_NOTHING)
    else:
        show_table(_COLUMNS, (_row(each, zone) for each in shown))
        say(_summary(found, given.sunset, days_left))
    if counted.dropped:
        note(
            f"{counted.dropped} more calls were seen and not counted, the last of them on "
            f"{shown_day(counted.dropped_last, zone)}: too many waited at once."
        )


def _since(usages: Iterable[Usage], since: date) -> Iterator[Usage]:
    """What of the counts is of that day or later."""
    begins = _day_number(since)
    for usage in usages:
        days = {day: number for day, number in usage.days.items() if day >= begins}
        if days:
            first = max(usage.first, min(days) * 86400.0)
            yield replace(usage, days=days, number=sum(days.values()), first=first)


def _row(caller: CallerUsage, zone: tzinfo) -> tuple[str, ...]:
    name = plain(caller.name)
    return (
        # The end of a long path says more than its beginning.
        name if len(name) <= _LONGEST else "…" + name[1 - _LONGEST :],
        caller.state,
        str(caller.calls),
        f"{caller.a_day:.1f}",
        shown_day(caller.first, zone),
        shown_day(caller.last, zone),
        ", ".join(f"{name} {number}" for name, number in caller.answered_by.items()),
        ", ".join(caller.routes),
        ", ".join(caller.parameters),
    )


def _summary(found: list[CallerUsage], sunset: date | None, days: int | None) -> str:
    left = sum(each.left for each in found)
    told = f"{left} of {several(len(found), 'caller')} {'is' if left == 1 else 'are'} left"
    if days is None:
        return f"{told}; [legacy] has no sunset."
    if days <= 0:
        ago = f"{several(-days, 'day')} ago" if days else "today"
        return f"{told}; the sunset was {ago}, on {sunset}."
    return f"{told}, {several(days, 'day')} before the sunset on {sunset}."


def _caller_as_json(caller: CallerUsage, zone: tzinfo) -> dict[str, Any]:
    return {**_with_times(caller, zone, "first", "last"), "a_day": round(caller.a_day, 2), "left": caller.left}


def _as_csv(shown: list[CallerUsage], zone: tzinfo) -> str:
    from compat.migration.inventory.report import CallerUsage

    names = [each.name for each in fields(CallerUsage)]
    names.insert(names.index("state") + 1, "left")
    written = io.StringIO()
    out = csv.DictWriter(written, names, lineterminator="\n")
    out.writeheader()
    for each in shown:
        out.writerow({name: _csv_cell(value) for name, value in _caller_as_json(each, zone).items()})
    return written.getvalue()


def _csv_cell(value: Any) -> str:
    if isinstance(value, Mapping):
        value = [f"{name}={number}" for name, number in value.items()]
    text = " | ".join(map(str, value)) if isinstance(value, list | tuple) else "" if value is None else str(value)
    # A spreadsheet takes what begins so for a formula, and callers choose these texts.
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else plain(text)


def _version(value: str) -> str:
    from packaging.version import InvalidVersion, Version

    try:
        return str(Version(value))
    except InvalidVersion:
        raise click.BadParameter(f"{value!r} is no version such as 2.0.0.") from None


@click.command(short_help="Fail if something deprecated has come to its end.")
@click.option("--days", type=click.IntRange(min=0), default=30, show_default=True,
              help="Warn so many days before the sunset; count calls of so many past days.")  # fmt: skip
@click.option("--strict", is_flag=True, help="A warning makes the exit status 1 too.")
@click.option("--against", type=_version, default=__version__, metavar="VERSION",
              help="Act as if this version were installed.")  # fmt: skip
@now_option
@json_option
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
        removals = [_with_times(each, timezone.utc, "last") for each in found]
        say_json({"version": against, "today": moment.date().isoformat(), "fails": bool(bad), "removals": removals})
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
                (each.name, each.goes, each.verdict, _number(each.calls), shown_day(each.last), each.instead)
                for each in found
            ),
        )
    for each in found:
        if each.verdict == "soon":
            note(f"Warning: {each.name} goes on {each.goes}, within {several(days, 'day')}.")
    return 1 if bad else 0


def _number(calls: int | None) -> str:
    return "?" if calls is None else str(calls)


Verdict = Literal["due", "soon", "later"]


@dataclass(frozen=True)
class Removal:
    """Something that goes: a registered name, or the old interface.

    Attributes:
        goes: the version or the day from which it is gone.
        calls: how often it was used in the days looked at; None where that is not known.
        last: when it was last used, seconds since the epoch; None where nobody was seen to use it.
    """

    name: str
    goes: str
    verdict: Verdict
    calls: int | None
    last: float | None
    instead: str


def _removals(
    version: str, sunset: date | None, today: date, days: int, usages: Iterable[Usage] | None
) -> list[Removal]:
    """Everything that goes, the old interface first; ``days`` before the sunset it is soon, and uses count so long."""
    from packaging.version import Version

    from compat.deprecation import REGISTRY

    counted = list(usages or ())

    def removal(name: str, goes: str, verdict: Verdict, instead: str, of: list[Usage]) -> Removal:
        ends = _day_number(today)
        calls = sum(n for usage in of for day, n in usage.days.items() if ends - days < day <= ends)
        if usages is None:
            return Removal(name, goes, verdict, None, None, instead)
        return Removal(name, goes, verdict, calls, max((usage.last for usage in of), default=None), instead)

    found = []
    if sunset is not None:
        soon = today + timedelta(days=days) >= sunset
        verdict: Verdict = "due" if today >= sunset else "soon" if soon else "later"
        found.append(removal("the old interface", sunset.isoformat(), verdict, "student sessions", counted))
    for entry in REGISTRY.values():
        gone = Version(version) >= Version(entry.removed_in)
        of = [each for each in counted if _is_of(entry, each)]
        found.append(removal(entry.name, entry.removed_in, "due" if gone else "later", entry.instead, of))
    return found


def _is_of(entry: Deprecation, usage: Usage) -> bool:
    """Whether calls used a name: a method of the client class, or a route by whatever else."""
    by_client = entry.name.startswith("ExamStudentsClient.")
    route = entry.name.rpartition("." if by_client else "/")[2]
    return usage.group.route == route and (usage.group.entrance == "client") == by_client


def _usages(given: Configuration | None) -> tuple[Usage, ...] | None:
    """What was counted; None, and a line that says why, where that is not known."""
    if given is None:
        note("No configuration: only the names were looked at, neither the sunset nor who still calls.")
        return None
    try:
        return counted_in(given).usages
    except CompatError as error:
        note(f"What is used is not known: {error}")
        return None
