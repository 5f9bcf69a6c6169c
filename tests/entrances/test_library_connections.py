"""How the new endpoint is reached for each HTTP library: time limits, proxies, certificates, loops, forks."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from forked import in_child, needs_fork
from library_dialects import Shimmed
from support import FAST, OLD, RawServer, closed_port, page_of, upstream_of
from urllib3.exceptions import InsecureRequestWarning
from wish_servers import RECORD, World, world, write_certificates

import compat
from compat.testing.sandbox import Sandbox

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

PATH = "/api/v3/exams/17/index_students"
WAIT = 60.0


def test_an_upstream_that_nobody_reaches(shimmed: Shimmed) -> None:
    shimmed.begin(compat.StudentSessions(closed_port(), api_token="t", secret_key="s", retries=FAST))
    with pytest.raises(
        shimmed.dialect.unreachable,
        match=r"The student sessions upstream at .* could not be reached: connection refused",
    ):
        shimmed.ask(OLD + PATH)


def test_an_upstream_that_is_slower_than_the_call_may_be(shimmed: Shimmed) -> None:
    over = threading.Event()

    def wait(number: int, received: Any, connection: Any) -> None:
        over.wait(WAIT)

    with RawServer(wait) as server:
        once = compat.RetryPolicy(attempts=1)
        shimmed.begin(compat.StudentSessions(server.base_url, api_token="t", secret_key="s", retries=once))
        try:
            with pytest.raises(shimmed.dialect.too_slow, match=r"the caller's timeout of 0\.25 seconds"):
                shimmed.ask(OLD + PATH, timeout=0.25)
        finally:
            over.set()


def test_a_proxy(shimmed: Shimmed, tmp_path: Path) -> None:
    """The old endpoint's calls are ours, and the new endpoint is asked by the script's proxy, as are all others."""
    with world("http", tmp_path) as place:
        upstream = compat.StudentSessions(place.server.base_url, api_token="t", secret_key="s", retries=FAST)
        shimmed.begin(upstream, "http://old.example")
        proxy = place.proxy_url.replace("//", "//ann:s%3Aret@")
        got = shimmed.ask("http://old.example" + PATH, proxy=proxy)
        assert (got.status, json.loads(got.body)["students"][0]["name"]) == (200, RECORD["name"])
        (target, user), *more = place.proxy.asked
        assert target.startswith(f"{place.server.base_url}/api/v3/student_sessions")
        assert (user, more) == ("Basic YW5uOnM6cmV0", [])
        place.proxy.asked.clear()
        assert shimmed.ask(f"{place.server.base_url}/else", proxy=proxy).status == 200
        assert place.proxy.asked == [(f"{place.server.base_url}/else", user)]


def test_a_proxy_of_the_environment_counts_by_host(
    shimmed: Shimmed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world("http", tmp_path) as place:
        monkeypatch.setenv("http_proxy", closed_port())
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        shimmed.begin(
            compat.StudentSessions(place.server.base_url, api_token="t", secret_key="s", retries=FAST),
            "http://old.example",
        )
        assert shimmed.ask("http://old.example" + PATH).status == 200
        assert place.proxy.asked == []


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("certificates")
    write_certificates(folder)
    with world("https", folder) as place:
        yield place


@pytest.mark.parametrize("by_proxy", [False, True], ids=["directly", "by a proxy"])
def test_certificates_of_the_scripts_own(shimmed: Shimmed, secured: World, by_proxy: bool) -> None:
    """Whom the script trusts is whom the new endpoint is asked under, and nobody else."""
    proxy = secured.proxy_url if by_proxy else None
    shimmed.begin(
        compat.StudentSessions(secured.server.base_url, api_token="t", secret_key="s", retries=FAST),
        "https://old.example",
    )
    secured.proxy.asked.clear()
    for _ in range(2):
        got = shimmed.ask("https://old.example" + PATH, ca=secured.path("ca.pem"), proxy=proxy)
        assert (got.status, json.loads(got.body)["students"][0]["name"]) == (200, RECORD["name"])
    assert {target for target, _ in secured.proxy.asked} == (
        {secured.server.base_url.removeprefix("https://")} if by_proxy else set()
    )
    for ca in (secured.path("other.pem"), None):
        with pytest.raises(
            shimmed.dialect.untrusted,
            match=r"The student sessions upstream at .* could not be reached: its certificate is signed by an",
        ):
            shimmed.ask("https://old.example" + PATH, ca=ca, proxy=proxy)


def test_certificates_that_a_script_has_urllib_not_look_at(secured: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which urllib3 warns of, where urllib does not."""
    monkeypatch.setattr(ssl, "_create_default_https_context", ssl._create_unverified_context)
    upstream = compat.StudentSessions(secured.server.base_url, api_token="t", secret_key="s", retries=FAST)
    opener = urllib.request.build_opener(compat.urllib_handler("https://old.example", upstream))
    with pytest.warns(InsecureRequestWarning), opener.open("https://old.example" + PATH) as answer:
        assert answer.status == 200


@needs_fork
def test_a_forked_process_calls_as_its_parent_does(shared: Sandbox, shimmed: Shimmed) -> None:
    shimmed.begin(upstream_of(shared, "student_sessions"))
    whole = shimmed.ask(OLD + PATH).body
    assert in_child(lambda: shimmed.ask(OLD + PATH).body == whole)
    assert shimmed.ask(OLD + PATH).body == whole


@pytest.fixture
def waiting() -> Iterator[tuple[str, threading.Event, threading.Event]]:
    """An upstream that answers once it may: its URL, whether it was asked, and what lets it answer."""
    asked, may = threading.Event(), threading.Event()

    def answer(number: int, received: Any, connection: Any) -> bytes:
        asked.set()
        assert may.wait(WAIT)
        return page_of([RECORD])

    with RawServer(answer) as server:
        try:
            yield server.base_url, asked, may
        finally:
            may.set()


async def _by_httpx(upstream: Any) -> int:
    async with httpx.AsyncClient(transport=compat.httpx_async_transport(OLD, upstream)) as client:
        return (await client.get(OLD + PATH, timeout=WAIT)).status_code


async def _by_aiohttp(upstream: Any) -> int:
    middlewares = (compat.aiohttp_middleware(OLD, upstream),)
    async with aiohttp.ClientSession(middlewares=middlewares) as session, session.get(OLD + PATH) as answer:
        return answer.status


in_a_loop = pytest.mark.parametrize("call", [_by_httpx, _by_aiohttp])


@in_a_loop
def test_a_loop_runs_on_while_a_call_waits(
    waiting: tuple[str, threading.Event, threading.Event], call: Callable[[Any], Any]
) -> None:
    base, asked, may = waiting
    upstream = compat.StudentSessions(base, api_token="t", secret_key="s")

    async def let_answer() -> None:
        while not asked.is_set():
            await asyncio.sleep(0.001)
        may.set()

    async def main() -> int:
        status: int
        status, _ = await asyncio.gather(call(upstream), let_answer())
        return status

    assert asyncio.run(main()) == 200


@in_a_loop
def test_a_task_that_is_cancelled_waits_for_nothing(
    waiting: tuple[str, threading.Event, threading.Event], call: Callable[[Any], Any]
) -> None:
    base, asked, may = waiting
    upstream = compat.StudentSessions(base, api_token="t", secret_key="s")

    async def main() -> bool:
        task = asyncio.ensure_future(call(upstream))
        while not asked.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        ended: bool = task.cancelled() and not may.is_set()
        may.set()
        return ended

    assert asyncio.run(main())
