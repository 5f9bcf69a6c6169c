"""A gateway that is loaded, and has answered, before its server forks, as with ``gunicorn --preload``.

Prints the port of each child, serves until the input ends, and then prints what the parent's own calls have got.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import uvicorn

import compat.gateway
from compat.legacy.signature import signed

CHILDREN = 4
PATH = "/api/v3/exams/17/index_students"


async def called(path: str, query: str, token: str) -> int:
    """The status of a call within this process."""
    sent: list[Mapping[str, Any]] = []

    async def receive() -> Mapping[str, Any]:
        await asyncio.sleep(0 if not sent else 60)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(b"host", b"gateway"), (b"authorization", f"Token token={token}".encode())],
        "http_version": "1.1",
        "scheme": "http",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await compat.gateway.application(scope, receive, send)  # type: ignore[arg-type]  # the parts of a scope that are read
    return int(sent[0]["status"])


class Busy:
    """Calls all the time, in a loop of its own: deprecated calls, and others that are passed on."""

    def __init__(self, token: str, secret: str) -> None:
        self.seen: set[int] = set()
        self.number = 0
        self._token, self._secret = token, secret
        self._ending = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._call_on()))
        self._thread.start()

    async def _call_on(self) -> None:
        while not self._ending:
            self.seen.add(await called(PATH, urlencode(signed({}, self._secret, {"id": "17"})), self._token))
            await called("/api/v3/student_sessions/0", "", self._token)
            self.number += 1

    def end(self) -> set[int]:
        self._ending = True
        self._thread.join()
        return self.seen


def serve_in_child() -> tuple[int, int]:
    """The process id and the port of a child that serves."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        signal.alarm(120)
        uvicorn.Server(uvicorn.Config(compat.gateway.application, log_config=None, lifespan="on")).run(
            sockets=[listener]
        )
        os._exit(0)
    listener.close()
    return child, port


def main(token: str, secret: str, spent: str) -> None:
    first = asyncio.run(called(PATH, spent, token))
    busy = Busy(token, secret)
    while not busy.number:
        time.sleep(0.005)
    children = [serve_in_child() for _ in range(CHILDREN)]
    sys.stdout.write(json.dumps({"first": first, "ports": [port for _, port in children]}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    number = busy.number
    while busy.number < number + 2:
        time.sleep(0.005)
    for child, _ in children:
        os.kill(child, signal.SIGTERM)
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child, _ in children]
    sys.stdout.write(json.dumps({"parent": sorted(busy.end()), "children": ended}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
