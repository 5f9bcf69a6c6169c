"""HAR files that browsers, Playwright and a proxy made of calls to a sandbox: what is read is what was answered."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from playwright.sync_api import Browser

from compat.legacy.parameters import gather
from compat.legacy.signature import Caller, signed
from compat.regression.recordings.call_lists import Accounts
from compat.regression.recordings.har import HarCalls, SeenCall
from compat.testing import Sandbox

QUESTIONS: list[dict[str, str]] = [
    {"limit": "7"},
    {"filter": '{"name":{"gt":"É & M"}}', "sort": '[{"name":"desc"}]'},
    {"page": "0"},
]
DROPPED = "an answer whose body the file does not have"
_SECONDS = 150


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(students=60, seed=11) as served:
        yield served


def addresses(sandbox: Sandbox) -> list[str]:
    """Where those calls go, signed; the token is a header's."""
    return [
        f"/api/v3/exams/17/index_students?{urlencode(signed(each, sandbox.secret_key, {'id': '17'}))}"
        for each in QUESTIONS
    ]


def asked_of(sandbox: Sandbox, question: dict[str, str]) -> requests.Response:
    sent = signed(question, sandbox.secret_key, {"id": "17"})
    url = f"{sandbox.base_url}/api/v3/exams/17/index_students"
    return requests.get(url, params=sent, headers=token_of(sandbox), timeout=30)


def token_of(sandbox: Sandbox) -> dict[str, str]:
    return {"Authorization": f"Token token={sandbox.api_token}"}


def question_of(seen: SeenCall) -> dict[str, str]:
    given = dict(gather(seen.call).values)
    return {name: value for name, value in given.items() if name not in ("id", "timestamp", "nonce", "signature")}


def assert_as_answered(sandbox: Sandbox, path: Path, base_url: str, *, bodies: bool = True) -> HarCalls:
    """Each call was read with its question, its answer and its caller."""
    found = HarCalls(path, [base_url])
    calls = list(found)
    assert [question_of(each) for each in calls] == QUESTIONS
    accounts = Accounts([Caller("ours", sandbox.api_token, sandbox.secret_key)])
    for seen, question in zip(calls, QUESTIONS, strict=True):
        answer = asked_of(sandbox, question)
        assert accounts.owner(seen.call) == "ours"
        assert seen.answered.status == answer.status_code
        assert seen.answered.body == (answer.content if bodies else b"")
        assert seen.odd == (() if bodies else (DROPPED,))
        assert abs(seen.at - time.time()) < 600
        pages = {name.lower(): value for name, value in answer.headers.items() if "pagination" in name.lower()}
        assert pages.items() <= dict(seen.answered.headers).items()
    assert not found.left_out
    assert not found.elsewhere
    return found


@pytest.mark.parametrize("content", ["embed", "attach", "omit"])
@pytest.mark.parametrize("name", ["seen.har", "seen.zip"])
def test_playwright_and_chromium(sandbox: Sandbox, browser: Browser, tmp_path: Path, content: Any, name: str) -> None:
    path = tmp_path / name
    context = browser.new_context(
        record_har_path=str(path), record_har_content=content, extra_http_headers=token_of(sandbox)
    )
    page = context.new_page()
    for address in addresses(sandbox):
        answer = page.goto(sandbox.base_url + address)
        # Else the browser may have thrown it away before it is saved.
        assert answer is not None
        answer.body()
    context.close()
    assert_as_answered(sandbox, path, sandbox.base_url, bodies=content != "omit")


