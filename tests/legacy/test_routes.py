"""Which paths are those of the deprecated routes, however they are written."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlencode

import pytest
import requests
from click.testing import CliRunner
from gateways import SECRET, settings_for, written
from serving import HEADERS, Gateway, serving, until
from support import OLD, mounted, upstream_of

from compat.cli.program import program
from compat.doctor import SeenRequest, diagnose
from compat.legacy.routes import CASE, DOTTED, FORMAT, INDEX_STUDENTS, match_route, methods_of, misspelt_route
from compat.legacy.signature import Caller, signed
from compat.testing.sandbox import Sandbox

TAKEN = [
    "/api/v3/exams/17/index_students",
    "/api/v3/exams/17/index_students/",
    "//api/v3//exams///17/index_students//",
    "/api/v3/exams/17/index_students.json",
    "/api/v3/exams/17/index_students.json/",
    "/api/v3/exams/%31%37/index_students",
    "/%61pi/v3/exams/17/index%5Fstudents%2ejson",
]
MISSPELT = [
    ("/API/v3/exams/17/index_students", CASE),
    ("/api/v3/Exams/17/Index_Students.JSON", CASE),
    ("/api/V3/exams/17/%49ndex_students", CASE),
    ("/api/v3/./exams/17/index_students", DOTTED),
    ("/api/v3/exams/18/../17/index_students", DOTTED),
    ("/x/../api/v3/exams/17/index_students", DOTTED),
    ("/api/v3/%2e%2e/v3/exams/17/index_students", DOTTED),
    ("/api/v3/exams/17/index_students.xml", FORMAT),
    ("/api/v3/exams/17/index_students.json.json", FORMAT),
]
OTHERS = [
    "",
    "/",
    "/..",
    "/api/v3/exams/17",
    "/api/v3/exams/../index_students",
    "/api/v3/exams/17/index_students/more",
    "/api/v3/exams//index_students",
    "/api/v3/student_sessions",
    "/api/v3/exams/17/show_lti_student",
    "/other/api/v3/exams/17/index_students",
    "api/v3/exams/17/index_students",
]


@pytest.mark.parametrize("path", TAKEN)
def test_a_path_that_is_taken(path: str) -> None:
    assert match_route("get", path) == (INDEX_STUDENTS, "17")
    assert match_route("POST", path) is None
    assert methods_of(path) == ("GET", "HEAD")
    assert misspelt_route(path) is None


@pytest.mark.parametrize(("path", "reason"), MISSPELT)
def test_a_path_that_is_misspelt(path: str, reason: str) -> None:
    assert match_route("GET", path) is None
    assert methods_of(path) == ()
    assert misspelt_route(path) == reason


@pytest.mark.parametrize("path", OTHERS)
def test_a_path_that_is_another(path: str) -> None:
    assert match_route("GET", path) is None
    assert misspelt_route(path) is None


def test_an_id_is_decoded_once() -> None:
    assert match_route("GET", "/api/v3/exams/%2531/index_students") == (INDEX_STUDENTS, "%31")
    assert match_route("GET", "/api/v3/exams/1%2F7/index_students") == (INDEX_STUDENTS, "1/7")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Sandbox]]:
    with Sandbox(students=12) as sandbox:
        config = written(tmp_path_factory.mktemp("routes"), settings_for(sandbox))
        with serving(config) as gateway:
            yield gateway, sandbox


def get(gateway: Gateway, path: str, request_id: str) -> tuple[int, bytes]:
    """The answer to a signed call whose path is sent as it is."""
    connection = HTTPConnection(gateway.base.partition("//")[2], timeout=30)
    query = urlencode(signed({"limit": "3"}, SECRET, {"id": "17"}))
    connection.request("GET", f"{path}?{query}", headers={**HEADERS, "X-Request-Id": request_id})
    answer = connection.getresponse()
    found = (answer.status, answer.read())
    connection.close()
    return found


@pytest.mark.parametrize("path", TAKEN)
@pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")
def test_gateway_and_adapter_take_it(running: tuple[Gateway, Sandbox], path: str) -> None:
    gateway, sandbox = running
    expected = gateway.listed(limit="3").content
    assert get(gateway, path, "taken") == (200, expected)
    answer = mounted(upstream_of(sandbox, "student_sessions")).get(f"{OLD}{path}", params={"limit": "3"}, timeout=10)
    assert answer.content == expected


@pytest.mark.parametrize(("path", "reason"), MISSPELT)
def test_the_gateway_refuses_it_by_name(running: tuple[Gateway, Sandbox], path: str, reason: str) -> None:
    gateway, sandbox = running
    number = f"path-{time.time_ns()}"
    before = len(sandbox.calls)
    status, body = get(gateway, path, number)
    assert status == 404
    assert reason in json.loads(body)["error"]
    assert len(sandbox.calls) == before

    def line() -> list[str]:
        return [each for each in gateway.log.read_text().splitlines() if f'"{number}"' in each]

    until(lambda: bool(line()), gateway)
    assert json.loads(line()[0])["refusal"] == reason
    told = CliRunner().invoke(program, ["doctor", "--json", line()[0]])
    diagnosis = diagnose(SeenRequest("GET", f"{gateway.base}{path}"), Caller("any", "token", "key"), now=0)
    (name,) = [finding["name"] for finding in json.loads(told.output)["findings"]]
    assert name.startswith("path-")
    # What stands before /api/v3 may be a proxy's own, so the doctor reads a path from there on.
    assert path.startswith("/x/") or [finding.name for finding in diagnosis.findings] == [name]


def test_other_paths_still_pass(running: tuple[Gateway, Sandbox]) -> None:
    gateway, _ = running
    assert requests.get(f"{gateway.base}/api/v3/student_sessions", timeout=10).headers["X-Compat-Answered-By"] == "new"
