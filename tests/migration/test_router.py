"""The router over the adapter: who answers in which mode, what is compared behind, and what becomes of writes."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from support import QUERIES, closed_port, upstream_of

import compat
from compat.migration.modes.router import ModeRouter
from compat.migration.modes.rules import Mode, Rules, Scope, share_of
from compat.regression.comparing.pairs import Pair
from compat.testing.sandbox import Sandbox, SandboxAnswer

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

MODES = ("legacy", "shadow", "canary:0", "canary:100", "new", "new+fallback")
SERVED = dict(zip(MODES, ("legacy", "legacy", "legacy", "new", "new", "new"), strict=True))
COMPARED = ("shadow", "canary:0", "canary:100")
WAIT = 30.0


class Script:
    """A script's session before a sandbox whose both interfaces are there."""

    def __init__(self, sandbox: Sandbox, mode: str, upstream: Any = None, **options: Any) -> None:
        self.sandbox = sandbox
        self.pairs: list[Pair] = []
        self.session = requests.Session()
        adapter = compat.mount(self.session, sandbox.base_url, upstream or upstream_of(sandbox, "student_sessions"))
        self.router = adapter.router = ModeRouter(
            Rules({Scope(): Mode.parse(mode, "mode")}), legacy=True, sinks=[self.pairs.append], **options
        )

    def call(self, action: str = "index_students", method: str = "GET", **parameters: str) -> requests.Response:
        sent = self.sandbox.signed(parameters, in_path={"id": "17"})
        url = f"{self.sandbox.base_url}/api/v3/exams/17/{action}"
        return self.session.request(method, url, params=sent, headers=self.sandbox.headers, timeout=20)

    def settled(self) -> list[Pair]:
        """The pairs, when there are no more to come."""
        assert self.router.background.settle(WAIT)
        return self.pairs

    def asked(self) -> list[str]:
        """Which interfaces were asked, in their order."""
        return [call.interface for call in self.sandbox.calls]


@pytest.fixture
def script(sandbox: Sandbox) -> Iterator[Callable[..., Script]]:
    made: list[Script] = []

    def make(mode: str, upstream: Any = None, **options: Any) -> Script:
        made.append(Script(sandbox, mode, upstream, **options))
        return made[-1]

    yield make
    for each in made:
        each.session.close()
        each.router.close(WAIT)


@pytest.mark.parametrize("mode", MODES)
def test_who_answers_and_who_is_asked_behind(script: Callable[..., Script], mode: str) -> None:
    running = script(mode)
    for parameters in QUERIES:
        answer = running.call(**parameters)
        assert answer.headers["X-Compat-Answered-By"] == SERVED[mode]
    pairs = running.settled()
    asked = set(running.asked())
    if mode in COMPARED:
        assert asked == {"legacy", "student_sessions"}
        assert len(pairs) == len(QUERIES)
        for pair in pairs:
            assert (pair.served, pair.caller, pair.call.exam_id) == (SERVED[mode], None, "17")
            assert (pair.old.status, pair.old.failure, pair.new.failure) == (pair.new.status, None, None)
            assert json.loads(pair.old.body) == json.loads(pair.new.body)
            assert pair.old.seconds > 0
            assert pair.new.seconds > 0
            assert pair.old.headers["X-Compat-Answered-By"] == "legacy"
    else:
        assert pairs == []
        assert asked == {"legacy" if mode == "legacy" else "student_sessions"}


@pytest.mark.parametrize("mode", MODES)
def test_a_write_goes_to_one_endpoint_and_once(script: Callable[..., Script], mode: str) -> None:
    running = script(mode)
    added = running.call("add_student", "POST", name="Ada", email="ada@example.org")
    assert added.status_code == 201
    number = str(added.json()["student"]["id"])
    assert running.call("delete_student", "DELETE", student_session_id=number).status_code == 200
    assert running.settled() == []
    side = "legacy" if SERVED[mode] == "legacy" else "student_sessions"
    written = [call for call in running.sandbox.calls if call.method in ("POST", "DELETE")]
    assert [(call.interface, call.method) for call in written] == [(side, "POST"), (side, "DELETE")]


def _broken(sandbox: Sandbox) -> compat.StudentSessions:
    """A candidate that nobody answers for."""
    return upstream_of(sandbox, "student_sessions", base_url=closed_port())  # type: ignore[return-value]


