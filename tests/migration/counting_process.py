"""What the processes of the tests beside it do: note calls, each in its own way of starting and of ending."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from compat.migration.inventory.calls import inventory_at
from compat.stores.ledger import CallRecord

AT = float(int(time.time()) // 86400 * 86400 - 86400 - 2 * 3600)
"""Two hours before a midnight, UTC, of these days: what is older than some weeks is not kept by the hour."""


def seen(number: int, **changes: object) -> CallRecord:
    """A call of one of five lines."""
    given = {"at": AT + number, "entrance": "adapter", "route": "index_students", "status": 200}
    return CallRecord(**{**given, "call_site": f"/srv/export.py:{number % 5}", **changes})  # type: ignore[arg-type]


def note(url: str, number: int) -> int:
    """Note that many calls, from four threads."""
    inventory = inventory_at(url)

    def some(part: int) -> None:
        for each in range(part, number, 4):
            inventory.note(seen(each))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(some, range(4)))
    return number


def note_and_exit(url: str, number: int) -> None:
    """Note that many calls in a fork, and end as a script does."""
    child = os.fork()
    if child == 0:
        note(url, number)
        sys.exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def note_late(url: str, number: int) -> None:
    """Note calls in a thread that is not done when the function is."""
    import threading

    def slowly() -> None:
        for each in range(number):
            time.sleep(0.01)
            inventory_at(url).note(seen(each))

    threading.Thread(target=slowly).start()


if __name__ == "__main__":
    note(sys.argv[1], int(sys.argv[2]))
    if len(sys.argv) > 3:
        note_and_exit(sys.argv[1], int(sys.argv[3]))
