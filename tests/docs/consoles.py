"""Pastes the blocks of a document into a shell, in their order, as a reader does.

A shell of its own runs for each document, in a directory like a clone's. What is pasted, by the block's language:

- ``console``: the lines behind ``$``; what stands below each is what it prints, where a line ``…`` is any lines;
- ``sh``: the block;
- ``python``: the block, into ``python``;
- ``toml``: added at the end of ``exam-compat.toml``, as the documents say.

Three things differ from a reader's terminal, so that documents can be tested beside each other and without a package
index: free ports take the place of the commands' default ports, ``pip`` does nothing since all is installed, and
``pytest`` does not run the suite within the suite.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PORTS = (("exam-compat sandbox", "--port", 9300), ("exam-compat serve", "--port", 8080), ("", "--admin-port", 8081))
"""The commands that serve, and their default ports; the last two are of one command."""

HOME = "/home/you/exams"
"""What the documents call the directory in which everything runs."""

CHANGING = (
    (re.compile(r"\b20(?!18)\d\d-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:\d\d)?\b"), "<time>"),
    (re.compile(r"\b20(?!18)\d\d-\d\d-\d\d\b"), "<day>"),
    (re.compile(r"\b\d+(\.\d+)? m?s\b"), "<seconds>"),
    (re.compile(r"\bkill \d+\b"), "kill <process>"),
    # The page's own calls are seen where it is read at the weekday and hour of its brownout.
    (re.compile(r"\b\d+ would fail\.\n(?:[┏┃┡│└].*\n)*"), "<calls> would fail.\n"),
)
"""What differs from run to run, in the document as well as in what comes; the data's own times are of 2018."""

_BLOCK = re.compile(r"^```(console|sh|python|toml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ANY_LINES = "…"
_LONGEST = 120


@dataclass(frozen=True)
class Command:
    """Something that is typed or pasted.

    Attributes:
        language: of its block.
        text: what is pasted.
        printed: what the document says comes, or None where it says nothing of it.
        starts: where in the document that begins; of another block the block itself.
        ends: and where it ends.
    """

    language: str
    text: str
    printed: str | None
    starts: int
    ends: int


def commands_in(document: str) -> Iterator[Command]:
    """What a reader types and pastes, in the document's order."""
    for block in _BLOCK.finditer(document):
        if block[1] != "console":
            yield Command(block[1], block[2], None, block.start(2), block.end(2))
            continue
        for command in re.finditer(r"^\$ ((?:.*\\\n)*.*\n)((?:(?!\$ ).*\n)*)", block[2], re.MULTILINE):
            starts, ends = (block.start(2) + place for place in command.span(2))
            yield Command("console", command[1], command[2], starts, ends)


def agrees(said: str, came: str) -> bool:
    """Whether a document's output is what came, apart from what changes from run to run."""
    parts = [re.escape(steady(part)) for part in re.split(rf"^{_ANY_LINES}\n", said, flags=re.MULTILINE)]
    return re.fullmatch(r"(?:.*\n)*".join(parts), steady(came)) is not None


def steady(text: str) -> str:
    """A text without what changes from run to run."""
    for pattern, stands_in in CHANGING:
        text = pattern.sub(stands_in, text)
    return "\n".join(line.rstrip() for line in text.split("\n"))


class Terminal:
    """A shell in a directory like a clone's.

    Attributes:
        failed: the commands of what was pasted last that ended with a status other than 0.
    """

    def __init__(self, folder: Path) -> None:
        self.failed: list[str] = []
        self._folder = folder
        self._ports = _free_ports()
        self._background: set[int] = set()
        shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
        self._failures = folder.parent / "failures"
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={
                "PATH": f"{_stand_ins(folder.parent / 'bin')}:{Path(sys.executable).parent}:{os.environ['PATH']}",
                "HOME": str(folder),
                "PYTHONUTF8": "1",
                "TMPDIR": str(folder.parent),
            },
            encoding="utf-8",
            start_new_session=True,
        )
        self._send(f'trap \'printf "%s\\n" "$BASH_COMMAND" >>{shlex.quote(str(self._failures))}\' ERR\n')

    def paste(self, command: Command) -> str:
        """Paste something, and give what it wrote to either stream."""
        text = command.text
        if command.language == "python":
            text = f"python - <<'END OF PASTED'\n{text}END OF PASTED\n"
        elif command.language == "toml":
            text = f"cat >>exam-compat.toml <<'END OF PASTED'\n\n{text}END OF PASTED\n"
        self._failures.write_text("")
        # Nothing that runs reads the lines after it; a reader's keyboard would be silent too.
        self._send(f"{{\n{self._led(text)}\n}} </dev/null\n")
        came = self._read()
        self.failed = self._failures.read_text().splitlines()
        self._background |= {int(number) for number in re.findall(r"\bkill (\d+)$", came, flags=re.MULTILINE)}
        return self._told(came)

    def close(self) -> None:
        """End the shell, and what it left in the background."""
        for process in self._background:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGTERM)
        with suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGTERM)
            os.killpg(self._shell.pid, signal.SIGHUP)
        self._shell.communicate(timeout=60)

    def _send(self, text: str) -> None:
        assert self._shell.stdin is not None
        self._shell.stdin.write(text)
        self._shell.stdin.flush()

    def _read(self) -> str:
        end = "\x04end\n"
        self._send(f"printf '%s\\n' {shlex.quote(end.strip())}\n")
        assert self._shell.stdout is not None
        came = ""
        # What does not end would keep the reader's terminal too.
        limit = threading.Timer(_LONGEST, os.killpg, (self._shell.pid, signal.SIGKILL))
        limit.start()
        try:
            while not came.endswith(end):
                line = self._shell.stdout.readline()
                assert line, f"the shell ended, or {_LONGEST} s were over: {came}"
                came += line
        finally:
            limit.cancel()
        return came.removesuffix(end)

    def _led(self, text: str) -> str:
        for command, option, port in PORTS[:2]:
            options = f"{option} {self._ports[port]}"
            if command == PORTS[1][0]:
                options += f" {PORTS[2][1]} {self._ports[PORTS[2][2]]}"
            text = re.sub(rf"{command}\b(?! --help)", f"{command} {options}", text)
        for port, free in self._ports.items():
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{free}")
        return text

    def _told(self, text: str) -> str:
        for port, free in self._ports.items():
            text = text.replace(f"127.0.0.1:{free}", f"127.0.0.1:{port}")
        return text.replace(str(self._folder.resolve()), HOME)


def _free_ports() -> dict[int, int]:
    """A free port for each default port."""
    with socket.socket() as first, socket.socket() as second, socket.socket() as third:
        for each in (first, second, third):
            each.bind(("127.0.0.1", 0))
        numbers = [each.getsockname()[1] for each in (first, second, third)]
    return dict(zip((port for _, _, port in PORTS), numbers, strict=True))


def _stand_ins(folder: Path) -> Path:
    """Programs in the place of those that a test must not start: what they would install is there already."""
    folder.mkdir()
    for name in ("pip", "pytest"):
        path = folder / name
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    return folder


@contextmanager
def terminal(folder: Path) -> Iterator[Terminal]:
    """A terminal in a directory of its own, while the context lasts."""
    place = folder / "exams"
    place.mkdir()
    opened = Terminal(place)
    try:
        yield opened
    finally:
        opened.close()
