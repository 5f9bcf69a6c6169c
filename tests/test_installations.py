"""Every documented installation works: each extra, each two of them, and none, in an environment of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import venv
import zipfile
from email import message_from_bytes
from email.policy import default
from itertools import combinations
from pathlib import Path

import pytest
from environments import ROOT, Environment, built_wheel, environment, needed_by, sources
from markdown_it import MarkdownIt

from compat.cli.program import COMMANDS
from compat.gateway.limits import GatewaySettings
from compat.mapping.fast.scanner import extension
from compat.testing.sandbox import Sandbox

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="environments are linked, as POSIX has it")

EXTRAS = ("aiohttp", "all", "cli", "gateway", "httpx", "migration", "regression", "testing")
OFTEN = ((), ("cli", "gateway"))
"""Nothing, and what the README installs; all others take longer than a commit can wait."""
SELDOM = tuple(each for number in (1, 2) for each in combinations(EXTRAS, number) if each not in OFTEN)

PUBLIC = """
import requests
import compat

upstream = compat.StudentSessions("https://acme.proctorexam.com", api_token="t0ken", secret_key="s3cret")
session = requests.Session()
compat.mount(session, "https://acme.proctorexam.com", upstream)
page = compat.ExamStudentsClient(upstream).index_students(17, status="exam_finished")
students: list[dict[str, object]] = list(page.students)
adapter: compat.ExamStudentsAdapter = compat.install("https://acme.proctorexam.com", compat.load_config("a.toml"))
lens = compat.SessionLens
reveal_type(compat.__version__)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_wheel(tmp_path_factory.mktemp("wheel"))


def installed(wheel: Path, folder: Path, extras: tuple[str, ...]) -> Environment:
    made = environment(folder)
    made.install(str(wheel))
    made.link(needed_by(made.packages, extras))
    return made


def helps(place: Environment) -> None:
    """Every command says what it is for, in a process of its own."""
    whole = place.run("exam-compat", "--help")
    assert (whole.returncode, whole.stderr) == (0, "")
    for name in COMMANDS:
        done = place.run("exam-compat", name, "--help")
        assert (name, done.returncode, done.stderr) == (name, 0, "")
        assert done.stdout.startswith(f"Usage: exam-compat {name} ")
        assert name in whole.stdout


@pytest.mark.parametrize("extras", OFTEN, ids=",".join)
def test_every_command_has_its_help(wheel: Path, tmp_path: Path, extras: tuple[str, ...]) -> None:
    helps(installed(wheel, tmp_path / "venv", extras))


@pytest.mark.soak
@pytest.mark.parametrize("extras", SELDOM, ids=",".join)
def test_every_command_has_its_help_with_each_extra_and_each_two(
    wheel: Path, tmp_path: Path, extras: tuple[str, ...]
) -> None:
    helps(installed(wheel, tmp_path / "venv", extras))


