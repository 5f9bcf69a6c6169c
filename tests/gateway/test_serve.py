"""``exam-compat serve``: started, watched, stopped and killed, as a supervisor would."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests
import trustme
from gateways import settings_for, written
from serving import COMMAND, HEADERS, Gateway, query, serving, starting, until
from support import RawServer, Received, http, program

from compat.testing.sandbox import Sandbox, SandboxAnswer

posix = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """A suite that a shell started in the background ignores SIGINT, and so would every command it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def config(sandbox: Sandbox, tmp_path: Path) -> Path:
    return written(tmp_path, settings_for(sandbox, store={"url": f"sqlite:///{tmp_path}/spent.db"}))


class _SlowPages:
    """Makes each page of a sandbox take that long, or until it is let go."""

    def __init__(self, sandbox: Sandbox, seconds: float) -> None:
        self.asked = threading.Event()
        self.let_go = threading.Event()
        self._seconds = seconds
        sandbox.intercept = self._wait

    def _wait(self, call: object, answer: SandboxAnswer) -> SandboxAnswer:
        self.asked.set()
        self.let_go.wait(self._seconds)
        return answer


def _answered(gateway: Gateway) -> float:
    """Calls that the gateway counts; each is told of within a fiftieth of a second of its answer."""
    return sum(n for name, n in gateway.numbers().items() if name.startswith("exam_compat_calls_total"))


def test_it_answers_and_says_so(sandbox: Sandbox, config: Path) -> None:
    with serving(config) as gateway:
        parameters = query()
        answer = requests.get(gateway.url(), params=parameters, headers=HEADERS, timeout=30)
        refused = requests.get(gateway.url(), params=parameters, headers=HEADERS, timeout=30)
        assert (answer.status_code, refused.status_code) == (200, 403)
        until(lambda: _answered(gateway) == 2, gateway)
        numbers = gateway.numbers()
        assert numbers['exam_compat_calls_total{caller="registrar",route="index_students",status="200"}'] == 1
        assert numbers['exam_compat_calls_total{caller="registrar",route="index_students",status="403"}'] == 1
        assert numbers["exam_compat_nonces_spent_total"] == 1
        assert numbers['exam_compat_upstream_calls_total{outcome="2xx"}'] >= 1
        until(lambda: gateway.numbers()["exam_compat_walks_kept"] == 1, gateway)
        assert gateway.stop() == 0
        calls = [each for each in gateway.entries() if each["event"] == "call"]
        assert [each["status"] for each in calls] == [200, 403]
        assert calls[0]["request_id"] == answer.headers["X-Request-Id"]
        assert calls[0]["upstream_calls"] >= 1
        assert "used before" in calls[1]["refusal"]
        log = gateway.log.read_text()
        secrets = [parameters["signature"], parameters["nonce"], HEADERS["Authorization"][12:], sandbox.secret_key]
        assert not [secret for secret in secrets if secret in log]
        emails = [each["email"] for each in answer.json()["students"]]
        assert emails
        assert not [email for email in emails if email in log]


def test_what_is_passed_on_is_written_down_too(sandbox: Sandbox, config: Path) -> None:
    with serving(config) as gateway:
        given = {**sandbox.signed({"id": "17", "name": "Jan"})}
        answer = requests.get(f"{gateway.base}/api/v3/student_sessions", params=given, timeout=30)
        # It bears no token, and so it is the caller who is refused: the upstream is well.
        assert answer.status_code == 403
        assert gateway.ready()["ready"]
        until(lambda: _answered(gateway) == 1, gateway)
        numbers = gateway.numbers()
        assert numbers['exam_compat_calls_total{caller="unknown",route="other",status="403"}'] == 1
        assert numbers['exam_compat_upstream_calls_total{outcome="4xx"}'] == 1
        assert gateway.stop() == 0
        (call,) = [each for each in gateway.entries() if each["event"] == "call"]
        assert (call["route"], call["upstream_calls"]) == ("other", 1)
        assert given["signature"] not in gateway.log.read_text()


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_no_answer_is_lost_when_it_stops(sandbox: Sandbox, config: Path, number: int) -> None:
    slow = _SlowPages(sandbox, 0.4)
    with serving(config) as gateway, ThreadPoolExecutor(8) as callers:
        calls = [callers.submit(gateway.listed) for _ in range(8)]
        assert slow.asked.wait(30)
        # All eight are being answered, each of several pages, or wait for a connection upstream.
        until(lambda: _open_connections(gateway.base) >= 8, gateway)
        gateway.process.send_signal(number)
        answers = [call.result() for call in calls]
        assert gateway.process.wait(40) == 0
        assert [answer.status_code for answer in answers] == [200] * 8
        assert len({answer.content for answer in answers}) == 1
        with pytest.raises(requests.ConnectionError):
            requests.get(gateway.url(), timeout=5)


