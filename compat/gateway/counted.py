"""Tells the inventory of the gateway's calls."""

from __future__ import annotations

from collections.abc import Sequence

from compat.gateway.exchange import OTHER_ROUTE, Exchange
from compat.migration.counting import dialect_of, names_of
from compat.migration.inventory import Inventory
from compat.migration.sightings import Sighting
from compat.shim import Admitted

__all__ = ["Counted", "describe"]

_STRANGER = "unknown"


def describe(exchange: Exchange, admitted: Admitted) -> None:
    """Note what the inventory wants of an admitted call, and no value of it."""
    values = admitted.parameters.values
    exchange.parameters = names_of(values)
    exchange.dialect = dialect_of(admitted.call, values.get("nonce"), slash=exchange.slash)


class Counted:
    """Counts each deprecated call when its answer has ended; an ``Observer``.

    Args:
        inventory: takes them.
    """

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def __call__(self, ended: Sequence[Exchange]) -> None:
        for exchange in ended:
            if exchange.route != OTHER_ROUTE:
                self._note(exchange)

    def _note(self, exchange: Exchange) -> None:
        # What strangers send is not kept: it could be anything, and as much as they like.
        known = exchange.caller is not None and exchange.caller != _STRANGER
        signed_as = (exchange.details or {}).get("signed_as")
        self._inventory.note(
            Sighting(
                at=exchange.at,
                entrance="gateway",
                route=exchange.route,
                caller=exchange.caller,
                user_agent=exchange.user_agent if known else None,
                parameters=exchange.parameters,
                dialect=" ".join(signed_as) if signed_as else exchange.dialect,
                answered_by=exchange.answered_by,
                status=exchange.status,
            )
        )
