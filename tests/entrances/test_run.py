"""``exam-compat run`` and ``EXAM_COMPAT=1``: old scripts as they are, in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from library_dialects import DIALECTS, SHOW, Dialect
from support import signed_url

from compat.testing.sandbox import Sandbox

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and exec are those of POSIX")

COMMAND = str(Path(sys.executable).with_name("exam-compat"))
NEWS = "exam-compat: "


@dataclass(frozen=True)
class Place:
    """A folder with a configuration for a sandbox that serves the old endpoint too."""

    folder: Path
    sandbox: Sandbox

    @property
    def list_url(self) -> str:
        return f"{self.sandbox.base_url}/api/v3/exams/17/index_students"

    def script(self, text: str, name: str = "script.py") -> str:
        path = self.folder / name
        path.write_text(f"LIST = {self.list_url!r}\n{text}", encoding="utf-8")
        return str(path)

    def environment(self, **more: str) -> dict[str, str]:
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("EXAM_COMPAT", "PYTHON"))}
        return {**kept, **more}

    def start(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(**more),
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            input="what stands in standard input\n",
        )

    def run(self, *arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return self.start(COMMAND, "run", *arguments, **more)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("run")
    with Sandbox(students=60, exams=3, clamp=25) as sandbox:
        (folder / "exam-compat.toml").write_text(sandbox.toml("student_sessions"))
        yield Place(folder, sandbox)


def news(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What we said on standard error."""
    return [line for line in done.stderr.splitlines() if line.startswith(NEWS)]


EVERYTHING = """
import atexit, json, multiprocessing, os, pickle, subprocess, sys, threading, warnings
from concurrent.futures import ThreadPoolExecutor
import requests

class Record:
    pass

def ask(number=0):
    return requests.get(LIST, params={"limit": "3"}, timeout=30).headers.get("X-Compat-Answered-By")

def facts():
    return {
        "name": __name__,
        "file": __file__,
        "spec": __spec__ and __spec__.name,
        "module": sys.modules["__main__"].__dict__ is globals(),
        "path": sys.path[0],
        "argv": sys.argv[1:],
        "flags": list(sys.flags),
        "filters": [str(each) for each in warnings.filters],
        "loader": type(__loader__).__name__,
        "requests": type(requests.__spec__.loader).__name__,
        "class": type(pickle.loads(pickle.dumps(Record()))) is Record,
    }

if __name__ == "__main__":
    found = {"facts": facts(), "stdin": sys.stdin.readline(), "answered": {"main": ask()}}
    if "ask" in sys.argv:
        answered = found["answered"]
        with ThreadPoolExecutor(2) as pool:
            answered["pool"] = list(pool.map(ask, range(2)))
        for method in ("fork", "spawn", "forkserver"):
            with multiprocessing.get_context(method).Pool(1) as pool:
                answered[method] = pool.apply(ask)
                if method == "spawn":
                    pool.apply(requests.get, [LIST], {"timeout": 30})
        code = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]], check=True)"
        leaf = f"import requests; print(requests.get({LIST!r}, timeout=30).headers.get('X-Compat-Answered-By'))"
        os.chdir("/")
        answered["grandchild"] = subprocess.run(
            [sys.executable, "-c", code, leaf], capture_output=True, text=True, check=True
        ).stdout.strip()
        answered["isolated"] = subprocess.run(
            [sys.executable, "-I", "-c", leaf], capture_output=True, text=True, check=True
        ).stdout.strip()
        answered["without site"] = subprocess.run(
            [sys.executable, "-S", "-c", "import sys; sys.path += " + repr(sys.path) + "; " + leaf],
            capture_output=True, text=True, check=True,
        ).stdout.strip()
    atexit.register(print, "at exit")
    print(json.dumps(found))
    sys.exit(7)
"""


def test_a_script_finds_everything_as_it_was_and_its_calls_are_answered(place: Place) -> None:
    script = place.script(EVERYTHING)
    plain = place.start(sys.executable, "script.py", "--flag", "-x", "ü", "--", "--config")
    done = place.run("script.py", "--flag", "-x", "ü", "--", "--config")
    assert (plain.returncode, done.returncode) == (7, 7)
    before, after = (json.loads(each.stdout.splitlines()[0]) for each in (plain, done))
    assert before["answered"] == {"main": None}
    assert after["answered"] == {"main": "new"}
    assert after["facts"] == before["facts"]
    assert after["facts"]["file"] == script
    assert after["stdin"] == "what stands in standard input\n"
    assert done.stdout.splitlines()[1] == "at exit"
    assert news(done) == []


