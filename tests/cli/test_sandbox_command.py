"""``sandbox``: served over HTTP by a process of its own, until it is interrupted."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from .conftest import COMMAND, Invoke

posix = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


@contextmanager
def serving(environment: dict[str, str], *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    process = subprocess.Popen(
        [*COMMAND, "sandbox", "--port", "0", "--students", "30", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert process.stdout is not None
    try:
        yield process, process.stdout.readline().decode()
    finally:
        process.kill()
        process.communicate()


def written(path: Path) -> None:
    ends = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < ends
        time.sleep(0.02)


@posix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_interrupted(environment: dict[str, str], number: signal.Signals) -> None:
    with serving(environment) as (process, first):
        url = re.findall(r"http://127\.0\.0\.1:\d+", first)[0]
        assert requests.get(f"{url}/api/v3/student_sessions", timeout=10).status_code == 403
        assert process.stdout is not None
        out = b"".join(iter(process.stdout.readline, b"[legacy]\n"))
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == b"Interrupted.\n"
    assert b'kind = "student_sessions"' in out
    with pytest.raises(requests.ConnectionError):
        requests.get(url, timeout=5)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--pushdown",),
        ("--pushdown", "none", "--clamp", "7"),
        ("--kind", "paginated_sessions"),
        ("--kind", "paginated_sessions", "--fan-out", "--fault", "503:0.1", "--fault", "cut:0.1"),
    ],
)
def test_the_written_configuration_works(
    environment: dict[str, str], invoke: Invoke, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    path = tmp_path / "exam-compat.toml"
    with serving(environment, "--write-config", str(path), *arguments):
        written(path)
        result = invoke("get", "17")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == "10 of 10 students; page 1 of 1, 300 a page.\n"


def test_somebodys_configuration_stays(invoke: Invoke, tmp_path: Path) -> None:
    path = tmp_path / "exam-compat.toml"
    path.write_text("[upstream]\n", encoding="utf-8")
    result = invoke("sandbox", "--port", "0", "--write-config", path)
    assert result.exit_code == 2
    assert "exam-compat.toml" in result.stderr
    assert path.read_text(encoding="utf-8") == "[upstream]\n"


def test_a_port_in_use_is_named(invoke: Invoke, sandbox: object) -> None:
    port = str(getattr(sandbox, "base_url", "")).rpartition(":")[2]
    result = invoke("sandbox", "--port", port)
    assert result.exit_code == 1
    assert f"--port {port}" in result.stderr
    assert "--port 0" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--fault", "503"), "write KIND:PROBABILITY"),
        (("--fault", "odd:0.1"), "'odd' is not a fault"),
        (("--fault", "503:0.6", "--fault", "cut:0.6"), "add up to more than 1"),
        (("--pushdown", "stauts"), "'stauts' is not one of status, filter, sort"),
        (("--clamp", "0"), "--clamp"),
        (("--exams", "0"), "--exams"),
        (("--port", "70000"), "--port"),
        (("--fan-out",), "--kind paginated_sessions"),
    ],
)
def test_wrong_options_are_named(invoke: Invoke, arguments: tuple[str, ...], said: str) -> None:
    result = invoke("sandbox", *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def _stops(port: str) -> bool:
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", int(port))):
                return True
        time.sleep(0.02)
    return False


@posix
def test_in_the_background_it_serves_when_the_command_ends(
    environment: dict[str, str], invoke: Invoke, tmp_path: Path
) -> None:
    path = tmp_path / "exam-compat.toml"
    command = [*COMMAND, "sandbox", "--background", "--port", "0", "--first-exam", "4242", "--write-config", str(path)]
    # Everything that it says is read to its end: the sandbox that goes on keeps none of the streams.
    ended = subprocess.run(command, capture_output=True, env=environment, timeout=60, check=False, text=True)
    (process,) = re.findall(r"^Serving at .* until you type: kill (\d+)$", ended.stdout, flags=re.MULTILINE)
    try:
        assert (ended.returncode, ended.stderr) == (0, "")
        result = invoke("get", "4242")
        assert result.stderr == "40 of 40 students; page 1 of 1, 300 a page.\n"
    finally:
        os.kill(int(process), signal.SIGTERM)
    assert _stops(re.findall(r"http://127\.0\.0\.1:(\d+)", ended.stdout)[0])


@posix
def test_what_cannot_serve_in_the_background_says_so(environment: dict[str, str]) -> None:
    with serving(environment) as (_, first):
        port = re.findall(r"http://127\.0\.0\.1:(\d+)", first)[0]
        command = [*COMMAND, "sandbox", "--background", "--port", port]
        ended = subprocess.run(command, capture_output=True, env=environment, timeout=60, check=False, text=True)
    assert ended.returncode == 1
    assert f"--host 127.0.0.1 --port {port}: " in ended.stderr
    assert "take another port, or --port 0 for any free one." in ended.stderr


def test_where_no_process_can_be_forked_it_says_what_to_do(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork", raising=False)
    result = invoke("sandbox", "--background")
    assert result.exit_code == 2
    assert "not possible on this system: start the sandbox in a second terminal." in result.stderr


def test_the_configuration_names_the_address_that_scripts_call(environment: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "exam-compat.toml"
    with serving(environment, "--write-config", str(path), "--legacy-url", "https://acme.proctorexam.com/"):
        written(path)
    assert 'base_url = "https://acme.proctorexam.com"\ntime_zone' in path.read_text()


def test_an_address_that_is_none_is_wrong_usage(invoke: Invoke) -> None:
    result = invoke("sandbox", "--legacy-url", "acme.proctorexam.com")
    assert result.exit_code == 2
    assert "must be an http or https URL" in result.stderr
