"""The files of ``deploy`` for three replicas, started as docs/replicas.md says, on free ports."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
from gateways import SECRET, TOKEN
from redis_server import RedisServer
from serving import Gateway, serving, starting, until
from support import closed_port, program

from compat.testing.sandbox import Sandbox

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "replicas.md"
FILES = ROOT / "deploy"


@dataclass
class Replicas:
    """The gateways, and nginx before them."""

    gateways: list[Gateway]
    base: str
    folder: Path
    environment: Mapping[str, str]

    @contextmanager
    def started_again(self, gateway: Gateway) -> Iterator[Gateway]:
        """A gateway that has stopped, at its address once more, and ready."""
        config, port = self.folder / "exam-compat.toml", gateway.base.rpartition(":")[2]
        with serving(config, "--port", port, environment=self.environment) as again:
            yield again


def commands(program: str) -> list[list[str]]:
    """The page's commands that start a program, word by word."""
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines() if line.startswith(f"{program} ")]


def variables(sandbox: Sandbox, store: str) -> Mapping[str, str]:
    """The environment that the page asks for."""
    return {
        "UPSTREAM_URL": sandbox.base_url,
        "UPSTREAM_TOKEN": sandbox.api_token,
        "UPSTREAM_SECRET": sandbox.secret_key,
        "REGISTRAR_TOKEN": TOKEN,
        "REGISTRAR_SECRET": SECRET,
        "STORE_URL": store,
    }


@contextmanager
def started(folder: Path, sandbox: Sandbox, redis: RedisServer) -> Iterator[Replicas]:
    """All of it, ready."""
    for file in FILES.iterdir():
        shutil.copy(file, folder)
    environment = variables(sandbox, redis.url)
    with ExitStack() as stack:
        gateways = []
        ports = {}
        for command in commands("exam-compat serve"):
            options = command[2:]
            config = folder / options[options.index("--config") + 1]
            gateway = stack.enter_context(starting(config, environment=environment))
            ports[options[options.index("--port") + 1]] = gateway.base.rpartition(":")[2]
            gateways.append(gateway)
        for gateway in gateways:
            until(lambda gateway=gateway: gateway.ready()["ready"], gateway)
        yield Replicas(gateways, stack.enter_context(_nginx(folder, ports)), folder, environment)


@contextmanager
def _nginx(folder: Path, ports: Mapping[str, str]) -> Iterator[str]:
    """nginx with the file of the page, in which only the ports are others."""
    base = closed_port()
    places = folder / "gateways.conf"
    text = places.read_text()
    for before, after in {**ports, _listens(text): base.rpartition(":")[2]}.items():
        assert text.count(f"127.0.0.1:{before}") == 1
        text = text.replace(f"127.0.0.1:{before}", f"127.0.0.1:{after}")
    places.write_text(text)
    (command,) = commands("nginx")
    assert command == ["nginx", "-p", ".", "-c", "nginx.conf"]
    # Here it stays in the foreground, and may read a folder that is root's.
    here = "daemon off;" + (" user root;" if os.geteuid() == 0 else "")
    with (folder / "nginx.out").open("wb") as out:
        process = subprocess.Popen(
            [program("nginx"), "-p", f"{folder}/", "-c", str(folder / "nginx.conf"), "-g", here],
            stdout=out,
            stderr=out,
            cwd=folder,
        )
    try:
        until(lambda: requests.get(base, timeout=10).status_code)
        yield base
    finally:
        process.terminate()
        process.wait(20)


def _listens(text: str) -> str:
    found = re.findall(r"listen 127\.0\.0\.1:(\d+);", text)
    assert len(found) == 1
    return str(found[0])