@pytest.mark.soak
def test_pip_installs_what_the_documents_name(wheel: Path, tmp_path: Path) -> None:
    """Needs a package index."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", f"{wheel}[cli,gateway]"], check=True, timeout=600)
    helps(Environment(tmp_path / "venv"))


def test_the_description_for_a_package_index_has_no_relative_link(wheel: Path) -> None:
    (name,) = (name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".dist-info/METADATA"))
    described = message_from_bytes(zipfile.ZipFile(wheel).read(name), policy=default)
    urls = dict(text.split(", ", 1) for text in described.get_all("Project-URL", ()))
    assert described["Description-Content-Type"] == "text/markdown"
    rendered = MarkdownIt("commonmark").enable("table").render(described.get_content())
    links = re.findall(r'(?:href|src)="([^"]*)"', rendered)
    assert len(links) > 20
    pages = [link.removeprefix(urls["Documentation"]) for link in links if link.startswith(urls["Documentation"])]
    assert len(pages) == len(links), "a link of README.md that setup.py does not make absolute"
    # What is published there is made of these files.
    assert not [page for page in pages if not (ROOT / page.split("#")[0]).with_suffix(".md").is_file()]
    assert GatewaySettings().deprecation_page == urls["Migration guide"]


def test_three_commands_lead_from_an_empty_environment_to_an_answered_script(wheel: Path, tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Your script in three lines\n")[1]
    first, *others = section.split("```sh\n")[1].split("```")[0].splitlines()
    assert (first, len(others)) == ("pip install -e .", 2)
    place = installed(wheel, tmp_path / "venv", ())
    script = "examples/legacy/late_starters.py"
    (tmp_path / script).parent.mkdir(parents=True)
    shutil.copy(ROOT / script, tmp_path / script)
    commands = "\n".join(others).replace("exam-compat sandbox", "exam-compat sandbox --port 0")
    done = subprocess.run(
        ["bash", "-c", f"set -e\n{commands}"],
        cwd=tmp_path,
        env={"PATH": f"{place.folder / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    os.kill(int(re.findall(r"until you type: kill (\d+)", done.stdout)[0]), signal.SIGTERM)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\n6 of 6\n")


LACKING = {
    ("serve",): "gateway",
    ("scan", "."): "migration",
    ("migrate", "."): "migration",
    ("check", "--html", "check.html", "recordings"): "regression",
    ("check", "--scripts", ".", "recordings"): "migration",
}


def test_a_command_says_which_extra_it_lacks(wheel: Path, tmp_path: Path) -> None:
    place = installed(wheel, tmp_path / "venv", ())
    (tmp_path / "script.py").write_text("import requests\n")
    (tmp_path / "recordings").mkdir()

    def said(*command: str) -> str:
        done = place.run("python", "-m", "compat.cli", *command, cwd=tmp_path)
        assert (command, done.returncode, done.stdout) == (command, 2, "")
        (line,) = done.stderr.splitlines()
        return line

    advice = "which is not installed; get it with: pip install 'exam-students-compat[{}]'"
    for command, extra in LACKING.items():
        assert said(*command).startswith("Error: this needs ")
        assert said(*command).endswith(advice.format(extra))
    # Found by PYTHONPATH alone, it has no metadata that would say which extra that is.
    (metadata,) = place.packages.glob("exam_students_compat-*.dist-info")
    metadata.rename(tmp_path / "metadata")
    for command in (("serve",), ("scan", ".")):
        assert said(*command).endswith(advice.format("all"))


def test_what_needs_no_extra_works_without(wheel: Path, tmp_path: Path) -> None:
    place = installed(wheel, tmp_path / "venv", ())
    with Sandbox(students=20) as sandbox:
        (tmp_path / "exam-compat.toml").write_text(sandbox.toml("student_sessions"))
        listed = place.run("exam-compat", "get", "17", "--limit", "3", "--ndjson", cwd=tmp_path)
        described = place.run("exam-compat", "openapi", cwd=tmp_path)
    assert (listed.returncode, len(listed.stdout.splitlines())) == (0, 3), listed.stderr
    assert described.returncode == 0, described.stderr
    assert json.loads(described.stdout)["openapi"].startswith("3.1")
    unused = place.run("python", "-c", "import sys, compat; print({'click', 'rich'} & {*sys.modules})")
    assert unused.stdout == "set()\n"


def says(place: Environment) -> str:
    """What reads pages there."""
    done = place.run("exam-compat", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()[1]


def test_the_extension_is_built_where_there_is_a_compiler(wheel: Path, tmp_path: Path) -> None:
    if shutil.which("cc") is None or extension() is None:
        pytest.skip("no compiler here, or none that has the headers of Python")
    assert "-cp310-abi3-" in wheel.name
    place = installed(wheel, tmp_path / "venv", ())
    assert says(place) == "Pages are read with the extension in C."


@pytest.mark.skipif(extension() is None, reason="the extension is not built anyway")
def test_without_a_compiler_all_is_installed_but_the_extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "/bin/false")
    place = installed(built_wheel(tmp_path / "wheel"), tmp_path / "venv", ())
    assert not [*place.packages.rglob("_pagescan*.so")]
    assert says(place) == "Pages are read without the extension in C, which was not built."
    edited = environment(tmp_path / "edited")
    edited.link(["setuptools"])
    edited.install("--editable", str(sources(tmp_path / "source")))
    edited.link(needed_by(edited.packages, ()))
    assert says(edited) == "Pages are read without the extension in C, which was not built."


def test_an_older_build_leaves_nothing_in_a_wheel(tmp_path: Path) -> None:
    source = sources(tmp_path / "source")
    build = [sys.executable, "setup.py", "--quiet", "build_py"]
    subprocess.run(build, cwd=source, check=True, timeout=120)
    (built,) = source.glob("build/lib*/compat")
    for gone in ("../exam_compat_gone.py", "gone.py", "cli/gone.py", "gone/__init__.py"):
        (built / gone).parent.mkdir(exist_ok=True)
        (built / gone).touch()
    subprocess.run(build, cwd=source, check=True, timeout=120)
    assert (built / "cli" / "get.py").exists()
    assert not [*built.parent.rglob("*gone*")]


def test_the_source_distribution_has_what_a_gateway_is_deployed_with(tmp_path: Path) -> None:
    source = sources(tmp_path / "source")
    shutil.copytree(ROOT / "deploy", source / "deploy")
    (source / "deploy" / ".env").touch()
    made = [sys.executable, "setup.py", "--quiet", "sdist", "--dist-dir", str(tmp_path)]
    subprocess.run(made, cwd=source, check=True, timeout=120)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {Path(*Path(name).parts[1:]) for name in opened.getnames()}
    assert {path.relative_to(ROOT) for path in (ROOT / "deploy").iterdir()} <= names | {Path("deploy/.env")}
    # Where compose reads its variables: they are secrets.
    assert Path("deploy/.env") not in names


@pytest.mark.parametrize("form", ["editable", "wheel"])
def test_a_type_checker_sees_what_is_installed(wheel: Path, tmp_path: Path, form: str) -> None:
    pytest.importorskip("mypy", reason="the extra typing is not installed")
    place = environment(tmp_path / "venv")
    place.link(["setuptools"])
    what = ("--editable", str(sources(tmp_path / "source"))) if form == "editable" else (str(wheel),)
    place.install(*what)
    place.link({*needed_by(place.packages, ()), "types-requests"})
    script = tmp_path / "elsewhere" / "script.py"
    script.parent.mkdir()
    script.write_text(PUBLIC)
    mypy = [sys.executable, "-m", "mypy", "--strict", "--python-executable", place.python, script.name]
    done = subprocess.run(mypy, cwd=script.parent, capture_output=True, text=True, check=False, timeout=300)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    # What it cannot see it takes for Any, and finds nothing to say.
    assert 'Revealed type is "str"' in done.stdout.replace("builtins.", "")
    found = place.run("python", "-c", "import compat; print(compat.__file__)").stdout
    assert found.startswith(str(tmp_path / "source" if form == "editable" else place.packages))
