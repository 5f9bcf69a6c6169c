"""How long after a switch of mode a gateway with four workers still answers by the mode before."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.data import student_sessions
from benchmarks.gateway_load import Server, free_port, old_calls, one, serving
from benchmarks.gateway_peers.signing import EXAM, KEY, TOKEN
from benchmarks.harness import Figure, Report, command_line
from benchmarks.upstream import serving as answering
from compat.stores.ledger import open_ledger

_WORKERS = 4
_WATCHED = 3.0
"""Seconds for which calls go on after a switch."""
_ROUNDS = 9


def _followed(server: Server, moment: float, mode: str) -> float:
    """Seconds from a moment to the last answer that was not by a mode; each call is a connection of its own.

    Raises:
        RuntimeError: a call failed, or the last ones still were not by that mode.
    """
    last = 0.0
    while (now := time.monotonic() - moment) < _WATCHED:
        status, headers, _ = one(server, old_calls(1, 1)[0])
        if status != 200:
            raise RuntimeError(f"a call was answered with {status}: nothing was measured")
        if headers["x-compat-answered-by"] != mode:
            last = now
    if last > _WATCHED - 0.5:
        raise RuntimeError("the switch was not followed")
    return last


def main(rounds: int = _ROUNDS) -> Report:
    """Measure."""
    records = [{**record, "exam_id": int(EXAM)} for record in student_sessions()]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        base = stack.enter_context(answering(records, 1))
        store, port = f"sqlite:///{folder}/spent.db", free_port()
        config = folder / "exam-compat.toml"
        config.write_text(
            f'[upstream]\nkind = "student_sessions"\nbase_url = "{base}"\napi_token = "{TOKEN}"\n'
            f'secret_key = "{KEY}"\nscope = "exam"\n\n[legacy]\nbase_url = "{base}"\n\n'
            f'[[callers]]\nname = "benchmark"\napi_token = "{TOKEN}"\nsecret_key = "{KEY}"\n\n'
            f'[store]\nurl = "{store}"\n',
            encoding="utf-8",
        )
        options = ["--port", str(port), "--admin-port", str(free_port()), "--workers", str(_WORKERS)]
        command = [sys.executable, "-m", "compat.cli", "--config", str(config), "serve", *options]
        server = stack.enter_context(serving(command, port))
        ledger = open_ledger(store)
        stack.callback(ledger.close)
        seconds = []
        for number in range(min(rounds, _ROUNDS)):
            mode = ("legacy", "new")[number % 2]
            ledger.set_switch("mode", mode)
            seconds.append(_followed(server, time.monotonic(), mode))
    name = f"seconds from a switch to the last answer by the mode before, {_WORKERS} workers"
    return Report(
        "A switch of mode at run time",
        "A gateway is called all the time, by a new connection for each call, while its mode is switched to and fro.",
        {},
        [],
        [Figure(name, "at most 2", seconds)],
    )


if __name__ == "__main__":
    command_line(main)
