"""Callers who ask for one list again and again, as a process of its own with the lowest priority."""

from __future__ import annotations

import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import requests
from serving import HEADERS, query

_PAUSE = 0.1
"""Seconds between two calls of one: a caller that is over its share is refused at once."""


def main(url: str, exam: int, connections: int) -> None:
    """Call until the standard input ends; say then which statuses came."""
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    ending, statuses = threading.Event(), set()

    def attack() -> None:
        with requests.Session() as session:
            while not ending.wait(_PAUSE):
                statuses.add(session.get(url, params=query(exam), headers=HEADERS, timeout=120).status_code)

    with ThreadPoolExecutor(connections) as threads:
        attacks = [threads.submit(attack) for _ in range(connections)]
        sys.stdin.read()
        ending.set()
    for each in attacks:
        each.result()
    print(json.dumps(sorted(statuses)))  # noqa: T201 - whoever started it reads it


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