def test_threads_and_the_pythons_that_it_starts_are_answered_too(place: Place) -> None:
    script = place.script(EVERYTHING)
    done = place.run("script.py", "ask")
    answered = json.loads(done.stdout.splitlines()[0])["answered"]
    # Without site there is no start-up file; an isolated Python takes no configuration from its environment.
    assert answered.pop("without site") == answered.pop("isolated") == "None"
    assert answered.pop("pool") == ["new", "new"]
    assert set(answered) == {"main", "fork", "spawn", "forkserver", "grandchild"}
    assert set(answered.values()) == {"new"}
    # What a process of multiprocessing unpickled, such as requests.get, has no line of the script's on its stack.
    assert f"{script}:1: LegacyApiWarning: GET exams/:id/index_students" in done.stderr


def test_a_script_that_imports_this_package_first(place: Place) -> None:
    place.script("import compat, requests\nprint(requests.get(LIST, timeout=30).headers['X-Compat-Answered-By'])")
    done = place.run("script.py")
    assert (done.stdout, news(done)) == ("new\n", [])


def test_modules_packages_folders_and_archives(place: Place) -> None:
    text = "import requests\nprint(__name__, __spec__.name, requests.get(LIST, timeout=30).status_code)\n"
    package = place.folder / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    place.script(text, "package/__main__.py")
    with zipfile.ZipFile(place.folder / "archive.pyz", "w") as archive:
        archive.write(package / "__main__.py", "__main__.py")
    assert place.run("-m", "package").stdout == "__main__ package.__main__ 200\n"
    assert place.run("package").stdout == "__main__ __main__ 200\n"
    named = ["--config", str(place.folder / "exam-compat.toml")]
    archive = str(place.folder / "archive.pyz")
    elsewhere = place.start(COMMAND, *named, "run", archive, EXAM_COMPAT_CONFIG="/")
    assert elsewhere.stdout == "__main__ __main__ 200\n"


def test_by_the_environment_alone_as_cron_sets_it(place: Place, tmp_path: Path) -> None:
    script = place.script("import requests\nprint(requests.get(LIST, timeout=30).headers['X-Compat-Answered-By'])")
    environment = {"EXAM_COMPAT": "1", "EXAM_COMPAT_CONFIG": str(place.folder / "exam-compat.toml")}
    done = subprocess.run(
        [sys.executable, script], cwd="/", env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "new\n"
    assert news(done) == []
    off = place.start(sys.executable, script, EXAM_COMPAT="0")
    assert off.returncode == 1
    assert "KeyError: 'x-compat-answered-by'" in off.stderr


def test_a_traceback_is_the_scripts_own(place: Place) -> None:
    place.script("import requests\nrequests.get(LIST, timeout=30)\nraise KeyError('missing')\n")
    plain, done = place.start(sys.executable, "script.py"), place.run("script.py")
    assert done.returncode == plain.returncode == 1
    assert done.stderr.partition("Traceback")[2] == plain.stderr.partition("Traceback")[2] != ""


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("sys.exit()", 0),
        ("sys.exit('why')", 1),
        ("raise SystemExit(300)", 44),
        ("os._exit(5)", 5),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
        ("os.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT),
    ],
)
def test_the_exit_status_and_the_signals_are_the_scripts(place: Place, ending: str, status: int) -> None:
    place.script(f"import os, signal, sys\n{ending}\n", "ending.py")
    # Where the suite was started behind a shell's &, the keyboard's signal is ignored, and so would the script.
    heeding = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
    )
    done = place.start(sys.executable, "-c", heeding, COMMAND, "run", "ending.py")
    assert done.returncode == status


def test_a_script_that_makes_no_call_is_told_so_and_gets_no_requests(place: Place) -> None:
    place.script("import sys\nprint('requests' in sys.modules, 'compat' in sys.modules)\n", "other.py")
    done = place.run("other.py")
    assert done.stdout == "False False\n"
    (line,) = news(done)
    assert line.startswith(f"{NEWS}no deprecated call was caught.")
    assert "exam-compat serve" in line


def test_a_call_in_a_child_counts(place: Place) -> None:
    place.script(
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', f'import requests; requests.get({LIST!r}, timeout=30)'], check=True)\n"
    )
    assert news(place.run("script.py")) == []


