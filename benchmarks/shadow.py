"""What shadow costs a caller: its calls in shadow against those in legacy, the candidate being well, and timing out.

The old endpoint takes ten milliseconds for an answer, less than one does that is not on this machine; so whatever the
comparing takes from the caller weighs more here than it will there. The candidate that times out takes calls and
answers none of them. Calls come one after the other without a pause, the worst case for work behind them.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import requests

import compat
from benchmarks.data import EXAM, student_sessions
from benchmarks.gateway_load import Server, free_port, load, old_calls, one, pinned_server, serving
from benchmarks.gateway_peers.signing import KEY, TOKEN
from benchmarks.harness import Report, Way, command_line, compare
from benchmarks.upstream import serving as answering
from compat.migration.modes.router import ModeRouter
from compat.migration.modes.rules import Mode, Rules, Scope

_SIZE = 30
_CALLS = 60
_OLD_TAKES = 0.01
_NEVER = 24 * 3600.0
_SECONDS = 1
_ROUNDS = 9
_LEGACY, _WELL, _HANGS = "legacy", "shadow", "shadow, the candidate timing out"


def _script(old: str, candidate: str, mode: str) -> Way:
    """The median time of a script's call through the mounted adapter."""
    session = requests.Session()
    upstream = compat.StudentSessions(candidate, api_token=TOKEN, secret_key=KEY, scope="exam", reuse_bytes=0)
    adapter = compat.mount(session, old, upstream)
    adapter.router = ModeRouter(Rules({Scope(): Mode.parse(mode, "mode")}), legacy=True)
    url = f"{old}/api/v3/exams/{EXAM}/index_students"

    def call() -> float:
        begun = time.perf_counter()
        answer = session.get(url, timeout=30)
        seconds = time.perf_counter() - begun
        if answer.status_code != 200 or answer.headers["X-Compat-Answered-By"] != "legacy":
            raise RuntimeError(f"{mode} was answered with {answer.status_code}: nothing was measured")
        return seconds

    return lambda: statistics.median(call() for _ in range(_CALLS))


@contextmanager
def _gateway(folder: Path, old: str, candidate: str, mode: str) -> Iterator[Server]:
    port = free_port()
    path = folder / f"{port}.toml"
    path.write_text(
        f'[upstream]\nkind = "student_sessions"\nbase_url = "{candidate}"\napi_token = "{TOKEN}"\n'
        f'secret_key = "{KEY}"\nscope = "exam"\n\n[legacy]\nbase_url = "{old}"\n\n[migration]\nmode = "{mode}"\n\n'
        f'[[callers]]\nname = "benchmark"\napi_token = "{TOKEN}"\nsecret_key = "{KEY}"\n\n'
        f'[store]\nurl = "sqlite:///{port}.db"\n',
        encoding="utf-8",
    )
    options = ["--port", str(port), "--admin-port", str(free_port())]
    command = pinned_server([sys.executable, "-m", "compat.cli", "--config", str(path), "serve", *options])
    # Anything but an old call is passed to the candidate, which may be the one that hangs.
    with serving(command, port, lambda server: one(server, old_calls(1, _SIZE)[0])) as it:
        yield it


def _through(server: Server) -> Way:
    """The median time of a call through a gateway; a call that fails ends the measurement."""

    def way() -> float:
        calls = old_calls(int(4 * _SECONDS / _OLD_TAKES), _SIZE)
        return load(server, calls, 1, _SECONDS).median / 1000

    return way


def main(rounds: int = _ROUNDS) -> Report:
    """Measure."""
    records = [{**record, "exam_id": EXAM} for record in student_sessions()]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        old = stack.enter_context(answering(records, _SIZE, _OLD_TAKES))
        well = stack.enter_context(answering(records, _SIZE, _OLD_TAKES))
        hangs = stack.enter_context(answering(records, _SIZE, _NEVER))
        modes: Mapping[str, tuple[str, str]] = {
            _LEGACY: (well, "legacy"),
            _WELL: (well, "shadow"),
            _HANGS: (hangs, "shadow"),
        }
        ways: dict[str, Way] = {}
        for name, (candidate, mode) in modes.items():
            ways[f"script, {name}"] = _script(old, candidate, mode)
            ways[f"gateway, {name}"] = _through(stack.enter_context(_gateway(folder, old, candidate, mode)))
        targets = {
            (f"{entrance}, {name}", f"{entrance}, {_LEGACY}"): "at most 1.05"
            for entrance in ("script", "gateway")
            for name in (_WELL, _HANGS)
        }
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", compat.LegacyApiWarning)
        return compare(
            "A caller in shadow, against the old endpoint alone",
            f"The median time of a call for {_SIZE} records, one call after the other, the old endpoint taking "
            f"{_OLD_TAKES * 1000:g} ms; no call failed, or nothing would have been measured.",
            ways,
            targets,
            min(rounds, _ROUNDS),
        )


if __name__ == "__main__":
    command_line(main)
