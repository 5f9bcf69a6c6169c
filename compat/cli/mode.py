"""``exam-compat mode``: which endpoint answers whom, and the switch that changes it while everything runs."""

from __future__ import annotations

import difflib
import json
import os
from typing import TYPE_CHECKING, Any

import click

from compat.cli.completion import offering, offering_callers, offering_exams
from compat.cli.console import config_option, configuration, note, plain, say
from compat.cli.tables import Column, show_table

if TYPE_CHECKING:
    from compat.config.settings import Configuration
    from compat.migration.modes.rules import Chosen, Scope
    from compat.stores.ledger import Ledger

__all__ = ["mode"]

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
    if exam is not None and not (exam.isascii() and exam.isdigit()):
        raise click.BadParameter(f"{exam!r} is no exam id, which is digits.", param_hint="--exam")
    return Scope(caller, None if exam is None else str(int(exam)))


def _switch(given: Configuration, ledger: Ledger, scope: Scope, text: str | None) -> None:
    from compat.errors import ConfigurationError
    from compat.migration.modes.rules import LACKING, MODE_VARIABLE, Mode, switch_name

    if given.store.startswith("memory:"):
        raise ConfigurationError(
            "[store] url: memory:// is each process's own, so nothing can be switched from here; "
            "use sqlite:/// or redis://"
        )
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
        say(json.dumps([_as_json(scope, chosen) for scope, chosen in rows], ensure_ascii=False))
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


def _as_json(scope: Scope, chosen: Chosen) -> dict[str, Any]:
    shown = {"caller": scope.caller, "exam": scope.exam, "mode": str(chosen.mode), "by": chosen.by}
    return {**shown, "rule": _rule(chosen)}


def _rule(chosen: Chosen) -> dict[str, str | None] | None:
    if chosen.by in ("environment", "default"):
        return None
    return {"caller": chosen.scope.caller, "exam": chosen.scope.exam}
