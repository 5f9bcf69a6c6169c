"""Files that take their place when they are whole: what is half written is the owner's alone, and does not stay."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from compat.cli.files import whole_file

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs locks of files")

_WRITER = """
import sys, time
from pathlib import Path
from compat.cli.files import whole_file
with whole_file(Path(sys.argv[1])) as file:
    file.write(b"Ann's record")
    file.flush()
    print("half", flush=True)
    sys.stdin.readline()
"""


def writer(target: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "half\n"
    return process


def unfinished(folder: Path) -> list[Path]:
    return [each for each in folder.iterdir() if each.name.startswith(".exam-compat-")]


def test_what_a_killed_writer_left_goes_with_the_next_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    killed, living = writer(tmp_path / "one"), writer(tmp_path / "two")
    assert {stat.S_IMODE(each.stat().st_mode) for each in unfinished(tmp_path)} == {0o600}
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert len(unfinished(tmp_path)) == 2
    (tmp_path / ".exam-compat-of-the-user").write_bytes(b"no file of ours")
    with whole_file(tmp_path / "three") as file:
        file.write(b"whole")
    assert len(unfinished(tmp_path)) == 2
    living.communicate("\n")
    assert (tmp_path / "two").read_bytes() == b"Ann's record"
    assert [each.name for each in unfinished(tmp_path)] == [".exam-compat-of-the-user"]


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_mode_that_new_files_have(tmp_path: Path, mask: int, mode: int) -> None:
    before = os.umask(mask)
    try:
        with whole_file(tmp_path / "new") as file:
            file.write(b"whole")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == mode


def test_a_file_that_is_replaced_keeps_its_mode(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_bytes(b"old")
    old.chmod(0o640)
    with whole_file(old) as file:
        file.write(b"whole")
    assert (old.read_bytes(), stat.S_IMODE(old.stat().st_mode)) == (b"whole", 0o640)
