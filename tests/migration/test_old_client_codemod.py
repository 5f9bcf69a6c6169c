"""The old client rewritten: all of a module's uses, or none."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import pytest
from rewriting import account, comments, run, settled

from compat.migration.codemod import rewritten
from compat.testing.sandbox import Sandbox

HEAD = """\
import os
import warnings

import compat
from compat import ExamStudentsClient as Old

warnings.simplefilter("ignore", compat.LegacyApiWarning)
upstream = compat.StudentSessions(
    os.environ["PROCTOREXAM_URL"],
    api_token=os.environ["PROCTOREXAM_TOKEN"],
    secret_key=os.environ["PROCTOREXAM_SECRET"],
)
"""

CERTAIN = {
    "a page": """
        client = compat.ExamStudentsClient(upstream)  # the old one
        page = client.index_students(17, limit=5, sort=[{"id": "desc"}])
        print(page.item_count, page.page_count, [s["id"] for s in page.students])
        """,
    "an alias and credentials": """
        client = Old(base_url=os.environ["PROCTOREXAM_URL"], api_token=os.environ["PROCTOREXAM_TOKEN"],
                     secret_key=os.environ["PROCTOREXAM_SECRET"])
        for student in client.index_students(exam_id=18).students:
            print(sorted(student.items(), key=str))
        """,
    "pages in a function that gets the client": """
        def every(client, exam):
            number, pages = 1, 1
            while number <= pages:
                page = client.index_students(exam, page=number, limit=4)
                pages = page.page_count
                yield from page.students  # in their order
                number += 1


        old = Old(upstream)
        print([s["email"] for s in every(old, 17)])
        print([s["email"] for s in every(old, 18)])
        """,
    "a class that has one": """
        class Report:
            def __init__(self):
                self.client = Old(upstream)

            def first(self, exam: int) -> compat.StudentsPage:
                page = self.client.index_students(exam, limit=1)
                return page.students

            def one(self, exam):
                page = self.client.index_students(exam, limit=1)
                return self.client.show_student(exam, page.students[0]["id"])


        print(list(Report().one(17).items()))
        """,
    "the siblings": """
        client: Old = compat.ExamStudentsClient(upstream)
        added = client.add_student(17, "Ann", email="ann@example.org", skip_requirements=True)
        print(added["name"], client.show_student(exam_id=17, student_session_id=added["id"])["email"])
        client.delete_student(17, added["id"])
        try:
            client.show_student(17, added["id"])
        except compat.StudentSessionNotFound:
            print("gone")
        """,
}


def script(body: str) -> str:
    return HEAD + textwrap.dedent(body)


@pytest.fixture(scope="module")
def world() -> Iterator[Sandbox]:
    with Sandbox(students=60, exams=3, clamp=25) as sandbox, account(sandbox):
        yield sandbox


@pytest.mark.parametrize("body", CERTAIN.values(), ids=CERTAIN)
def test_a_rewritten_script_prints_the_same(world: Sandbox, body: str) -> None:
    old = script(body)
    found = settled(old)
    assert found.left == ()
    assert "ExamStudentsClient" not in found.code
    assert "StudentsPage" not in found.code
    expected = run(old)
    assert expected
    # Nothing that is called is deprecated any more.
    assert run(found.code.replace('"ignore", compat', '"error", compat')) == expected
    assert comments(found.code) == comments(old)


REFUSED = {
    "another upstream": (
        "c = Old(compat.PaginatedSessions('https://a.example'))\nc.index_students(17)",
        "which upstream",
    ),
    "a configuration": ("c = Old()\nc.index_students(17)", "which upstream"),
    "a subclass": ("class Mine(Old):\n    pass", "more than to make a client"),
    "a check of the type": ("print(isinstance(upstream, Old))", "more than to make a client"),
    "a star": ("c = Old(upstream)\nc.index_students(*given)", "star"),
    "any client": ("c = Old(upstream)\nd.index_students(17)", "`d` may be an ExamStudentsClient"),
    "two kinds of client": (
        "c = Old(upstream) if upstream else None\nc.index_students(17)",
        "`c` is not only a client",
    ),
    "a client of which nothing is known": (
        "def every(c):\n    return c.index_students(17).students\n\nevery(Old(upstream))\nevery(other)",
        "is not only a client",
    ),
    "a client for others": (
        "class Made:\n    def client(self):\n        return Old(upstream)\n\nMade().client().index_students(17)",
        "returned to who knows whom",
    ),
    "a page that is handed on": ("c = Old(upstream)\nsave(c.index_students(17))", "`save`"),
    "a client that is handed on": ("c = Old(upstream)\nsave(c)", "`save`"),
    "a bound method": ("c = Old(upstream)\nlisted = c.index_students", "not followed"),
    "what a deletion returns": ("c = Old(upstream)\nprint(c.delete_student(17, 5))", "delete_student returns"),
    "a page's other attribute": ("c = Old(upstream)\nprint(c.index_students(17).total)", "no `total`"),
    "changed by the script": ("Old.index_students = patched", "more than to make a client"),
}


@pytest.mark.parametrize(("body", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_certain_stays(body: str, reason: str) -> None:
    old = script(body + "\n")
    found = rewritten(old)
    assert found.code == old
    assert any(reason in each.reason for each in found.left), found.left
    assert all(each.by_hand for each in found.left)


def test_a_configuration_of_student_sessions_makes_its_clients_certain() -> None:
    old = script("c = Old()\nd = Old(compat.load_config())\nprint(c.index_students(17).students)\n")
    found = rewritten(old, "student_sessions")
    assert 'c = StudentSessionsClient(records="whole")' in found.code
    assert 'd = StudentSessionsClient(compat.load_config(), records="whole")' in found.code
    assert rewritten(old, "paginated_sessions").code == old


def test_imports_are_joined() -> None:
    old = "from compat import ExamStudentsClient, StudentSessions\n\nc = ExamStudentsClient(StudentSessions('u'))\n"
    assert rewritten(old).code.startswith("from compat import StudentSessions, StudentSessionsClient\n\n")


def shimmed(rest: str = "", first: str = "import os") -> str:
    return (
        f"{first}\n\nimport compat\nimport requests\n\nsession = requests.Session()\n"
        'upstream = compat.StudentSessions(os.environ["U"], api_token="t", secret_key="s")\n'
        '# answered anew\ncompat.mount(session, "https://a.example", upstream)  # for now\n' + rest
    )


def test_the_shim_goes_with_the_last_old_call() -> None:
    code = settled(shimmed('print("done")\n')).code
    assert "mount" not in code
    assert "StudentSessions(" not in code
    assert "# answered anew\n# for now\nprint" in code


@pytest.mark.parametrize(
    ("old", "reason"),
    [
        (shimmed('session.get("https://a.example/api/v3/exams/17/index_students").text\n'), "old calls are left"),
        (shimmed("session.get(url)\n"), "may make an old call"),
        (shimmed("print(requests.get(url))\n"), "may make an old call"),
        (shimmed("x.send(request)\n"), "may make an old call"),
        (shimmed(first="import os, reports"), "`reports`, which is imported here"),
        (shimmed(first="import os\nfrom . import reports"), "`.`, which is imported here"),
        ("import compat\n\nadapter = compat.install()\n", "what it returns is used"),
    ],
)
def test_the_shim_stays_where_it_may_be_needed(old: str, reason: str) -> None:
    found = rewritten(old)
    assert found.code == old
    assert any(reason in each.reason and not each.needed for each in found.left), found.left


def test_with_the_shim_goes_what_only_it_read() -> None:
    old = (
        'import compat\n\npath = "a.toml"\nname = path.strip()\nconfig = compat.load_config(name)\n'
        "KEPT = compat.load_config(path)\ncompat.install(config)\ncompat.install(KEPT)\n"
    )
    code = settled(old).code
    assert "install" not in code
    assert "config = " not in code
    assert "name = " not in code
    # Another module may import it, and it reads the path.
    assert 'path = "a.toml"\n' in code
    assert "KEPT = compat.load_config(path)\n" in code
    shown = settled(old + "print(name)\n").code
    assert "name = path.strip()\n" in shown
    assert "config = " not in shown
    asked = settled(old.replace("path.strip()", "input()")).code
    assert "name = input()\n" in asked
