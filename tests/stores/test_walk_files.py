"""Walks in files hold students' records: nothing of them stays behind, and nobody else may read them."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from forked import in_child

from compat.stores.walks import WalkFiles

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs locks of files")

_WORKER = """
import sys
from pathlib import Path
from compat.stores.walks import WalkFiles
files = WalkFiles(Path(sys.argv[1]))
for line in sys.stdin:
    word = line.strip()
    if word == "put":
        files.put("%064x" % __import__("os").getpid(), b"head", [b"Ann's record"])
    if word == "close":
        files.close()
    print(word, flush=True)
"""


class Worker:
    """A process that keeps walks, and does as it is told."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.tell("look")

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == word + "\n"

    def end(self, how: int | None = None) -> None:
        if how is not None:
            self.process.send_signal(how)
        self.process.communicate()


def test_the_last_process_that_stops_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "walks"
    first, second = Worker(folder), Worker(folder)
    for each in (first, second):
        each.tell("put")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()} == {0o600}
    first.tell("close")
    assert len(list(folder.iterdir())) == 2
    second.tell("close")
    assert not folder.exists()
    first.end()
    second.end()


def test_the_next_start_removes_what_killed_processes_left(tmp_path: Path) -> None:
    folder = tmp_path / "walks"
    workers = [Worker(folder), Worker(folder)]
    for each in workers:
        each.tell("put")
    workers[0].end(signal.SIGKILL)
    third = Worker(folder)
    # One of the gateway's processes lives still, and goes on with the walks.
    assert len(list(folder.iterdir())) == 2
    third.end(signal.SIGKILL)
    workers[1].end(signal.SIGKILL)
    assert len(list(folder.iterdir())) == 2
    last = WalkFiles(folder)
    assert not folder.exists()
    last.put("a" * 64, b"head", [b"page"])
    assert last.get("a" * 64, 2) == (b"head", b"page")
    last.close()
    assert not folder.exists()


def test_a_process_that_forks_keeps_the_folder_for_its_child(tmp_path: Path) -> None:
    folder = tmp_path / "walks"
    files = WalkFiles(folder)
    files.put("a" * 64, b"head", [b"page"])

    def read() -> bool:
        # The child's own hold begins with its first use; its end is not the parent's.
        found = files.get("a" * 64, 2)
        files.close()
        return found == (b"head", b"page") and folder.exists()

    assert in_child(read)
    assert files.get("a" * 64, 2) == (b"head", b"page")
    files.close()
    assert not folder.exists()


def test_a_folder_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    folder = tmp_path / "walks"
    folder.mkdir(mode=0o755)
    files = WalkFiles(folder)
    files.put("a" * 64, b"head", [b"page"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files.close()
