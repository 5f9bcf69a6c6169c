"""``exam-compat mode`` and ``brownouts``: which endpoint answers whom, planned failures, and the switches of both."""

from __future__ import annotations

import difflib
import json
import os
from dataclasses import asdict
from datetime import datetime, timezone
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from compat.cli.console import Column, note, plain, say, say_json, show_table
from compat.cli.counted import counted_in, kept_elsewhere
from compat.cli.options import (
    checked_exam,
    config_option,
    configuration,
    json_option,
    moment_of,
    now_option,
    offering,
    offering_callers,
    offering_exams,
)
from compat.errors import ConfigurationError

if TYPE_CHECKING:
    from compat.config.settings import Configuration
    from compat.migration.modes.brownouts import Expected, Occurrence, Planned
    from compat.migration.modes.rules import Chosen, Scope
    from compat.stores.ledger import Ledger

_OFFERED = ("legacy", "shadow", "canary:5", "canary:25", "canary:50", "new", "new+fallback")
_SOON = "Whatever runs follows within 2 seconds."


@click.command(short_help="Show or switch which endpoint answers whom.")
@click.argument("mode_", metavar="[MODE]", required=False, shell_complete=offering(_OFFERED))
@click.option("--caller", metavar="NAME", shell_complete=offering_callers,
              help="Only for calls of this caller, by its name in [[callers]].")  # fmt: skip
@click.option("--exam", metavar="ID", shell_complete=offering_exams, help="Only for calls for this exam.")
@click.option("--clear", is_flag=True, help="Remove the switch. The configuration counts again.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
def mode(mode_: str | None, caller: str | None, exam: str | None, clear: bool, as_json: bool) -> None:
    """Show which endpoint answers whom and why, or switch it without a restart.

    \b
    MODE is one of:
      legacy        the old endpoint answers
      shadow        the old one answers; the new one is asked too, to compare
      canary:25     the new one answers 25 callers in a hundred, the old one
                    the others; the other endpoint is asked too, to compare
      new+fallback  the new one answers; if it fails, the old one
      new           the new one answers; this is the default

    EXAM_COMPAT_MODE in the environment of a process counts first, then a switch, then the configuration. Within a
    switch or the configuration, a rule for a caller and an exam counts first, then one for the caller, then one for the
    exam, then the one for everyone.

    \b
    Exit status:
      0  done
      1  the store cannot be read or written
      2  wrong usage or configuration

    \b
    Examples:
      exam-compat mode
      exam-compat mode shadow
      exam-compat mode canary:25 --exam 17
      exam-compat mode legacy --caller 'registrar nightly export'
      exam-compat mode --clear --exam 17
    """
    if clear and mode_ is not None:
        raise click.UsageError("--clear and a mode exclude each other: leave one of the two out.")
    given = configuration()
    scope = _scope(given, caller, exam)
    # Imported here, as in all that follows: the help needs none of it.
    from compat.stores.ledger import open_ledger

    with open_ledger(given.store) as ledger:
        if clear or mode_ is not None:
            _switch(given, ledger, scope, mode_)
        if as_json or not (clear or mode_ is not None):
            _show(given, ledger, scope, as_json=as_json)


def _scope(given: Configuration, caller: str | None, exam: str | None) -> Scope:
    from compat.migration.modes.rules import Scope

    names = [each.caller.name for each in given.callers]
    if caller is not None and caller not in names:
        near = difflib.get_close_matches(caller, names, n=1, cutoff=0.0)
        known = f"the nearest is {near[0]!r}" if near else "there are no [[callers]]"
        raise click.BadParameter(f"the configuration knows no caller {caller!r}; {known}.", param_hint="--caller")
    number = checked_exam(exam)
    return Scope(caller, None if number is None else str(number))


def _switch(given: Configuration, ledger: Ledger, scope: Scope, text: str | None) -> None:
    from compat.migration.modes.rules import LACKING, MODE_VARIABLE, Mode, switch_name

    kept_elsewhere(given, "switched")
    if text is not None and Mode.parse(text, "mode").needs_legacy and given.legacy_base_url is None:
        raise ConfigurationError(f"mode = {text!r} needs {LACKING}")
    name = switch_name(scope)
    before = ledger.switches().get(name)
    ledger.set_switch(name, text)
    if text is None and before is None:
        note(f"There was no switch for {scope}.")
        return
    was = f"it was switched to {before}" if before is not None else "it was not switched"
    done = f"Switched {scope} to {text}; {was}." if text is not None else f"The switch of {scope} to {before} is gone."
    note(f"{done} {_SOON}")
    if os.environ.get(MODE_VARIABLE):
        note(f"{MODE_VARIABLE} is set here: it counts over every switch in the processes that have it.")


def _show(given: Configuration, ledger: Ledger, within: Scope, *, as_json: bool) -> None:
    rows = [
        (scope, chosen)
        for scope, chosen in _chosen(given, ledger)
        if within.caller in (None, scope.caller) and within.exam in (None, scope.exam)
    ]
    if as_json:
        say(json.dumps([_mode_as_json(scope, chosen) for scope, chosen in rows], ensure_ascii=False))
        return
    show_table(
        ("Caller", Column("Exam", whole=True), Column("Mode", whole=True), Column("Because of", rank=1)),
        [
            (plain(scope.caller or "all others"), scope.exam or "all others", str(chosen.mode), _reason(chosen))
            for scope, chosen in rows
        ],
    )


def _chosen(given: Configuration, ledger: Ledger) -> list[tuple[Scope, Chosen]]:
    """Every caller and exam that something is said of, and the mode of their calls."""
    from compat.migration.modes.rules import Scope, chosen_of, configured_rules, mode_of_environment, switched_rules

    legacy = given.legacy_base_url is not None
    configured = configured_rules(given, legacy=legacy)
    switched, strange = switched_rules(ledger.switches(), legacy=legacy)
    for name in strange:
        note(f"The switch {name!r} is left alone: it is no mode, or one that needs base_url in [legacy].")
    scopes = {Scope(), *(Scope(each.caller.name) for each in given.callers)}
    scopes.update(scope for rules in (configured, switched) for scope, _ in rules)
    ordered = sorted(scopes, key=lambda scope: (scope.caller or "", int(scope.exam or -1)))
    over_all = mode_of_environment()
    return [(scope, chosen_of(scope.caller, scope.exam or "", over_all, switched, configured)) for scope in ordered]


def _reason(chosen: Chosen) -> str:
    from compat.migration.modes.rules import MODE_VARIABLE

    if chosen.by == "environment":
        return f"{MODE_VARIABLE}, here"
    if chosen.by == "default":
        return "nothing says otherwise"
    return f"the {chosen.by} for {plain(str(chosen.scope))}"


def _mode_as_json(scope: Scope, chosen: Chosen) -> dict[str, Any]:
    rule = {"caller": chosen.scope.caller, "exam": chosen.scope.exam}
    shown = {"caller": scope.caller, "exam": scope.exam, "mode": str(chosen.mode), "by": chosen.by}
    return {**shown, "rule": None if chosen.by in ("environment", "default") else rule}


_NOTHING = """\
No brownout is planned. One is a table of its own in the configuration:

[[migration.brownouts]]
starts = 2027-03-01T09:00:00
ends = 2027-03-01T09:15:00"""


@click.command(short_help="Show, rehearse and pause planned failures of the old interface.")
@click.argument("action", type=click.Choice(("show", "pause", "resume")), default="show")
@click.option("--dry-run", is_flag=True,
              help="Show who would fail: who called at that weekday and time in the last 4 weeks.")  # fmt: skip
@now_option
@json_option
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
        _show_brownouts(given, moment, dry_run=dry_run, as_json=as_json)
    else:
        _pause(given, pause=action == "pause", moment=moment)


def _pause(given: Configuration, *, pause: bool, moment: datetime) -> None:
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


def _show_brownouts(given: Configuration, moment: datetime, *, dry_run: bool, as_json: bool) -> None:
    from compat.migration.modes.brownouts import PAUSED, expected, planned
    from compat.stores.ledger import open_ledger

    windows, blackouts = planned(given)
    with open_ledger(given.store) as ledger:
        paused = ledger.switches().get(PAUSED)
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
            "brownouts": [_brownout_as_json(*each, moment=moment, dry_run=dry_run) for each in found],
            "blackouts": [{"starts": each.starts.isoformat(), "ends": each.ends.isoformat()} for each in spared],
        }
        say_json(content)
        return
    if not windows:
        say(_NOTHING)
        return
    _tell_brownouts(found, spared, moment, paused, dry_run=dry_run)


