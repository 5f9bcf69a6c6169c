"""A Redis in a process of its own, for tests that need one; it comes from the system's packages."""

from __future__ import annotations

import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from support import closed_port, program


class RedisServer:
    """Serves on a free port, with its files in a folder, and can be stopped, killed and started again there.

    Args:
        folder: where it keeps its files.
        options: lines of its configuration, in place of these: it remembers across restarts, every call at once.
        file: a configuration file, in place of what there is without it; options add to it.
    """

    def __init__(self, folder: Path, *options: str, file: Path | None = None) -> None:
        self._folder = folder
        remembering = options or ("--appendonly", "yes", "--appendfsync", "always")
        self._configuration = [str(file), *options] if file else ["--bind", "127.0.0.1", "--save", "", *remembering]
        self.port = int(closed_port().rpartition(":")[2])
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        place = ["--port", str(self.port), "--dir", str(self._folder)]
        with (self._folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program("redis-server"), *self._configuration, *place], stdout=log, stderr=log
            )
        patient = Retry(ConstantBackoff(0.02), 400)
        with redis.Redis(port=self.port, retry=patient) as client:
            client.ping()

    def stop(self, how: int = signal.SIGTERM) -> None:
        """End it, or kill it, if it runs."""
        if self._process is not None:
            process, self._process = self._process, None
            for _ in range(20):
                process.send_signal(how)
                # Told once, it goes on where it writes its first file just then, as a new replica does.
                with suppress(subprocess.TimeoutExpired):
                    process.wait(2)
                    return
            process.kill()
            process.wait()
            raise AssertionError(f"the Redis of {self._folder} did not end")

    def client(self) -> Any:
        """A client of it, to look into it."""
        return redis.Redis(port=self.port)

    def empty(self) -> None:
        """Forget everything, without a trace for those who knew it."""
        with self.client() as client:
            client.flushall()
