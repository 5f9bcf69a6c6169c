"""A failure of ours lets the call go to the old endpoint as it was; what the contract answers is answered."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from support import OLD, upstream_of

import compat
from compat.core.call import Shim
from compat.entrances.run import ForgivingAdapter
from compat.testing.sandbox import Sandbox
from exam_compat_libraries import said

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

PATH = "/api/v3/exams/17"


@pytest.fixture(autouse=True)
def _nothing_said() -> None:
    said.clear()


@pytest.fixture
def forgiving(sandbox: Sandbox) -> Iterator[requests.Session]:
    """A session of a script that was started by ``exam-compat run``; the sandbox is the old endpoint too."""
    adapter = ForgivingAdapter(sandbox.base_url, upstream_of(sandbox, "student_sessions"))
    with requests.Session() as session:
        session.headers.update(sandbox.headers)
        session.mount(sandbox.base_url, adapter)
        yield session


def signed(sandbox: Sandbox, **parameters: str) -> dict[str, str]:
    return sandbox.signed(parameters, {"id": "17"})


def interfaces(sandbox: Sandbox) -> list[tuple[str, str]]:
    return [(call.method, call.interface) for call in sandbox.calls]


def broken(monkeypatch: pytest.MonkeyPatch, *, after: bool) -> None:
    """Put an error of ours into the core, before or after it has asked the upstream."""
    answer = Shim.answer

    def fail(self: Shim, *arguments: Any, **options: Any) -> Any:
        if after:
            answer(self, *arguments, **options)
        raise KeyError("a student's name")

    monkeypatch.setattr(Shim, "answer", fail)


@pytest.mark.parametrize("after", [False, True])
def test_a_read_goes_out_as_it_was_whatever_failed(
    sandbox: Sandbox,
    forgiving: requests.Session,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    after: bool,
) -> None:
    broken(monkeypatch, after=after)
    for _ in range(2):
        answer = forgiving.get(
            f"{sandbox.base_url}{PATH}/index_students", params=signed(sandbox, limit="3"), timeout=20
        )
        assert len(answer.json()["students"]) == 3
        assert sandbox.calls[-1].interface == "legacy"
    # Once, in one line, and nothing of the error's own text, which may be anybody's.
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("exam-compat: KeyError")
    assert line.endswith("; the call goes out as it was")
    assert "student's name" not in line


def test_a_write_goes_out_as_it_was_where_nothing_was_sent(
    sandbox: Sandbox, forgiving: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(monkeypatch, after=False)
    data = signed(sandbox, name="A", email="a@b.example")
    assert forgiving.post(f"{sandbox.base_url}{PATH}/add_student", data=data, timeout=20).status_code == 201
    assert interfaces(sandbox) == [("POST", "legacy")]


def test_a_write_is_never_sent_twice(
    sandbox: Sandbox, forgiving: requests.Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(monkeypatch, after=True)
    data = signed(sandbox, name="A", email="a@b.example")
    with pytest.raises(requests.ConnectionError, match=r"KeyError.*may have been carried out, so it is not sent again"):
        forgiving.post(f"{sandbox.base_url}{PATH}/add_student", data=data, timeout=20)
    assert interfaces(sandbox) == [("POST", "student_sessions")]
    assert capsys.readouterr().err == ""


def test_a_mode_that_there_is_not(
    sandbox: Sandbox,
    forgiving: requests.Session,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("EXAM_COMPAT_MODE", "newest")
    assert forgiving.get(f"{sandbox.base_url}{PATH}/index_students", params=signed(sandbox), timeout=20).ok
    assert interfaces(sandbox) == [("GET", "legacy")]
    assert capsys.readouterr().err.startswith("exam-compat: EXAM_COMPAT_MODE=newest: ")


def test_an_answer_of_the_old_endpoint_counts_whatever_fails_behind_it(
    sandbox: Sandbox, forgiving: requests.Session, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EXAM_COMPAT_MODE", "legacy")

    class Refusing(CaseInsensitiveDict[str]):
        def __setitem__(self, key: str, value: str) -> None:
            raise KeyError(key)

    # What we say of an answer goes into its headers.
    monkeypatch.setattr("requests.adapters.CaseInsensitiveDict", lambda given: Refusing())
    data = signed(sandbox, name="A", email="a@b.example")
    assert forgiving.post(f"{sandbox.base_url}{PATH}/add_student", data=data, timeout=20).status_code == 201
    assert interfaces(sandbox) == [("POST", "legacy")]
    assert capsys.readouterr().err.endswith("; the old endpoint had answered, and its answer counts\n")


def test_what_the_contract_answers_stays(
    sandbox: Sandbox, forgiving: requests.Session, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"{sandbox.base_url}{PATH}/index_students"
    refused = forgiving.get(url, params={"page": "0"}, timeout=20)
    assert refused.json()["errors"] == {"page": ["Must be at least 1."]}
    unreachable = ForgivingAdapter(OLD, upstream_of(sandbox, "student_sessions", base_url="http://127.0.0.1:1"))
    forgiving.mount(OLD, unreachable)
    with pytest.raises(requests.ConnectionError):
        forgiving.get(f"{OLD}{PATH}/index_students", timeout=20)
    with pytest.warns(compat.LegacyApiWarning):
        forgiving.get(url, timeout=20)
    assert capsys.readouterr().err == ""


def test_a_warning_that_is_an_error_stays_one(sandbox: Sandbox, forgiving: requests.Session) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(compat.LegacyApiWarning):
            forgiving.get(f"{sandbox.base_url}{PATH}/index_students", timeout=20)
    assert sandbox.calls == []


class Failing(HTTPAdapter):
    """A script's own adapter, with an error of its own."""

    calls = 0

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        type(self).calls += 1
        raise ZeroDivisionError


@pytest.mark.parametrize("action", ["index_students", "show_lti_student"])
def test_what_the_scripts_own_adapter_raises_is_the_scripts(
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    action: str,
) -> None:
    monkeypatch.setenv("EXAM_COMPAT_MODE", "legacy")
    monkeypatch.setattr(Failing, "calls", 0)
    adapter = ForgivingAdapter(
        sandbox.base_url, upstream_of(sandbox, "student_sessions"), previous={sandbox.base_url: Failing()}
    )
    with requests.Session() as session:
        session.mount(sandbox.base_url, adapter)
        with pytest.raises(ZeroDivisionError):
            session.get(f"{sandbox.base_url}{PATH}/{action}", timeout=20)
    assert Failing.calls == 1
    assert capsys.readouterr().err == ""
