"""The command as a whole: help, configuration, exit status, signals and closed pipes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import click
import pytest

import compat
from compat.cli.program import COMMANDS, program
from compat.testing import Sandbox

from .conftest import Invoke, Run


def test_help_teaches(invoke: Invoke) -> None:
    result = invoke("--help")
    assert result.exit_code == 0
    assert "First steps" in result.output
    assert all(f"  {name}" in result.output for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples(invoke: Invoke, name: str) -> None:
    result = invoke(name, "--help")
    assert result.exit_code == 0
    assert f"Examples:\n    exam-compat {name}" in result.output


@pytest.mark.parametrize(("module", "name"), [("compat", "python -m compat"), ("compat.cli", "exam-compat")])
def test_the_help_says_what_to_type(module: str, name: str) -> None:
    for words in ((), ("get",)):
        command = [sys.executable, "-W", "error", "-m", module, *words, "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"Usage: {' '.join((name, *words))} ")


def test_every_command_is_one_file() -> None:
    context = click.Context(program)
    for name in COMMANDS:
        command = program.get_command(context, name)
        assert command is not None
        assert command.name == name


UNBUILT = "Pages are read without the extension in C, which was not built."


def test_version(invoke: Invoke) -> None:
    version, reads = invoke("--version").output.splitlines()
    assert version == f"exam-compat {compat.__version__}"
    assert reads in ("Pages are read with the extension in C.", UNBUILT)


def test_the_version_says_that_the_extension_is_switched_off(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXAM_COMPAT_NO_EXTENSIONS", "1")
    _, reads = invoke("--version").output.splitlines()
    assert reads == "Pages are read without the extension in C, as EXAM_COMPAT_NO_EXTENSIONS says."


def test_unknown_command_is_a_usage_error(invoke: Invoke) -> None:
    result = invoke("gett")
    assert result.exit_code == 2
    assert "gett" in result.stderr


def test_the_configuration_stands_before_or_after_the_command(invoke: Invoke, config: Path) -> None:
    before = invoke("--config", config, "get", "17", "--json")
    after = invoke("get", "17", "--json", "--config", config)
    assert (before.exit_code, after.exit_code) == (0, 0)
    assert before.stdout == after.stdout


def test_the_nearer_configuration_counts(invoke: Invoke, config: Path, tmp_path: Path) -> None:
    assert invoke("--config", tmp_path / "absent.toml", "get", "17", "--config", config).exit_code == 0


def test_the_configuration_by_environment_or_directory(
    invoke: Invoke, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXAM_COMPAT_CONFIG", str(config))
    assert invoke("get", "17").exit_code == 0
    monkeypatch.delenv("EXAM_COMPAT_CONFIG")
    assert invoke("get", "17").exit_code == 2
    (tmp_path / "exam-compat.toml").write_bytes(config.read_bytes())
    assert invoke("get", "17").exit_code == 0


def test_no_configuration_says_the_way_out(invoke: Invoke) -> None:
    result = invoke("get", "17")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "exam-compat.toml" in result.stderr
    assert "--config" in result.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[upstream\n", "broken.toml"),
        ('[upstream]\nkind = "sessions"\n', "Must be student_sessions or paginated_sessions."),
        ('[upstream]\nkind = "student_sessions"\nbase_ulr = "http://x"\n', "base_url"),
    ],
)
def test_a_broken_configuration_is_named(invoke: Invoke, tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(text, encoding="utf-8")
    result = invoke("get", "17", "--config", path)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_no_secret_is_printed(invoke: Invoke, config: Path, sandbox: Sandbox) -> None:
    shown = invoke("get", "17", "--config", config).output + invoke("get", "99", "--config", config).output
    assert not any(secret in shown for secret in (sandbox.api_token, sandbox.secret_key, sandbox.client_secret))


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_missing_libraries_are_named(missing: str, tmp_path: Path) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from compat.cli import main; main()"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 2
    assert f"needs {missing}" in done.stderr.decode()
    assert "pip install 'exam-students-compat[cli]'" in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_the_installed_command(tmp_path: Path) -> None:
    script = Path(sys.executable).with_name("exam-compat")
    if not script.exists():
        pytest.skip("the package's scripts are not installed beside this Python")
    done = subprocess.run([str(script), "--version"], cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.decode().startswith(f"exam-compat {compat.__version__}\n")


@pytest.mark.skipif(os.name != "posix", reason="pipes as POSIX has them")
def test_a_closed_pipe_is_quiet(run: Run, config: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run("get", "17", "--all", "--ndjson", "--config", config, stdout=writer)
    finally:
        os.close(writer)
    assert done.returncode == 141
    assert done.stderr == b""


@pytest.mark.skipif(os.name != "posix", reason="pipes as POSIX has them")
@pytest.mark.parametrize("arguments", [["fields"], ["fields", "--markdown"], ["fields", "--json"], ["demo"]])
def test_every_kind_of_output_minds_a_closed_pipe(run: Run, arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run(*arguments, stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said(run: Run) -> None:
    with Path("/dev/full").open("wb") as full:
        done = run("fields", stdout=full)
    assert done.returncode == 1
    assert done.stderr.decode().startswith("Error: the standard output: ")
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_an_interrupt_is_one_line(tmp_path: Path, environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        base_url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        path = tmp_path / "silent.toml"
        path.write_text(
            f'[upstream]\nkind = "student_sessions"\nbase_url = "{base_url}"\napi_token = "t"\nsecret_key = "s"\n',
            encoding="utf-8",
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "compat.cli", "get", "17", "--config", str(path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        connection, _ = silent.accept()
        with connection:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == b""
    assert err == b"Interrupted.\n"
