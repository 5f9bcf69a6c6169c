"""Runs the steps of a Dockerfile where there is no registry of images; a process of its own, in namespaces of its own.

In the place of the base image stands this machine's system: each stage is an overlay over its root, in which the steps
run by chroot, as the user and in the folder that the Dockerfile names. All of it goes with the process. Three things
are not proved: that the base image has what this machine has, that apt has the packages which a step names (such steps
are left out, and counted), and what pip would fetch from an index (dependencies are copied from where the tests run).
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from environments import Environment, needed_by

VENV = "opt/exam-compat"
PORTS = (8080, 8081)


def instructions(text: str) -> list[tuple[str, str]]:
    """A Dockerfile's instructions: name and the rest."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in whole if line.strip())]


@dataclass
class Stage:
    """A stage, and what its instructions have said so far."""

    root: Path
    environment: dict[str, str]
    user: str = "0"
    folder: str = "/"
    said: dict[str, Any] = field(default_factory=dict)

    def command(self, *words: str) -> list[str]:
        """The words as a command in the stage."""
        return [
            "chroot",
            f"--userspec={self.user}:{self.user}",
            str(self.root),
            "env",
            f"--chdir={self.folder}",
            *words,
        ]

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the stage."""
        return subprocess.run(
            self.command(*words), env=self.environment, check=check, capture_output=True, text=True, timeout=250
        )


class Build:
    """The stages of a Dockerfile.

    Args:
        work: an empty folder.
        context: what the build may copy.
        packages: a folder of packages that a build by pip needs.
    """

    def __init__(self, work: Path, context: Path, packages: str) -> None:
        self.stages: dict[str, Stage] = {}
        self.left_out: list[str] = []
        self._work, self._context, self._packages = work, context, packages
        self._arguments: dict[str, str] = {}

    def step(self, name: str, rest: str) -> None:
        """Carry one instruction out."""
        getattr(self, f"_{name.lower()}")(Template(rest).safe_substitute(self._arguments))

    @property
    def last(self) -> Stage:
        """The stage that was begun last."""
        return [*self.stages.values()][-1]

    def _arg(self, rest: str) -> None:
        name, _, value = rest.partition("=")
        self._arguments[name] = value

    def _from(self, rest: str) -> None:
        base, _, name = rest.partition(" AS ")
        folders = [self._work / str(len(self.stages)) / each for each in ("upper", "work", "root")]
        for folder in folders:
            folder.mkdir(parents=True)
        upper, work, root = folders
        _mount("overlay", root, "-t", "overlay", "-o", f"lowerdir=/,upperdir={upper},workdir={work}")
        _mount("proc", root / "proc", "-t", "proc")
        _mount("/dev", root / "dev", "--rbind")
        # The tests' Python may lie where only root can look.
        for place in Path(sys.base_prefix).parents:
            (root / place.relative_to("/")).chmod(0o755)
        environment = {"PATH": f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8"}
        self.stages[name or base] = Stage(root, environment, said={"base": base})

    def _run(self, rest: str) -> None:
        if rest.startswith("apt-get "):
            self.left_out.append(rest)
            return
        # No index is asked.
        offline = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PYTHONPATH": self._packages}
        self.last.run("env", *(f"{name}={value}" for name, value in offline.items()), "/bin/sh", "-c", rest)

    def _copy(self, rest: str) -> None:
        *options, source, target = rest.split()
        start = self._context
        for option in options:
            start = self.stages[option.removeprefix("--from=")].root
        shutil.copytree(
            start / source.lstrip("/"), self.last.root / target.lstrip("/"), symlinks=True, dirs_exist_ok=True
        )

    def _env(self, rest: str) -> None:
        name, _, value = rest.partition("=")
        self.last.environment[name] = Template(value).substitute(self.last.environment)

    def _workdir(self, rest: str) -> None:
        self.last.folder = rest
        (self.last.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def _user(self, rest: str) -> None:
        self.last.user = rest

    def _expose(self, rest: str) -> None:
        self.last.said["EXPOSE"] = [int(each) for each in rest.split()]

    def _healthcheck(self, rest: str) -> None:
        self.last.said["HEALTHCHECK"] = json.loads(rest.partition(" CMD ")[2])

    def _entrypoint(self, rest: str) -> None:
        self.last.said["ENTRYPOINT"] = json.loads(rest)

    def _cmd(self, rest: str) -> None:
        self.last.said["CMD"] = json.loads(rest)


def _lay_in(place: Environment) -> None:
    """Lay what the gateway needs into an environment; copied, since in a container nothing else is there."""
    place.link(needed_by(place.packages, ("gateway",)))
    for link in [each for each in place.packages.iterdir() if each.is_symlink()]:
        target = link.resolve()
        link.unlink()
        (shutil.copytree if target.is_dir() else shutil.copy)(target, link)


def _mount(what: str, where: Path, *options: str) -> None:
    subprocess.run(["mount", *options, what, str(where)], check=True)


def _own_loopback() -> None:
    """Bring up the loopback of this network namespace, which has nothing else."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))


def tried(stage: Stage, config: str, secrets: dict[str, str]) -> dict[str, Any]:
    """What a container of the last stage does: read-only but for /tmp, with a configuration laid into it."""
    (stage.root / "etc/exam-compat/exam-compat.toml").write_text(config)
    _mount("tmpfs", stage.root / "tmp", "-t", "tmpfs")
    _mount("overlay", stage.root, "-o", "remount,ro")
    said: dict[str, Any] = {**stage.said, "before": stage.run(*stage.said["HEALTHCHECK"], check=False).returncode}
    said["version"] = stage.run(*stage.said["ENTRYPOINT"], "--version").stdout
    started = stage.command(*stage.said["ENTRYPOINT"], *stage.said["CMD"])
    environment = {**stage.environment, **secrets}
    output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with subprocess.Popen(started, env=environment, text=True, **output) as gateway:
        for _ in range(300):
            said["healthy"] = stage.run(*stage.said["HEALTHCHECK"], check=False).returncode
            if said["healthy"] == 0 or gateway.poll() is not None:
                break
            time.sleep(0.1)
        said["user"] = os.stat(f"/proc/{gateway.pid}").st_uid
        said["listens"] = [port for port in PORTS if f"00000000:{port:04X}" in Path("/proc/net/tcp").read_text()]
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{PORTS[0]}/api/v3/exams/17/index_students", timeout=30)
        except urllib.error.HTTPError as error:
            said["status"], said["answer"] = error.code, json.load(error)
        gateway.terminate()
        said["log"] = gateway.communicate(timeout=60)[1]
    said["exit"] = gateway.returncode
    return said


def main(file: str, context: str, work: str, packages: str, config: str) -> None:
    """Build, try, and print what was found as JSON; the variables of the configuration come from the environment."""
    _own_loopback()
    _mount("proc", Path("/proc"), "-t", "proc")
    _mount("tmpfs", Path(work), "-t", "tmpfs")
    build = Build(Path(work), Path(context), packages)
    for name, rest in instructions(Path(file).read_text()):
        build.step(name, rest)
        if "pip install" in rest:
            _lay_in(Environment(build.last.root / VENV))
    names = ("UPSTREAM_URL", "UPSTREAM_TOKEN", "UPSTREAM_SECRET", "REGISTRAR_TOKEN", "REGISTRAR_SECRET", "STORE_URL")
    found = tried(build.last, Path(config).read_text(), {name: os.environ[name] for name in names})
    print(json.dumps({**found, "left_out": build.left_out}))  # noqa: T201  # read by the test


if __name__ == "__main__":
    main(*sys.argv[1:])
