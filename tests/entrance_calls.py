"""Every entrance before an upstream of raw bytes, so that one suite can run through all of them."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
import uvicorn
from gateways import SECRET, TOKEN
from support import OLD

import compat
from compat.config.settings import CallerSettings, Configuration
from compat.gateway.application import make_application
from compat.legacy.signature import Caller, signed
from compat.upstream import Upstream

Call = Callable[[], "list[str] | int"]
"""Lists exam 17: the names of its students, or the status that stands for the failure."""

_FAILURES = {requests.ConnectionError: 502, requests.ReadTimeout: 504}


@contextmanager
def adapter(upstream: Upstream) -> Iterator[Call]:
    """A script's session."""
    with requests.Session() as session:
        compat.mount(session, OLD, upstream)

        def call() -> list[str] | int:
            try:
                return _names(session.get(f"{OLD}/api/v3/exams/17/index_students"))
            except (requests.ConnectionError, requests.ReadTimeout) as error:
                return _FAILURES[type(error)]

        yield call


@contextmanager
def client(upstream: Upstream) -> Iterator[Call]:
    """The client to migrate to."""
    sessions = compat.StudentSessionsClient(upstream)

    def call() -> list[str] | int:
        try:
            return [session["name"] for session in sessions.sessions(17)]
        except compat.UpstreamError as error:
            return error.status

    yield call


@contextmanager
def gateway(upstream: Upstream) -> Iterator[Call]:
    """The gateway, over HTTP."""
    with gateway_url(upstream) as base, requests.Session() as session:
        session.headers["Authorization"] = f"Token token={TOKEN}"

        def call() -> list[str] | int:
            return _names(
                session.get(f"{base}/api/v3/exams/17/index_students", params=signed({}, SECRET, {"id": "17"}))
            )

        yield call


@contextmanager
def gateway_url(upstream: Upstream) -> Iterator[str]:
    """The base URL of a gateway in this process."""
    caller = CallerSettings(Caller("registrar", TOKEN, SECRET))
    application: Any = make_application(Configuration(upstream, store="memory://", callers=(caller,)))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(application, log_level="error", ws="none"))
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def _names(response: requests.Response) -> list[str] | int:
    if response.status_code != 200:
        assert json.loads(response.content)["error"]
        return response.status_code
    return [student["name"] for student in response.json()["students"]]
