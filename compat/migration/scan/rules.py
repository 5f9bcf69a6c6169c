"""What counts as a use of the old interface, and what to use instead: read off the registry of what is deprecated."""

from __future__ import annotations

from dataclasses import dataclass

from compat.deprecation import REGISTRY
from compat.legacy.routes import ROUTES

__all__ = ["ACTIONS", "CLIENT", "METHOD_RULES", "ROUTE_RULES", "RULES", "SHIM", "Rule"]

ACTIONS = tuple(route.action for route in ROUTES)
"""The last parts of the deprecated routes' paths, which are also the old client's methods."""


@dataclass(frozen=True)
class Rule:
    """A kind of use.

    Attributes:
        id: how it is named in reports.
        title: what is used.
        instead: what to use.
        level: "warning" for a use of the old interface; "note" for what only keeps such uses working.
    """

    id: str
    title: str
    instead: str
    level: str = "warning"


def _of_route(action: str, method: str) -> Rule:
    name = f"{method} exams/:id/{action}"
    client = REGISTRY[f"ExamStudentsClient.{action}"].instead
    return Rule(f"{action.replace('_', '-')}-route", name, f"{client}, or {REGISTRY[name].instead}")


def _of_method(action: str) -> Rule:
    name = f"ExamStudentsClient.{action}"
    return Rule(f"{action.replace('_', '-')}-method", name, REGISTRY[name].instead)


ROUTE_RULES = {route.action: _of_route(route.action, route.methods[0]) for route in ROUTES}
METHOD_RULES = {action: _of_method(action) for action in ACTIONS}
CLIENT = Rule("old-client", "ExamStudentsClient, StudentsPage", "StudentSessionsClient, SessionsPage")
SHIM = Rule("shim", "compat.install, compat.mount", "nothing, once no old call is left behind them", "note")
RULES = {rule.id: rule for rule in (*ROUTE_RULES.values(), *METHOD_RULES.values(), CLIENT, SHIM)}
"""Every rule, by its id."""