def _open_connections(base: str) -> int:
    """Connections to a port of this machine that a worker has taken."""
    port = f":{int(base.rpartition(':')[2]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(port) and row[3] == "01" for row in rows)


@posix
def test_calls_beyond_the_limit_do_not_hold_it(sandbox: Sandbox, config: Path) -> None:
    slow = _SlowPages(sandbox, 20)
    with serving(config, "--stop-within", "1") as gateway, ThreadPoolExecutor(1) as callers:
        call = callers.submit(gateway.listed)
        assert slow.asked.wait(30)
        assert gateway.stop(within=15) == 0
        assert isinstance(call.exception(), requests.ConnectionError)
        slow.let_go.set()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux tells of a process's threads")
def test_it_stops_whichever_thread_is_told(config: Path) -> None:
    with serving(config) as gateway:
        process = gateway.process.pid
        others = [int(each.name) for each in Path(f"/proc/{process}/task").iterdir() if each.name != str(process)]
        assert others
        # Told so, a thread that can take the signal does.
        os.kill(others[0], signal.SIGTERM)
        until(lambda: gateway.process.poll() is not None)
        assert gateway.process.returncode == 0


@posix
def test_a_second_signal_ends_it_at_once(sandbox: Sandbox, config: Path) -> None:
    slow = _SlowPages(sandbox, 20)
    with serving(config) as gateway, ThreadPoolExecutor(1) as callers:
        call = callers.submit(gateway.listed)
        assert slow.asked.wait(30)
        workers = gateway.workers()
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: not gateway.ready()["ready"], gateway)
        assert gateway.stop(within=10) == 130
        assert isinstance(call.exception(), requests.ConnectionError)
        assert workers
        until(lambda: not _alive(workers))
        slow.let_go.set()


@posix
def test_a_worker_that_dies_is_replaced(config: Path) -> None:
    with serving(config, "--workers", "2") as gateway:
        assert gateway.listed().status_code == 200
        until(lambda: _answered(gateway) == 1, gateway)
        before = gateway.workers()
        assert len(before) == 2
        os.kill(before[0], signal.SIGKILL)
        until(lambda: len(gateway.workers()) == 2 and before[0] not in gateway.workers(), gateway)
        until(lambda: gateway.listed().status_code == 200, gateway)
        # What the dead one counted stays counted.
        until(lambda: _answered(gateway) >= 2, gateway)
        assert gateway.stop() == 0


@posix
def test_workers_end_with_a_parent_that_was_killed(config: Path) -> None:
    with serving(config, "--workers", "2") as gateway:
        workers = gateway.workers()
        port = gateway.base.rpartition(":")[2]
        gateway.process.kill()
        gateway.process.wait()
        # At once, while the old workers may still have the port.
        with serving(config, "--port", port) as after:
            assert after.base == gateway.base
            assert after.listed().status_code == 200
        until(lambda: not _alive(workers))


def _alive(processes: list[int]) -> list[int]:
    return [each for each in processes if Path(f"/proc/{each}").exists() and not _zombie(each)]


def _zombie(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def callers_of(gateway: Gateway) -> list[str]:
    return [each["caller"] for each in gateway.entries() if each["event"] == "call"]


@posix
def test_it_reads_its_configuration_anew(sandbox: Sandbox, config: Path) -> None:
    with serving(config) as gateway:
        assert gateway.listed().status_code == 200
        first = gateway.workers()
        right = config.read_text()
        config.write_text(right.replace("[upstream]", "[upsteam]"))
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: any("stay as they are" in str(each.get("message")) for each in gateway.entries()), gateway)
        assert gateway.listed().status_code == 200
        assert gateway.workers() == first
        config.write_text(right.replace('name = "registrar"', 'name = "somebody else"'))
        gateway.process.send_signal(signal.SIGHUP)
        until(lambda: len(gateway.workers()) == 1 and gateway.workers() != first, gateway)
        # The old worker may still answer a call, and a line is written when its answer has gone.
        until(lambda: gateway.listed().status_code == 200 and "somebody else" in callers_of(gateway), gateway)
        assert gateway.stop() == 0


