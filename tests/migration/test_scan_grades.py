"""How sure a find is: calls in every language are found, and names that only look alike do not fail a gate."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import stranger

from compat.migration.scan import Problem, Scanned, scan_files, sources

URL = stranger.URL


def scanned(folder: Path) -> Scanned:
    return scan_files(sources([folder]))


def grades(found: Scanned, folder: Path) -> dict[str, dict[int, str]]:
    told: dict[str, dict[int, str]] = {}
    for find in found.finds:
        told.setdefault(Path(find.path).relative_to(folder).as_posix(), {})[find.line] = find.grade
    return told


def test_a_strangers_repository(tmp_path: Path) -> None:
    found = scanned(stranger.write(tmp_path))
    assert grades(found, tmp_path) == stranger.EXPECTED
    assert [(Path(each.path).name, each.reason, each.read) for each in found.problems] == [
        ("old.py", "Python 2: change it by hand, or let it call the gateway", True)
    ]
    assert (found.not_read, found.unread()) == ([], "")
    (postman,) = [each for each in found.finds if each.rule == "show-student-route" and each.path.endswith(".json")]
    assert postman.grade == "certain"
    assert {each.path for each in found.uses("mention")} > {each.path for each in found.uses("likely")}


@pytest.mark.parametrize(
    ("name", "line", "grade"),
    [
        ("a.sh", f'curl "{URL}" # the old list', "certain"),
        ("a.sh", f'echo "# $x"; curl {URL}', "certain"),
        ("a.js", f"fetch('{URL}'); // index_students", "certain"),
        ("a.js", "fetch(base + '/api/v3/exams/' + id + '/index_students')", "certain"),
        ("a.js", "const url = `${base}/index_students`", "likely"),
        ("a.js", "app.get('/exams/:id/index_students', (req, res) => {})", "mention"),
        ("a.js", "app.get('/api/v3/exams/:id/index_students', handler)", "mention"),
        ("a.rb", 'get "/exams/#{exam.id}/index_students"', "mention"),
        ("a.rb", 'conn.get "/api/v3/exams/#{exam.id}/index_students"', "certain"),
        ("a.rb", 'it { expect(get: "/exams/1/index_students").to route_to("exams#index_students") }', "mention"),
        ("a.js", 'const path = `${BASE}/api/v3/exams/` +\n  id +\n  "/show_student";', "certain"),
        ("a.yaml", "paths:\n  /api/v3/exams/{id}/index_students:\n    get: {}", "certain"),
        ("a.js", "api.get('/exams/' + id + '/index_students').then(show)", "certain"),
        ("a.php", "Route::get('/exams/{id}/index_students', 'Exams@students');", "mention"),
        ("a.php", "$url = 'exams\\/17\\/index_students';", "certain"),
        ("a.go", 'mux.HandleFunc("/exams/{id}/index_students", students)', "mention"),
        ("a.url", f"https://proxy.example/?to={URL.replace('/', '%2F')}", "certain"),
        ("a.c", "/* exams/17/index_students */", "mention"),
        ("a.c", '/* old */ get("/exams/17/index_students");', "certain"),
        ("a.py", "x = client.index_students(17)", "mention"),
        ("a.py", "# exams/17/index_students", "mention"),
        ("a.py", 'x = get(url + "index_students")', "likely"),
        ("a.py", 'x = app.add_url_rule("/exams/<id>/index_students", view_func=f)', "mention"),
        ("a.py", 'x = path("https://a/api/v3/exams/1/index_students")', "certain"),
        ("a.py", 'class V:\n template_name = "exams/index_students.html"', "mention"),
        (
            "a.py",
            "from rest_framework.decorators import action\n@action(url_path='index_students')\ndef f(): pass",
            "mention",
        ),
        ("a.py", "from uplink import get\n@get('exams/{id}/index_students')\ndef f(): pass", "certain"),
        ("a.unknown", f"GET {URL}", "certain"),
    ],
)
def test_one_line(tmp_path: Path, name: str, line: str, grade: str) -> None:
    (tmp_path / name).write_text(line + "\n")
    assert [each.grade for each in scanned(tmp_path).finds] == [grade]


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("latin-1", b""),
        ("utf-8-sig", b""),
        ("utf-16", b""),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("utf-32", b""),
        ("utf-16-le", b"\xff\xfe"),
    ],
)
@pytest.mark.parametrize("name", ["a.ps1", "a", "a.py"])
def test_every_encoding(tmp_path: Path, encoding: str, mark: bytes, name: str) -> None:
    text = f"x = 'é'\r\ny = '{URL}'\r\n"
    (tmp_path / name).write_bytes(mark + text.encode(encoding))
    (find,) = scanned(tmp_path).finds
    assert (find.line, find.column > 5 or name == "a.py", find.grade, find.rewritable) == (2, True, "certain", False)


def test_lines_are_those_of_an_editor(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"x = 1\n\x0c\ny = '\x85 {URL}'\n", encoding="utf-8")
    (tmp_path / "b.sh").write_text(f"x=\x0b\u2028\ncurl {URL}\n", encoding="utf-8")
    assert [(each.line) for each in scanned(tmp_path).finds] == [3, 2]


def test_what_is_no_text_is_told_and_waited_for_by_nobody(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\0" + URL.encode())
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\0\0\1\2")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "round").symlink_to("round")
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "here").symlink_to(".")
    (tmp_path / "away").symlink_to("/usr")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "large.log").touch()
    os.truncate(tmp_path / "large.log", 10_000_001)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "socket"))
        found = scanned(tmp_path)
    assert {Path(each.path).name: each.reason for each in (*found.not_read, *found.problems)} == {
        "a.png": "binary",
        "b.jpg": "binary",
        "pipe": "a named pipe",
        "round": "a link that leads nowhere",
        "nowhere": "a link that leads nowhere",
        "away": "a link to a directory elsewhere",
        "zero": "a device",
        "socket": "a socket",
        "large.log": "larger than 10 MB",
    }
    assert found.unread().startswith("9 files were not read: 2 ")
    (named,) = scan_files(sources([tmp_path / "pipe"])).problems
    assert named.reason == "a named pipe"


@pytest.fixture
def nobody() -> Iterator[Path]:
    """A folder, seen as a user who may not read everything."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        before = os.geteuid()
        try:
            yield Path(folder)
        finally:
            os.seteuid(before)


