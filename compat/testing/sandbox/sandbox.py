"""The sandbox as its users see it: started, asked, stopped, and configured."""

from __future__ import annotations

import csv
import json
import secrets
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from compat.testing.sandbox.dataset import FIRST_EXAM_ID, RosterRow, generate
from compat.testing.sandbox.endpoints import Context, ReadRequest, Route, find_route
from compat.testing.sandbox.messages import (
    SCOPE,
    Call,
    Incoming,
    RefusalError,
    SandboxAnswer,
    SandboxRequest,
    SignatureCheck,
    Tokens,
    json_answer,
    merge,
    sign,
)
from compat.testing.sandbox.reference import find_zone
from compat.testing.sandbox.server import HALVED, SLOW_SECONDS, Fault, FaultSource, Outcome, Server, damaged

Intercept = Callable[[SandboxRequest, SandboxAnswer], SandboxAnswer]


class Sandbox:
    """A server on this machine that speaks the deprecated interface and both of its successors.

    Use it as a context manager, or call ``start`` and ``stop``. All interfaces serve the same generated
    data, which ``dataset`` shows. ``faults`` hit the newer interfaces and the token endpoint; ``intercept`` may be set
    to a function that replaces the answers of both newer interfaces.
    """

    intercept: Intercept | None = None

    def __init__(
        self,
        *,
        students: int = 120,
        exams: int = 3,
        first_exam: int = FIRST_EXAM_ID,
        seed: int = 2018,
        port: int = 0,
        host: str = "127.0.0.1",
        latency: float = 0.0,
        clamp: int = 300,
        faults: Iterable[Fault] = (),
        pushdown: Iterable[str] = ("status",),
        time_zone: str = "UTC",
        token_lifetime: float = 3600.0,
        most_faults_in_a_row: int | None = None,
    ) -> None:
        """A sandbox that is not started yet; port 0 takes any free one."""
        self.dataset = generate(students, exams, seed, first_exam)
        self.api_token = secrets.token_hex(16)
        self.secret_key = secrets.token_hex(32)
        self.client_id = secrets.token_hex(8)
        self.client_secret = secrets.token_hex(32)
        self._address = (host, port)
        self._time_zone = time_zone
        signatures = SignatureCheck(self.api_token, self.secret_key)
        tokens = Tokens(self.client_id, self.client_secret, token_lifetime)
        self._context = Context(self.dataset, find_zone(time_zone), clamp, tuple(pushdown), signatures, tokens)
        self._faults = FaultSource(tuple(faults), seed, most_faults_in_a_row)
        self._latency = latency
        # Bounded, since a demonstration may run for days.
        self._calls: deque[Call] = deque(maxlen=1_000_000)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._server: Server | None = None
        self._directory = ""
        self._ends = ExitStack()

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        """Where it serves; never its secrets."""
        return f"<Sandbox {self.base_url if self._server else 'not started'}>"

    def start(self) -> None:
        """Begin to serve, in a thread of its own."""
        if self._server is not None:
            raise RuntimeError("The sandbox is started already.")
        self._stopping.clear()
        server = Server(self._address, self._handle)
        self._ends.callback(server.server_close)
        self._directory = self._ends.enter_context(tempfile.TemporaryDirectory(prefix="exam-compat-sandbox-"))
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="sandbox")
        thread.start()
        self._ends.callback(thread.join)
        self._ends.callback(server.stop)
        # Last: another thread that sees it may stop it at once.
        self._server = server

    def stop(self) -> None:
        """End every connection and thread and remove the roster file; stopping twice does no harm."""
        self._server = None
        self._stopping.set()
        self._ends.close()

    def serve_forever(self) -> None:
        """Serve until the process is interrupted, starting if need be."""
        if self._server is None:
            self.start()
        try:
            # Short waits, since an interrupt, which is the way to end it, does not end a long one on every system.
            with suppress(KeyboardInterrupt):
                while not self._stopping.wait(0.5):
                    pass
        finally:
            self.stop()

    @property
    def base_url(self) -> str:
        """The address of all interfaces, without a slash at its end."""
        if self._server is None:
            raise RuntimeError("The sandbox is not started.")
        return f"http://{self._address[0]}:{self._server.server_port}"

    @property
    def calls(self) -> list[Call]:
        """The requests so far, oldest first; the list is a snapshot."""
        with self._lock:
            return list(self._calls)

    def clear_calls(self) -> None:
        """Forget the requests so far."""
        with self._lock:
            self._calls.clear()

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a signed call; they hold the API token."""
        return {"Authorization": f"Token token={self.api_token}", "Accept": "application/vnd.procwise.v3"}

    def signed(self, parameters: Mapping[str, str], in_path: Mapping[str, str] | None = None) -> dict[str, str]:
        """The parameters with a time, a nonce and a signature; ``in_path`` is signed but not returned."""
        timestamp, nonce = str(time.time_ns() // 1_000_000), str(secrets.randbits(63))
        complete = {"timestamp": timestamp, "nonce": nonce, **parameters}
        return {**complete, "signature": sign({**complete, **(in_path or {})}, self.secret_key)}

    def revoke_tokens(self) -> None:
        """Let every access token end now, earlier than was promised."""
        self._context.tokens.revoke_all()

    def settings(
        self, kind: str, fan_out: bool = False, legacy_base_url: str | None = None
    ) -> dict[str, dict[str, Any]]:
        """The configuration of a shim over this sandbox, with the sandbox's secrets.

        Args:
            kind: of the upstream.
            fan_out: read paginated sessions user by user.
            legacy_base_url: the address whose old calls are answered; None is the sandbox's own old endpoint.
        """
        if kind not in ("student_sessions", "paginated_sessions"):
            raise ValueError(f"{kind!r} is not an upstream: use student_sessions or paginated_sessions.")
        if kind == "paginated_sessions":
            upstream = self._paginated(fan_out)
        else:
            account = {"api_token": self.api_token, "secret_key": self.secret_key}
            upstream = {**account, "scope": "all", "pushdown": list(self._context.pushdown)}
        return {
            "upstream": {"kind": kind, "base_url": self.base_url, **upstream},
            "exams": {str(exam.id): exam.application_id for exam in self.dataset.exams},
            "legacy": {"base_url": legacy_base_url or self.base_url, "time_zone": self._time_zone},
        }

    def toml(self, kind: str, fan_out: bool = False, legacy_base_url: str | None = None) -> str:
        """The same as the text of a configuration file, and the sandbox's account as one that may call the gateway."""
        caller = {"name": "sandbox", "api_token": self.api_token, "secret_key": self.secret_key}
        # The brackets of a list of tables are twice those of a table.
        return as_toml({**self.settings(kind, fan_out, legacy_base_url), "[callers]": caller})

    def _paginated(self, fan_out: bool) -> dict[str, Any]:
        settings = {
            "path": "/insights/1.0/users/{user_id}/sessions" if fan_out else "/insights/1.0/sessions",
            "token_url": f"{self.base_url}/auth/1.0/token",
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "oauth_scope": SCOPE,
        }
        if fan_out:
            path = Path(self._directory, "roster.csv")
            write_roster(self.dataset.roster, path)
            settings["roster"] = str(path)
        return settings

    def _handle(self, incoming: Incoming) -> Outcome:
        found = find_route(incoming)
        if found is None:
            return Outcome(json_answer(404, {"error": "There is no such route.", "errors": {}}), None)
        route, path_parameters = found
        merged = merge(incoming, path_parameters)
        request = SandboxRequest(route.interface, incoming.method, incoming.path, merged.public())
        fault = None
        if route.interface != "legacy":
            position = request.parameters.get("page", request.parameters.get("offset", ""))
            fault = self._faults.draw((request.method, request.path, position))
        # A request that is to fail must leave no trace: its nonce stays unused, a write is not made.
        read = ReadRequest(incoming, path_parameters, merged, spend_nonce=fault in (None, "slow"))
        self._stopping.wait(self._latency + (SLOW_SECONDS if fault == "slow" else 0))
        answer = self._answer(route, read, request, fault)
        with self._lock:
            self._calls.append(
                Call(request.interface, request.method, request.path, request.parameters, answer.status, fault)
            )
        return Outcome(answer, fault)

    def _answer(self, route: Route, read: ReadRequest, request: SandboxRequest, fault: str | None) -> SandboxAnswer:
        if fault is None or fault == "slow":
            return self._execute(route, read, request)
        if fault in HALVED and route.method == "GET":
            return damaged(fault, self._execute(route, read, request))
        return damaged(fault, json_answer(200, {"student": {"id": None, "name": "never made"}}))

    def _execute(self, route: Route, read: ReadRequest, request: SandboxRequest) -> SandboxAnswer:
        try:
            answer = route.endpoint(self._context, read)
        except RefusalError as refusal:
            answer = refusal.answer
        intercept = self.intercept
        if intercept is not None and route.interface in ("student_sessions", "paginated_sessions"):
            return intercept(request, answer)
        return answer


def write_roster(rows: Iterable[RosterRow], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(RosterRow._fields)
        writer.writerows(rows)


def as_toml(settings: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables of texts, numbers and lists of texts as TOML; JSON writes these values in the same way."""
    lines = []
    for table, values in settings.items():
        lines.append(f"[{table}]")
        lines += [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
        lines.append("")
    return "\n".join(lines)
