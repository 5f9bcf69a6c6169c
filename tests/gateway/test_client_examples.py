"""The clients in examples/clients, run against a gateway and against the old endpoint itself."""

from __future__ import annotations

import os
import shutil
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
ELSEWHERE = (
    (("go", "run"), "go_client.go"),
    (("java",), "JavaClient.java"),
    (("php",), "php_client.php"),
    (("ruby",), "ruby_client.rb"),
)
"""Languages whose programs are large: their clients run where they are installed."""
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


def run_elsewhere(
    command: tuple[tuple[str, ...], str], url: str, token: str, secret: str
) -> subprocess.CompletedProcess[str]:
    (interpreter, *words), script = command
    found = shutil.which(interpreter)
    if found is None:
        pytest.skip(f"no {interpreter} here: {script} is not run")
    account = {"EXAM_STUDENTS_URL": url, "EXAM_STUDENTS_TOKEN": token, "EXAM_STUDENTS_SECRET": secret}
    return subprocess.run(
        [found, *words, str(CLIENTS / script), "17"],
        # Java reads its environment in the encoding of the locale.
        env={**os.environ, **account, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=240,
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


@pytest.mark.parametrize("command", ELSEWHERE, ids=lambda each: each[1])
def test_a_client_in_another_language_does_the_same(
    served: Served, sandbox: Sandbox, command: tuple[tuple[str, ...], str], tmp_path: Path
) -> None:
    result = run_elsewhere(command, served.base, TOKEN, SECRET)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == expected(served)
    refused = run_elsewhere(command, served.base, TOKEN, "k" * 200)
    assert refused.returncode != 0
    assert "You are not authorized to access this page." in refused.stderr
    assert "k" * 200 not in refused.stdout + refused.stderr
    callers = [{"name": "long", "api_token": TOKEN, "secret_key": "ü" * 100}]
    with running_gateway(written(tmp_path, settings_for(sandbox), callers)) as base:
        assert run_elsewhere(command, base, TOKEN, "ü" * 100).returncode == 0


def test_every_client_of_the_folder_is_run_and_listed() -> None:
    scripts = {path.name for path in CLIENTS.iterdir() if path.is_file()} - {"README.md"}
    assert scripts == {script for _, script in (*COMMANDS, *ELSEWHERE)}
    listed = (CLIENTS / "README.md").read_text(encoding="utf-8")
    assert not [script for script in scripts if f"({script})" not in listed]