def test_a_file_and_a_folder_without_permission(nobody: Path) -> None:
    (nobody / "closed").mkdir(mode=0)
    (nobody / "a.sh").touch(mode=0)
    (nobody / "b.sh").write_text(f"curl {URL}\n")
    if os.geteuid() == 0:
        os.seteuid(65534)
    found = scanned(nobody)
    assert [(Path(each.path).name, each.reason) for each in found.problems] == [
        ("a.sh", "Permission denied"),
        ("closed", "Permission denied"),
    ]
    assert [Path(each.path).name for each in found.finds] == ["b.sh"]
    assert found.unread() == "2 files were not read: 2 Permission denied"


def test_each_file_is_looked_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.sh").write_text(f"curl {URL}\n")
    assert len(scan_files(sources([tmp_path, tmp_path / "a.sh", tmp_path])).finds) == 1


def test_a_report_of_an_earlier_scan_is_not_scanned(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{\n  "finds": [\n    {"uses": "GET exams/:id/index_students"}]}')
    (tmp_path / "a.sarif").write_text('{\n  "$schema": "https://a/sarif-2.1.0.json", "x": "exams/1/index_students"}')
    found = scanned(tmp_path)
    assert (found.finds, found.unread()) == ([], "2 files were not read: 2 a report of a scan")


@pytest.mark.parametrize(
    "line",
    [
        *("print 'x'", "print >>f, x; print 'x'", "try: f()\nexcept (A, B), e: pass", "raise E, 'x'", "x = 0777"),
        *("if a <> b: pass", "exec 'x'", "x = ur'a'", "x = 10L"),
    ],
)
def test_python_2_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.py").write_text(f"get('{URL}')\n{line}\n")
    found = scanned(tmp_path)
    if line.startswith("try") and not found.problems:
        return  # Python 3.14 reads it.
    assert found.problems == [
        Problem(str(tmp_path / "a.py"), "Python 2: change it by hand, or let it call the gateway", read=True)
    ]
    assert [each.grade for each in found.finds] == ["certain"]


def test_python_2_that_cannot_be_parsed_is_searched_by_lines(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(f"def f(a, (b, c)):\n    print a\nget('{URL}')\n")
    found = scanned(tmp_path)
    assert found.problems == [Problem(str(tmp_path / "a.py"), "Python 2: read by lines", read=True, line=1)]
    assert [(each.line, each.grade) for each in found.finds] == [(3, "certain")]


def test_a_tree_deeper_than_recursion_and_sums_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(1200):
        os.mkdir("d")
        os.chdir("d")
    Path("a.sh").write_text(f"curl {URL}\n")
    os.chdir(tmp_path)
    Path("b.py").write_text("x = " + " + ".join(["'a'"] * 3000) + f"\nget('{URL}')\n")
    try:
        assert sorted((Path(each.path).name, each.line) for each in scanned(tmp_path).finds) == [
            ("a.sh", 1),
            ("b.py", 2),
        ]
    finally:
        # Python's own removal of a tree may be recursive.
        subprocess.run(["rm", "-rf", "d"], check=True)


def test_a_program_in_one_line_ends(tmp_path: Path) -> None:
    line = "load('https://a.example/x');" * 20_000
    (tmp_path / "a.min.js").write_text(f"{line}fetch('{URL}');{line}\n")
    assert [each.grade for each in scanned(tmp_path).finds] == ["certain"]
