"""The files of ``deploy`` fit together: containers, balancer, Redis and the unit of systemd.

Containers are not started here: test_image.py runs the image's steps, tests/gateway/test_replicas.py three gateways
behind nginx.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from environments import ROOT
from image_steps import instructions
from redis_server import RedisServer
from support import program

from compat.cli.run import serve

FOLDER = ROOT / "deploy"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
GATEWAYS = {name: each for name, each in COMPOSE["services"].items() if name.startswith("gateway")}
CONTAINER = dict(instructions((FOLDER / "Dockerfile").read_text()))
LIMIT_FOR_WORKERS = 3
"""Seconds that the gateway gives its workers beyond --stop-within."""


def _options(command: list[str]) -> dict[str, Any]:
    """What a command says to ``exam-compat serve``; the file of its configuration need not be here."""
    assert command[0] == "serve"
    words = [word for word in command[1:] if word not in ("--config", "/etc/exam-compat/exam-compat.toml")]
    return serve.make_context("serve", words).params


def test_the_three_gateways_are_alike_but_for_their_addresses() -> None:
    alike = {json.dumps({**each, "networks": None}, sort_keys=True) for each in GATEWAYS.values()}
    assert (len(GATEWAYS), len(alike)) == (3, 1)
    addresses = [each["networks"]["front"]["ipv4_address"] for each in GATEWAYS.values()]
    options = _options(json.loads(CONTAINER["CMD"]))
    named = re.findall(r"server ([\d.]+):(\d+)", (FOLDER / "gateways.compose.conf").read_text())
    assert named == [(address, str(options["port"])) for address in addresses]
    assert (options["host"], options["admin_host"]) == ("0.0.0.0", "0.0.0.0")  # noqa: S104


def test_both_balancers_do_the_same() -> None:
    def plain(name: str) -> list[str]:
        text = re.sub(r"#.*|^ *(access|error)_log .*;", "", (FOLDER / name).read_text(), flags=re.MULTILINE)
        return re.sub(r"[\d.]+:\d+|listen \d+", "ADDRESS", re.sub(r"listen [\d.:]+", "ADDRESS", text)).split()

    assert plain("gateways.conf") == plain("gateways.compose.conf")


@pytest.mark.parametrize("places", ["gateways.conf", "gateways.compose.conf"])
def test_nginx_takes_its_configuration(tmp_path: Path, places: str) -> None:
    (tmp_path / "nginx.conf").write_text((FOLDER / "nginx.conf").read_text())
    (tmp_path / "gateways.conf").write_text((FOLDER / places).read_text())
    done = subprocess.run(
        [program("nginx"), "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "[" in done.stderr) == (0, False), done.stderr


def test_a_container_gets_what_the_configuration_asks_for() -> None:
    asked = set(re.findall(r'"env:(\w+)"', (FOLDER / "exam-compat.toml").read_text()))
    for each in GATEWAYS.values():
        assert each["environment"].keys() == asked
        # What only the operator knows has to be given, or compose says which it lacks.
        assert {value for name, value in each["environment"].items() if name != "STORE_URL"} == {
            f"${{{name}:?}}" for name in asked - {"STORE_URL"}
        }
        assert (
            f"http://127.0.0.1:{_options(json.loads(CONTAINER['CMD']))['admin_port']}/readyz"
            in each["healthcheck"]["test"][-1]
        )
    mounted = [volume.split(":") for each in COMPOSE["services"].values() for volume in each["volumes"]]
    assert all((FOLDER / source).is_file() for source, *_ in mounted if source.startswith("."))


def test_whoever_stops_a_gateway_waits_for_its_calls() -> None:
    least = _options(json.loads(CONTAINER["CMD"]))["stop_within"] + LIMIT_FOR_WORKERS
    for each in GATEWAYS.values():
        assert int(each["stop_grace_period"].removesuffix("s")) > least
    unit = _unit()
    least = _options(shlex.split(unit["ExecStart"])[1:])["stop_within"] + LIMIT_FOR_WORKERS
    assert int(unit["TimeoutStopSec"]) > least
    # The parent alone is told: it stops its workers itself.
    assert unit["KillMode"] == "mixed"


def test_redis_runs_as_the_container_says(tmp_path: Path) -> None:
    name, file, *options = COMPOSE["services"]["redis"]["command"]
    assert (name, file) == ("redis-server", "/etc/redis.conf")
    here = dict(zip(options[::2], options[1::2], strict=True))
    # In a container it has a network of its own; here it stays with this machine.
    here.update({"--dir": str(tmp_path), "--bind": "127.0.0.1"})
    with RedisServer(tmp_path, *(word for pair in here.items() for word in pair), file=FOLDER / "redis.conf") as redis:
        assert redis.client().config_get("appendfsync") == {"appendfsync": "always"}
        assert redis.client().config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert COMPOSE["networks"]["store"] == {"internal": True}
    on_it = {name for name, each in COMPOSE["services"].items() if "store" in each["networks"]}
    assert on_it == {"redis", *GATEWAYS}


def _unit() -> dict[str, str]:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(FOLDER / "exam-compat.service")
    return dict(parser["Service"])


def test_systemd_takes_the_unit_and_finds_it_shut_in(tmp_path: Path) -> None:
    analyze = program("systemd-analyze")
    unit = tmp_path / "exam-compat.service"
    here = str(Path(sys.executable).with_name("exam-compat"))
    unit.write_text((FOLDER / unit.name).read_text().replace("/opt/exam-compat/bin/exam-compat", here))
    verified = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    rated = subprocess.run(
        [analyze, "security", "--offline=yes", "--no-pager", "--threshold=20", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    # Of ten, two at the most; a unit without a word of it has 9.6.
    assert rated.returncode == 0, rated.stdout
