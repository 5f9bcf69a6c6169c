"""The router in the gateway: who answers, what is compared behind, and what becomes of failures, writes and slots."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from serving import Gateway as Served
from serving import serving, until
from support import QUERIES, closed_port, upstream_of
from wires import Sent, Wire, whole

import compat
from compat.config.file import read_config
from compat.gateway import make_application
from compat.gateway.application import Gateway
from compat.legacy.signature import signed
from compat.regression.comparing.pairs import Pair
from compat.stores import open_store
from compat.stores.ledger import open_ledger
from compat.testing.sandbox import Sandbox, SandboxAnswer
from compat.testing.sandbox.sandbox import as_toml

MODES = ("legacy", "shadow", "canary:0", "canary:100", "new", "new+fallback")
SERVED = dict(zip(MODES, ("legacy", "legacy", "legacy", "new", "new", "new"), strict=True))
COMPARED = ("shadow", "canary:0", "canary:100")
WAIT = 30.0


class Answer:
    """What came back through ASGI."""

    def __init__(self, messages: list[Mapping[str, Any]]) -> None:
        self.status: int = messages[0]["status"]
        self.headers = {name.decode().lower(): value.decode() for name, value in messages[0]["headers"]}
        self.body = b"".join(message.get("body", b"") for message in messages[1:])
        self.by = self.headers["x-compat-answered-by"]


class Calls:
    """Calls a gateway in this process, all in one event loop, and keeps the pairs."""

    def __init__(self, gateway: Gateway, sandbox: Sandbox) -> None:
        self.gateway = gateway
        self.pairs: list[Pair] = []
        self._sandbox = sandbox
        gateway.router._sinks = (self.pairs.append,)

    async def call(
        self,
        action: str = "index_students",
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        **given: str,
    ) -> Answer:
        query = signed(given, self._sandbox.secret_key, {"id": "17"})
        sent: list[Mapping[str, Any]] = []

        async def receive() -> dict[str, Any]:
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(message)

        named = {"host": "gateway", "authorization": f"Token token={self._sandbox.api_token}", **(headers or {})}
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "raw_path": f"/api/v3/exams/17/{action}".encode(),
            "query_string": urlencode(query).encode(),
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        }
        await self.gateway(scope, receive, send)  # type: ignore[arg-type]  # a dictionary is one
        return Answer(sent)

    async def settled(self) -> list[Pair]:
        settle = self.gateway.router.background.settle
        assert await asyncio.get_running_loop().run_in_executor(None, settle, WAIT)
        return self.pairs


def settings(sandbox: Sandbox, mode: str | None, **tables: Mapping[str, Any]) -> dict[str, Any]:
    caller = {"name": "registrar", "api_token": sandbox.api_token, "secret_key": sandbox.secret_key}
    if mode is not None:
        caller["mode"] = mode
    made: dict[str, Any] = {**sandbox.settings("student_sessions"), "callers": [caller], "store": {"url": "memory://m"}}
    for name, table in tables.items():
        made[name] = {**made.get(name, {}), **table}
    return made


def during(
    sandbox: Sandbox, mode: str | None, work: Callable[[Calls], Any], gone: bool = False, **tables: Mapping[str, Any]
) -> Any:
    """What some work comes to that calls a gateway of that mode; the candidate may be one that is gone."""

    async def run() -> Any:
        elsewhere = {"base_url": closed_port()} if gone else {}
        configuration = read_config(settings(sandbox, mode, **tables))
        upstream = upstream_of(sandbox, "student_sessions", **elsewhere)
        gateway = make_application(replace(configuration, upstream=upstream), open_store("memory://"))
        try:
            return await work(Calls(gateway, sandbox))
        finally:
            await gateway.close()

    return asyncio.run(run())


@pytest.mark.parametrize("mode", MODES)
def test_who_answers_and_who_is_asked_behind(sandbox: Sandbox, mode: str) -> None:
    async def work(calls: Calls) -> list[Pair]:
        for parameters in QUERIES:
            answer = await calls.call(**parameters)
            assert answer.by == SERVED[mode]
            assert answer.status == (422 if parameters == {"page": "0"} else 200)
        return await calls.settled()

    pairs = during(sandbox, mode, work)
    asked = {call.interface for call in sandbox.calls}
    if mode in COMPARED:
        assert asked == {"legacy", "student_sessions"}
        assert len(pairs) == len(QUERIES)
        for pair in pairs:
            assert (pair.served, pair.caller, pair.call.exam_id) == (SERVED[mode], "registrar", "17")
            assert (pair.old.status, pair.old.failure, pair.new.failure) == (pair.new.status, None, None)
            assert json.loads(pair.old.body) == json.loads(pair.new.body)
            assert min(pair.old.seconds, pair.new.seconds) > 0
    else:
        assert pairs == []
        assert asked == {"legacy" if mode == "legacy" else "student_sessions"}


@pytest.mark.parametrize("mode", MODES)
def test_a_write_goes_to_one_endpoint_and_once(sandbox: Sandbox, mode: str) -> None:
    async def work(calls: Calls) -> list[Pair]:
        added = await calls.call("add_student", "POST", name="Ada", email="ada@example.org")
        assert (added.status, added.by) == (201, SERVED[mode])
        number = str(json.loads(added.body)["student"]["id"])
        deleted = await calls.call("delete_student", "DELETE", student_session_id=number)
        assert (deleted.status, deleted.by) == (200, SERVED[mode])
        return await calls.settled()

    assert during(sandbox, mode, work) == []
    side = "legacy" if SERVED[mode] == "legacy" else "student_sessions"
    written = [call for call in sandbox.calls if call.method in ("POST", "DELETE")]
    assert [(call.interface, call.method) for call in written] == [(side, "POST"), (side, "DELETE")]


def test_fallback_answers_from_the_old_and_writes_nothing_twice(sandbox: Sandbox) -> None:
    async def work(calls: Calls) -> None:
        for _ in range(3):
            answer = await calls.call(limit="7")
            assert (answer.status, answer.by, len(json.loads(answer.body)["students"])) == (200, "legacy", 7)
        written = await calls.call("add_student", "POST", name="Ada", email="ada@example.org")
        assert (written.status, written.by) == (502, "new")

    # One slot: each call gives its own back, whichever endpoint answered.
    during(
        sandbox,
        "new+fallback",
        work,
        gone=True,
        gateway={"max_calls_per_caller": 1},
    )
    assert {call.method for call in sandbox.calls} == {"GET"}


def test_what_the_new_endpoint_refuses_is_no_reason_to_fall_back(sandbox: Sandbox) -> None:
    async def work(calls: Calls) -> None:
        assert (await calls.call(page="0")).status == 422
        assert (await calls.call("show_student", student_session_id="999999")).status == 404

    during(sandbox, "new+fallback", work)
    assert "legacy" not in {call.interface for call in sandbox.calls}


@pytest.mark.parametrize("mode", ["legacy", "shadow", "canary:0"])
def test_an_old_endpoint_that_is_gone_is_named_as_what_failed(sandbox: Sandbox, mode: str) -> None:
    async def work(calls: Calls) -> list[Pair]:
        answer = await calls.call()
        assert (answer.status, answer.by) == (502, "legacy")
        assert "old endpoint" in json.loads(answer.body)["error"]
        return await calls.settled()

    pairs = during(sandbox, mode, work, legacy={"base_url": closed_port()})
    found = [(pair.old.status, pair.old.failure, pair.new.status, pair.served) for pair in pairs]
    assert found == ([] if mode == "legacy" else [(502, "unreachable", 200, "legacy")])


def test_a_candidate_that_fails_is_nothing_to_the_caller(sandbox: Sandbox) -> None:
    def fail(request: Any, answer: SandboxAnswer) -> SandboxAnswer:
        return SandboxAnswer(500, {}, b"")

    async def work(calls: Calls) -> list[Pair]:
        assert [(await calls.call()).status for _ in range(3)] == [200] * 3
        return await calls.settled()

    sandbox.intercept = fail
    pairs = during(sandbox, "shadow", work)
    assert [(pair.old.status, pair.new.status, pair.new.failure) for pair in pairs] == [(200, 502, "unreadable")] * 3


def test_a_canary_that_fails_is_kept_beside_what_the_old_one_says(sandbox: Sandbox) -> None:
    async def work(calls: Calls) -> list[Pair]:
        answer = await calls.call()
        assert (answer.status, answer.by) == (502, "new")
        return await calls.settled()

    [pair] = during(sandbox, "canary:100", work, gone=True)
    assert (pair.old.status, pair.new.failure, pair.served) == (200, "unreachable", "new")


def test_a_packed_answer_is_passed_on_packed_and_kept_unpacked(sandbox: Sandbox) -> None:
    text = b'{"students":[]}'

    def answer(sent: Sent, connection: Any) -> None:
        connection.sendall(whole("200 OK", gzip.compress(text[:9]) + gzip.compress(text[9:]), "Content-Encoding: gzip"))

    async def work(calls: Calls) -> list[Pair]:
        given = await calls.call(headers={"accept-encoding": "gzip"})
        assert given.headers["content-encoding"] == "gzip"
        assert gzip.decompress(given.body) == text
        return await calls.settled()

    with Wire(answer) as wire:
        [pair] = during(sandbox, "shadow", work, legacy={"base_url": wire.base_url})
    assert pair.old.body == text


def test_an_answer_of_the_old_endpoint_that_breaks_off_is_not_compared(sandbox: Sandbox) -> None:
    def answer(sent: Sent, connection: Any) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nonly this")
        connection.shutdown(socket.SHUT_RDWR)

    async def work(calls: Calls) -> list[Pair]:
        with pytest.raises(ConnectionError):
            await calls.call()
        return await calls.settled()

    with Wire(answer) as wire:
        assert during(sandbox, "shadow", work, legacy={"base_url": wire.base_url}) == []


def test_the_exam_and_the_kill_switch(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(calls: Calls) -> str:
        return (await calls.call()).by

    rules = {"migration": {"exams": {"17": "legacy"}}}
    assert during(sandbox, None, work, **rules) == "legacy"
    monkeypatch.setenv("EXAM_COMPAT_MODE", "new")
    assert during(sandbox, None, work, **rules) == "new"
    monkeypatch.setenv("EXAM_COMPAT_MODE", "shadow")
    assert during(sandbox, "new", work) == "legacy"


def test_a_switch_takes_effect_in_every_worker(sandbox: Sandbox, tmp_path: Path) -> None:
    made = settings(sandbox, "new", store={"url": f"sqlite:///{tmp_path}/spent.db"})
    callers = {"[callers]": made.pop("callers")[0]}
    config = tmp_path / "exam-compat.toml"
    config.write_text(as_toml({**made, **callers}), encoding="utf-8")

    def answered_by(gateway: Served) -> set[str]:
        """Which endpoints answer, of as many new connections as reach every worker, all but surely."""
        found = set()
        for _ in range(16):
            query = signed({}, sandbox.secret_key, {"id": "17"})
            answer = requests.get(gateway.url(), params=query, headers=sandbox.headers, timeout=30)
            assert answer.status_code == 200
            found.add(answer.headers["X-Compat-Answered-By"])
        return found

    def compared(gateway: Served) -> float:
        return gateway.numbers().get('exam_compat_comparisons_total{outcome="done"}', 0)

    with serving(config, "--workers", "4") as gateway:
        assert answered_by(gateway) == {"new"}
        ledger = open_ledger(f"sqlite:///{tmp_path}/spent.db")
        ledger.set_switch("mode caller=registrar", "legacy")
        until(lambda: answered_by(gateway) == {"legacy"}, gateway)
        ledger.set_switch("mode exam=17 caller=registrar", "shadow")
        until(lambda: answered_by(gateway) == {"legacy"} and compared(gateway), gateway)
        ledger.set_switch("mode exam=17 caller=registrar", None)
        ledger.set_switch("mode caller=registrar", None)
        until(lambda: answered_by(gateway) == {"new"}, gateway)
        ledger.close()


def test_a_gateway_beside_an_installed_shim_asks_the_old_endpoint_itself(sandbox: Sandbox) -> None:
    async def work(calls: Calls) -> str:
        return (await calls.call()).by

    compat.install(sandbox.base_url, upstream_of(sandbox, "student_sessions"))
    try:
        assert during(sandbox, "legacy", work) == "legacy"
    finally:
        compat.uninstall()
    assert {call.interface for call in sandbox.calls} == {"legacy"}
