"""Requests in, answers out, without a socket: routes, faults and the record of calls."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote

from compat.testing.sandbox import legacy, paginated_sessions, student_sessions
from compat.testing.sandbox.context import Context, Exchange
from compat.testing.sandbox.faults import HALVED, SLOW_SECONDS, FaultSource, damaged
from compat.testing.sandbox.messages import Call, Incoming, RefusalError, SandboxAnswer, SandboxRequest, json_answer
from compat.testing.sandbox.parameters import merge

Endpoint = Callable[[Context, Exchange], SandboxAnswer]
Intercept = Callable[[SandboxRequest, SandboxAnswer], SandboxAnswer]


MOST_CALLS = 1_000_000


@dataclass(frozen=True)
class Route:
    """A method and a path, and what answers them."""

    interface: str
    method: str
    path: re.Pattern[str]
    endpoint: Endpoint


def _route(interface: str, method: str, path: str, endpoint: Endpoint) -> Route:
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path)
    return Route(interface, method, re.compile(pattern + "/?"), endpoint)


_EXAM = "/api/v3/exams/{id}/"
_OF_EXAM = "/api/v3/exams/{exam_id}/student_sessions"
_ONE = "/api/v3/student_sessions/{id}"

ROUTES = (
    _route("legacy", "GET", _EXAM + "index_students", legacy.index_students),
    _route("legacy", "GET", _EXAM + "show_student", legacy.show_student),
    _route("legacy", "POST", _EXAM + "add_student", legacy.add_student),
    _route("legacy", "DELETE", _EXAM + "delete_student", legacy.delete_student),
    _route("student_sessions", "GET", "/api/v3/student_sessions", student_sessions.list_all),
    _route("student_sessions", "GET", _OF_EXAM, student_sessions.list_of_exam),
    _route("student_sessions", "POST", _OF_EXAM, student_sessions.add),
    _route("student_sessions", "GET", _ONE, student_sessions.show),
    _route("student_sessions", "PATCH", _ONE, student_sessions.change),
    _route("student_sessions", "DELETE", _ONE, student_sessions.remove),
    _route("token", "POST", "/auth/1.0/token", paginated_sessions.issue_token),
    _route("paginated_sessions", "GET", "/insights/1.0/sessions", paginated_sessions.list_all),
    _route(
        "paginated_sessions",
        "GET",
        "/insights/1.0/users/{userId}/sessions",
        paginated_sessions.list_of_user,
    ),
)


@dataclass(frozen=True)
class Outcome:
    """An answer, and the fault that the server still has to act out on the wire."""

    answer: SandboxAnswer
    fault: str | None


class Application:
    """Answers the requests of all interfaces and remembers them."""

    def __init__(self, context: Context, faults: FaultSource, latency: float) -> None:
        """An application over that data; ``latency`` seconds pass before every answer."""
        self.intercept: Intercept | None = None
        self.stopping = threading.Event()
        self._context = context
        self._faults = faults
        self._latency = latency
        # Bounded, since a demonstration may run for days.
        self._calls: deque[Call] = deque(maxlen=MOST_CALLS)
        self._lock = threading.Lock()

    @property
    def calls(self) -> list[Call]:
        """The requests so far, as a list of its own."""
        with self._lock:
            return list(self._calls)

    def clear_calls(self) -> None:
        """Forget the requests so far."""
        with self._lock:
            self._calls.clear()

    def handle(self, incoming: Incoming) -> Outcome:
        """Answer one request."""
        found = _find(incoming)
        if found is None:
            return Outcome(json_answer(404, {"error": "There is no such route.", "errors": {}}), None)
        route, path_parameters = found
        merged = merge(incoming, path_parameters)
        request = SandboxRequest(route.interface, incoming.method, incoming.path, merged.public())
        fault = self._draw(request)
        # A request that is to fail must leave no trace: its nonce stays unused, a write is not made.
        exchange = Exchange(incoming, path_parameters, merged, spend_nonce=fault in (None, "slow"))
        self.stopping.wait(self._latency + (SLOW_SECONDS if fault == "slow" else 0))
        answer = self._answer(route, exchange, request, fault)
        self._remember(request, answer, fault)
        return Outcome(answer, fault)

    def _answer(self, route: Route, exchange: Exchange, request: SandboxRequest, fault: str | None) -> SandboxAnswer:
        if fault is None or fault == "slow":
            return self._execute(route, exchange, request)
        if fault in HALVED and route.method == "GET":
            return damaged(fault, self._execute(route, exchange, request))
        return damaged(fault, json_answer(200, {"student": {"id": None, "name": "never made"}}))

    def _execute(self, route: Route, exchange: Exchange, request: SandboxRequest) -> SandboxAnswer:
        try:
            answer = route.endpoint(self._context, exchange)
        except RefusalError as refusal:
            answer = refusal.answer()
        intercept = self.intercept
        if intercept is not None and route.interface in ("student_sessions", "paginated_sessions"):
            return intercept(request, answer)
        return answer

    def _draw(self, request: SandboxRequest) -> str | None:
        if request.interface == "legacy":
            return None
        position = request.parameters.get("page", request.parameters.get("offset", ""))
        return self._faults.draw((request.method, request.path, position))

    def _remember(self, request: SandboxRequest, answer: SandboxAnswer, fault: str | None) -> None:
        call = Call(request.interface, request.method, request.path, request.parameters, answer.status, fault)
        with self._lock:
            self._calls.append(call)


def _find(incoming: Incoming) -> tuple[Route, dict[str, str]] | None:
    for route in ROUTES:
        match = route.path.fullmatch(incoming.path)
        if match and route.method == incoming.method:
            values = match.groupdict()
            return route, {name: unquote(value, errors="surrogateescape") for name, value in values.items()}
    return None
