"""What is found of the old interface: in every string form, in other libraries and languages, and nothing else."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as SarifLog

from compat.migration.codemod import refused_lines
from compat.migration.scan import Find, Problem, Scanned, Source, finds_in, left_out, sarif, scan_files, sources
from compat.migration.scan.python_uses import python_uses
from compat.migration.scan.text_uses import text_uses

LIST = "index-students-route"

PYTHON = {
    "plain": ('get("https://a.example/api/v3/exams/17/index_students")', LIST),
    "f-string": ('get(f"{url}/api/v3/exams/{exam}/show_student")', "show-student-route"),
    "format": ('get("{}/api/v3/exams/{}/add_student".format(url, exam))', "add-student-route"),
    "percent": ('get("%s/exams/%s/delete_student" % (url, exam))', "delete-student-route"),
    "plus": ('get(url + "/exams/" + str(exam) + "/index_students")', LIST),
    "join": ('get("/".join([url, "exams", str(exam), "show_student"]))', "show-student-route"),
    "urljoin": ('get(urljoin(url, "exams/17/add_student"))', "add-student-route"),
    "path": ('get(os.path.join(url, "exams", exam, "show_student"))', "show-student-route"),
    "the last part alone": ('get(url + "index_students")', LIST),
    "action by a constant": ('ACTION = "show_student"\nget(f"{url}/exams/{exam}/{ACTION}")', "show-student-route"),
    "bytes": ('send(b"GET /api/v3/exams/17/index_students HTTP/1.1")', LIST),
    "attribute": (
        "class A:\n    def __init__(self):\n        self.base = url + '/exams/'\n"
        "    def get(self, e):\n        get(self.base + e + '/show_student')",
        "show-student-route",
    ),
}


@pytest.mark.parametrize(("code", "rule"), PYTHON.values(), ids=PYTHON)
def test_a_route_is_found_in_every_form(code: str, rule: str) -> None:
    (found,) = [use for use in python_uses(code) if use[2] == rule]
    assert found[0] == code.count("\n") + 1


@pytest.mark.parametrize(
    "code",
    [
        '"""Replaces exams/17/index_students."""',
        "# exams/17/index_students",
        "school.add_student(pupil)",
        'print("show_student")',
        'get("/api/v3/exams/17/show_lti_student")',
        'get("/api/v3/exams/17/student_sessions")',
        "def index_students(): pass",
        "import compat\ncompat.StudentSessionsClient().sessions(17)",
    ],
)
def test_what_is_no_use_is_not_found(code: str) -> None:
    assert list(python_uses(code)) == []


@pytest.mark.parametrize(
    ("code", "library"),
    [
        ("import httpx\nhttpx.get('https://a/api/v3/exams/1/index_students')", "httpx"),
        ("import aiohttp as a\na.ClientSession().get('https://a/api/v3/exams/1/index_students')", "aiohttp"),
        ("from urllib.request import urlopen\nurlopen('https://a/api/v3/exams/1/index_students')", "urllib"),
        ("import subprocess\nsubprocess.run(['curl', 'https://a/api/v3/exams/1/index_students'])", "subprocess"),
        (
            "import http.client\nhttp.client.HTTPSConnection('a').request('GET', '/api/v3/exams/1/index_students')",
            "http",
        ),
    ],
)
def test_who_sends_it(code: str, library: str) -> None:
    assert [(use[2], use[3]) for use in python_uses(code)] == [(LIST, library)]


def test_our_deprecated_names_under_any_alias() -> None:
    code = (
        "import compat as c\n"
        "from compat import ExamStudentsClient as Old, StudentSessionsClient\n"
        "a = c.ExamStudentsClient()\n"
        "b = Old()\n"
        "é = (b\n    .index_students(17))\n"
        "c.install()\n"
    )
    assert [use[:3] for use in python_uses(code)] == [
        (2, 20, "old-client"),
        (3, 5, "old-client"),
        (4, 5, "old-client"),
        (6, 6, "index-students-method"),
        (7, 1, "shim"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        'curl -s "$URL/api/v3/exams/$EXAM/index_students"',
        "const url = `${base}/exams/${id}/index_students?${query}`;",
        '$client->get("exams/{$id}/show_student");',
        'HttpResponse r = get(base + "/exams/" + id + "/delete_student");',
        "path: /api/v3/exams/{id}/add_student",
        "PROCTOREXAM_ROUTE=index_students",
    ],
)
def test_other_languages_by_their_lines(line: str) -> None:
    (use,) = text_uses("\n" + line)
    assert (use.line, line[use.column - 1 :].split("_")[0]) == (2, use.rule.split("-")[0])


def test_a_method_of_somebody_elses_class_is_no_route() -> None:
    assert list(text_uses("exams.each { |exam| exam.add_student(pupil) }")) == []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with code of its own, of others, and broken files."""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("generated/\n*.log.py\n!kept.log.py\n")
    use = "import requests\nrequests.get('https://a/api/v3/exams/1/index_students')\n"
    for name in (
        *("own.py", "generated/made.py", "a.log.py", "kept.log.py", "node_modules/x/index.py", "deep/er/own.py"),
        *("env/lib/other.py", "deep/generated/made.py"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(use)
    (tmp_path / "env/pyvenv.cfg").write_text("home = /usr\n")
    (tmp_path / "broken.py").write_text("def broken(:\n    'exams/1/index_students'\n")
    (tmp_path / "latin.py").write_bytes(b"# \xe9\nx = 'exams/1/index_students'\n")
    (tmp_path / "declared.py").write_bytes(b"# coding: latin-1\nx = '\xe9', 'exams/1/index_students'\n")
    (tmp_path / "job.sh").write_text("curl $U/api/v3/exams/1/index_students\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0exams/1/index_students")
    (tmp_path / "loop").symlink_to(tmp_path)
    return tmp_path


def scanned(*paths: Path, exclude: tuple[str, ...] = ()) -> tuple[list[Find], list[Problem]]:
    found = looked_at(*paths, exclude=exclude)
    return found.finds, found.problems


def looked_at(*paths: Path, exclude: tuple[str, ...] = ()) -> Scanned:
    return scan_files(sources(paths, exclude), refused_lines)


def test_a_tree_without_what_its_owner_ignores(tree: Path) -> None:
    finds, problems = scanned(tree)
    assert [Path(each.path).relative_to(tree).as_posix() for each in finds] == [
        *("broken.py", "declared.py", "deep/er/own.py", "job.sh", "kept.log.py", "latin.py", "own.py")
    ]
    assert [(Path(each.path).name, each.reason.partition(":")[0]) for each in problems] == [
        ("broken.py", "not read as Python"),
        ("latin.py", "neither UTF-8 nor in the encoding that it declares"),
    ]


def test_what_is_above_a_tree_ignores_too(tree: Path) -> None:
    assert [Path(each.path).name for each in scanned(tree / "deep")[0]] == ["own.py"]


def test_exclusions_and_names(tree: Path) -> None:
    finds, problems = scanned(tree, tree / "none", exclude=("*.sh", "/deep", "broken.py", "latin.py"))
    assert [Path(each.path).name for each in finds] == ["declared.py", "kept.log.py", "own.py"]
    assert [each.reason for each in problems] == ["no such file or directory"]
    assert looked_at(tree / "picture.png").unread() == "1 file was not read: 1 binary"


def test_each_find_says_whether_it_is_rewritten(tree: Path) -> None:
    (find,) = finds_in(Source(tree / "own.py"), refused_lines)
    assert isinstance(find, Find)
    assert (find.rewritable, "secret key" in find.why_not) == (False, True)
    (shell,) = finds_in(Source(tree / "job.sh"), refused_lines)
    assert isinstance(shell, Find)
    assert "only Python" in shell.why_not


def test_sarif_is_valid_and_says_the_same(tree: Path) -> None:
    finds, problems = scanned(tree)
    log = SarifLog.model_validate(sarif(finds, problems))
    (run,) = log.runs
    assert run.results is not None
    assert sorted(each.ruleId or "" for each in run.results) == sorted(each.rule for each in finds)
    places = [each.locations[0].physicalLocation for each in run.results if each.locations]
    assert len(places) == len(finds)
    assert run.invocations is not None
    assert len(run.invocations[0].toolExecutionNotifications or ()) == len(problems)
    rules = [each.id for each in run.tool.driver.rules or ()]
    assert all(rules[each.ruleIndex or 0] == each.ruleId for each in run.results)


def many(count: int) -> list[Find]:
    """Uses of which few are certain, those last."""
    unsure = [Find(f"jobs/{number % 700}.sh", number, 1, LIST, why_not="only Python") for number in range(1, count - 9)]
    return [
        *unsure,
        *[Find("z.py", number, 1, "old-client", library="compat", rewritable=True) for number in range(1, 11)],
    ]


def test_a_code_host_takes_the_log_whatever_was_found() -> None:
    log = sarif(many(26_000), [Problem(f"{number}.py", "cut off") for number in range(1_200)])
    (run,) = log["runs"]
    assert len(run["results"]) == 25_000
    assert [each["ruleId"] for each in run["results"][:11]] == ["old-client"] * 10 + [LIST]
    assert len(gzip.compress(json.dumps(log).encode())) < 10_000_000
    assert left_out(log) == [
        "200 more files were not looked at.",
        "25,000 of 26,000 finds are in this log, the most certain ones, since code hosts take no more; left out: 1,000 "
        "of index-students-route. exam-compat scan --json has all of them.",
    ]
    assert left_out(sarif(many(25_000), [])) == []


def test_a_log_is_no_larger_than_a_code_host_takes() -> None:
    log = sarif(many(4_000), [], most_bytes=6_000)
    assert len(gzip.compress(json.dumps(log).encode())) < 7_000
    assert 10 < len(log["runs"][0]["results"]) < 4_000
    assert log["runs"][0]["results"][0]["ruleId"] == "old-client"
    assert "of 4,000 finds" in left_out(log)[0]


def test_every_find_has_a_line_and_a_path_of_its_repository(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [{"cell_type": "code", "source": ["get('exams/1/index_students')"]}]
    (tree / "deep/er/a b.ipynb").write_text(json.dumps({"nbformat": 4, "metadata": {}, "cells": cells}))
    for here, named in ((tree / "deep", Path("er")), (tree, tree / "deep"), (tree.parent, tree / "deep")):
        monkeypatch.chdir(here)
        finds, problems = scanned(named)
        (run,) = sarif(finds, [*problems, Problem(str(named / "none.py"), "no such file")])["runs"]
        (note,) = run["invocations"][0]["toolExecutionNotifications"]
        places = [place["physicalLocation"] for each in [*run["results"], note] for place in each["locations"]]
        assert {
            place["artifactLocation"]["uri"].rpartition("/")[2]: place["region"]["startLine"] for place in places
        } == {
            "own.py": 2,
            "a%20b.ipynb": 1,
            "none.py": 1,
        }
        assert all(place["artifactLocation"]["uri"].startswith("deep/") for place in places)
