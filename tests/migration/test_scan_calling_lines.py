"""The lines that call: the scan names each of them, wherever the address is written, and no line that never calls."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from forked import needs_fork
from natural_runs import Runners
from natural_scripts import FOLDER, SCRIPTS

from compat.migration.scan import Find, scan_files, sources

MOST_FALSE = 0.02


def found(folder: Path, grade: str = "likely") -> list[Find]:
    return scan_files(sources([folder])).uses(grade)  # type: ignore[arg-type]


def places(folder: Path) -> list[tuple[str, int]]:
    return sorted({(Path(each.path).relative_to(folder).as_posix(), each.line) for each in found(folder)})


def marked(folder: Path) -> list[tuple[str, int]]:
    """The lines behind which a comment says that they call."""
    return sorted(
        (path.relative_to(folder).as_posix(), number)
        for path in folder.rglob("*.py")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if line.endswith("# calls")
    )


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"))


@needs_fork
def test_every_line_of_the_natural_scripts_that_calls_is_found_and_hardly_another(tmp_path: Path) -> None:
    calling: set[tuple[str, int]] = set()
    around: set[tuple[str, int]] = set()
    scripts = [script for script in SCRIPTS if script.can_run]
    with Runners(1) as runners:
        for number, script in enumerate(scripts):
            _, seen = runners.run(script, "usual", tmp_path / str(number))
            calling |= {each.lines[0] for each in seen}
            around |= {line for each in seen for line in each.lines}
    # What cannot be run here was not seen calling.
    left_out = {script.name for script in SCRIPTS} - {script.name for script in scripts}
    uses = {place for place in places(FOLDER) if place[0] not in left_out}
    assert len(calling) > 80
    assert calling - uses == set()
    assert len(uses - around) <= MOST_FALSE * len(uses), uses - around


CASES = {
    "a constant": """
        import requests
        PATH = "/api/v3/exams/%d/index_students"
        def ask(base, exam):
            return requests.get(base + PATH % exam)  # calls
    """,
    "an action on its way": """
        import requests
        class Api:
            def __init__(self, host): self.base = host + "/api/v3/exams/"
            def call(self, exam, action):
                return requests.post(self.base + exam + "/" + action)  # calls
            def add(self, exam):
                return self.call(exam, "add_student")
            def exams(self):
                return requests.get("https://other.example/" + "weather")
    """,
    "a session of its own": """
        import requests
        class Mine(requests.Session):
            def request(self, method, url, **more):
                return super().request(method, "https://a" + url, **more)  # calls
        Mine().get("/api/v3/exams/1/index_students")
    """,
    "a function handed on": """
        import functools, requests
        from concurrent.futures import ThreadPoolExecutor
        def load(path):
            return requests.get("https://a/api/v3/exams/" + path)  # calls
        show = functools.partial(load, "17/show_student")
        with ThreadPoolExecutor() as pool:
            pool.submit(show)
    """,
    "the method's line of a chain": """
        import requests
        url = "https://a/api/v3/exams/1/index_students"
        r = (
            requests.Session()
            .get(url)  # calls
            .json()
        )
    """,
    "a prepared request": """
        from requests import Request, Session
        s = Session()
        def build(exam):
            return Request("GET", f"https://a/api/v3/exams/{exam}/index_students")
        p = s.prepare_request(build(1))
        print(s.send(p).text)  # calls
    """,
    "what is read from an answer is no address": """
        import requests
        def ask():
            return requests.get("https://a/api/v3/exams/1/index_students").json()  # calls
        for student in ask()["students"]:
            requests.post("https://hooks.example", json=student)
            requests.get("https://hooks.example/" + student["name"])
    """,
    "a coroutine": """
        import asyncio, httpx
        async def ask(client, path):
            return await client.get("/exams/1/" + path)  # calls
        async def main():
            async with httpx.AsyncClient(base_url="https://a/api/v3") as client:
                await asyncio.gather(*(ask(client, each) for each in ["index_students"]))
        asyncio.run(main())
    """,
    "what an object holds, is called as, and looks up": """
        import requests
        class Api:
            def __init__(self, exam): self.exam = exam
            @property
            def url(self):
                return "https://a/api/v3/exams/%s/index_students" % self.exam
            def all(self):
                return requests.get(self.url)  # calls
            def __call__(self, action):
                return getattr(requests, "get")("https://a/api/v3/exams/1/" + action)  # calls
        Api(1)("show_student")
    """,
    "the environment sends nothing, and a command does": """
        import os, requests, subprocess
        url = os.environ.get("U", "https://a/api/v3/exams/1/add_student")
        requests.post(url)  # calls
        subprocess.run(["curl", "https://a/api/v3/exams/1/index_students"])  # calls
    """,
    "an object of which nothing is known": """
        import api_of_ours, configparser, requests
        cfg = configparser.ConfigParser()
        url = cfg.get("pe", "url", fallback="https://a/api/v3/exams/1/show_student")
        requests.get(url)  # calls
        api_of_ours.client.get("/exams/1/index_students")  # calls
    """,
    "Python 2": """
        import sys, urllib2
        PATH = "/api/v3/exams/%s/index_students"
        def ask(exam):
            print "asking", exam, \\
                "now"
            try:
                return urllib2.urlopen("https://a" + PATH % exam)  # calls
            except (urllib2.HTTPError, IOError), e:
                print >>sys.stderr, e
                raise ValueError, `exam`
        if ask(17L) <> 0777: print "x"; print
        exec "x = 1"
    """,
    "nobody sends it": """
        PATH = "/api/v3/exams/1/index_students"  # calls
        print(PATH)
    """,
}


@pytest.mark.parametrize("name", CASES)
def test_the_line_is_that_of_the_call(name: str, tmp_path: Path) -> None:
    write(tmp_path, {"a.py": CASES[name]})
    assert places(tmp_path) == marked(tmp_path)


def test_an_address_is_followed_into_other_modules(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "lib/__init__.py": "",
            "lib/paths.py": 'STUDENTS = "exams/%d/index_students"\n',
            "lib/http.py": """
                import requests
                class Base:
                    def fetch(self, path):
                        return requests.get("https://a/api/v3/" + path)  # calls
                def weather(path):
                    return requests.get("https://b/" + path)
            """,
            "lib/exam.py": """
                from .http import Base
                from . import paths
                class Exam(Base):
                    def students(self, id):
                        return self.fetch(paths.STUDENTS % id)  # calls
            """,
            "main.py": """
                from lib.exam import Exam
                from lib.http import weather
                print(Exam().students(17), weather("today"))
            """,
        },
    )
    assert places(tmp_path) == marked(tmp_path)
    (bound,) = [each for each in found(tmp_path, "mention") if each.path.endswith("paths.py")]
    assert (bound.line, bound.grade, bound.rewritable) == (1, "mention", False)


def test_modules_of_one_package_are_all_followed(tmp_path: Path) -> None:
    sends = """
        import requests
        def ask(path):
            return requests.get("https://a/api/v3/exams/1/" + path)  # calls
    """
    main = """
        import lib.one
        import lib.two
        lib.one.ask("index_students")  # calls
        lib.two.ask("index_students")  # calls
    """
    write(tmp_path, {"lib/__init__.py": "", "lib/one.py": sends, "lib/two.py": sends, "main.py": main})
    assert places(tmp_path) == marked(tmp_path)


@pytest.mark.parametrize(
    ("imports", "asks", "holds"),
    [
        ("from . import ask", "ask", "__init__"),
        ("from . import one", "one.ask", "one"),
        ("from .one import ask", "ask", "one"),
    ],
)
@pytest.mark.parametrize("package", ["lib", "jobs-1.2/lib"])
def test_relative_imports_are_followed(tmp_path: Path, package: str, imports: str, asks: str, holds: str) -> None:
    sends = """
        import requests
        def ask(path):
            return requests.get("https://a/api/v3/exams/1/" + path)  # calls
    """
    main = f"""
        {imports}
        {asks}("index_students")  # calls
    """
    inside = {"__init__.py": "", f"{holds}.py": sends, "main.py": main}
    write(tmp_path, {f"{package}/{name}": text for name, text in inside.items()})
    assert places(tmp_path) == marked(tmp_path)


@pytest.mark.parametrize("imports", ["from .one import ask", "from lib.one import ask", "from .two import ask"])
def test_a_name_that_a_package_hands_on_is_followed(tmp_path: Path, imports: str) -> None:
    sends = """
        import requests
        def ask(path):
            return requests.get("https://a/api/v3/exams/1/" + path)  # calls
    """
    main = """
        from lib import ask
        ask("index_students")  # calls
    """
    hands_on = {"lib/__init__.py": imports, "lib/two.py": "from .one import ask", "lib/three.py": "from . import ask"}
    write(tmp_path, {**hands_on, "lib/one.py": sends, "main.py": main})
    assert places(tmp_path) == marked(tmp_path)


def test_modules_that_hand_a_name_to_each_other_end_somewhere(tmp_path: Path) -> None:
    main = """
        from lib import ask
        ask("exams/1/index_students")
    """
    write(tmp_path, {"lib/__init__.py": "from .one import ask", "lib/one.py": "from . import ask", "main.py": main})
    assert [path for path, _ in places(tmp_path)] == ["main.py"]


def test_a_find_says_where_its_address_is_and_a_mark_may_stand_there(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": CASES["a constant"]})
    (find,) = found(tmp_path)
    assert (find.line, find.addresses, find.as_dict()["addresses"]) == (4, (2,), [2])
    path = tmp_path / "a.py"
    path.write_text(path.read_text().replace('students"\n', 'students"  # exam-compat: ignore it goes in May\n'))
    scanned = scan_files(sources([tmp_path]))
    assert (scanned.finds, [each.mark for each in scanned.marked], scanned.problems) == ([], ["it goes in May"], [])
