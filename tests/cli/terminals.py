"""A pseudo-terminal, and commands at it: several in one process, each between marks."""

from __future__ import annotations

import json
import os
import re
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_MARK = "\x1e"
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class AtTerminal:
    """A process at a terminal of its own: what it has shown so far, and keys for it.

    Args:
        arguments: a program and its arguments.
        width: columns.
        stdout: another place for the standard output than the terminal.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        width: int,
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        stdout: int | None = None,
    ) -> None:
        import fcntl
        import pty
        import termios

        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
        self.process = subprocess.Popen(
            arguments,
            stdin=theirs,
            stdout=theirs if stdout is None else stdout,
            stderr=theirs,
            cwd=cwd,
            env={**own_environment(), "TERM": "xterm-256color", **(env or {})},
            start_new_session=True,
        )
        os.close(theirs)
        self._shown = bytearray()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._ours, 65536)
            except OSError:
                # Linux says so where the last process has closed the terminal.
                return
            if not piece:
                return
            self._shown += piece

    @property
    def shown(self) -> str:
        """All that it has shown so far, as it came."""
        return self._shown.decode(errors="replace")

    def wait_for(self, text: str) -> None:
        """Until it has shown a text."""
        self.wait_until(lambda: text in self.shown)

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Until something holds."""
        ends = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < ends, self.shown
            time.sleep(0.01)

    def press(self, keys: str) -> None:
        """Type; ``\\x03`` is Ctrl-C, which reaches only what has taken the terminal."""
        if "\x03" in keys:
            self.wait_until(lambda: os.tcgetpgrp(self._ours) > 0)
        os.write(self._ours, keys.encode())

    def end(self) -> int:
        """Wait for its end; its status."""
        status = self.process.wait(timeout=120)
        self._reader.join(timeout=60)
        os.close(self._ours)
        return status


def own_environment() -> dict[str, str]:
    """The variables of this process, without those that other tests have left and a person would not have set."""
    left = ("EXAM_COMPAT", "_EXAM_COMPAT", "NO_COLOR", "COLUMNS")
    return {name: text for name, text in os.environ.items() if not name.startswith(left)}


def command(*commands: Sequence[object]) -> list[str]:
    """What runs one command, or several between marks."""
    words = [[str(word) for word in each] for each in commands]
    return [sys.executable, "-W", "error", __file__, json.dumps(words)]


def at_terminal(
    commands: Sequence[Sequence[object]], width: int, *, cwd: Path, env: Mapping[str, str] | None = None
) -> list[str]:
    """What each command showed at a terminal, one after the other."""
    running = AtTerminal(command(*commands), width, cwd=cwd, env=env)
    assert running.end() == 0, running.shown
    return running.shown.split(_MARK)[1::2]


def lines_of(shown: str) -> list[str]:
    """The lines, without what only moves the cursor or colours."""
    return re.split(r"\r\n|\r|\n", _ESCAPES.sub("", shown))


def _main() -> None:
    import fcntl
    import termios

    from compat.cli import main
    from compat.cli.program import program

    # As a shell's, so that Ctrl-C reaches it.
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    commands = json.loads(sys.argv[1])
    if len(commands) == 1:
        sys.argv[1:] = commands[0]
        main()
    for each in commands:
        sys.stdout.write(_MARK)
        try:
            program.main(each, "exam-compat")
        except SystemExit:
            sys.stdout.write(_MARK)
            sys.stdout.flush()


if __name__ == "__main__":
    _main()
