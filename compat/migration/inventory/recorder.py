"""What an entrance tells the inventory of a call: names of parameters and ways of signing, and no value."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

import requests

from compat.call_site import call_site
from compat.config.settings import Configuration
from compat.errors import ConfigurationError, LegacyError
from compat.legacy.parameters import gather
from compat.legacy.routes import ANSWERED_BY, ROUTES, Answer, LegacyCall
from compat.migration.inventory.calls import Inventory, inventory_at
from compat.migration.modes.router import Endpoint
from compat.stores.ledger import CallRecord
from compat.upstream.base import Upstream

if TYPE_CHECKING:
    from compat.migration.inventory.fields_read import FieldObserver, FieldObservers

__all__ = ["InventoryRecorder", "dialect_of", "inventory_of", "names_of"]

STORE_VARIABLE = "EXAM_COMPAT_STORE"
"""Where calls are counted in a script that was given an upstream and no configuration."""

_CONFIG_VARIABLE = "EXAM_COMPAT_CONFIG"
_OF_EVERY_CALL = frozenset(("id", "nonce", "timestamp", "signature"))
_KNOWN = frozenset(name for route in ROUTES for name in route.own)
_SENT_ID = re.compile(r"(?:^|[?&])id=")
_WITH_RECORDS = (200, 201)
_SECONDS = 10
"""Digits of a time in seconds, from 2001 to 2286."""

_Found = TypeVar("_Found", requests.Response, Answer)
_log = logging.getLogger("compat.migration")


def inventory_of(given: Upstream | Configuration) -> Inventory | None:
    """Where the calls of an entrance are counted; None where nothing says.

    An upstream says nothing: ``EXAM_COMPAT_STORE`` does then, as a store's URL, or the configuration that
    ``EXAM_COMPAT_CONFIG`` names.
    """
    return _told(given)[0]


def _told(given: Upstream | Configuration) -> tuple[Inventory | None, bool]:
    """Where calls are counted, and whether the fields that are read are noted."""
    try:
        if not isinstance(given, Configuration):
            store = os.environ.get(STORE_VARIABLE)
            if store:
                return inventory_at(store), False
            if not os.environ.get(_CONFIG_VARIABLE):
                return None, False
            # Imported here: most scripts that pass an upstream read no file.
            from compat.config.file import load_config

            given = load_config()
        if not given.migration.get("inventory"):
            return None, False
        return inventory_at(given.store), bool(given.migration.get("fields"))
    except ConfigurationError as error:
        _log.warning("deprecated calls are not counted: %s", error)
        return None, False


def names_of(names: Iterable[str]) -> tuple[str, ...]:
    """The parameters that a call used, sorted, without those of every call; unknown ones are ``other``."""
    return _names_of(tuple(names))


@lru_cache(maxsize=512)
def _names_of(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({name if name in _KNOWN else "other" for name in names if name not in _OF_EVERY_CALL}))


def dialect_of(call: LegacyCall, nonce: str | None, *, slash: bool) -> str:
    """How a call was made, as far as a look at it tells, in words such as ``form nonce-of-seconds``."""
    place = "query"
    if call.body:
        kind = "json" if "json" in (call.content_type or "") or call.body.lstrip()[:1] == b"{" else "form"
        place = f"query+{kind}" if "signature=" in call.query else kind
    words = {
        place: True,
        "trailing-slash": slash,
        "id-sent-again": "id=" in call.query and _SENT_ID.search(call.query),
        "unsigned": nonce is None,
        "nonce-of-seconds": nonce is not None and len(nonce) == _SECONDS,
    }
    return " ".join(word for word, holds in words.items() if holds)


class InventoryRecorder:
    """Counts the calls of an entrance of this process, "adapter" or "client", and notes which fields are read."""

    def __init__(self, inventory: Inventory, entrance: str, *, fields: bool = False) -> None:
        self._inventory = inventory
        self._entrance = entrance
        self._observers: FieldObservers | None = None
        if fields:
            # Imported here: most need not know.
            from compat.migration.inventory.fields_read import FieldObservers

            self._observers = FieldObservers(inventory.note)

    @classmethod
    def of(cls, given: Upstream | Configuration, entrance: str) -> InventoryRecorder | None:
        """That of what an entrance was given; None where nothing says where to count."""
        inventory, fields = _told(given)
        return None if inventory is None else cls(inventory, entrance, fields=fields)

    def request(
        self,
        call: LegacyCall,
        request: requests.PreparedRequest,
        caller: str | None,
        ask: Callable[[], requests.Response],
        asked_last: Callable[[], Endpoint],
    ) -> requests.Response:
        """The response to a script's request, which is counted; ``asked_last`` says which endpoint failed."""
        response, observer = self._recorded(call, request, caller, ask, lambda found: found.status_code, asked_last)
        if observer is not None:
            from compat.migration.inventory.fields_read import watch

            watch(response, observer)
        return response

    def answer(
        self, call: LegacyCall, ask: Callable[[], Answer], asked_last: Callable[[], Endpoint]
    ) -> tuple[Answer, Any]:
        """The answer to a call of the client, which is counted, and its content."""
        found, observer = self._recorded(call, None, None, ask, lambda found: found.status, asked_last)
        content = json.loads(found.body)
        if observer is not None:
            from compat.migration.inventory.fields_read import seen

            content = seen(content, observer)
        return found, content

    def _recorded(
        self,
        call: LegacyCall,
        request: requests.PreparedRequest | None,
        caller: str | None,
        ask: Callable[[], _Found],
        status_of: Callable[[_Found], int],
        asked_last: Callable[[], Endpoint],
    ) -> tuple[_Found, FieldObserver | None]:
        at = time.time()
        try:
            found = ask()
        except BaseException as error:
            status = error.status if isinstance(error, LegacyError) else 0
            self._record(call, request, caller, at, status, asked_last())
            raise
        answered_by = found.headers.get(ANSWERED_BY, "new")
        return found, self._record(call, request, caller, at, status_of(found), answered_by)

    def _record(
        self,
        call: LegacyCall,
        request: requests.PreparedRequest | None,
        caller: str | None,
        at: float,
        status: int,
        answered_by: str,
    ) -> FieldObserver | None:
        try:
            values = gather(call).values
            dialect = agent = None
            if request is not None:
                path = (request.url or "").partition("?")[0]
                dialect = dialect_of(call, values.get("nonce"), slash=path.endswith("/"))
                agent = request.headers.get("User-Agent")
            record = CallRecord(
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
            self._inventory.note(record)
            return None if self._observers is None or status not in _WITH_RECORDS else self._observers.of(record)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with counting, the script goes on
            _log.warning("a deprecated call is not counted: %s", type(error).__name__)
            return None