class _Before(http.server.ThreadingHTTPServer):
    """Hands calls on to a sandbox, and has a page that makes them."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.sandbox = sandbox

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def page(self) -> str:
        calls = json.dumps([addresses(self.sandbox), token_of(self.sandbox)])
        return (
            "<!DOCTYPE html><title>calls</title><link rel=icon href='data:,'><script>"
            f"const [addresses, headers] = {calls};"
            "const all = async () => { for (const each of addresses) await (await fetch(each, {headers})).text(); };"
            "const again = () => { location.hash = 1; location.reload(); };"
            "if (location.hash) all().then(() => setTimeout(again, 12000)); else setTimeout(again, 6000);</script>"
        )


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Before
    protocol_version = "HTTP/1.1"

    def log_message(self, *ignored: object) -> None:
        pass

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/":
            self._send(200, {"Content-Type": "text/html"}, self.server.page().encode())
            return
        answer = requests.get(
            self.server.sandbox.base_url + self.path,
            headers={"Authorization": self.headers.get("Authorization", "")},
            timeout=30,
        )
        own = ("content-length", "connection", "transfer-encoding", "content-encoding")
        self._send(
            answer.status_code,
            {name: value for name, value in answer.headers.items() if name.lower() not in own},
            answer.content,
        )

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def before(sandbox: Sandbox) -> Iterator[_Before]:
    with _Before(sandbox) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def running(arguments: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(_SECONDS)


def wait_for(what: Callable[[], Any]) -> Any:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError("it never came")


FIREFOX = {
    "devtools.netmonitor.har.enableAutoExportToFile": True,
    "devtools.netmonitor.har.forceExport": True,
    "devtools.netmonitor.har.includeResponseBodies": True,
    "devtools.netmonitor.har.pageLoadedTimeout": 3000,
    "devtools.toolbox.selectedTool": "netmonitor",
    "browser.aboutwelcome.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
}


def test_firefox(sandbox: Sandbox, tmp_path: Path) -> None:
    firefox = shutil.which("firefox-esr") or shutil.which("firefox")
    if firefox is None:
        pytest.skip("no firefox here: install firefox-esr from the system's packages")
    (tmp_path / "profile").mkdir()
    (tmp_path / "saved").mkdir()
    preferences = FIREFOX | {"devtools.netmonitor.har.defaultLogDir": str(tmp_path / "saved")}
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items()]
    (tmp_path / "profile" / "user.js").write_text("".join(lines), encoding="utf-8")
    with before(sandbox) as server:
        arguments = [firefox, "--headless", "--no-remote", "--profile", str(tmp_path / "profile")]
        # Its exporter saves what a page loaded once the developer tools are there; so the page loads itself again, and
        # with fresh signatures.
        with running([*arguments, "--devtools", f"{server.base_url}/"], env={**os.environ, "HOME": str(tmp_path)}):
            saved = wait_for(lambda: [each for each in (tmp_path / "saved").iterdir() if whole(each)])
        found = assert_as_answered(sandbox, saved[0], server.base_url)
    assert found.others["no call of the old interface"] > 0


def whole(path: Path) -> bool:
    """Whether the file is written to its end, and by developer tools that saw all calls."""
    try:
        entries = json.loads(path.read_bytes())["log"]["entries"]
    except ValueError:
        return False
    return sum("index_students" in each["request"]["url"] for each in entries) == len(QUESTIONS)


@pytest.fixture(scope="module")
def mitmproxy(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What it saves of the questions, of one in a body, and of another site's page."""
    program = os.environ.get("MITMDUMP") or shutil.which("mitmdump")
    if program is None:
        pytest.skip(
            "no mitmdump here: install mitmproxy in an environment of its own, and name the program in MITMDUMP"
        )
    folder = tmp_path_factory.mktemp("mitmproxy")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {"hardump": str(folder / "seen.har"), "confdir": str(folder), "listen_host": "127.0.0.1"}
    given = [word for name, value in options.items() for word in ("--set", f"{name}={value}")]
    with running([program, "-q", "-p", str(port), *given]), requests.Session() as session:
        wait_for(lambda: answers(port))
        session.proxies, session.trust_env = {"http": f"http://127.0.0.1:{port}"}, False
        for address in addresses(sandbox):
            session.get(sandbox.base_url + address, headers=token_of(sandbox), timeout=30)
        body = signed({"limit": "3"}, sandbox.secret_key, {"id": "17"})
        url = f"{sandbox.base_url}/api/v3/exams/17/index_students"
        session.get(url, json=body, headers=token_of(sandbox), timeout=30)
    return folder / "seen.har"


def answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def test_mitmproxy(sandbox: Sandbox, mitmproxy: Path, tmp_path: Path) -> None:
    content = json.loads(mitmproxy.read_bytes())
    of_body = content["log"]["entries"].pop()
    (tmp_path / "seen.har").write_text(json.dumps(content), encoding="utf-8")
    assert_as_answered(sandbox, tmp_path / "seen.har", sandbox.base_url)
    # It saves no body of a GET: what was asked is not known, and must not pass for a call without parameters.
    assert dict(parse_qsl(urlsplit(of_body["request"]["url"]).query)) == {}
    found = HarCalls(mitmproxy, [sandbox.base_url])
    assert len(list(found)) == len(QUESTIONS)
    assert found.left_out == {"a call with a body that the file does not have": 1}
