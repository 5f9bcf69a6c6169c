"""What a change costs: a field, route, operator or store is a row of the product, a kind of upstream a row and a file.

Each exercise makes the change in a copy of the package, and looks at it from everywhere in a process of its own.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import compat
from compat.schemas import fields, rules

PACKAGE = Path(compat.__file__).parent


class Copy:
    """A copy of the package in a folder of its own, to be changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(PACKAGE, folder / "compat", ignore=shutil.ignore_patterns("__pycache__"))
        for beside in PACKAGE.parent.glob("exam_compat_*.py"):
            shutil.copy(beside, folder)

    def add_row(self, path: str, before: str, row: str) -> None:
        """Write a row before the one place that holds a text."""
        file = self.folder / "compat" / path
        text = file.read_text(encoding="utf-8")
        assert text.count(before) == 1
        file.write_text(text.replace(before, row + before), encoding="utf-8")

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        command = [sys.executable, "-W", "error", "-c", script]
        return subprocess.run(
            command, env=environment, cwd=self.folder, check=False, capture_output=True, text=True, timeout=120
        )

    def check(self, script: str) -> None:
        """Run a script that asserts something of the changed package."""
        prelude = f"import compat\nassert compat.__file__.startswith({str(self.folder)!r}), compat.__file__\n"
        done = self.run(prelude + script)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


FIELD = """
import json
from compat import SessionLens
from compat.config.file import read_config
from compat.gateway.openapi import document
from compat.legacy.parameters import Parameters
from compat.legacy.query import parse_query
from compat.mapping.lens import stand_ins
from compat.mapping.tables import markdown_tables
from compat.regression.comparing.known import DeclaredLosses
from compat.testing import laws
from compat.upstream.base import LegacySettings
from datetime import timezone

EXAMS = {17: "5b1f0c2e-3c1e-4c86-9d0e-0f6c3c1d2a11"}
session = {
    "id": "5", "applicationId": EXAMS[17], "durationInSeconds": 3600, "wasteDurationInSeconds": 0, "wastePercentage": 0,
    "startedAtTime": "2018-11-17T16:09:39Z", "endedAtTime": "2018-11-17T17:09:39Z", "metadata": {"seat": "B4"},
}
lens = SessionLens(EXAMS)
view = lens.to_legacy(session)
assert len(view.record) == 58 and view.record["seat"] == "B4"
assert lens.to_session(view.record, view.remainder) == session
assert laws.hold(lens, sessions=[session], records=[view.record]) == 2

upstream = {"kind": "paginated_sessions", "base_url": "http://127.0.0.1", "path": "/s", "bearer_token": "t"}
configuration = read_config({"upstream": upstream, "exams": {"17": EXAMS[17]}})
codec = configuration.upstream.codec(LegacySettings())
text = json.dumps(session).encode()
shown = json.loads(codec.render([text], [{}]))
assert shown == [view.record]
laws.compiled_agrees(codec, text)

asked = {"id": "17", "filter": '{"seat":{"eq":"B4"}}', "sort": '[{"seat":"asc"}]'}
query = parse_query(Parameters(asked, {}), timezone.utc)
assert codec.columns([text], 17, ("seat",), {}).values == {"seat": ["B4"]}
assert query.conditions[0].holds("B4")

schemas = document(configuration)["components"]["schemas"]
assert schemas["Student"]["properties"]["seat"]["type"] == ["string", "null"]
assert "| `seat` | a string | looked up | `metadata.seat`, else the roster, else null |" in markdown_tables()
assert "seat" in stand_ins({**session, "metadata": None})
assert bytes(DeclaredLosses("paginated_sessions").texts["seat"]) == b"null"
"""


def test_another_field_is_one_line(copy: Copy) -> None:
    copy.add_row("schemas/student.py", "    incidents = Array(Default([]))\n", '    seat = String(LookedUp("seat"))\n')
    copy.check(FIELD)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("    seat = String()\n", "StudentSchema.seat says nothing of the session: give it a rule"),
        ("    seat = String(Default(4))\n", "StudentSchema.seat: 4 is not a string"),
        ('    seat = String(SessionText("seat"))\n', "StudentSchema.seat: SessionOutputSchema has no field 'seat'"),
        ('    seat = String(Exact("id"))\n', "StudentSchema: id and seat both claim 'id'"),
    ],
)
def test_an_incomplete_field_fails_at_import(copy: Copy, row: str, told: str) -> None:
    copy.add_row("schemas/student.py", "    incidents = Array(Default([]))\n", row)
    done = copy.run("import compat.schemas")
    assert done.returncode == 1
    assert told in done.stderr


