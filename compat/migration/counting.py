"""What an entrance tells the inventory of a call: names of parameters and ways of signing, and no value."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable, Iterable

import requests

from compat.config import Configuration
from compat.errors import ConfigurationError, LegacyError
from compat.legacy.answer import ANSWERED_BY, Answer
from compat.legacy.parameters import gather
from compat.legacy.routes import LegacyCall
from compat.migration.call_sites import call_site
from compat.migration.inventory import Inventory, inventory_at
from compat.migration.sightings import Sighting
from compat.upstream.interface import Upstream

__all__ = ["STORE_VARIABLE", "Counting", "dialect_of", "inventory_of", "names_of"]

STORE_VARIABLE = "EXAM_COMPAT_STORE"
"""Where calls are counted in a script that was given an upstream and no configuration."""

_CONFIG_VARIABLE = "EXAM_COMPAT_CONFIG"
_KNOWN = frozenset(
    (
        *("status", "page", "limit", "sort", "filter", "student_session_id", "name", "email"),
        *("individual_info", "is_individual_info_html", "skip_requirements", "open_time"),
    )
)
_OF_EVERY_CALL = frozenset(("id", "nonce", "timestamp", "signature"))
_SENT_ID = re.compile(r"(?:^|[?&])id=")
_SECONDS = 10
"""Digits of a time in seconds, from 2001 to 2286."""

_log = logging.getLogger("compat.migration")


def inventory_of(given: Upstream | Configuration) -> Inventory | None:
    """Where the calls of an entrance are counted; None where nothing says.

    Args:
        given: what the entrance was given. An upstream says nothing: ``EXAM_COMPAT_STORE`` does then, as a store's
            URL, or the configuration that ``EXAM_COMPAT_CONFIG`` names.
    """
    try:
        if not isinstance(given, Configuration):
            store = os.environ.get(STORE_VARIABLE)
            if store:
                return inventory_at(store)
            if not os.environ.get(_CONFIG_VARIABLE):
                return None
            # Imported here: most scripts that pass an upstream read no file.
            from compat.config_file import load_config

            given = load_config()
        return inventory_at(given.store) if given.migration.get("inventory") else None
    except ConfigurationError as error:
        _log.warning("deprecated calls are not counted: %s", error)
        return None


def names_of(names: Iterable[str]) -> tuple[str, ...]:
    """The parameters that a call used, sorted, without those of every call; unknown ones are ``other``."""
    return tuple(sorted({name if name in _KNOWN else "other" for name in names if name not in _OF_EVERY_CALL}))


def dialect_of(call: LegacyCall, nonce: str | None, *, slash: bool) -> str:
    """How a call was made, as far as a look at it tells, in words such as ``form nonce-of-seconds``.

    Args:
        call: the call.
        nonce: its nonce; None for a call that has none.
        slash: whether its path ended with one.
    """
    words = [_place(call)]
    if slash:
        words.append("trailing-slash")
    if _SENT_ID.search(call.query):
        words.append("id-sent-again")
    if nonce is None:
        words.append("unsigned")
    elif len(nonce) == _SECONDS:
        words.append("nonce-of-seconds")
    return " ".join(words)


def _place(call: LegacyCall) -> str:
    """Where its parameters are."""
    if not call.body:
        return "query"
    kind = "json" if "json" in (call.content_type or "") or call.body.lstrip()[:1] == b"{" else "form"
    return f"query+{kind}" if "signature=" in call.query else kind


class Counting:
    """Counts the calls of an entrance of this process, the adapter or the client.

    Args:
        inventory: takes them.
        entrance: "adapter" or "client".
    """

    def __init__(self, inventory: Inventory, entrance: str) -> None:
        self._inventory = inventory
        self._entrance = entrance

    @classmethod
    def of(cls, given: Upstream | Configuration, entrance: str) -> Counting | None:
        """That of what an entrance was given; None where nothing says where to count."""
        inventory = inventory_of(given)
        return None if inventory is None else cls(inventory, entrance)

    def request(
        self,
        call: LegacyCall,
        request: requests.PreparedRequest,
        caller: str | None,
        ask: Callable[[], requests.Response],
    ) -> requests.Response:
        """The response to a script's request, which is counted.

        Args:
            call: the call that it is.
            request: the request.
            caller: whose it is by the configuration.
            ask: gives the response.

        Raises:
            Exception: what ``ask`` raises.
        """
        at, status, answered_by = time.time(), 0, "new"
        try:
            response = ask()
            status, answered_by = response.status_code, response.headers.get(ANSWERED_BY, "new")
            return response
        finally:
            self._saw(call, request, caller, at, status, answered_by)

    def answer(self, call: LegacyCall, ask: Callable[[LegacyCall], Answer]) -> Answer:
        """The answer to a call of the client, which is counted.

        Raises:
            LegacyError: what ``ask`` raises.
        """
        at, status, answered_by = time.time(), 0, "new"
        try:
            found = ask(call)
            status, answered_by = found.status, found.headers.get(ANSWERED_BY, "new")
            return found
        except LegacyError as error:
            status = error.status
            raise
        finally:
            self._saw(call, None, None, at, status, answered_by)

    def _saw(
        self,
        call: LegacyCall,
        request: requests.PreparedRequest | None,
        caller: str | None,
        at: float,
        status: int,
        answered_by: str,
    ) -> None:
        try:
            values = gather(call).values
            dialect = agent = None
            if request is not None:
                path = (request.url or "").partition("?")[0]
                dialect = dialect_of(call, values.get("nonce"), slash=path.endswith("/"))
                agent = request.headers.get("User-Agent")
            self._inventory.note(
                Sighting(
                    at=at,
                    entrance=self._entrance,
                    route=call.route.action,
                    caller=caller,
                    call_site=str(call_site()),
                    user_agent=agent.decode("latin-1") if isinstance(agent, bytes) else agent,
                    parameters=names_of(values),
                    dialect=dialect,
                    answered_by=answered_by,
                    status=status,
                )
            )
        except Exception as error:  # noqa: BLE001 - whatever is wrong with counting, the script goes on
            _log.warning("a deprecated call is not counted: %s", type(error).__name__)
