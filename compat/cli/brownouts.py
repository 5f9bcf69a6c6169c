"""``exam-compat brownouts``: the planned windows, who would fail in them, and the switch that pauses them."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from compat.cli.console import config_option, configuration, note, plain, say
from compat.cli.counted import counted_in, kept_elsewhere, moment_of, now_option
from compat.cli.tables import Column, show_table

if TYPE_CHECKING:
    from compat.config.settings import Configuration
    from compat.migration.modes.brownouts import Expected, Occurrence, Planned

__all__ = ["brownouts"]

_SOON = "Whatever runs follows within 2 seconds."
_NOTHING = """\
No brownout is planned. One is a table of its own in the configuration:

[[migration.brownouts]]
starts = 2027-03-01T09:00:00
ends = 2027-03-01T09:15:00"""


@click.command(short_help="Show, rehearse and pause planned failures of the old interface.")
@click.argument("action", type=click.Choice(("show", "pause", "resume")), default="show")
@click.option(
    "--dry-run", is_flag=True, help="Show who would fail: who called at that weekday and time in the last 4 weeks."
)
@now_option
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
@config_option
def brownouts(action: str, dry_run: bool, now: datetime | None, as_json: bool) -> None:
    """Show the planned brownouts, or pause and resume all of them.

    A brownout is a planned window in which deprecated calls get a 410. The answer says until when, and what to use
    instead. --dry-run names the callers that each coming window would meet.

    Without a word, or with show, the brownouts are shown. After pause, no brownout happens. After resume, they happen
    again. No restart is needed: whatever runs follows within 2 seconds.

    \b
    Exit status:
      0  done
      1  the store cannot be read or written
      2  wrong usage or configuration

    \b
    Examples:
      exam-compat brownouts
      exam-compat brownouts --dry-run
      exam-compat brownouts pause
      exam-compat brownouts resume
    """
    given = configuration()
    moment = moment_of(now, given.settings.zone)
    if action == "show":
        _show(given, moment, dry_run=dry_run, as_json=as_json)
    else:
        _switch(given, pause=action == "pause", moment=moment)


def _switch(given: Configuration, *, pause: bool, moment: datetime) -> None:
    from compat.migration.modes.brownouts import PAUSED
    from compat.stores.ledger import open_ledger

    kept_elsewhere(given)
    with open_ledger(given.store) as ledger:
        since = ledger.switches().get(PAUSED)
        if pause == (since is not None):
            note(f"They were paused already, since {plain(since)}." if since is not None else "They were not paused.")
            return
        ledger.set_switch(PAUSED, moment.astimezone(timezone.utc).isoformat(timespec="seconds") if pause else None)
    note(f"All brownouts are paused. {_SOON}" if pause else f"Brownouts happen again. {_SOON}")


def _show(given: Configuration, moment: datetime, *, dry_run: bool, as_json: bool) -> None:
    from compat.migration.modes.brownouts import expected, planned

    windows, blackouts = planned(given)
    paused = _paused(given)
    usages = counted_in(given).usages if dry_run else ()
    found = []
    for each in windows:
        coming = next(each.window.after(moment), None)
        would = expected(usages, each, coming, moment.timestamp()) if dry_run and coming is not None else []
        found.append((each, coming, would))
    spared = [occurrence for each in blackouts for occurrence in islice(each.window.after(moment), 1)]
    if as_json:
        content = {
            "paused_since": paused,
            "brownouts": [_as_json(*each, moment=moment, dry_run=dry_run) for each in found],
            "blackouts": [{"starts": each.starts.isoformat(), "ends": each.ends.isoformat()} for each in spared],
        }
        say(json.dumps(content, indent=2, ensure_ascii=False))
        return
    if not windows:
        say(_NOTHING)
        return
    show_table(
        (
            Column("state", whole=True),
            Column("starts", whole=True),
            Column("ends", rank=2, whole=True),
            Column("callers", rank=1),
            Column("again", rank=3, whole=True),
        ),
        (_row(each, coming, moment, paused) for each, coming, _ in found),
    )
    for time in spared:
        say(f"No call for its exams fails from {_time(time.starts)} to {_time(time.ends)}.")
    if dry_run:
        for _, coming, would in found:
            if coming is not None:
                _rehearse(coming, would)
    if paused is not None:
        note(f"All of them are paused since {plain(paused)}; exam-compat brownouts resume ends that.")


def _paused(given: Configuration) -> str | None:
    from compat.migration.modes.brownouts import PAUSED
    from compat.stores.ledger import open_ledger

    with open_ledger(given.store) as ledger:
        return ledger.switches().get(PAUSED)


def _state(coming: Occurrence | None, moment: datetime, paused: str | None) -> str:
    if coming is None:
        return "over"
    if paused is not None:
        return "paused"
    return "now" if coming.starts <= moment else "planned"


def _span(planned: Planned, coming: Occurrence | None) -> Occurrence:
    """The time that comes, else the first one."""
    from compat.migration.modes.brownouts import Occurrence

    return coming if coming is not None else Occurrence(planned.window.starts, planned.window.ends)


def _row(planned: Planned, coming: Occurrence | None, moment: datetime, paused: str | None) -> tuple[str, ...]:
    span = _span(planned, coming)
    again = planned.window.every or ""
    return _state(coming, moment, paused), _time(span.starts), _time(span.ends), _whom(planned), again


def _time(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="minutes")


def _whom(planned: Planned) -> str:
    return "all" if planned.callers is None else plain(", ".join(sorted(planned.callers)))


def _rehearse(coming: Occurrence, would: list[Expected]) -> None:
    say(f"\n{_time(coming.starts)} to {_time(coming.ends)}: {len(would)} would fail.")
    if would:
        rows = [(plain(each.name), str(each.calls), f"{each.weeks} of 4") for each in would]
        show_table(("caller", Column("calls then", number=True), Column("weeks", whole=True)), rows)
    say("Told from who called at that weekday and those hours in the last 4 weeks; who calls by hand is not foreseen.")


def _as_json(
    planned: Planned, coming: Occurrence | None, would: list[Expected], *, moment: datetime, dry_run: bool
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "state": _state(coming, moment, None),
        "starts": _span(planned, coming).starts.isoformat(),
        "ends": _span(planned, coming).ends.isoformat(),
        "every": planned.window.every,
        "callers": None if planned.callers is None else sorted(planned.callers),
    }
    if dry_run:
        found["would_fail"] = [
            {"name": each.name, "kind": each.kind, "calls": each.calls, "weeks": each.weeks} for each in would
        ]
    return found