OPERATOR = """
import json
from datetime import timezone
from compat.config.file import read_config
from compat.core.plan import make_plan
from compat.doctor.calls import masked
from compat.errors import InvalidParameter
from compat.gateway.openapi import document
from compat.legacy.parameters import Parameters
from compat.legacy.query import operators_of, parse_query
from compat.schemas import COLUMNS
from compat.upstream.base import Columns

def parsed(filter):
    return parse_query(Parameters({"id": "17", "filter": json.dumps(filter)}, {}), timezone.utc)

query = parsed({"name": {"like": "A%"}})
assert [query.conditions[0].holds(name) for name in ("Ann", "Bob", None)] == [True, False, False]
page = Columns([1, 2, 3], {}, [0, 1, 2], {"name": ["Ann", "Bob", None]})
assert make_plan(query, frozenset()).select(page).places == [0]
assert not parsed({"name": {"like": None}}).conditions[0].holds("Ann")
for column, value in (("id", 5), ("start_time", "2018-11-17"), ("archived", True)):
    try:
        parsed({column: {"like": value}})
    except InvalidParameter as error:
        assert error.errors["filter"][0].startswith("Must use one of eq, ne, gt, gte, lt, lte, in, nin: 'like' for")
    else:
        raise AssertionError(column)

upstream = {"kind": "student_sessions", "base_url": "http://127.0.0.1", "api_token": "t", "secret_key": "k"}
schemas = document(read_config({"upstream": upstream}))["components"]["schemas"]
assert [name for name, schema in schemas.items() if "like" in schema.get("properties", ())] == ["StringComparisons"]
assert masked("filter", '{"name":{"like":"Ann"}}') == '{"name":{"like":"xxx"}}'
assert "like" in {each.name for each in operators_of(COLUMNS["name"])}

from hypothesis import find
from compat.testing.strategies import queries
found = find(queries([{"name": "Ann"}]), lambda query: '"like"' in query.get("filter", ""))
parse_query(Parameters({"id": "17", **found}, {}), timezone.utc)

from compat.legacy.routes import INDEX_STUDENTS, LegacyCall
from compat.regression.recordings.redact import CallRedactor
from compat.regression.recordings.pseudonyms import PseudonymKey
from urllib.parse import urlencode
recorded = CallRedactor(PseudonymKey(b"0" * 32), timezone.utc).call(
    LegacyCall(INDEX_STUDENTS, "17", urlencode({"filter": json.dumps({"name": {"like": "Ann%"}})}))
)
assert not recorded.exact and "Ann" not in recorded.parameters["filter"] and '"like"' in recorded.parameters["filter"]
"""


def test_another_operator_is_one_row(copy: Copy) -> None:
    row = '    Operator("like", lambda text, start: text.startswith(start.rstrip("%")), of_types=(String,)),\n'
    copy.add_row("legacy/query.py", '    Operator("gt", operator.gt),\n', row)
    copy.check(OPERATOR)


def test_an_operator_of_no_type_fails_at_import(copy: Copy) -> None:
    row = '    Operator("like", operator.eq, of_types=()),\n'
    copy.add_row("legacy/query.py", '    Operator("gt", operator.gt),\n', row)
    done = copy.run("import compat.legacy.query")
    assert done.returncode == 1
    assert "the operator 'like' compares no type of column" in done.stderr


ROUTE = """
from compat.config.file import read_config
from compat.deprecation import REGISTRY
from compat.doctor import SeenRequest, diagnose
from compat.gateway.openapi import document
from compat.legacy.routes import match_route, misspelt_route
from compat.legacy.signature import Caller, signed
from compat.migration.scan.rules import METHOD_RULES, ROUTE_RULES
from urllib.parse import urlencode
import time

path = "/api/v3/exams/17/find_student"
route, exam = match_route("GET", path)
assert (route.action, exam) == ("find_student", "17")
upstream = {"kind": "student_sessions", "base_url": "http://127.0.0.1", "api_token": "t", "secret_key": "k"}
operation = document(read_config({"upstream": upstream}))["paths"]["/api/v3/exams/{id}/find_student"]["get"]
assert [each["name"] for each in operation["parameters"]][:1] == ["student_session_id"]
assert {"200", "404"} <= set(operation["responses"])
assert REGISTRY["GET exams/:id/find_student"].instead == "GET student_sessions/:id"
assert ROUTE_RULES["find_student"].instead == "StudentSessionsClient.get, or GET student_sessions/:id"
assert "find_student" in METHOD_RULES
assert misspelt_route("/api/v3/exams/17/Find_Student")

caller = Caller("a", "t", "k")
query = urlencode(signed({"student_session_id": "5"}, "k", {"id": "17"}))
request = SeenRequest("GET", f"{path}?{query}", {"authorization": "Token token=t"})
assert diagnose(request, caller, now=time.time()).accepted
import compat.core.call
"""