def test_fallback_reads_from_the_old_and_writes_nothing_twice(script: Callable[..., Script], sandbox: Sandbox) -> None:
    running = script("new+fallback", _broken(sandbox))
    answer = running.call()
    assert (answer.status_code, answer.headers["X-Compat-Answered-By"]) == (200, "legacy")
    assert running.asked() == ["legacy"]
    with pytest.raises(requests.ConnectionError):
        running.call("add_student", "POST", name="Ada", email="ada@example.org")
    assert running.asked() == ["legacy"]
    # What is no failure of the candidate stays its answer.
    fine = script("new+fallback")
    assert fine.call(page="0").status_code == 422
    assert fine.call("show_student", student_session_id="999999").status_code == 404
    assert "legacy" not in fine.asked()[1:]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_fallback_for_whatever_the_candidate_fails_with(script: Callable[..., Script], status: int) -> None:
    running = script("new+fallback")
    running.sandbox.intercept = lambda request, answer: SandboxAnswer(status, {"Retry-After": "0"}, b"{}")
    answer = running.call(limit="7")
    assert (answer.status_code, answer.headers["X-Compat-Answered-By"]) == (200, "legacy")
    assert len(answer.json()["students"]) == 7


def test_a_candidate_that_fails_is_kept_and_nothing_to_the_caller(
    script: Callable[..., Script], sandbox: Sandbox
) -> None:
    running = script("shadow", _broken(sandbox))
    assert [running.call().status_code for _ in range(3)] == [200] * 3
    pairs = running.settled()
    assert [(pair.new.status, pair.new.failure) for pair in pairs] == [(502, "unreachable")] * 3
    assert {pair.old.status for pair in pairs} == {200}


def test_a_candidate_that_hangs_holds_up_nobody(script: Callable[..., Script], sandbox: Sandbox) -> None:
    held = threading.Event()

    def hang(request: Any, answer: SandboxAnswer) -> SandboxAnswer:
        held.wait(WAIT)
        return answer

    sandbox.intercept = hang
    from compat.migration.modes.background import Bounds

    running = script("shadow", bounds=Bounds(threads=1, waiting=2))
    try:
        # More than there is room for: each has its answer although the candidate has given none.
        assert [running.call().status_code for _ in range(6)] == [200] * 6
        # One is under way, if its thread was there in time, and two wait.
        dropped = running.router.dropped
        assert dropped in (3, 4)
        assert running.pairs == []
    finally:
        held.set()
    assert len(running.settled()) == 6 - dropped


def test_an_old_endpoint_that_fails_fails_as_it_did(script: Callable[..., Script], sandbox: Sandbox) -> None:
    base = closed_port()
    running = script("shadow")
    adapter = compat.mount(running.session, base, upstream_of(sandbox, "student_sessions"))
    adapter.router = running.router
    with pytest.raises(requests.ConnectionError):
        running.session.get(f"{base}/api/v3/exams/17/index_students", timeout=5)
    [pair] = running.settled()
    assert (pair.old.status, pair.old.failure, pair.new.status) == (0, "unreachable", 200)


def test_a_stream_is_read_by_its_reader_alone(script: Callable[..., Script]) -> None:
    running = script("shadow")
    url = f"{running.sandbox.base_url}/api/v3/exams/17/index_students"

    def streamed() -> requests.Response:
        sent = running.sandbox.signed({}, in_path={"id": "17"})
        return running.session.get(url, params=sent, headers=running.sandbox.headers, stream=True, timeout=9)

    with streamed() as answer:
        assert running.settled() == []
        whole = b"".join(answer.iter_content(100))
    [pair] = running.settled()
    assert pair.old.body == whole
    with streamed() as answer:
        # Whoever leaves off has nothing compared.
        next(answer.iter_content(100))
    assert len(running.settled()) == 1


def test_what_an_adapter_of_the_scripts_own_answers_is_compared(script: Callable[..., Script]) -> None:
    running = script("shadow")

    class Canned(HTTPAdapter):
        def send(self, request: requests.PreparedRequest, *arguments: Any, **more: Any) -> requests.Response:
            answer = requests.Response()
            answer.status_code, answer._content, answer.request = 200, b'{"students":[]}', request
            return answer

    adapter: Any = running.session.get_adapter(running.sandbox.base_url)
    adapter._previous = {running.sandbox.base_url: Canned()}
    assert running.call().json() == {"students": []}
    [pair] = running.settled()
    assert (pair.old.body, pair.new.status) == (b'{"students":[]}', 200)


def test_a_body_that_can_be_read_once_reaches_the_old_endpoint(script: Callable[..., Script]) -> None:
    running = script("legacy")
    sent = running.sandbox.signed({"limit": "3"}, in_path={"id": "17"})
    url = f"{running.sandbox.base_url}/api/v3/exams/17/index_students"
    headers = {**running.sandbox.headers, "Content-Type": "application/json"}
    text = json.dumps(sent).encode()
    answer = running.session.get(url, data=_File(text), headers=headers, timeout=9)
    assert (answer.status_code, len(answer.json()["students"])) == (200, 3)