def _tell_brownouts(
    found: list[tuple[Planned, Occurrence | None, list[Expected]]],
    spared: list[Occurrence],
    moment: datetime,
    paused: str | None,
    *,
    dry_run: bool,
) -> None:
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
    whom = "all" if planned.callers is None else plain(", ".join(sorted(planned.callers)))
    return _state(coming, moment, paused), _time(span.starts), _time(span.ends), whom, planned.window.every or ""


def _time(moment: datetime) -> str:
    return moment.isoformat(sep=" ", timespec="minutes")


def _rehearse(coming: Occurrence, would: list[Expected]) -> None:
    say(f"\n{_time(coming.starts)} to {_time(coming.ends)}: {len(would)} would fail.")
    if would:
        rows = [(plain(each.name), str(each.calls), f"{each.weeks} of 4") for each in would]
        show_table(("caller", Column("calls then", number=True), Column("weeks", whole=True)), rows)
    say("Told from who called at that weekday and those hours in the last 4 weeks; who calls by hand is not foreseen.")


def _brownout_as_json(
    planned: Planned, coming: Occurrence | None, would: list[Expected], *, moment: datetime, dry_run: bool
) -> dict[str, Any]:
    span = _span(planned, coming)
    found: dict[str, Any] = {
        "state": _state(coming, moment, None),
        "starts": span.starts.isoformat(),
        "ends": span.ends.isoformat(),
        "every": planned.window.every,
        "callers": None if planned.callers is None else sorted(planned.callers),
    }
    if dry_run:
        found["would_fail"] = [asdict(each) for each in would]
    return found
