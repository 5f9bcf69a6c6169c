"""The command as a whole: help, configuration, exit status, signals and closed pipes."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click
import pytest
from support import RawServer, Received, http, page_of

import compat
from compat.cli.program import COMMANDS, program
from compat.testing import Sandbox

from .conftest import COMMAND, Invoke, Run


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


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_fits_into_80_columns(name: str) -> None:
    command = program.get_command(click.Context(program), name)
    assert command is not None
    parts = list(command.commands.values()) if isinstance(command, click.Group) else [command]
    for each in parts:
        told = each.get_help(click.Context(each, info_name=f"exam-compat {name}", terminal_width=80))
        assert "\n  Exit status:\n" in told
        assert max(map(len, told.splitlines())) <= 80


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


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("scan", "nothing"), "nothing: no such file or folder in {here}"),
        (("scan", "/no/such/place"), "/no/such/place: no such file or folder"),
        (("scan", ".", "--baseline", "no/baseline.json"), "no/baseline.json: no folder no in {here} to write it in"),
        (("migrate", "nothing"), "nothing: no such file or folder in {here}"),
        (("migrate", "--write", ".", "nothing"), "nothing: no such file or folder in {here}"),
        (("check", "nothing"), "nothing: no such file or folder in {here}"),
        (("check", "--live", "--known", "nothing.toml"), "nothing.toml: no such file in {here}"),
        (("check", "--live", "--key-file", "nothing.key"), "nothing.key: no such file in {here}"),
        (("check", "--live", "--scripts", "nothing"), "nothing: no such file or folder in {here}"),
        (("check", "--live", "--html", "no/check.html"), "no/check.html: no folder no in {here} to write it in"),
        (("translate", "nothing", "--to", "sessions"), "nothing: no such file in {here}"),
        (("translate", "-", "--to", "sessions", "--output", "."), ".: a folder, and a file is to be written"),
        (("translate", ".", "--to", "sessions"), ".: a folder, and a file is needed"),
        (("openapi", "--output", "no/x.json"), "no/x.json: no folder no in {here} to write it in"),
        (("sandbox", "--write-config", "/no/such/x"), "/no/such/x: no folder /no/such to write it in"),
        (("record", "--har", "nothing.har"), "nothing.har: no such file in {here}"),
        (
            ("record", "out.json", "--exam", "17"),
            "out.json: a recording is a file that ends with .ndjson.gz, or a folder: write out.ndjson.gz, or a name "
            "without an ending",
        ),
        (("serve", "--tls-certificate", "nothing.pem"), "nothing.pem: no such file in {here}"),
        (("run", "nothing.py"), "nothing.py: no such script in {here}"),
        (
            ("get", "17", "--config", "nothing.toml"),
            "no configuration: --config names nothing.toml, which is no file; correct the name, or leave it out to "
            "use exam-compat.toml where you are",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_path_that_is_not_there_is_wrong_usage(
    invoke: Invoke, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    result = invoke(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"Error: {told.format(here=tmp_path)}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_takes_a_recording_whatever_its_name(invoke: Invoke, config: Path, tmp_path: Path) -> None:
    (tmp_path / "out.json").mkdir()
    result = invoke("record", "out.json", "--exam", "17", "--config", config)
    assert result.exit_code == 0, result.stderr
    assert [path.name.endswith(".ndjson.gz") for path in (tmp_path / "out.json").iterdir()] == [True]


def test_a_configuration_that_the_environment_names(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXAM_COMPAT_CONFIG", str(tmp_path))
    result = invoke("get", "17")
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: no configuration: EXAM_COMPAT_CONFIG names {tmp_path}, which is a folder and no file; correct the "
        "name, or leave it out to use exam-compat.toml where you are\n"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("chek",), "No such command 'chek'. Did you mean 'check'?"),
        (("sandbx", "--port", "0"), "No such command 'sandbx'. Did you mean 'sandbox'?"),
        (("openapi", "--outptu", "x"), "Did you mean '--output'?"),
        (("config", "chekc"), "No such command 'chekc'. Did you mean 'check'?"),
    ],
)
def test_what_is_mistyped_is_told_the_nearest(invoke: Invoke, arguments: tuple[str, ...], told: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert told in result.stderr


def test_what_is_like_no_command_is_told_none(invoke: Invoke) -> None:
    result = invoke("xyzzy")
    assert result.exit_code == 2
    assert "No such command 'xyzzy'." in result.stderr
    assert "Did you mean" not in result.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            'kind = "student_session"',
            "kind: Must be student_sessions or paginated_sessions. The nearest is student_sessions.",
        ),
        ('kind = "xyzzy"', "kind: Must be student_sessions or paginated_sessions.\n"),
        ('kind = "student_sessions"\nsecret_kye = "x"', "secret_kye: no such key; the nearest known one is secret_key"),
        (
            'kind = "student_sessions"\napi_token = "a"\nsecret_key = "b"\npushdown = ["stauts"]',
            "pushdown: 'stauts' is none of status, filter, sort; the nearest is status",
        ),
        (
            'kind = "student_sessions"\napi_token = "a"\nsecret_key = "b"\n[migration]\nmode = "shadwo"',
            "mode: Must be legacy, shadow, canary:25 (a percentage), new or new+fallback. The nearest is shadow.",
        ),
    ],
)
def test_a_mistyped_word_of_the_configuration_is_told_the_nearest(
    invoke: Invoke, tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "exam-compat.toml").write_text(f'[upstream]\nbase_url = "http://127.0.0.1:9"\n{text}\n')
    result = invoke("get", "17")
    assert result.exit_code == 2
    assert told in result.stderr


def test_a_mistyped_mode_is_told_the_nearest(invoke: Invoke, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    legal = "must be legacy, shadow, canary:25 (a percentage), new or new+fallback; the nearest is "
    assert f"mode = 'shado': {legal}shadow" in invoke("mode", "shado", "--config", config).stderr
    assert f"mode = 'canary:250': {legal}canary:25" in invoke("mode", "canary:250", "--config", config).stderr
    monkeypatch.setenv("EXAM_COMPAT_MODE", "legcy")
    assert f"EXAM_COMPAT_MODE=legcy: {legal}legacy" in invoke("mode", "--config", config).stderr


INTERRUPTED = """
import os, signal, sys