class _File:
    """A file that can neither be told its place nor be wound back."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __len__(self) -> int:
        return len(self._content)

    def read(self, size: int = -1) -> bytes:
        found, self._content = self._content, b""
        return found


def test_the_caller_is_told_by_its_token(sandbox: Sandbox) -> None:
    from compat.config.file import read_config

    content = {**sandbox.settings("student_sessions"), "store": {"url": "memory://callers"}}
    content["callers"] = [{"name": "LMS", "api_token": sandbox.api_token, "secret_key": "s", "mode": "legacy"}]
    with requests.Session() as session:
        compat.mount(session, sandbox.base_url, read_config(content))
        url = f"{sandbox.base_url}/api/v3/exams/17/index_students"
        sent = sandbox.signed({}, in_path={"id": "17"})
        own = session.get(url, params=sent, headers=sandbox.headers, timeout=9)
        other = session.get(url, headers={"Authorization": "Token token=other"}, timeout=9)
    assert [each.headers["X-Compat-Answered-By"] for each in (own, other)] == ["legacy", "new"]


def test_a_canary_without_names_goes_by_the_token(sandbox: Sandbox) -> None:
    from compat.migration.modes.sides import Callers

    callers = Callers(())
    keys = {token: callers.of(f"Token token={token}").key for token in ("a", "b", "c", "d")}
    percent = sorted(map(share_of, keys.values()))[1] + 1
    running = Script(sandbox, f"canary:{percent}")
    for token, key in keys.items():
        headers = {"Authorization": f'Token token="{token}"'}
        url = f"{sandbox.base_url}/api/v3/exams/17/index_students"
        answers = [running.session.get(url, headers=headers, timeout=9) for _ in range(2)]
        wanted = "new" if share_of(key) < percent else "legacy"
        assert {answer.headers["X-Compat-Answered-By"] for answer in answers} == {wanted}
    running.settled()
    running.session.close()


def test_a_session_is_pickled_with_its_dial(script: Callable[..., Script]) -> None:
    running = script("shadow", upstream=None)
    running.call()
    running.settled()
    again = pickle.loads(pickle.dumps(running.session))  # noqa: S301 - our own bytes
    sent = running.sandbox.signed({}, in_path={"id": "17"})
    url = f"{running.sandbox.base_url}/api/v3/exams/17/index_students"
    answer = again.get(url, params=sent, headers=running.sandbox.headers, timeout=9)
    assert answer.headers["X-Compat-Answered-By"] == "legacy"
    router = again.get_adapter(url).router
    assert router.background.settle(WAIT)
    assert router.background.done == 1


def test_what_a_sink_raises_costs_that_pair_alone(script: Callable[..., Script], sandbox: Sandbox) -> None:
    running = script("shadow")
    running.router._sinks = (lambda pair: 1 / 0,)
    assert [running.call().status_code for _ in range(2)] == [200, 200]
    assert running.settled() == []
    assert running.router.dropped == 2


class _Brownout:
    def now(self, caller: str | None, exam: str) -> compat.LegacyError | None:
        return compat.StudentSessionNotFound(int(exam)) if exam == "17" else None


@pytest.mark.parametrize("mode", ["legacy", "new"])
def test_a_brownout_comes_before_any_endpoint(script: Callable[..., Script], mode: str) -> None:
    running = script(mode, brownouts=_Brownout())
    assert running.call().status_code == 404
    assert running.asked() == []


SCRIPT = """
import sys, requests, compat
from compat.legacy.signature import signed
from compat.migration.modes.router import ModeRouter
from compat.migration.modes.rules import Mode, Rules, Scope

base, token, key = sys.argv[1:]
upstream = compat.StudentSessions(base, api_token=token, secret_key=key)
adapter = compat.install(base, upstream)
adapter.router = ModeRouter(Rules({Scope(): Mode("shadow")}), legacy=True)
headers = {"Authorization": f"Token token={token}"}
sent = signed({}, key, {"id": "17"})
answer = requests.get(f"{base}/api/v3/exams/17/index_students", params=sent, headers=headers)
sys.stdin.readline()
print(answer.status_code)
"""


@pytest.mark.parametrize("hanging", ["1", "2"], ids=["at once", "in the middle of a list"])
def test_a_script_ends_although_the_candidate_hangs(sandbox: Sandbox, hanging: str) -> None:
    asked, held = threading.Event(), threading.Event()

    def hang(request: Any, answer: SandboxAnswer) -> SandboxAnswer:
        if request.parameters["page"] == hanging:
            asked.set()
            held.wait(2 * WAIT)
        return answer

    sandbox.intercept = hang
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT]
    arguments = [sandbox.base_url, sandbox.api_token, sandbox.secret_key]
    with subprocess.Popen([*command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as script:
        try:
            assert asked.wait(WAIT)
            # The candidate lets go only when the script has ended.
            said, _ = script.communicate("\n", timeout=WAIT)
        finally:
            script.kill()
            held.set()
    assert (said, script.returncode) == ("200\n", 0)