def test_another_route_is_one_row(copy: Copy) -> None:
    row = 'FIND_STUDENT = replace(SHOW_STUDENT, action="find_student", summary="Find a student")\n'
    copy.add_row("legacy/routes.py", "ROUTES = (INDEX_STUDENTS, ", "from dataclasses import replace\n" + row)
    copy.add_row("legacy/routes.py", "SHOW_STUDENT, ADD_STUDENT, DELETE_STUDENT)", "FIND_STUDENT, ")
    copy.check(ROUTE)


KIND = '''
"""Student sessions of a file: a third kind of upstream."""

import json
from pathlib import Path

from compat.upstream.base import Chunk, Source, Upstream


class _Page(Source):
    person, numbered = {}, False

    def __init__(self, records):
        self._records = records

    def fetch(self, start, limit, step, walk, decode=None):
        rows = [json.dumps(each).encode() for each in self._records[start : start + limit]]
        return Chunk(start, rows, len(self._records), limit)


class FileSessions(Upstream):
    kind = "file_sessions"
    successor_path = "/files"

    def __init__(self, base_url, *, records):
        super().__init__(base_url, frozenset())
        self._records = json.loads(Path(records).read_text())

    def check_query(self, query):
        pass

    def sources(self, query, pushed, options):
        return [_Page(self._records)]

    def codec(self, settings):
        from compat.upstream.student_codec import StudentCodec

        return StudentCodec(settings)

    def one(self, student_session_id, codec, options):
        return None

    add = update = delete = one
'''

OF_KIND = """
import json
from pathlib import Path
from compat.config.file import read_config
from compat.core.call import Shim
from compat.errors import ConfigurationError, LegacyError
from compat.gateway.openapi import document
from compat.gateway.limits import GatewaySettings, deprecation_headers
from compat.legacy.routes import INDEX_STUDENTS, LegacyCall
from compat.regression.comparing.known import DeclaredLosses
from urllib.parse import urlencode

records = [{"id": 1, "exam_id": 17, "name": "Ann"}, {"id": 2, "exam_id": 17, "name": "Bob"}]
Path("records.json").write_text(json.dumps(records))
table = {"kind": "file_sessions", "base_url": "http://127.0.0.1", "records": "records.json"}
configuration = read_config({"upstream": table}, Path.cwd())
shim = Shim(configuration.upstream, configuration.settings)
answer = shim.answer(LegacyCall(INDEX_STUDENTS, "17", urlencode({"filter": '{"name":{"eq":"Bob"}}'})))
assert [each["id"] for each in json.loads(answer.body)["students"]] == [2]
headers = dict(deprecation_headers(configuration, GatewaySettings.of(configuration)))
assert headers[b"Link"].startswith(b'</files>; rel="successor-version"')
student = document(configuration)["components"]["schemas"]["Student"]
assert "description" not in student["properties"]["name"]
assert not DeclaredLosses("file_sessions").texts

for wrong, told in (
    ({"records": 5}, "[upstream] records: Not a valid string."),
    ({"path": "/"}, "[upstream] path: no such key; the nearest known one is"),
    ({"kind": "files"}, "[upstream] kind: Must be student_sessions or paginated_sessions or file_sessions."),
):
    try:
        read_config({"upstream": {**table, **wrong}})
    except ConfigurationError as error:
        assert str(error).startswith(told) or "no such key" in str(error), error
    else:
        raise AssertionError(wrong)
"""

KIND_ROW = """    Kind(
        "file_sessions",
        ("compat.upstream.file_sessions", "FileSessions"),
        maps_records=False,
        needs={"records": "text"},
        files=("records",),
    ),
"""
LAST_ROW = ')\n"""By name, in the order in which messages list them."""\n'