class Interrupts:
    def find_spec(self, name, path, target=None):
        if name == wanted:
            os.kill(os.getpid(), signal.SIGINT)

wanted = sys.argv.pop(1)
sys.meta_path.insert(0, Interrupts())
signal.signal(signal.SIGINT, signal.default_int_handler)
from exam_compat_startup import command
command()
"""


@pytest.mark.parametrize("module", ["compat", "urllib3", "compat.cli.program", "rich.console", "compat.cli.get"])
def test_an_interrupt_while_the_command_is_imported_leaves_one_line(tmp_path: Path, module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, module, "get", "17"], cwd=tmp_path, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout) == (130, b"")
    assert done.stderr == b"Interrupted.\n"


def test_the_installed_command_is_the_one_that_minds_interrupts() -> None:
    (script,) = (each for each in entry_points(group="console_scripts") if each.name == "exam-compat")
    assert script.value == "exam_compat_startup:command"


def test_who_waits_at_a_terminal_is_told_once_why(tmp_path: Path, environment: dict[str, str]) -> None:
    """The upstream refuses the first calls for longer than a second, and then answers."""

    def answer(number: int, received: Received, connection: socket.socket) -> bytes:
        return http(503, headers={"Retry-After": "1"}) if number <= 3 else page_of([])

    with RawServer(answer) as server:
        (tmp_path / "exam-compat.toml").write_text(
            f'[upstream]\nkind = "student_sessions"\nbase_url = "{server.base_url}"\n'
            'api_token = "a"\nsecret_key = "b"\n'
        )
        options: dict[str, Any] = {"cwd": tmp_path, "env": environment, "stdout": subprocess.PIPE}
        ours, theirs = os.openpty()
        with subprocess.Popen([*COMMAND, "get", "17", "--ndjson"], stderr=theirs, **options) as process:
            os.close(theirs)
            said = b""
            with contextlib.suppress(OSError):
                while part := os.read(ours, 4096):
                    said += part
        os.close(ours)
        assert process.returncode == 0
        # A bar may be drawn below it, which folds it to the terminal.
        text = " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", " ", said.decode()).split())
        told = (
            r"The upstream asked to come back later \(status 503\)\. It is tried again, for \d+ more seconds at most\."
        )
        assert len(re.findall(told, text)) == 1
        assert text.count("tried again") == 1
        server.received.clear()
        piped = subprocess.run([*COMMAND, "get", "17", "--ndjson"], stderr=subprocess.PIPE, **options, check=False)
        assert b"tried again" not in piped.stderr
