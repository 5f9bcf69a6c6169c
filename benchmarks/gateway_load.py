"""Servers under load: an upstream by nginx, calls signed beforehand from wrk, and what each cost in processor time.

The server is kept to one core, and nginx and wrk to the other, where the machine has two. Processor time is that of
the server's whole family of processes; it is the steadiest figure, since waiting does not count.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import psutil

from benchmarks.data import compact, student_sessions
from benchmarks.gateway_peers.signing import EXAM, KEY, TOKEN
from compat.legacy.signature import signed

__all__ = ["Load", "Server", "alone", "free_port", "load", "old_calls", "page_of", "serving", "upstream"]

_SERVER_CORE, _OTHER_CORE = "0", "1"
_SOON = 30.0
_LATENCIES = """
init = function(args)
  paths = {}
  for line in io.lines(args[1]) do paths[#paths + 1] = line end
  at = tonumber(args[2])
  wrk.headers["Authorization"] = args[3]
end
request = function()
  at = at + 1
  return wrk.format("GET", paths[(at - 1) % #paths + 1])
end
done = function(summary, latency)
  local errors = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
"""
_RESULT = re.compile(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)")


def _pinned(core: str) -> list[str]:
    return ["taskset", "-c", core] if (os.cpu_count() or 1) > 1 and shutil.which("taskset") else []


def free_port() -> int:
    """A port of loopback that nobody listens on at the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass(frozen=True)
class Load:
    """What a server did under load.

    Attributes:
        requests: answered in all.
        processor: microseconds of the server's processor time a request.
        rate: requests a second.
        median: milliseconds that half of the answers took at most.
        slowest: milliseconds that 99 of 100 answers took at most.
    """

    requests: int
    processor: float
    rate: float
    median: float
    slowest: float


@dataclass(frozen=True)
class Server:
    """A server that runs.

    Attributes:
        port: where it listens.
        process: the process that was started.
    """

    port: int
    process: subprocess.Popen[bytes]

    def processor_time(self) -> float:
        """Seconds of processor time that it and its children have used."""
        family = [psutil.Process(self.process.pid)]
        family += family[0].children(recursive=True)
        return sum(sum(each.cpu_times()[:2]) for each in family)


@contextmanager
def upstream(sizes: Sequence[int]) -> Iterator[dict[int, str]]:
    """The new endpoint: nginx with a page of each size, on a port of its own; gives size to base URL."""
    for program in ("nginx", "wrk"):
        if shutil.which(program) is None:
            raise RuntimeError(f"no {program} here: install it from the system's packages")
    with tempfile.TemporaryDirectory() as folder:
        # nginx gives up root's rights in its workers.
        Path(folder).chmod(0o755)
        ports = {size: free_port() for size in sizes}
        servers = [_page(Path(folder), size, port) for size, port in ports.items()]
        (Path(folder) / "nginx.conf").write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;\n"
            "events { worker_connections 1024; }\n"
            "http { access_log off; sendfile on; default_type application/json;\n"
            # A server stands idle while others are loaded, and its connections stay open.
            "keepalive_requests 1000000; keepalive_timeout 1h;\n"
            f"client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;\n"
            f"fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;\n"
            + "".join(servers)
            + "}\n",
            encoding="utf-8",
        )
        command = [*_pinned(_OTHER_CORE), "nginx", "-p", folder, "-c", f"{folder}/nginx.conf"]
        with serving(command, next(iter(ports.values()))):
            yield {size: f"http://127.0.0.1:{port}" for size, port in ports.items()}


def page_of(size: int) -> bytes:
    """The body of the new endpoint's page."""
    records = [{**record, "exam_id": int(EXAM)} for record in student_sessions()[:size]]
    return compact({"students": records})


def _page(folder: Path, size: int, port: int) -> str:
    (folder / f"page{size}.json").write_bytes(page_of(size))
    counts = {"Item-Count": size, "Page-Count": 1, "Page": 1, "Limit": size}
    headers = "".join(f"add_header X-Pagination-{name} {value}; " for name, value in counts.items())
    location = f"location / {{ try_files /page{size}.json =404; }}"
    return f"server {{ listen 127.0.0.1:{port}; root {folder}; {headers}{location} }}\n"


@contextmanager
def serving(
    command: Sequence[str], port: int, ask: Callable[[Server], object] = lambda server: one(server, "/")
) -> Iterator[Server]:
    """A server in a process of its own, from its first answer until the block ends.

    Args:
        command: starts it.
        port: where it listens.
        ask: asks it something; raises an OSError or HTTPException until it answers.
    """
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)  # noqa: S603 - our own
        server = Server(port, process)
        try:
            _wait(server, said, ask)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(_SOON)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def pinned_server(command: Sequence[str]) -> list[str]:
    """The command of a server that is measured."""
    return [*_pinned(_SERVER_CORE), *command]


def _wait(server: Server, said: object, ask: Callable[[Server], object]) -> None:
    end = time.monotonic() + _SOON
    while time.monotonic() < end and server.process.poll() is None:
        # A connection alone may wait for a worker that is on its way.
        with suppress(OSError, http.client.HTTPException):
            ask(server)
            return
        time.sleep(0.05)
    said.seek(0)  # type: ignore[attr-defined]
    raise RuntimeError(f"no server came up: {said.read().decode(errors='replace')[-3000:]}")  # type: ignore[attr-defined]


def old_calls(count: int, limit: int) -> list[str]:
    """Targets of old calls, each signed anew for now."""
    path, parameters = f"/api/v3/exams/{EXAM}/index_students", {"page": "1", "limit": str(limit)}
    return [f"{path}?{urlencode(signed(parameters, KEY, {'id': EXAM}))}" for _ in range(count)]


def one(server: Server, target: str) -> tuple[int, Mapping[str, str], bytes]:
    """One call: its status, its headers with small letters, its body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", target, headers={"Authorization": f"Token token={TOKEN}"})
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def load(server: Server, targets: Sequence[str], connections: int, seconds: int) -> Load:
    """Call a server for some seconds.

    Args:
        server: the server.
        targets: path and query of the calls, taken in order; enough of them where none may come twice.
        connections: how many calls at once.
        seconds: for how long; wrk takes whole ones.

    Raises:
        RuntimeError: a call failed, or the targets did not last: nothing was measured then.
    """
    with tempfile.TemporaryDirectory() as folder:
        script, paths = Path(folder) / "calls.lua", Path(folder) / "targets"
        script.write_text(_LATENCIES, encoding="utf-8")
        paths.write_text("\n".join(targets) + "\n", encoding="utf-8")
        command = [*_pinned(_OTHER_CORE), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
        begun = server.processor_time()
        done = subprocess.run(  # noqa: S603 - our own
            [
                *command,
                "-s",
                str(script),
                f"http://127.0.0.1:{server.port}",
                "--",
                str(paths),
                "0",
                f"Token token={TOKEN}",
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        used = server.processor_time() - begun
    matched = _RESULT.search(done.stdout)
    if matched is None:
        raise RuntimeError(f"wrk said nothing: {done.stdout}{done.stderr}")
    requests, microseconds, median, slowest, errors = map(int, matched.groups())
    if errors or not requests:
        raise RuntimeError(f"{errors} of {requests} calls failed")
    if len(set(targets)) > 1 and requests + connections > len(targets):
        raise RuntimeError(f"{requests} calls were more than the {len(targets)} that were signed")
    return Load(requests, used / requests * 1e6, requests / microseconds * 1e6, median / 1000, slowest / 1000)


def alone(work: Callable[[], object], seconds: float) -> float:
    """Microseconds of processor time that a piece of work takes by itself, again and again on the server's core."""
    cores = os.sched_getaffinity(0) if _pinned(_SERVER_CORE) else None
    if cores is not None:
        os.sched_setaffinity(0, {int(_SERVER_CORE)})
    try:
        times = 0
        begun = time.process_time()
        while (used := time.process_time() - begun) < seconds:
            work()
            times += 1
    finally:
        if cores is not None:
            os.sched_setaffinity(0, cores)
    return used / times * 1e6


def middle(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def students_of(body: bytes) -> list[dict[str, object]]:
    """The records of a page."""
    found: list[dict[str, object]] = json.loads(body)["students"]
    return found
