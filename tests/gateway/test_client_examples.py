"""The clients in examples/clients, run against a gateway and against the old endpoint itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from gateways import SECRET, TOKEN, Served, running_gateway, settings_for, written
from support import OLD, program

import compat
from compat.testing.sandbox import Sandbox

CLIENTS = Path(__file__).parents[2] / "examples" / "clients"
COMMANDS = (
    ("bash", "curl_openssl.sh"),
    ("node", "node_client.mjs"),
    (sys.executable, "python_urllib.py"),
)
ASKED = {
    "filter": '{"start_time":{"gte":"2018-07-01"}}',
    "sort": '[{"start_time":"desc"},{"id":"asc"}]',
    "limit": "5",
}


def run(command: tuple[str, str], url: str, token: str, secret: str) -> subprocess.CompletedProcess[str]:
    interpreter, script = command
    for needed in ("curl", "openssl") if interpreter == "bash" else ():
        program(needed)
    account = {"EXAM_STUDENTS_URL": url, "EXAM_STUDENTS_TOKEN": token, "EXAM_STUDENTS_SECRET": secret}
    return subprocess.run(
        [interpreter if interpreter == sys.executable else program(interpreter), str(CLIENTS / script), "17"],
        env={**os.environ, **account},
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def expected(served: Served) -> str:
    """What the adapter answers, in the form that the clients print."""
    bodies: list[str] = []
    with requests.Session() as session:
        compat.mount(session, OLD, compat.load_config(served.config))
        answer = requests.Response()
        while not bodies or len(bodies) < int(answer.headers["X-Pagination-Page-Count"]):
            with pytest.warns(compat.LegacyApiWarning):
                answer = session.get(
                    f"{OLD}/api/v3/exams/17/index_students", params={**ASKED, "page": str(len(bodies) + 1)}, timeout=30
                )
            bodies.append(answer.text)
    count, pages = answer.headers["X-Pagination-Item-Count"], answer.headers["X-Pagination-Page-Count"]
    return "".join(f"{line}\n" for line in (*bodies, f"{count} students on {pages} pages"))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each[1])
def test_each_client_gets_all_pages_to_the_byte(served: Served, command: tuple[str, str]) -> None:
    result = run(command, served.base, TOKEN, SECRET)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.count('{"students":[{') > 1
    assert result.stdout == expected(served)


def test_the_old_endpoint_takes_the_same_calls(sandbox: Sandbox) -> None:
    printed = {run(each, sandbox.base_url, sandbox.api_token, sandbox.secret_key).stdout for each in COMMANDS}
    assert len(printed) == 1
    assert " students on " in printed.pop()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each[1])
@pytest.mark.parametrize("secret", ["a key that is not the caller's", "k" * 200])
def test_each_client_fails_where_it_is_refused(served: Served, command: tuple[str, str], secret: str) -> None:
    result = run(command, served.base, TOKEN, secret)
    assert result.returncode != 0
    assert "You are not authorized to access this page." in result.stdout + result.stderr
    assert secret not in result.stdout + result.stderr


def test_a_key_longer_than_a_block_signs_the_same_everywhere(sandbox: Sandbox, tmp_path: Path) -> None:
    key = "ü" * 100
    callers = [{"name": "long", "api_token": TOKEN, "secret_key": key}]
    with running_gateway(written(tmp_path, settings_for(sandbox), callers)) as base:
        printed = [run(each, base, TOKEN, key) for each in COMMANDS]
    assert [each.returncode for each in printed] == [0, 0, 0]
    assert len({each.stdout for each in printed}) == 1