@posix
def test_no_call_fails_while_certificate_and_configuration_change(sandbox: Sandbox, config: Path) -> None:
    folders = [config.parent / f"certificate-{number}" for number in range(4)]
    for folder in folders:
        folder.mkdir()
    pairs = [_certificate(folder) for folder in folders]
    trusted = config.parent / "trusted.pem"
    trusted.write_text("".join(certificate.read_text() for certificate, _ in pairs))
    certificate, key = pairs[0]
    right = config.read_text()
    files = ("--tls-certificate", str(certificate), "--tls-key", str(key))
    with serving(config, *files) as gateway, _callers(gateway.url(), str(trusted)) as statuses:
        host, port = gateway.base.removeprefix("https://").split(":")
        for number, (new, its_key) in enumerate(pairs[1:]):
            shown = new.read_text()
            new.replace(certificate)
            its_key.replace(key)
            config.write_text(right.replace('name = "registrar"', f'name = "registrar {number}"'))
            before, answered = gateway.workers(), len(statuses)
            gateway.process.send_signal(signal.SIGHUP)
            until(lambda before=before: gateway.workers() and not {*gateway.workers()} & {*before}, gateway)
            assert ssl.get_server_certificate((host, int(port))).split() == shown.split()
            until(lambda answered=answered: len(statuses) > answered + 20, gateway)
            until(lambda number=number: f"registrar {number}" in callers_of(gateway), gateway)
    assert {*statuses} == {200}


@contextmanager
def _callers(url: str, trusted: str) -> Iterator[list[int | str]]:
    """Callers who call on and on, some on one connection and some on a new one each time; what they got."""
    ended = threading.Event()
    statuses: list[int | str] = []

    def call_on(kept: bool) -> None:
        with requests.Session() as session:
            session.headers.update(HEADERS if kept else {**HEADERS, "Connection": "close"})
            while not ended.is_set():
                statuses.append(_status(lambda: session.get(url, params=query(limit="1"), timeout=60, verify=trusted)))

    with ThreadPoolExecutor(6) as callers:
        running = [callers.submit(call_on, kept) for kept in (True, False) * 3]
        try:
            yield statuses
        finally:
            ended.set()
    for each in running:
        each.result()


@posix
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_call_on_its_way_is_answered_when_it_stops(config: Path, scheme: str) -> None:
    certificate, key = _certificate(config.parent)
    files = ("--tls-certificate", str(certificate), "--tls-key", str(key)) if scheme == "https" else ()
    trusting = ssl.create_default_context(cafile=str(certificate))
    with serving(config, *files) as gateway, ExitStack() as stack:
        address = ("127.0.0.1", int(gateway.base.rpartition(":")[2]))
        fresh = stack.enter_context(socket.create_connection(address, 30))
        kept = stack.enter_context(socket.create_connection(address, 30))
        if files:
            kept = stack.enter_context(trusting.wrap_socket(kept, server_hostname=address[0]))
        assert _answer_on(kept)[0] == b"HTTP/1.1 200 OK"
        until(lambda: _open_connections(gateway.base) >= 2, gateway)
        gateway.process.send_signal(signal.SIGTERM)
        until(lambda: _takes_none(address))
        if files:
            fresh = stack.enter_context(trusting.wrap_socket(fresh, server_hostname=address[0]))
        for connection in (fresh, kept):
            lines = _answer_on(connection)
            assert lines[0] == b"HTTP/1.1 200 OK"
            assert b"Connection: close" in lines
            assert connection.recv(1) == b""
        assert gateway.process.wait(40) == 0


def _answer_on(connection: socket.socket) -> list[bytes]:
    """The head of the answer to a call on a connection; the whole answer is read."""
    path = f"/api/v3/exams/17/index_students?{urlencode(query(limit='1'))}"
    token = HEADERS["Authorization"]
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: {token}\r\n\r\n".encode())
    got = b""
    while b"\r\n\r\n" not in got:
        got += (more := connection.recv(65536))
        assert more, got
    head, _, body = got.partition(b"\r\n\r\n")
    (length,) = re.findall(rb"Content-Length: (\d+)", head)
    while len(body) < int(length):
        body += (more := connection.recv(65536))
        assert more
    return head.split(b"\r\n")


def _status(call: Callable[[], requests.Response]) -> int | str:
    try:
        return call().status_code
    except requests.RequestException as error:
        return repr(error)


