"""The name of an old route stays wherever a script's output may depend on it; the calls are rewritten all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rewriting import account, run, script, settled

from compat.migration.codemod import rewritten
from compat.migration.scan import scan_files
from compat.migration.scan.files import sources
from compat.testing.sandbox import Sandbox

CALL = """
    def call(action, exam, **params):
        r = requests.get(f"{URL}/api/v3/exams/{exam}/{action}", params=signed(exam, **params), headers=HEADERS)
        return r.json()
"""
SHOW_EACH = """
    rows = call(LIST, 17, limit=3)["students"]
    print([call(SHOW, 17, student_session_id=r["id"])["student"]["email"] for r in rows])
"""
DEPENDS = {
    "a method by the beginning of the name": """
    def call(action, exam, **params):
        method = "DELETE" if action.startswith("delete_") else "GET"
        url = f"{URL}/api/v3/exams/{exam}/{action}"
        return requests.request(method, url, params=signed(exam, **params), headers=HEADERS)

    gone = call("index_students", 19, limit=2, sort='[{"id":"asc"}]').json()["students"][0]["id"]
    print(call("delete_student", 19, student_session_id=gone).status_code, "deleted")
    print("still there:", gone in [s["id"] for s in call("index_students", 19).json()["students"]])
    """,
    "two constants that are compared": """
    LIST = "index_students"
    SHOW = "show_student"

    def call(action, exam, **params):
        r = requests.get(f"{URL}/api/v3/exams/{exam}/{action}", params=signed(exam, **params), headers=HEADERS)
        return r.json()["students" if action == LIST else "student"]

    print([call(SHOW, 17, student_session_id=r["id"])["email"] for r in call(LIST, 17, limit=3)])
    """,
    "an enumeration": """
    import enum

    @enum.unique
    class Route(enum.Enum):
        LIST = "index_students"
        SHOW = "show_student"

    def call(route, exam, **params):
        url = f"{URL}/api/v3/exams/{exam}/{route.value}"
        return requests.get(url, params=signed(exam, **params), headers=HEADERS).json()

    rows = call(Route.LIST, 17, limit=3)["students"]
    print([call(Route.SHOW, 17, student_session_id=r["id"])["student"]["email"] for r in rows])
    """,
    "keys of a dictionary": f"""
    LIST, SHOW = "index_students", "show_student"
    KEYS = dict(index_students="students", show_student="student")
{CALL}
    rows = call(LIST, 17, limit=3)[KEYS[LIST]]
    print([call(SHOW, 17, student_session_id=r["id"])[KEYS[SHOW]]["email"] for r in rows])
    """,
    "a set": f"""
    LISTS = {{"index_students"}}
    LIST, SHOW = "index_students", "show_student"
{CALL}
    for name, more in ((LIST, {{"limit": 3}}), (SHOW, {{"student_session_id": 1318}})):
        print(len(call(name, 17, **more).get("students", ())) if name in LISTS else sorted(call(name, 17, **more)))
    """,
    "a part of a URL": """
    import re

    def call(path, **params):
        url = f"{URL}/api/v3/exams/17/{path}"
        r = requests.get(url, params=signed(17, **params), headers=HEADERS)
        return r.json()["students" if re.search(r"/index", url) else "student"]

    print(len(call("index_students", limit=3)))
    """,
    "what is written elsewhere": """
    import csv, sys

    w = csv.writer(sys.stdout)

    def call(action, **params):
        url = f"{URL}/api/v3/exams/17/{action}"
        r = requests.get(url, params=signed(17, **params), headers=HEADERS)
        w.writerow([action, r.status_code])

    call("index_students", limit=3)
    """,
    "what is counted": """
    from collections import Counter

    seen = Counter()

    def call(action, **params):
        seen[action] += 1
        url = f"{URL}/api/v3/exams/17/{action}"
        return requests.get(url, params=signed(17, **params), headers=HEADERS).status_code

    print(call("index_students", limit=3), dict(seen))
    """,
    "a call that is not rewritten": """
    from concurrent.futures import ThreadPoolExecutor

    U = f"{URL}/api/v3/exams/17/index_students"
    first = requests.get(U, params=signed(17, limit=15), headers=HEADERS)
    pages = int(first.headers["X-Pagination-Page-Count"])
    with ThreadPoolExecutor(2) as pool:
        rest = [pool.submit(requests.get, U, params=signed(17, limit=15, page=page), headers=HEADERS)
                for page in range(2, pages + 1)]
        print([len(r.json()["students"]) for r in [first, *(f.result() for f in rest)]])
    """,
    "a name for requests.get": """
    fetch = requests.get
    U = f"{URL}/api/v3/exams/17/index_students"
    print(requests.get(U, params=signed(17, limit=2), headers=HEADERS).status_code)
    print(fetch(U, params=signed(17, limit=2), headers=HEADERS).json()["students"][0])
    """,
    "a student without an id": """
    def one(**params):
        return requests.get(f"{URL}/api/v3/exams/17/show_student", params=signed(17, **params), headers=HEADERS)

    print(one().status_code, one().json()["errors"])
    """,
    "a list with the id of a student": """
    params = signed(17, limit=2, student_session_id=1318)
    print(requests.get(f"{URL}/api/v3/exams/17/index_students", params=params, headers=HEADERS).status_code)
    """,
}
STILL_OLD = {
    "a set": 'LISTS = {"index_students"}',
    "a call that is not rewritten": (
        "rest = [pool.submit(requests.get, U, params=signed(17, limit=15, page=page), headers=HEADERS)"
    ),
    "a name for requests.get": 'print(fetch(U, params=signed(17, limit=2), headers=HEADERS).json()["students"][0])',
}
"""The lines that the scan finds afterwards."""


@pytest.fixture
def world() -> Iterator[Sandbox]:
    """One for each run: some scripts delete."""
    with Sandbox(students=120, exams=3) as sandbox, account(sandbox):
        yield sandbox


@pytest.mark.parametrize("body", DEPENDS.values(), ids=DEPENDS)
def test_what_a_script_does_by_the_name_it_goes_on_doing(body: str, tmp_path: Path) -> None:
    old = script(body)
    with Sandbox(students=120, exams=3) as before, account(before):
        expected = run(old)
    found = settled(old)
    assert found.changes
    with Sandbox(students=120, exams=3) as after, account(after):
        assert run(found.code) == expected
    assert "student_sessions" not in found.code
    # What was rewritten is no find any more, whatever its address is called; what was not is one.
    (tmp_path / "a.py").write_text(found.code)
    finds = [each for each in scan_files(sources([tmp_path])).finds if each.grade != "mention"]
    lines = {found.code.splitlines()[each.line - 1].strip() for each in finds}
    assert lines == {line for name, line in STILL_OLD.items() if body == DEPENDS[name]}


ALONE = {
    "a constant": """
    ROUTE = "index_students"
    print(requests.get(f"{URL}/api/v3/exams/17/{ROUTE}", params=signed(17, limit=1), headers=HEADERS).status_code)
    """,
    "a function's argument": """
    def ask(path, **params):
        return requests.get(URL + "/api/v3/" + path, params=signed(17, **params), headers=HEADERS)

    print(ask("exams/17/index_students", limit=2).json()["students"][1]["id"])
    """,
    "what a function returns": """
    def address(exam):
        return "{}/api/v3/exams/{}/index_students".format(URL, exam)

    print(requests.get(address(17), params=signed(17), headers=HEADERS).status_code)
    """,
    "an attribute": """
    class Client:
        path = "/exams/17/index_students"

        def __init__(self):
            self.url = URL + "/api/v3" + self.path

        def students(self, **params):
            return requests.get(self.url, params=signed(17, **params), headers=HEADERS).json()["students"]

    print([each["id"] for each in Client().students(limit=3)])
    """,
    "a student by the id": """
    def one(number):
        params = signed(17, student_session_id=number)
        return requests.get(f"{URL}/api/v3/exams/17/show_student", params=params, headers=HEADERS).json()

    print(one(1318))
    """,
}


@pytest.mark.parametrize("body", ALONE.values(), ids=ALONE)
def test_a_name_that_goes_into_one_routes_url_alone_is_the_new_one(world: Sandbox, body: str) -> None:
    old = script(body)
    expected = run(old)
    found = settled(old)
    assert found.left == ()
    assert "index_students" not in found.code
    assert "show_student" not in found.code
    assert run(found.code) == expected


@pytest.mark.parametrize("action", ["index_students", "show_student"])
def test_what_is_called_by_a_name_that_is_looked_up_is_left_and_said(action: str) -> None:
    found = settled(
        script(f"""
        def call(verb, action, params):
            fn = getattr(requests, verb)
            return fn(URL + "/api/v3/exams/17/" + action, params=params, headers=HEADERS)

        print(call("get", "{action}", signed(17)).status_code)
        """)
    )
    assert found.changes == ()
    (left,) = found.left
    assert (left.needed, left.reason) == (True, "the route goes to `fn`, which is not followed")
    assert ("fn(" in found.code.splitlines()[left.line - 1]) == (action == "show_student")


def test_a_constant_of_another_module_that_is_used_for_more_stays() -> None:
    from compat.migration.program.module import Module

    routes = 'ROUTE = "index_students"\n'
    user = script('from routes import ROUTE\nrequests.get(f"{URL}/api/v3/exams/17/{ROUTE}", params=signed(17))\n')
    for more, stays in (("", False), ("print(ROUTE)\n", True)):
        found = rewritten(routes, is_imported=True, name="routes", others=[Module(user + more, name="user")])
        assert ("index_students" in found.code) == stays
