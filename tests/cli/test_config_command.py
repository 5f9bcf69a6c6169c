"""``exam-compat config check``: each step on real servers, and what it says where one fails."""

from __future__ import annotations

import datetime
import json
import ssl
from collections.abc import Callable
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import trustme
from support import Answerer, RawServer, Received, closed_port, http, page_of
from wish_servers import TlsServer

from compat.testing import Sandbox
from compat.upstream import failures
from compat.upstream.failures import place_of

from .conftest import Invoke

SECRETS = ("t0ken", "s3cret", "signature=")


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failures, "_shown", {})


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., None]:
    def written(base_url: str, more: str = "") -> None:
        (tmp_path / "exam-compat.toml").write_text(
            f'[upstream]\nkind = "student_sessions"\nbase_url = "{base_url}"\n'
            f'api_token = "t0ken"\nsecret_key = "s3cret"\n{more}',
            encoding="utf-8",
        )

    return written


def checked(invoke: Invoke, *arguments: str, status: int) -> list[tuple[str, str, str, str]]:
    """The steps; what people see holds the same words and no secret."""
    seen = invoke("config", "check", *arguments)
    result = invoke("config", "check", "--json", *arguments)
    assert (seen.exit_code, result.exit_code, result.stderr) == (status, status, "")
    told = json.loads(result.stdout)
    assert told["fine"] is (status == 0)
    assert max(map(len, seen.stdout.splitlines())) <= 80
    for secret in SECRETS:
        assert secret not in seen.output + result.output
    assert all(each["state"] in seen.stdout for each in told["steps"])
    return [(each["of"], each["step"], each["state"], each["told"]) for each in told["steps"]]


def timed(minutes: float, status: int = 200, body: bytes | None = None) -> Answerer:
    """Answers with a page, by a clock that is so far ahead of ours."""

    def answer(number: int, received: Received, connection: Any) -> bytes:
        theirs = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
        date = f"Date: {format_datetime(theirs, usegmt=True)}\r\n".encode()
        answered = page_of([]) if status == 200 else http(status)
        if received.head.startswith("HEAD "):
            answered = http(204, b"")
        first, _, rest = answered.partition(b"\r\n")
        return first + b"\r\n" + date + rest

    return answer


