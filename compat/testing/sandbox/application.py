"""Requests in, answers out, without a socket: routes, faults, the record of calls, and settings of a shim."""

from __future__ import annotations

import csv
import json
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import unquote

from compat.testing.sandbox.context import Context, ReadRequest
from compat.testing.sandbox.endpoints import (
    LEGACY,
    STUDENT_SESSIONS,
    Interface,
    add_student,
    change_student,
    delete_student,
    issue_token,
    list_sessions,
    list_students,
    show_student,
)
from compat.testing.sandbox.messages import (
    Call,
    Incoming,
    RefusalError,
    SandboxAnswer,
    SandboxRequest,
    json_answer,
    merge,
    text_answer,
)
from compat.testing.sandbox.records import RosterRow

KINDS = ("cut", "cut-chunked", "truncated", "html", "reset", "slow")
HALVED = ("cut", "cut-chunked", "truncated")
SLOW_SECONDS = 0.2
HTML_PAGE = b"<!doctype html><title>Maintenance</title><h1>We will be back soon.</h1>\n"


@dataclass(frozen=True)
class Fault:
    """A kind of fault and how often it happens, as a share of the requests from 0 to 1.

    Kinds: a status from 400 to 599; ``cut`` (the announced length is never reached), ``cut-chunked`` (the
    last chunk never comes), ``truncated`` (complete as HTTP, half as JSON), ``html``, ``reset``, ``slow``.
    """

    kind: str
    probability: float

    def __post_init__(self) -> None:
        """Refuse what cannot happen."""
        if self.kind not in KINDS and not re.fullmatch("[45][0-9]{2}", self.kind):
            raise ValueError(f"{self.kind!r} is not a fault: use a status from 400 to 599 or {', '.join(KINDS)}.")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"{self.probability!r} is not a probability from 0 to 1.")

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read ``KIND:PROBABILITY``, such as ``503:0.05``."""
        kind, colon, probability = text.partition(":")
        try:
            share = float(probability)
        except ValueError:
            share = -1.0
        if not colon or not 0 <= share <= 1:
            raise ValueError(f"{text!r} is not a fault: write KIND:PROBABILITY, such as 503:0.05.")
        return cls(kind, share)


class FaultSource:
    """Draws faults; a limit on how many the same request meets in a row lets a test end for certain."""

    def __init__(self, faults: Sequence[Fault], seed: int, most_in_a_row: int | None) -> None:
        """A source of these faults, drawn by that seed."""
        if sum(fault.probability for fault in faults) > 1:
            raise ValueError("The probabilities of all faults add up to more than 1.")
        self._faults = tuple(faults)
        self._random = Random(seed)
        self._most_in_a_row = most_in_a_row
        self._in_a_row: dict[tuple[str, ...], int] = {}
        self._lock = threading.Lock()

    def draw(self, key: tuple[str, ...]) -> str | None:
        """The kind of fault that the next request of that key meets, or None."""
        with self._lock:
            kind = self._draw()
            met = self._in_a_row.get(key, 0)
            if kind is None or (self._most_in_a_row is not None and met >= self._most_in_a_row):
                self._in_a_row.pop(key, None)
                return None
            self._in_a_row[key] = met + 1
            return kind

    def _draw(self) -> str | None:
        drawn = self._random.random()
        for fault in self._faults:
            if drawn < fault.probability:
                return fault.kind
            drawn -= fault.probability
        return None


def damaged(kind: str, answer: SandboxAnswer) -> SandboxAnswer:
    """What a fault of that kind makes of an answer; what happens on the wire is left to the server."""
    if kind == "html":
        return text_answer(200, HTML_PAGE, {"Content-Type": "text/html; charset=utf-8"})
    if kind == "reset":
        return SandboxAnswer(0, {}, b"")
    if kind == "truncated":
        return SandboxAnswer(answer.status, answer.headers, answer.body[: len(answer.body) // 2])
    if kind.isdigit():
        return _status_answer(int(kind))
    return answer


def _status_answer(status: int) -> SandboxAnswer:
    headers = {"Retry-After": "0"} if status in (429, 503) else {}
    return json_answer(status, {"error": f"The sandbox was told to fail with {status}.", "errors": {}}, headers)


Endpoint = Callable[[Context, ReadRequest], SandboxAnswer]
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


def _signed(
    interface: Interface, method: str, path: str, endpoint: Callable[[Interface, Context, ReadRequest], SandboxAnswer]
) -> Route:
    return _route(interface.name, method, path, partial(endpoint, interface))


_EXAM = "/api/v3/exams/{id}/"
_OF_EXAM = "/api/v3/exams/{exam_id}/student_sessions"
_ONE = "/api/v3/student_sessions/{id}"

ROUTES = (
    _signed(LEGACY, "GET", _EXAM + "index_students", list_students),
    _signed(LEGACY, "GET", _EXAM + "show_student", show_student),
    _signed(LEGACY, "POST", _EXAM + "add_student", add_student),
    _signed(LEGACY, "DELETE", _EXAM + "delete_student", delete_student),
    _signed(STUDENT_SESSIONS, "GET", "/api/v3/student_sessions", list_students),
    _signed(STUDENT_SESSIONS, "GET", _OF_EXAM, list_students),
    _signed(STUDENT_SESSIONS, "POST", _OF_EXAM, add_student),
    _signed(STUDENT_SESSIONS, "GET", _ONE, show_student),
    _signed(STUDENT_SESSIONS, "PATCH", _ONE, change_student),
    _signed(STUDENT_SESSIONS, "DELETE", _ONE, delete_student),
    _route("token", "POST", "/auth/1.0/token", issue_token),
    _route("paginated_sessions", "GET", "/insights/1.0/sessions", list_sessions),
    _route("paginated_sessions", "GET", "/insights/1.0/users/{userId}/sessions", list_sessions),
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
        read = ReadRequest(incoming, path_parameters, merged, spend_nonce=fault in (None, "slow"))
        self.stopping.wait(self._latency + (SLOW_SECONDS if fault == "slow" else 0))
        answer = self._answer(route, read, request, fault)
        self._remember(request, answer, fault)
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


def write_roster(rows: Iterable[RosterRow], path: Path) -> None:
    """Write the roster as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("user_id", "email", "name", "student_id", "external_id"))
        for row in rows:
            writer.writerow((row.user_id, row.email, row.name, row.student_id, row.external_id))


def as_toml(settings: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables of texts, numbers and lists of texts as TOML; JSON writes these values in the same way."""
    lines = []
    for table, values in settings.items():
        lines.append(f"[{table}]")
        lines += [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
        lines.append("")
    return "\n".join(lines)
