"""A gateway in a process of its own, for tests that call it over HTTP."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from support import closed_port

from compat.testing.sandbox import Sandbox
from compat.testing.sandbox.sandbox import as_toml

TOKEN = "token-of-the-registrar"
SECRET = "key of the registrar"

CALLERS = (
    {"name": "registrar", "api_token": TOKEN, "secret_key": SECRET},
    {"name": "LMS of seconds", "api_token": "t2", "secret_key": "key of the LMS", "replay": "signature"},
)

HEADERS_OF = {
    each["name"]: ({"Authorization": f"Token token={each['api_token']}"}, each["secret_key"]) for each in CALLERS
}
"""Name of a caller to the headers that it sends and the key that it signs with."""


@dataclass(frozen=True)
class Served:
    """A running gateway, and the sandbox behind it."""

    base: str
    sandbox: Sandbox
    config: Path


def settings_for(sandbox: Sandbox, kind: str = "student_sessions", **tables: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a gateway over a sandbox that one caller may call; tables are merged into the sandbox's."""
    settings: dict[str, Any] = sandbox.settings(kind)
    settings["store"] = {"url": "memory://"}
    for name, table in tables.items():
        settings[name] = {**settings.get(name, {}), **table}
    return settings


def written(
    folder: Path, settings: Mapping[str, Any], callers: Sequence[Mapping[str, Any]] = CALLERS, dates: str = ""
) -> Path:
    """The settings as a configuration file; dates are lines for the end of ``[legacy]``, the last of its tables."""
    legacy = {"legacy": settings.get("legacy", {})}
    text = as_toml({name: table for name, table in settings.items() if name != "legacy"}) + as_toml(legacy) + dates
    for caller in callers:
        text += "\n[[callers]]\n" + "\n".join(f"{name} = {json.dumps(value)}" for name, value in caller.items()) + "\n"
    path = folder / "exam-compat.toml"
    path.write_text(text, encoding="utf-8")
    return path


@contextmanager
def running_gateway(config: Path, **environment: str) -> Iterator[str]:
    """The base URL of a gateway that serves while the context lasts."""
    base = closed_port()
    port = base.rpartition(":")[2]
    command = ["--config", str(config), "serve", "--port", port, "--admin-port", "0", "--stop-within", "5"]
    with (
        (config.parent / f"gateway-{port}.log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, "-m", "compat.cli", *command],
            stdout=log,
            stderr=log,
            cwd=config.parent,
            env={**os.environ, **environment},
        ) as process,
    ):
        try:
            _await(base, process)
            yield base
        finally:
            process.terminate()
            process.wait(20)


def _await(base: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(400):
        if process.poll() is not None:
            raise RuntimeError(f"the gateway ended with {process.returncode}")
        try:
            requests.get(f"{base}/api/v3/exams/1/show_student", timeout=5)
        except (requests.ConnectionError, requests.Timeout):
            # Not there yet, or its worker is on the way.
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the gateway does not answer")