@pytest.mark.parametrize("kind", ["student_sessions", "paginated_sessions"])
def test_all_is_fine(invoke: Invoke, sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    (tmp_path / "exam-compat.toml").write_text(sandbox.toml(kind), encoding="utf-8")
    where = place_of(sandbox.base_url)
    reached = [
        ("name", "fine", "127.0.0.1 is 127.0.0.1"),
        ("connection", "fine", f"{where} takes it"),
        ("TLS", "not tried", "the address begins with http, so nothing is encrypted"),
    ]
    clock = ("clock", "fine", "the clocks agree within a minute")
    steps = checked(invoke, status=0)
    assert steps[0] == ("configuration", "read", "fine", "exam-compat.toml")
    first = "new endpoint" if kind == "student_sessions" else "token endpoint"
    assert [each[1:] for each in steps if each[0] == first and each[1] != "signed call"] == [*reached, clock]
    calls = [each for each in steps if each[1] == "signed call"]
    assert calls[0][0::2] == ("new endpoint", "fine")
    assert calls[0][3].startswith("accepted; it has ")
    shown = invoke("config", "check").stdout
    if kind == "student_sessions":
        assert calls[1][0::2] == ("old endpoint", "fine")
        assert calls[1][3].startswith("accepted; exam 17 has ")
        assert shown.endswith("\nNothing is wrong; 1 step was not tried.\n")
    else:
        # The account of one vendor is none of the other's.
        told = "api_token and secret_key are not in [legacy]"
        assert calls[1] == ("old endpoint", "signed call", "not tried", told)
        assert shown.endswith("\nNothing is wrong; 2 steps were not tried.\n")


def test_a_wrong_key(invoke: Invoke, sandbox: Sandbox, tmp_path: Path) -> None:
    text = sandbox.toml("student_sessions").replace(sandbox.secret_key, "s3cret")
    (tmp_path / "exam-compat.toml").write_text(text, encoding="utf-8")
    steps = checked(invoke, status=1)
    told = "not accepted (status 403). Look at api_token and secret_key in [upstream]"
    assert [each for each in steps if each[2] == "wrong"] == [
        ("new endpoint", "signed call", "wrong", f"{told}."),
        ("old endpoint", "signed call", "wrong", f"{told}, or set those of [legacy]."),
    ]
    assert invoke("config", "check").stdout.endswith("\n2 steps failed, and 1 step was not tried.\n")


def test_a_closed_port(invoke: Invoke, write: Callable[..., None]) -> None:
    base_url = closed_port()
    write(base_url, f'[legacy]\nbase_url = "{base_url}/old"\n')
    assert checked(invoke, status=1) == [
        ("configuration", "read", "fine", "exam-compat.toml"),
        ("new endpoint", "name", "fine", "127.0.0.1 is 127.0.0.1"),
        (
            "new endpoint",
            "connection",
            "wrong",
            f"{place_of(base_url)}: connection refused. Look whether it runs there, and whether the port is right.",
        ),
        ("new endpoint", "TLS", "not tried", "the connection failed"),
        ("new endpoint", "signed call", "not tried", "the connection failed"),
        ("new endpoint", "clock", "not tried", "the connection failed"),
        ("old endpoint", "signed call", "not tried", "the connection failed"),
    ]


def test_a_name_that_there_is_not(invoke: Invoke, write: Callable[..., None]) -> None:
    write("https://exam-compat.invalid")
    _, name, *others = checked(invoke, status=1)
    assert name[:3] == ("new endpoint", "name", "wrong")
    assert name[3].startswith("exam-compat.invalid:443: ")
    assert [each[1:] for each in others] == [
        (step, "not tried", "the look-up of the name failed") for step in ("connection", "TLS", "signed call", "clock")
    ]


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (400, "it ends on {day}"),
        (15, "it ends on {day}"),
        (9, "it ends on {day}, in 9 days: have it renewed"),
    ],
)
def test_a_certificate(
    invoke: Invoke, write: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, said: str
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days, hours=1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", not_after=ends).configure_cert(context)
    with TlsServer(timed(0), context=context) as server:
        write(server.base_url)
        steps = {each[1]: each[2:] for each in checked(invoke, status=0)}
    assert steps["TLS"] == ("fine", f"its certificate is trusted; {said.format(day=f'{ends:%Y-%m-%d}')}")
    assert steps["signed call"] == ("fine", "accepted; it has 0 records")
    assert steps["clock"] == ("fine", "the clocks agree within a minute")


def test_a_certificate_of_an_unknown_authority(invoke: Invoke, write: Callable[..., None]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with TlsServer(timed(0), context=context) as server:
        write(server.base_url)
        _, _, _, tls, *others = checked(invoke, status=1)
        assert tls == (
            "new endpoint",
            "TLS",
            "wrong",
            f"{place_of(server.base_url)}: its certificate is signed by an authority that is not known here. "
            "Put the authority's certificate into a PEM file, and name that file in REQUESTS_CA_BUNDLE.",
        )
    assert [each[1:] for each in others] == [
        ("signed call", "not tried", "TLS failed"),
        ("clock", "not tried", "TLS failed"),
    ]


def test_a_clock_that_is_off(invoke: Invoke, write: Callable[..., None]) -> None:
    with RawServer(timed(7, status=403)) as server:
        write(server.base_url)
        *_, call, clock = checked(invoke, status=1)
        assert call[1:] == (
            "signed call",
            "wrong",
            "not accepted (status 403). The clock of this machine is 7 minutes behind by that of "
            f"{place_of(server.base_url)}, and calls are signed with the time: set it right.",
        )
        told = "this machine's clock is 7 minutes behind: set it right, since calls are signed with the time"
        assert clock[1:] == ("clock", "wrong", told)


def test_answers_without_a_date(invoke: Invoke, write: Callable[..., None]) -> None:
    with RawServer(lambda number, received, connection: page_of([])) as server:
        write(server.base_url)
        assert checked(invoke, status=0)[-1][1:] == ("clock", "not tried", "its answers do not say the time")


def test_no_exam_to_ask_for(invoke: Invoke, write: Callable[..., None]) -> None:
    with RawServer(timed(0)) as server:
        write(server.base_url, f'scope = "exam"\n[legacy]\nbase_url = "{server.base_url}"\n')
        calls = [each for each in checked(invoke, status=0) if each[1] == "signed call"]
        assert [each[2:] for each in calls] == [("not tried", "no exam is known to ask for: name one by --exam")] * 2
        calls = [each for each in checked(invoke, "--exam", "18", status=0) if each[1] == "signed call"]
        told = [("fine", "accepted; it has 0 records"), ("fine", "accepted; exam 18 has 0 students")]
        assert [each[2:] for each in calls] == told


def test_a_configuration_that_cannot_be_used(invoke: Invoke, write: Callable[..., None]) -> None:
    write("http://127.0.0.1:9", "scop = 1\n")
    first, *others = checked(invoke, status=1)
    told = "exam-compat.toml: [upstream] scop: no such key; the nearest known one is scope"
    assert first == ("configuration", "read", "wrong", told)
    assert [each[0::2] for each in others] == [("endpoints", "not tried")] * 5
    assert {each[3] for each in others} == {"the configuration cannot be read"}


def test_wrong_usage(invoke: Invoke, tmp_path: Path) -> None:
    nothing = invoke("config", "check")
    assert (nothing.exit_code, nothing.stdout) == (2, "")
    assert nothing.stderr == (
        f"Error: no configuration: no exam-compat.toml in {tmp_path}; go to its folder, or name one by --config or "
        "EXAM_COMPAT_CONFIG\n"
    )
    exam = invoke("config", "check", "--exam", "x")
    assert exam.exit_code == 2
    assert "'x' is no exam id, which is digits." in exam.stderr
    assert "Did you mean 'check'?" in invoke("config", "chek").stderr
