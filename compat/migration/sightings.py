"""One deprecated call as an entrance saw it: what the inventory counts."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Sighting"]


@dataclass(frozen=True)
class Sighting:
    """A deprecated call; no value of a parameter, no secret, nobody's data.

    Attributes:
        at: when it came, seconds since the epoch.
        entrance: "adapter", "client" or "gateway".
        route: the action of the deprecated route, such as ``index_students``.
        caller: whose it is by the configuration, or None.
        call_site: the caller's file and line, such as ``/srv/export.py:12``; None where they cannot be seen.
        user_agent: the header of that name, or None.
        parameters: the names of the parameters that the call used, sorted; unknown ones as ``other``.
        dialect: which way of signing made the signature, where that was found out.
        answered_by: "legacy", "new", or "gateway" for what the gateway says by itself.
        status: the HTTP status of the answer; 0 where there was none.
        fields: the fields of the record that were read, sorted; None where that cannot be seen.
        again: whether the call is counted already, and this says what was read of its answer since.
    """

    at: float
    entrance: str
    route: str
    caller: str | None = None
    call_site: str | None = None
    user_agent: str | None = None
    parameters: tuple[str, ...] = ()
    dialect: str | None = None
    answered_by: str = "new"
    status: int = 0
    fields: tuple[str, ...] | None = None
    again: bool = False
