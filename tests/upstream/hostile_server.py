"""The upstream of an attack as a process of its own, and a process for each connection that is open.

An upstream that is elsewhere takes nothing from the gateway's machine but what comes over the network. So what
attacks has the lowest priority here, and no answer waits for another one's interpreter.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

from hostile import HOSTILE, prepare
from wires import whole

__all__ = ["COUNTS", "HONEST", "HONEST_EXAM", "exam_of"]

COUNTS = ("X-Pagination-Item-Count: 1", "X-Pagination-Limit: 300")
HONEST_EXAM = 18
HONEST = json.dumps({"students": [{"id": 1, "exam_id": HONEST_EXAM, "name": "Ada"}]}).encode()
_FIRST = 100
_PROCESSES = 64


def exam_of(name: str) -> int:
    """The exam whose list is an attack."""
    return _FIRST + list(HOSTILE).index(name)


def _serve(connection: socket.socket) -> None:
    """Answer on one connection until it ends."""
    attacks = list(HOSTILE.values())
    wire: Any = SimpleNamespace(ending=threading.Event())
    connection.settimeout(20)
    with connection, connection.makefile("rb") as stream:
        while line := stream.readline():
            while stream.readline() not in (b"\r\n", b""):
                pass
            exam = int(line.partition(b"/exams/")[2].partition(b"/")[0])
            if exam == HONEST_EXAM:
                connection.sendall(whole("200 OK", HONEST, *COUNTS))
                continue
            os.setpriority(os.PRIO_PROCESS, 0, 19)
            attacks[exam - _FIRST](wire, connection)
            connection.shutdown(socket.SHUT_RDWR)
            return


def main() -> None:
    """Serve until the standard input ends, and say on which port first."""
    prepare()
    os.setpgid(0, 0)
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        print(listener.getsockname()[1], flush=True)  # noqa: T201 - whoever started it reads it
        # Made before they are needed: a process for each call would cost more than most attacks.
        for _ in range(_PROCESSES):
            if not os.fork():
                _answer(listener)
    sys.stdin.read()
    os.killpg(0, signal.SIGKILL)


def _answer(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        # Only root may have its priority back; for others it stays low after the first attack.
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, 0)
        with suppress(OSError):  # The other side went away.
            _serve(connection)


if __name__ == "__main__":
    main()