def _takes_none(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, 5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_it_speaks_tls(config: Path, tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    with serving(config, "--tls-certificate", str(certificate), "--tls-key", str(key)) as gateway:
        assert gateway.base.startswith("https://")
        answer = requests.get(gateway.url(), params=query(), headers=HEADERS, timeout=30, verify=str(certificate))
        assert answer.status_code == 200
        assert "X-Pagination-Item-Count" in list(answer.raw.headers)
        old = ssl.create_default_context(cafile=str(certificate))
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        port = int(gateway.base.rpartition(":")[2])
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            old.wrap_socket(plain, server_hostname="127.0.0.1") as it,
        ):
            assert it.version() == "TLSv1.2"
        assert gateway.stop() == 0


def test_a_failed_upstream_is_said_in_words_and_a_clock_that_is_off_in_the_log(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    def refuse(number: int, received: Received, connection: socket.socket) -> bytes:
        theirs = datetime.now(timezone.utc) + timedelta(minutes=7)
        return http(403, headers={"Date": format_datetime(theirs, usegmt=True)})

    with ExitStack() as running:
        server = running.enter_context(RawServer(refuse))
        settings = settings_for(sandbox, store={"url": f"sqlite:///{tmp_path}/spent.db"})
        settings["upstream"]["base_url"] = server.base_url
        with serving(written(tmp_path, settings)) as gateway:
            refused = gateway.listed()
            running.close()
            failed = gateway.listed()
            assert gateway.stop() == 0
    where = server.base_url.removeprefix("http://")
    assert (refused.status_code, refused.json()["error"]) == (403, "You are not authorized to access this page.")
    told = (
        f"The student sessions upstream at {where} could not be reached: connection refused. "
        "Look whether it runs there, and whether the port is right."
    )
    assert (failed.status_code, failed.json()["error"]) == (502, told)
    assert [each["failure"] for each in gateway.entries() if each["event"] == "call"] == [
        f"The clock of this machine is 7 minutes behind by that of {where}, and calls are signed with the time: set it "
        "right.",
        told,
    ]


@pytest.mark.parametrize(("days", "said"), [(9, "it ends on {day}, in 9 days"), (-2, "it has expired on {day}")])
def test_a_certificate_that_ends_is_said_at_start_and_to_operators(
    config: Path, tmp_path: Path, days: int, said: str
) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    ends = datetime.now(timezone.utc) + timedelta(days=days, hours=1)
    leaf = trustme.CA().issue_cert("127.0.0.1", not_before=ends - timedelta(days=30), not_after=ends)
    leaf.cert_chain_pems[0].write_to_path(str(certificate))
    leaf.private_key_pem.write_to_path(str(key))
    told = said.format(day=f"{ends:%Y-%m-%d}") + ": have it renewed"
    with serving(config, "--tls-certificate", str(certificate), "--tls-key", str(key)) as gateway:
        found = gateway.ready()
        # Clients may well not look at it: calls still come.
        assert found["ready"] is True
        assert found["warnings"] == {"certificate": told}
        assert gateway.stop() == 0
    messages = [each["message"] for each in gateway.entries() if each["event"] == "message"]
    assert f"the certificate in {certificate}: {told}" in messages


def _certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    asked = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    named = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    usage = ["-addext", "keyUsage=digitalSignature,keyCertSign"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([program("openssl"), "req", *asked, *named, *usage, *files], check=True, capture_output=True)
    return certificate, key


def _failed(config: Path, *options: str) -> tuple[int, str]:
    done = subprocess.run(
        [*COMMAND, "serve", "--config", str(config), "--port", "0", "--admin-port", "0", *options],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert b"Traceback" not in done.stderr
    return done.returncode, done.stderr.decode()


def test_what_cannot_be_served_is_said_at_the_start(config: Path, tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no key\n")
    forgetful = tmp_path / "forgetful.toml"
    forgetful.write_text(re.sub(r'url = "sqlite:.*"', 'url = "memory://"', config.read_text()))
    for options, path, said in (
        (("--tls-certificate", str(certificate), "--tls-key", str(wrong)), config, "tls_key"),
        (("--tls-certificate", str(certificate)), config, "go together"),
        (("--workers", "2"), forgetful, "one worker"),
    ):
        status, error = _failed(path, *options)
        assert (status, said in error) == (2, True), error
    assert key.exists()


def test_a_port_in_use_is_named(config: Path) -> None:
    with starting(config) as gateway:
        port = gateway.base.rpartition(":")[2]
        until(lambda: gateway.ready()["checks"]["workers"] == "ok", gateway)
        status, error = _failed(config, "--port", port)
        assert status == 1
        assert f"--port {port}" in error
        admin = gateway.admin.rpartition(":")[2]
        status, error = _failed(config, "--admin-port", admin)
        assert status == 1
        assert f"--admin-port {admin}" in error
