"""``/readyz`` of real processes: a worker that cannot answer is found, said, and replaced where it hangs."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from gateways import HEADERS_OF, settings_for, written
from serving import Gateway, serving, starting, until

from compat.gateway.workers import SILENT_FOR
from compat.legacy.signature import signed
from compat.testing.sandbox import Sandbox, SandboxAnswer

resource = pytest.importorskip("resource")
linux = pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of another process as Linux has them")


@pytest.fixture
def config(sandbox: Sandbox, tmp_path: Path) -> Path:
    return written(tmp_path, settings_for(sandbox, store={"url": f"sqlite:///{tmp_path}/spent.db"}))


def _said(gateway: Gateway) -> str:
    found = gateway.ready()
    assert found["ready"] == all(each == "ok" for each in found["checks"].values())
    return str(found["checks"]["workers"])


def _listed_by(gateway: Gateway, name: str) -> int:
    headers, key = HEADERS_OF[name]
    answer = requests.get(gateway.url(), params=signed({}, key, {"id": "17"}), headers=headers, timeout=90)
    return answer.status_code


def _named_when_stopped(gateway: Gateway, worker: int) -> bool:
    """Stop a worker; one that is still on its way is not asked, and goes on."""
    os.kill(worker, signal.SIGSTOP)
    named = f"worker {worker}: no answer within 2 seconds" in _said(gateway)
    if not named:
        os.kill(worker, signal.SIGCONT)
    return named


@pytest.fixture
def stopped(config: Path) -> Iterator[tuple[Gateway, int]]:
    """A gateway of two workers, one of which is stopped, and named for it."""
    with serving(config, "--workers", "2", "--stop-within", "2") as gateway:
        worker = gateway.workers()[0]
        try:
            until(lambda: _named_when_stopped(gateway, worker), gateway)
            yield gateway, worker
        finally:
            if worker in gateway.workers():
                os.kill(worker, signal.SIGCONT)


def test_a_stopped_worker_is_named_while_the_others_answer(stopped: tuple[Gateway, int]) -> None:
    gateway, worker = stopped
    assert {gateway.listed().status_code for _ in range(5)} == {200}
    os.kill(worker, signal.SIGCONT)
    until(lambda: _said(gateway) == "ok", gateway)


def test_a_gateway_stops_with_a_stopped_worker(stopped: tuple[Gateway, int]) -> None:
    gateway, _ = stopped
    assert gateway.stop(within=30) == 0


@pytest.mark.soak
def test_a_stopped_worker_is_replaced(stopped: tuple[Gateway, int]) -> None:
    gateway, worker = stopped
    until(lambda: worker not in gateway.workers() and _said(gateway) == "ok", gateway, within=SILENT_FOR + 60)
    assert len(gateway.workers()) == 2
    assert any("has not answered" in str(entry.get("message")) for entry in gateway.entries())


@pytest.mark.soak
def test_a_worker_that_does_not_start_is_replaced(config: Path) -> None:
    with starting(config, "--workers", "1") as gateway:
        until(gateway.workers, gateway)
        (worker,) = gateway.workers()
        os.kill(worker, signal.SIGSTOP)
        until(lambda: gateway.workers() not in ([], [worker]) and _said(gateway) == "ok", gateway, within=120)
        assert any("has not answered for 60 seconds" in str(entry.get("message")) for entry in gateway.entries())


@linux
def test_a_worker_that_can_open_no_file_is_named(config: Path) -> None:
    with serving(config) as gateway:
        (worker,) = gateway.workers()
        before = resource.prlimit(worker, resource.RLIMIT_NOFILE)
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (3, before[1]))
        assert f"worker {worker}: no file can be opened" in _said(gateway)
        resource.prlimit(worker, resource.RLIMIT_NOFILE, before)
        assert _said(gateway) == "ok"


def test_a_worker_whose_threads_are_all_taken_is_named(sandbox: Sandbox, config: Path) -> None:
    let_go = threading.Event()
    asked = threading.Semaphore(0)

    def wait(call: object, answer: SandboxAnswer) -> SandboxAnswer:
        asked.release()
        let_go.wait(60)
        return answer

    with serving(config, "--threads", "2") as gateway, ThreadPoolExecutor(2) as callers:
        sandbox.intercept = wait
        calls = [callers.submit(_listed_by, gateway, name) for name in HEADERS_OF]
        try:
            assert asked.acquire(timeout=30)
            assert asked.acquire(timeout=30)
            assert "all of its threads are taken" in _said(gateway)
        finally:
            let_go.set()
        assert [call.result() for call in calls] == [200, 200]
        until(lambda: _said(gateway) == "ok", gateway)


def test_workers_that_keep_dying_end_the_gateway(config: Path) -> None:
    with serving(config) as gateway:

        def kill() -> bool:
            for worker in gateway.workers():
                # It may have ended since it was listed.
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
            return gateway.process.poll() is not None

        until(kill)
        assert gateway.process.returncode == 1
        assert any("keep dying" in str(entry.get("message")) for entry in gateway.entries())