def test_the_users_own_start_up_code_runs(place: Place, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import builtins\nbuiltins.from_site = 'site'\n")
    (tmp_path / "usercustomize.py").write_text("import builtins\nbuiltins.from_user = 'user'\n")
    place.script("import site\nprint(from_site, from_user if site.ENABLE_USER_SITE else 'user')\n", "customized.py")
    assert place.run("customized.py", PYTHONPATH=str(tmp_path)).stdout == "site user\n"


def test_a_file_of_the_users_named_requests(place: Place, tmp_path: Path) -> None:
    (tmp_path / "requests.py").write_text("text = 'mine'\n")
    (tmp_path / "script.py").write_text("import requests\nprint(requests.text)\n")
    done = place.run(str(tmp_path / "script.py"))
    assert done.stdout == "mine\n"


QUERIES = ["?limit=7&page=2", '?filter={"id":{"gt":1200}}&sort=[{"name":"desc"}]&limit=5', "?page=0", "?page=99"]
"""Asked as they stand here by every library, which each of them writes in its own way."""


@pytest.fixture(params=DIALECTS, ids=lambda dialect: dialect.name)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    found: Dialect = request.param
    return found


def in_dialect(place: Place, dialect: Dialect, queries: list[str], name: str) -> str:
    quoted = [query.replace('"', "%22") for query in queries]
    return place.script(f"QUERIES = {quoted!r}\n{SHOW}{dialect.script}", name)


@pytest.fixture(scope="module")
def by_requests(place: Place) -> str:
    """What the script prints that calls by ``requests``."""
    in_dialect(place, DIALECTS[0], QUERIES, "by_requests.py")
    return place.run("by_requests.py").stdout


def test_a_script_in_another_library_gets_the_same_bytes(place: Place, dialect: Dialect, by_requests: str) -> None:
    script = in_dialect(place, dialect, QUERIES, "dialect.py")
    done = place.run("dialect.py")
    assert done.stdout == by_requests
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["200", "200", "422", "200"]
    assert " new {" in done.stdout
    assert news(done) == []
    # A warning is shown once for a line, and names the script's own.
    (line,) = (line for line in done.stderr.splitlines() if "LegacyApiWarning" in line)
    text = Path(script).read_text().splitlines()
    path, number, *_ = line.split(":")
    assert path == script
    assert "LIST + query" in text[int(number) - 1]


def test_what_goes_on_to_the_old_endpoint_is_told_nothing_of(place: Place, dialect: Dialect) -> None:
    """By the mode, and where a route is not deprecated: neither is a call that is not caught."""
    signed = signed_url(place.sandbox, "", "index_students", limit="3").partition("index_students")[2]
    text = Path(in_dialect(place, dialect, [signed], "legacy.py")).read_text()
    headers = f", headers={dict(place.sandbox.headers)!r}, timeout=30)"
    if dialect.name == "urllib":
        text = text.replace("urlopen(LIST + query, timeout=30)", f"urlopen(Request(LIST + query{headers[:-13]}))")
        text = text.replace("import urlopen", "import Request, urlopen")
    Path(place.folder, "legacy.py").write_text(text.replace(", timeout=30)", headers))
    done = place.run("legacy.py", EXAM_COMPAT_MODE="legacy")
    assert done.stdout.split()[:4] == ["200", "application/json", "20", "legacy"]
    assert news(done) == []


def test_a_script_that_calls_by_no_library_gets_none(place: Place) -> None:
    """``urllib.request`` is imported by much that never calls: it brings nothing of ours but the start-up code."""
    place.script(
        "import sys, urllib.request\nprint([name for name in ('compat', 'requests') if name in sys.modules])\n"
    )
    assert place.run("script.py").stdout == "[]\n"


def test_a_file_of_the_users_named_like_a_library(place: Place, tmp_path: Path) -> None:
    (tmp_path / "httpx.py").write_text("text = 'mine'\n")
    (tmp_path / "script.py").write_text("import httpx, sys\nprint(httpx.text, 'compat' in sys.modules)\n")
    assert place.run(str(tmp_path / "script.py")).stdout == "mine False\n"


UPSTREAM = "[upstream]\nkind = 'student_sessions'\nbase_url = 'http://a.example'\napi_token = 'a'\n"


def goes_out(place: Place) -> str:
    """A script that asks the old endpoint twice, signed as it wants it."""
    url = signed_url(place.sandbox, place.sandbox.base_url, "index_students", limit="3")
    return f"""
import requests
answers = [requests.get({url!r}, headers={dict(place.sandbox.headers)!r}, timeout=30) for _ in range(2)]
print(answers[0].status_code, answers[0].headers.get("X-Compat-Answered-By"))
"""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no configuration: "),
        (UPSTREAM + "secret_key = 'env:NOT_THERE'\n", "the environment has no variable NOT_THERE"),
        (UPSTREAM + "secret_key = 'b'\n", "[legacy] base_url: needed"),
    ],
    ids=["missing", "wrong", "no old endpoint"],
)
def test_without_a_usable_configuration_calls_go_out_as_they_were(
    place: Place, tmp_path: Path, content: str | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "exam-compat.toml").write_text(content)
    place.script(goes_out(place), "asks.py")
    done = place.run("--config", str(tmp_path / "exam-compat.toml"), "asks.py")
    assert done.stdout == "200 None\n"
    (line,) = news(done)
    assert said in line
    assert line.endswith("; calls go out as they were")


def test_a_module_of_the_users_in_place_of_ours(place: Place, tmp_path: Path) -> None:
    (tmp_path / "compat.py").write_text("mine = True\n")
    (tmp_path / "script.py").write_text(f"import compat\n{goes_out(place)}print(compat.mine)\n")
    done = place.run(str(tmp_path / "script.py"))
    assert done.stdout == "200 None\nTrue\n"
    (line,) = news(done)
    assert line.startswith(f"{NEWS}the shim cannot be loaded (ModuleNotFoundError")