def test_another_kind_of_upstream_is_a_file_and_a_row(copy: Copy) -> None:
    (copy.folder / "compat/upstream/file_sessions.py").write_text(KIND, encoding="utf-8")
    copy.add_row("upstream/kinds.py", LAST_ROW, KIND_ROW)
    copy.check(OF_KIND)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('needs={"records": "text"}', "needs={}", "the upstream kind 'file_sessions' does not say its settings"),
        ('files=("records",)', 'files=("path",)', "the upstream kind 'file_sessions' names a file that is none of"),
        ("        maps_records=False,\n", "", "missing 1 required positional argument: 'maps_records'"),
    ],
)
def test_an_incomplete_kind_fails_at_import(copy: Copy, old: str, new: str, told: str) -> None:
    assert old in KIND_ROW
    copy.add_row("upstream/kinds.py", LAST_ROW, KIND_ROW.replace(old, new))
    done = copy.run("import compat.upstream.kinds")
    assert done.returncode == 1
    assert told in done.stderr


def test_a_kind_without_a_successor_is_refused_when_it_is_made(copy: Copy) -> None:
    text = KIND.replace('    successor_path = "/files"\n', "")
    (copy.folder / "compat/upstream/file_sessions.py").write_text(text, encoding="utf-8")
    done = copy.run("from compat.upstream.file_sessions import FileSessions\nFileSessions('x', records='y')")
    assert "successor_path" in done.stderr


STORE = """
from compat.config.file import read_config
from compat.errors import ConfigurationError
from compat.stores.ledger import open_ledger
from compat.migration.modes.router import ModeRouter
from compat.stores import open_store
from compat.stores.url import parse_store_url

upstream = {"kind": "student_sessions", "base_url": "http://127.0.0.1", "api_token": "t", "secret_key": "k"}
configuration = read_config({"upstream": upstream, "store": {"url": "room://7"}})
store = open_store(configuration.store)
assert store.spend(b"0" * 32, "1", "s") and not store.spend(b"0" * 32, "1", "s")
with open_ledger(configuration.store) as ledger:
    ledger.set_switch("mode", "new")
    assert open_ledger("room://7").switches() == {"mode": "new"}
    assert open_ledger("room://8").switches() == {}
try:
    parse_store_url("rooms://7")
except ConfigurationError as error:
    assert str(error) == "[store] url: rooms:// is no kind of store; use sqlite:///, room://, redis:// or memory://"
else:
    raise AssertionError
"""

STORE_ROW = '    Backend(("room",), _memory_store, _memory_ledger),\n'
REDIS_ROW = '    Backend(("redis", "rediss"), '


def test_another_store_is_one_row(copy: Copy) -> None:
    copy.add_row("stores/url.py", REDIS_ROW, STORE_ROW)
    copy.check(STORE)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("    Backend((), _memory_store, _memory_ledger),\n", "a store's backend has no scheme"),
        ('    Backend(("room",), _memory_store),\n', "missing 1 required positional argument: 'ledger'"),
    ],
)
def test_an_incomplete_store_fails_at_import(copy: Copy, row: str, told: str) -> None:
    copy.add_row("stores/url.py", REDIS_ROW, row)
    done = copy.run("import compat.stores")
    assert done.returncode == 1
    assert told in done.stderr


FAULT = """
import json
from compat import PaginatedSessions
from compat.upstream.base import LegacySettings

upstream = PaginatedSessions("http://127.0.0.1", path="/s", exams={17: "a"}, bearer_token="t")
codec = upstream.codec(LegacySettings())
times = {"startedAtTime": "2018-11-17T16:09:39Z", "endedAtTime": "2018-11-17T17:09:39Z"}
rest = {"durationInSeconds": 3600, "wasteDurationInSeconds": 0, "wastePercentage": 0}
text = json.dumps({"id": "5", "applicationId": "a", **times, **rest}).encode()
try:
    codec.render([text], [{}])
except ValueError as error:
    assert str(error) == "a fault of ours", error
else:
    raise AssertionError("the plain form hides a fault of the fast one")
"""


def test_a_fault_of_ours_in_the_fast_form_surfaces(copy: Copy) -> None:
    copy.add_row("mapping/fast/pages.py", "        if not sessions:\n", '        raise ValueError("a fault of ours")\n')
    copy.check(FAULT)


def test_nothing_outside_the_schemas_tests_the_class_of_a_rule_or_column() -> None:
    kinds = {name for module in (fields, rules) for name, kind in vars(module).items() if isinstance(kind, type)}
    found = []
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imported = {
            each.asname or each.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module in ("compat.schemas.fields", "compat.schemas.rules")
            for each in node.names
            if each.name in kinds
        }
        found += [
            f"{path.relative_to(PACKAGE).as_posix()}:{node.lineno}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and getattr(node.func, "id", "") in ("isinstance", "issubclass")
            and imported & {each.id for each in ast.walk(node.args[1]) if isinstance(each, ast.Name)}
        ]
    assert not [place for place in found if not place.startswith("schemas/")]
