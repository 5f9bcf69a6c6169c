"""Completion in real shells: what stands on the line after Tab."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from support import program

from .conftest import Invoke
from .terminals import AtTerminal

pytestmark = pytest.mark.skipif(os.name != "posix", reason="shells as POSIX has them")

CONFIG = """
[upstream]
kind = "paginated_sessions"

[exams]
4711 = "5b1f0c2e-3c1e-4c86-9d0e-0f6c3c1d2a11"

[[callers]]
name = "nightly export"
"""
TYPED: Mapping[str, str] = {
    "exam-compat transl": "exam-compat translate ",
    "exam-compat get --stat": "exam-compat get --status ",
    "exam-compat get 17 --status exam_fin": "exam-compat get 17 --status exam_finished ",
    "exam-compat get 47": "exam-compat get 4711 ",
    "exam-compat mode leg": "exam-compat mode legacy ",
    "exam-compat mode can": "exam-compat mode canary:",
    "exam-compat mode --caller nigh": r"exam-compat mode --caller nightly\ export ",
    "exam-compat sandbox --kind pag": "exam-compat sandbox --kind paginated_sessions ",
    "exam-compat fields --class look": "exam-compat fields --class looked-up ",
    "exam-compat check monday.nd": "exam-compat check monday.ndjson.gz ",
    "exam-compat scan sr": "exam-compat scan src/",
    "exam-compat run export.p": "exam-compat run export.py ",
    "exam-compat completion fi": "exam-compat completion fish ",
}
"""What is typed before Tab, and what stands there then."""

TAB, SHOW, CLEAR = "\t", "\x14", "\x15"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with files to complete, and the command on a path of its own."""
    (tmp_path / "exam-compat.toml").write_text(CONFIG, encoding="utf-8")
    for name in ("monday.ndjson.gz", "export.py"):
        (tmp_path / name).touch()
    (tmp_path / "src").mkdir()
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "exam-compat"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -W error -m compat.cli "$@"\n', encoding="utf-8")
    command.chmod(0o755)
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    return {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(folder), "TERM": "xterm", "PS1": "$ "}


def completed(folder: Path, shell: list[str], setup: str) -> list[str]:
    """The line after each that was typed and completed."""
    running = AtTerminal(shell, 200, cwd=folder, env=environment(folder))
    running.press(f"{setup}\necho re''ady\n")
    # Not before the prompt is there does a shell read key by key.
    running.wait_until(lambda: re.search(r"[\r\n]ready\r\n.*\$ ", running.shown, re.DOTALL) is not None)
    for number, typed in enumerate(TYPED, 1):
        running.press(f"{typed}{TAB}{SHOW}")
        running.wait_until(lambda number=number: len(lines(folder)) >= number)
        running.press(CLEAR)
    running.press("exit\n")
    running.end()
    return lines(folder)


def lines(folder: Path) -> list[str]:
    path = folder / "lines"
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def test_bash(folder: Path, invoke: Invoke) -> None:
    (folder / "completion").write_text(invoke("completion", "bash").output, encoding="utf-8")
    setup = (
        """. ./completion; bind -x '"\\C-t": printf "%s\\n" "$READLINE_LINE" >> lines'; bind 'set bell-style none'"""
    )
    shell = [program("bash"), "--noprofile", "--norc", "-i"]
    assert completed(folder, shell, setup) == list(TYPED.values())


def test_zsh(folder: Path, invoke: Invoke) -> None:
    (folder / "completion").write_text(invoke("completion", "zsh").output, encoding="utf-8")
    setup = (
        "autoload -U compinit; compinit -u; unsetopt beep; . ./completion; "
        'show() { print -r -- "$BUFFER" >> lines }; zle -N show; bindkey "^T" show; bindkey "^U" kill-whole-line'
    )
    assert completed(folder, [program("zsh"), "-f", "-i"], setup) == list(TYPED.values())


def test_fish(folder: Path, invoke: Invoke) -> None:
    (folder / "completion").write_text(invoke("completion", "fish").output, encoding="utf-8")
    asked = "\n".join(f"complete -C '{typed}'; echo ---" for typed in TYPED)
    done = subprocess.run(
        [program("fish"), "--no-config", "-c", f"source completion\n{asked}"],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stderr == ""
    for (typed, whole), offered in zip(TYPED.items(), done.stdout.split("---\n"), strict=False):
        words = [line.partition("\t")[0] for line in offered.splitlines()]
        last = whole.replace("\\ ", "_").split()[-1].replace("_export", " export")
        assert words, typed
        assert all(word.startswith(last) for word in words), (typed, words)


def test_nothing_is_offered_and_nothing_said_without_a_configuration(folder: Path) -> None:
    (folder / "exam-compat.toml").write_text("[[callers", encoding="utf-8")
    asked = {"_EXAM_COMPAT_COMPLETE": "bash_complete", "COMP_WORDS": "exam-compat\nget\n47", "COMP_CWORD": "2"}
    done = subprocess.run(
        [folder / "bin" / "exam-compat"], cwd=folder, env=environment(folder) | asked, capture_output=True, check=False
    )
    assert (done.stdout.strip(), done.stderr) == (b"", b"")


def test_another_shell_is_refused(invoke: Invoke) -> None:
    result = invoke("completion", "tcsh")
    assert result.exit_code == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'." in result.stderr
