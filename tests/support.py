"""What several test files need: upstreams of a sandbox that retry at once, signed old calls, a server of raw bytes."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import pytest
import requests

import compat
from compat.core.call import finished
from compat.core.collected import Reading
from compat.core.walks import WalkKey, Walks
from compat.testing.sandbox import Sandbox, SandboxAnswer
from compat.upstream import Upstream


def program(name: str) -> str:
    """The path of a program from the system's packages; without it a test is left out, but not where CI runs."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        missing = f"no {name} here: install it from the system's packages"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


KINDS = ("student_sessions", "paginated_sessions")
OLD = "https://acme.proctorexam.com"
FAST = compat.RetryPolicy(first_wait=0.001, longest_wait=0.01)

QUERIES: list[dict[str, str]] = [
    {},
    {"limit": "7", "page": "2"},
    {"status": "exam_finished"},
    {"page": "99"},
    {"filter": '{"id":{"gt":1200}}', "sort": '[{"name":"desc"}]', "limit": "5"},
    {"page": "0"},
]
"""What lists are asked for where every kind of answer has to come: whole, short, selected, empty and refused."""


def upstream_of(sandbox: Sandbox, kind: str, *, fan_out: bool = False, **changes: Any) -> Upstream:
    """An upstream over a sandbox, with changed keys of ``[upstream]``; its retries do not wait."""
    settings = sandbox.settings(kind, fan_out)
    arguments = {name: value for name, value in settings["upstream"].items() if name != "kind"}
    arguments = {**arguments, "retries": FAST, **changes}
    if kind == "student_sessions":
        return compat.StudentSessions(**arguments)
    exams = {int(number): application for number, application in settings["exams"].items()}
    return compat.PaginatedSessions(**{"exams": exams, **arguments})


def mounted(upstream: Upstream | compat.Configuration, base: str = OLD, **more: Any) -> requests.Session:
    """A session whose old calls an upstream answers."""
    session = requests.Session()
    compat.mount(session, base, upstream, **more)
    return session


def signed_url(sandbox: Sandbox, base: str, action: str, exam: int = 17, **parameters: str) -> str:
    """The URL of an old call, signed as the old endpoint wants it."""
    given = sandbox.signed({**parameters, "id": str(exam)})
    query = "&".join(f"{requests.utils.quote(name)}={requests.utils.quote(text)}" for name, text in given.items())
    return f"{base}/api/v3/exams/{exam}/{action}?{query}"


def listed(session: requests.Session, exam: int = 17, base: str = OLD, **parameters: Any) -> requests.Response:
    """The answer to an old list call; nothing verifies its signature, so it has none."""
    return session.get(f"{base}/api/v3/exams/{exam}/index_students", params=parameters, timeout=20)


def read_page(walks: Walks, key: WalkKey, number: int, read: Callable[[], Reading]) -> Reading:
    """The walk that a page belongs to, with this thread waiting."""
    return finished(walks.steps(key, number, lambda _: read()))


def answered(body: Any, *, status: int = 200, **headers: str) -> SandboxAnswer:
    """An answer for an intercept."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return SandboxAnswer(status, {"Content-Type": "application/json", **headers}, text)


def edited(answer: SandboxAnswer, change: Callable[[dict[str, Any]], Any], **headers: str) -> SandboxAnswer:
    """An answer whose JSON object was changed in place."""
    content = json.loads(answer.body)
    change(content)
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
    return SandboxAnswer(answer.status, {**answer.headers, **headers}, text)


def rows_of(content: dict[str, Any]) -> list[Any]:
    """The records of a page of either upstream."""
    rows: list[Any] = content["students" if "students" in content else "sessions"]
    return rows


@dataclass(frozen=True)
class Received:
    """A request as it came off the wire, and when."""

    head: str
    body: bytes
    at: float


Answerer = Callable[[int, Received, socket.socket], bytes | None]


@dataclass
class RawServer:
    """Answers each request with the very bytes that a function gives; None closes the connection without any."""

    answer: Answerer
    received: list[Received] = field(default_factory=list)

    def __enter__(self) -> RawServer:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        with socket.create_connection(self._listener.getsockname()):
            self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                if self._ending.is_set():
                    return
                self._serve_one(connection)

    def _serve_one(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        try:
            data = b""
            while b"\r\n\r\n" not in data:
                part = connection.recv(65536)
                if not part:
                    return
                data += part
            head, _, body = data.partition(b"\r\n\r\n")
            length = _length(head)
            while len(body) < length:
                body += connection.recv(65536)
            received = Received(head.decode("latin-1"), body, time.monotonic())
            self.received.append(received)
            answer = self.answer(len(self.received), received, connection)
            if answer is not None:
                connection.sendall(answer)
        except OSError:
            # The client went away first.
            return


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


def http(status: int, body: bytes = b"{}", headers: Mapping[str, str] | None = None) -> bytes:
    """An HTTP answer that ends its connection."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def page_of(students: list[Any], limit: int = 300) -> bytes:
    """A whole page of student sessions."""
    headers = {"X-Pagination-Item-Count": str(len(students)), "X-Pagination-Limit": str(limit)}
    return http(200, json.dumps({"students": students}).encode(), headers)


def closed_port() -> str:
    """The base URL of a port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}"
