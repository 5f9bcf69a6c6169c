"""What each entrance tells the inventory of its calls, and that no call waits for it or fails by it."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from calling_process import call
from gateways import CALLERS, HEADERS_OF, running_gateway, settings_for, written
from support import OLD, listed, mounted, upstream_of

import compat
from compat.config.file import read_config
from compat.legacy.routes import INDEX_STUDENTS, LegacyCall
from compat.legacy.signature import signed
from compat.migration.inventory.recorder import dialect_of, inventory_of, names_of
from compat.stores.ledger import AllCounts, CallGroup, open_ledger
from compat.testing.sandbox import Sandbox

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

STARTS = [each for each in ("fork", "spawn") if each in multiprocessing.get_all_start_methods()]


def line_of(mark: str) -> str:
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return f"{__file__}:{next(number for number, line in enumerate(lines, 1) if line.endswith(f'# {mark}'))}"


def read(url: str) -> AllCounts:
    ledger = open_ledger(url)
    try:
        return ledger.counted()
    finally:
        ledger.close()


def groups(url: str, given: Any = None) -> dict[CallGroup, int]:
    if given is not None:
        inventory = inventory_of(given)
        assert inventory is not None
        assert inventory.flush()
    return {each.group: each.number for each in read(url).usages}


def configured(sandbox: Sandbox, url: str, **migration: Any) -> compat.Configuration:
    content: dict[str, Any] = settings_for(sandbox, store={"url": url}, migration=migration)
    content["callers"] = [dict(each) for each in CALLERS]
    return read_config(content)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/calls.db"


def test_the_adapters_calls(sandbox: Sandbox, url: str) -> None:
    configuration = configured(sandbox, url)
    session = mounted(configuration)
    session.headers["User-Agent"] = "nightly/1.0"
    for _ in range(3):
        session.get(f"{OLD}/api/v3/exams/17/index_students/", params={"limit": "5", "x": "1"})  # listing
    session.headers["Authorization"] = "Token token=t2"
    body = {"nonce": "1700000000", "signature": "s", "page": "0"}
    session.request("GET", f"{OLD}/api/v3/exams/17/index_students?id=17", json=body)  # refused
    assert groups(url, configuration) == {
        CallGroup(
            "adapter",
            "index_students",
            call_site=line_of("listing"),
            user_agent="nightly/1.0",
            parameters=("limit", "other"),
            dialect="query trailing-slash unsigned",
            status=200,
        ): 3,
        CallGroup(
            "adapter",
            "index_students",
            caller="LMS of seconds",
            call_site=line_of("refused"),
            user_agent="nightly/1.0",
            parameters=("page",),
            dialect="json id-sent-again nonce-of-seconds",
            status=422,
        ): 1,
    }


def test_the_clients_calls(sandbox: Sandbox, url: str) -> None:
    configuration = configured(sandbox, url)
    client = compat.ExamStudentsClient(configuration)
    client.index_students(17, limit=5, filter={"id": {"gt": 5}})  # client
    with pytest.raises(compat.LegacyError):
        client.show_student(17, 10**9)  # nobody
    assert groups(url, configuration) == {
        CallGroup("client", "index_students", "", line_of("client"), "", ("filter", "limit"), "", "new", 200): 1,
        CallGroup("client", "show_student", "", line_of("nobody"), "", ("student_session_id",), "", "new", 404): 1,
    }


def test_the_old_endpoints_answers_and_failures(sandbox: Sandbox, url: str) -> None:
    configuration = configured(sandbox, url, mode="legacy")
    session = mounted(configuration, sandbox.base_url)
    status = listed(session, base=sandbox.base_url).status_code
    gone = mounted(configuration, "http://127.0.0.1:9")
    with pytest.raises(requests.ConnectionError):
        listed(gone, base="http://127.0.0.1:9")
    found = {(each.answered_by, each.status) for each in groups(url, configuration)}
    assert found == {("legacy", status), ("legacy", 0)}


def test_the_clients_failures_at_the_old_endpoint(sandbox: Sandbox, url: str) -> None:
    content = settings_for(sandbox, store={"url": url}, migration={"mode": "legacy"})
    content["legacy"] = {**content.get("legacy", {}), "base_url": "http://127.0.0.1:9"}
    with pytest.raises(compat.UpstreamUnreachable):
        compat.ExamStudentsClient(read_config(content)).index_students(17)
    content["migration"] = {"mode": "new"}
    with pytest.raises(compat.LegacyError):
        compat.ExamStudentsClient(read_config(content)).show_student(17, 10**9)
    found = {(each.answered_by, each.status) for each in groups(url, read_config(content))}
    assert found == {("legacy", 502), ("new", 404)}


def test_the_gateways_calls(sandbox: Sandbox, tmp_path: Path, url: str) -> None:
    config = written(tmp_path, settings_for(sandbox, store={"url": url}))
    with running_gateway(config) as base:

        def ask(who: str, agent: str, **more: str) -> int:
            headers, key = HEADERS_OF[who]
            parameters = {**signed(more, key, {"id": "17"})}
            return requests.get(
                f"{base}/api/v3/exams/17/index_students",
                params=parameters,
                headers={**headers, "User-Agent": agent},
                timeout=30,
            ).status_code

        assert [ask("registrar", "a/1", limit="5"), ask("registrar", "a/1", limit="6")] == [200, 200]
        assert ask("registrar", "a/1", page="0") == 422
        stranger = requests.get(
            f"{base}/api/v3/exams/17/index_students", headers={"User-Agent": "anything"}, timeout=30
        )
        assert stranger.status_code == 403
        assert requests.get(f"{base}/api/v3/student_sessions", timeout=30).status_code != 500
    found = groups(url)
    # The look whether it is up was a call of nobody's.
    assert {group: number for group, number in found.items() if group.route == "index_students"} == {
        CallGroup("gateway", "index_students", "registrar", "", "a/1", ("limit",), "query", "new", 200): 2,
        CallGroup("gateway", "index_students", "registrar", "", "a/1", ("page",), "query", "new", 422): 1,
        CallGroup("gateway", "index_students", "unknown", "", "", (), "", "gateway", 403): 1,
    }
    values = repr(found)
    assert "key of the registrar" not in values
    assert "signature" not in values


def test_nothing_is_counted_without_a_place(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    upstream = upstream_of(sandbox, "student_sessions")
    assert listed(mounted(upstream)).status_code == 200
    assert listed(mounted(configured(sandbox, url, inventory=False))).status_code == 200
    assert listed(mounted(compat.Configuration(upstream, store=url))).status_code == 200
    assert inventory_of(upstream) is None
    # A dictionary has no folder of its own to count in; a file has.
    assert inventory_of(read_config(sandbox.settings("student_sessions"))) is None
    assert list(tmp_path.iterdir()) == []


def test_an_upstream_alone_counts_where_the_environment_says(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    upstream = upstream_of(sandbox, "student_sessions")
    monkeypatch.setenv("EXAM_COMPAT_CONFIG", str(written(tmp_path, settings_for(sandbox, store={"url": url}))))
    assert listed(mounted(upstream)).status_code == 200
    assert sum(groups(url, upstream).values()) == 1
    other = f"sqlite:///{tmp_path}/other.db"
    monkeypatch.setenv("EXAM_COMPAT_STORE", other)
    assert listed(mounted(upstream)).status_code == 200
    assert sum(groups(other, upstream).values()) == 1
    monkeypatch.setenv("EXAM_COMPAT_STORE", "no store")
    assert listed(mounted(upstream)).status_code == 200
    assert "deprecated calls are not counted: [store] url" in caplog.text


def test_a_script_runs_on_where_the_store_is_gone(sandbox: Sandbox, tmp_path: Path) -> None:
    folder = tmp_path / "no such folder"
    configuration = configured(sandbox, f"sqlite:///{folder}/calls.db")
    session = mounted(configuration)
    for _ in range(3):
        assert listed(session).status_code == 200
    inventory = inventory_of(configuration)
    assert inventory is not None
    assert not inventory.flush()
    folder.mkdir()
    assert sum(groups(f"sqlite:///{folder}/calls.db", configuration).values()) == 3


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize(
    ("start", "each"),
    [
        (STARTS[0], 25),
        *(pytest.param(start, 1250, marks=[pytest.mark.soak, pytest.mark.timeout(1800)]) for start in STARTS),
    ],
)
def test_eight_processes_that_call(sandbox: Sandbox, url: str, start: str, each: int) -> None:
    settings = settings_for(sandbox, store={"url": url}, migration={"mode": "new", "inventory": True, "fields": True})
    context = multiprocessing.get_context(start)
    processes = [context.Process(target=call, args=(settings, each)) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 8
    ((group, number),) = groups(url).items()
    assert (group.answered_by, group.status, group.parameters) == ("new", 200, ("limit",))
    (usage,) = read(url).usages
    assert (number, sum(usage.days.values()), sum(usage.hours.values())) == (8 * each, 8 * each, 8 * each)
    assert read(url).dropped == 0


def test_a_session_that_is_pickled_or_copied_counts_too(sandbox: Sandbox, url: str) -> None:
    configuration = configured(sandbox, url)
    session = mounted(configuration)
    for each in (pickle.loads(pickle.dumps(session)), copy.deepcopy(session)):  # noqa: S301 - our own
        assert listed(each).status_code == 200
    assert sum(groups(url, configuration).values()) == 2


def test_the_store_is_written_behind_the_calls(sandbox: Sandbox, url: str) -> None:
    session = mounted(configured(sandbox, url))
    listed(session)
    until(lambda: sum(groups(url).values()) == 1)


def until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("query", "content_type", "body", "nonce", "slash", "dialect"),
    [
        ("page=1&signature=a", None, b"", "123", False, "query"),
        ("", "application/x-www-form-urlencoded", b"signature=a", "123", True, "form trailing-slash"),
        ("", None, b' {"signature":"a"}', "1700000000", False, "json nonce-of-seconds"),
        ("id=17&signature=a", "application/json", b"{}", "1", False, "query+json id-sent-again"),
        ("grid=17", None, b"", None, False, "query unsigned"),
    ],
)
def test_dialects(
    query: str, content_type: str | None, body: bytes, nonce: str | None, slash: bool, dialect: str
) -> None:
    call = LegacyCall(INDEX_STUDENTS, "17", query, content_type, body)
    assert dialect_of(call, nonce, slash=slash) == dialect


def test_names_of_parameters() -> None:
    assert names_of(["signature", "zeta", "nonce", "sort", "alpha", "id", "page"]) == ("other", "page", "sort")
