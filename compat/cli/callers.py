"""``exam-compat callers``: who still makes deprecated calls."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, replace
from dataclasses import fields as dataclass_fields
from datetime import date, datetime, tzinfo
from typing import TYPE_CHECKING, Any

import click

from compat.cli.completion import offering_callers
from compat.cli.console import config_option, configuration, note, plain, say
from compat.cli.counted import counted_in, moment_of, now_option, shown_day
from compat.cli.tables import Column, show_table
from compat.text.json import several

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from compat.config.settings import Configuration
    from compat.migration.inventory.report import CallerUsage
    from compat.stores.ledger import Usage

__all__ = ["callers"]

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
@click.option(
    "--new-days", type=click.FloatRange(min=0), default=7, show_default=True, help="A caller is new for so many days."
)
@click.option(
    "--quiet-days",
    type=click.FloatRange(min=0),
    default=30,
    show_default=True,
    help="A caller is quiet after so many days without a call.",
)
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
    if form is None and not counted.usages:
        say(_NOTHING)
    else:
        _show(given, form, shown, found, moment, counted.dropped)
    if counted.dropped:
        note(
            f"{counted.dropped} more calls were seen and not counted, the last of them on "
            f"{shown_day(counted.dropped_last, given.settings.zone)}: too many waited at once."
        )


def _show(
    given: Configuration,
    form: str | None,
    shown: list[CallerUsage],
    found: list[CallerUsage],
    moment: datetime,
    dropped: int,
) -> None:
    if form == "json":
        say(json.dumps(_as_json(given, shown, moment, dropped), indent=2, ensure_ascii=False))
    elif form == "csv":
        click.echo(_as_csv(shown, given.settings.zone), nl=False)
    else:
        show_table(_COLUMNS, (_row(each, given.settings.zone) for each in shown))
        say(_summary(given, found, moment))


def _since(usages: Iterable[Usage], since: date) -> Iterable[Usage]:
    """What of the counts is of that day or later."""
    begins = (since - date(1970, 1, 1)).days
    for usage in usages:
        days = {day: number for day, number in usage.days.items() if day >= begins}
        if days:
            first = max(usage.first, min(days) * 86400.0)
            yield replace(usage, days=days, number=sum(days.values()), first=first)


def _row(caller: CallerUsage, zone: tzinfo) -> Sequence[str]:
    return (
        _shortened(plain(caller.name)),
        caller.state,
        str(caller.calls),
        f"{caller.a_day:.1f}",
        shown_day(caller.first, zone),
        shown_day(caller.last, zone),
        ", ".join(f"{name} {number}" for name, number in caller.answered_by.items()),
        ", ".join(caller.routes),
        ", ".join(caller.parameters),
    )


def _shortened(name: str) -> str:
    """The end of a long path says more than its beginning."""
    return name if len(name) <= _LONGEST else "…" + name[1 - _LONGEST :]


def _summary(given: Configuration, found: list[CallerUsage], moment: datetime) -> str:
    left = sum(each.left for each in found)
    told = f"{left} of {several(len(found), 'caller')} {'is' if left == 1 else 'are'} left"
    if given.sunset is None:
        return f"{told}; [legacy] has no sunset."
    days = (given.sunset - moment.date()).days
    if days <= 0:
        ago = f"{several(-days, 'day')} ago" if days else "today"
        return f"{told}; the sunset was {ago}, on {given.sunset}."
    return f"{told}, {several(days, 'day')} before the sunset on {given.sunset}."


def _as_json(given: Configuration, shown: list[CallerUsage], moment: datetime, dropped: int) -> dict[str, Any]:
    days = None if given.sunset is None else (given.sunset - moment.date()).days
    return {
        "sunset": None if given.sunset is None else given.sunset.isoformat(),
        "days_left": days,
        "dropped": dropped,
        "callers": [_with_times(each, given.settings.zone) for each in shown],
    }


def _with_times(caller: CallerUsage, zone: tzinfo) -> dict[str, Any]:
    found = asdict(caller)
    for name in ("first", "last"):
        seconds = found[name]
        found[name] = None if seconds is None else datetime.fromtimestamp(seconds, zone).isoformat(timespec="seconds")
    return {**found, "a_day": round(caller.a_day, 2), "left": caller.left}


def _as_csv(shown: list[CallerUsage], zone: tzinfo) -> str:
    from compat.migration.inventory.report import CallerUsage

    written = io.StringIO()
    rows = [_with_times(each, zone) for each in shown]
    names = [each.name for each in dataclass_fields(CallerUsage)]
    names.insert(names.index("state") + 1, "left")
    out = csv.writer(written, lineterminator="\n")
    out.writerow(names)
    for row in rows:
        out.writerow([_csv_cell(row[name]) for name in names])
    return written.getvalue()


def _csv_cell(value: Any) -> str:
    if isinstance(value, dict):
        value = [f"{name}={number}" for name, number in value.items()]
    text = " | ".join(map(str, value)) if isinstance(value, list | tuple) else "" if value is None else str(value)
    # A spreadsheet takes what begins so for a formula, and callers choose these texts.
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else plain(text)
