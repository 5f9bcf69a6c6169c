"""Runs what a document shows as typed at a terminal, and compares what comes with what the document says came.

A block of the language ``console`` has lines that begin with ``$``, which are run by bash, each with what it printed
below it; a line ``…`` stands for any lines. The commands run in a directory like a clone's. What serves until it is
ended is started on any free port, and the addresses that the document gives lead there.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

ROOT = Path(__file__).parents[2]
SANDBOX = "http://127.0.0.1:9300"
GATEWAY = "http://127.0.0.1:8080"
OPERATORS = "http://127.0.0.1:8081"
"""What the document calls the servers; they are the commands' default ports."""

SERVERS = (
    ("exam-compat sandbox", r"serve$", (SANDBOX,)),
    ("exam-compat serve", r"until Ctrl-C", (GATEWAY, OPERATORS)),
)
"""Commands that serve until they are ended, the end of what they say first, and where."""

HOME = "/home/you/exams"
"""What the document calls the directory in which everything runs."""

CHANGING = (
    (re.compile(r"\b20(?!18)\d\d-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:\d\d)?\b"), "<time>"),
    (re.compile(r"\b20(?!18)\d\d-\d\d-\d\d\b"), "<day>"),
    (re.compile(r"\b\d+(\.\d+)? m?s\b"), "<seconds>"),
)
"""What differs from run to run, in the document as well as in what comes; the data's own times are of 2018."""

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TABLES = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_ANY_LINES = "…"


@dataclass(frozen=True)
class Command:
    """A command of a document.

    Attributes:
        line: what is typed.
        printed: what the document says comes.
        starts: where in the document that begins.
        ends: and where it ends.
    """

    line: str
    printed: str
    starts: int
    ends: int


def commands_in(document: str) -> Iterator[Command | str]:
    """The commands of a document in their order, and between them the TOML that is added to the configuration."""
    found = [*_BLOCK.finditer(document), *_TABLES.finditer(document)]
    for block in sorted(found, key=lambda each: each.start()):
        if block.re is _TABLES:
            # A whole configuration names the vendors' own addresses.
            if "[upstream]" not in block[1]:
                yield block[1]
            continue
        for command in re.finditer(r"^\$ ((?:.*\\\n)*.*\n)((?:(?!\$ ).*\n)*)", block[1], re.MULTILINE):
            starts, ends = (block.start(1) + place for place in command.span(2))
            yield Command(command[1].strip(), command[2], starts, ends)


def agrees(said: str, came: str) -> bool:
    """Whether a document's output is what came, apart from what changes from run to run."""
    parts = [re.escape(steady(part)) for part in re.split(rf"^{_ANY_LINES}\n", said, flags=re.MULTILINE)]
    return re.fullmatch(r"(?:.*\n)*".join(parts), steady(came)) is not None


def steady(text: str) -> str:
    """A text without what changes from run to run."""
    for pattern, stands_in in CHANGING:
        text = pattern.sub(stands_in, text)
    return "\n".join(line.rstrip() for line in text.split("\n"))


def with_tables(configuration: str, added: str) -> str:
    """A configuration with the keys of further tables, each in the table of its name where there is one."""
    for heading, keys in re.findall(r"^(\[.+\])\n((?:[^\[\n].*\n|\n)*)", added, flags=re.MULTILINE):
        before, found, after = configuration.partition(f"{heading}\n")
        repeated = found and not heading.startswith("[[")
        configuration = f"{before}{heading}\n{keys}{after}" if repeated else f"{configuration}\n{heading}\n{keys}"
    return configuration


class Terminal:
    """A shell in a directory like a clone's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._addresses: dict[str, str] = {}
        self._serving: list[subprocess.Popen[str]] = []
        self._status = 0
        self._exported = folder.parent / "exported"
        shutil.copytree(ROOT / "examples", folder / "examples", ignore=shutil.ignore_patterns("__pycache__"))
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        names = {"PATH": path, "HOME": str(folder), "PYTHONUTF8": "1", "TMPDIR": str(folder.parent)}
        self._exported.write_text("".join(f"export {name}={shlex.quote(text)}\n" for name, text in names.items()))

    def run(self, line: str) -> str:
        """Run a command to its end, or until it serves, and give what it wrote to either stream."""
        for command, last_line, addresses in SERVERS:
            if line.startswith(command):
                return self._serve(line, last_line, addresses)
        ended = subprocess.run(
            self._bash(line),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._folder,
            env={},
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        self._status = ended.returncode
        return self._told(ended.stdout)

    def configure(self, tables: str) -> None:
        """Add tables to the configuration."""
        path = self._folder / "exam-compat.toml"
        path.write_text(with_tables(path.read_text(encoding="utf-8"), tables), encoding="utf-8")

    def close(self) -> None:
        """End what serves."""
        for process in self._serving:
            process.terminate()
        for process in self._serving:
            process.communicate(timeout=60)

    def _bash(self, line: str) -> list[str]:
        """A shell that knows what was exported before, and how the last command ended."""
        before, after = f". {self._exported}; (exit {self._status});", f"status=$?; export -p >{self._exported}"
        return ["bash", "-c", f"{before} {self._led(line)}\n{after}; exit $status"]

    def _serve(self, line: str, last_line: str, addresses: Sequence[str]) -> str:
        ports = " --port 0" + " --admin-port 0" * (len(addresses) - 1)
        with (self._folder.parent / "serving.log").open("a") as log:
            process = subprocess.Popen(
                ["bash", "-c", f". {self._exported}; exec {line}{ports}"],
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._folder,
                env={},
                encoding="utf-8",
            )
        self._serving.append(process)
        assert process.stdout is not None
        came = ""
        while not re.search(last_line, came, flags=re.MULTILINE):
            read = process.stdout.readline()
            assert read, f"{line} ended: {came}"
            came += read
        real = dict.fromkeys(re.findall(r"http://127\.0\.0\.1:\d+", came))
        self._addresses.update(zip(addresses, real, strict=True))
        if OPERATORS in addresses:
            _await_ready(self._addresses[OPERATORS])
        return self._told(came)

    def _led(self, line: str) -> str:
        for named, real in self._addresses.items():
            line = line.replace(named, real)
        return line

    def _told(self, text: str) -> str:
        for named, real in self._addresses.items():
            text = text.replace(real, named)
        return text.replace(str(self._folder.resolve()), HOME)


def _await_ready(operators: str) -> None:
    ends = time.monotonic() + 60
    while not requests.get(f"{operators}/readyz", timeout=10).ok:
        assert time.monotonic() < ends, "the gateway is not ready"
        time.sleep(0.05)


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
