"""Which fields scripts read of the records, exactly; and that such a record is a dict for all that reads it."""

from __future__ import annotations

import copy
import csv
import io
import json
import operator
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from gateways import settings_for, written
from support import OLD, listed, mounted

import compat
from compat.config.file import read_config
from compat.errors import ConfigurationError
from compat.migration.inventory.calls import Inventory
from compat.migration.inventory.fields_read import ALL, FieldObserver, FieldObservers, ObservedRecord, seen
from compat.migration.inventory.recorder import inventory_of
from compat.stores.ledger import CallRecord, Usage, open_ledger
from compat.testing.sandbox import Sandbox

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")
EXAMPLES = Path(__file__).parents[2] / "examples" / "legacy"
RECORD = {"id": 5, "name": "Ada", "email": None, "rtc_session_ids": [1, 2]}


def configured(sandbox: Sandbox, url: str, **migration: Any) -> compat.Configuration:
    return read_config(settings_for(sandbox, store={"url": url}, migration=migration))


def usages(url: str) -> list[Usage]:
    ledger = open_ledger(url)
    try:
        return sorted(ledger.counted().usages, key=lambda each: each.group.route)
    finally:
        ledger.close()


def counted(given: compat.Configuration, url: str) -> list[tuple[str, int, tuple[str, ...]]]:
    """Route, calls and fields."""
    inventory = inventory_of(given)
    assert inventory is not None
    assert inventory.flush()
    return [(each.group.route, each.number, each.fields) for each in usages(url)]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/calls.db"


@pytest.fixture
def told() -> list[CallRecord]:
    return []


@pytest.fixture
def record(told: list[CallRecord]) -> ObservedRecord:
    reading = FieldObservers(told.append).of(CallRecord(at=1e9, entrance="adapter", route="show_student", status=200))
    return ObservedRecord.of(dict(RECORD), reading)


def names(told: list[CallRecord]) -> set[str]:
    assert all(each.again for each in told)
    return {name for each in told for name in each.fields or ()}


@pytest.mark.parametrize("mode", ["new", "legacy"])
def test_the_fields_of_a_script_that_knows_nothing(sandbox: Sandbox, tmp_path: Path, url: str, mode: str) -> None:
    content = settings_for(sandbox, store={"url": url}, migration={"fields": True, "mode": mode})
    content["legacy"] = {**content.get("legacy", {}), "base_url": sandbox.base_url}
    account = content["upstream"]
    environment = {
        **os.environ,
        "PROCTOREXAM_URL": sandbox.base_url,
        "PROCTOREXAM_TOKEN": account["api_token"],
        "PROCTOREXAM_SECRET": account["secret_key"],
    }
    config = written(tmp_path, content)
    command = [sys.executable, "-m", "compat.cli", "--config", str(config), "run"]
    script = str(EXAMPLES / "late_starters.py")
    done = subprocess.run(
        [*command, script, "17"], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    (usage,) = usages(url)
    assert (usage.number, usage.group.answered_by) == (1, mode)
    assert done.stdout.count("@") > 0
    assert usage.fields == ("email", "operating_system", "start_time")


def test_the_fields_of_a_session(sandbox: Sandbox, url: str) -> None:
    configuration = configured(sandbox, url, fields=True)
    session = mounted(configuration)
    for _ in range(2):
        for student in listed(session).json()["students"]:
            assert student["id"]
            assert student.get("name")
    row = listed(session).json()["students"][0]
    path = f"{OLD}/api/v3/exams/17/show_student"
    shown = session.get(path, params={"student_session_id": row["id"]}, timeout=20).json()
    assert shown["student"].pop("status")
    refused = listed(session, page="0").json()
    assert set(refused) == {"error", "errors"}
    assert counted(configuration, url) == [
        ("index_students", 3, ("id", "name")),
        ("index_students", 1, ()),
        ("show_student", 1, ("status",)),
    ]


def test_the_fields_of_a_client(sandbox: Sandbox, url: str) -> None:
    configuration = configured(sandbox, url, fields=True)
    client = compat.ExamStudentsClient(configuration)
    first, *_ = client.index_students(17).students
    assert first["id"]
    assert "email" in client.show_student(17, first["id"])
    added = client.add_student(17, "Ada", "ada@example.org")
    assert dict(added)["name"] == "Ada"
    client.delete_student(17, added["id"])
    assert counted(configuration, url) == [
        ("add_student", 1, (ALL,)),
        ("delete_student", 1, ()),
        ("index_students", 1, ("id",)),
        ("show_student", 1, ("email",)),
    ]


def test_records_are_plain_dicts_unless_asked_for(sandbox: Sandbox, url: str) -> None:
    configuration = configured(sandbox, url)
    response = listed(mounted(configuration))
    assert type(response) is requests.Response
    assert {type(each) for each in response.json()["students"]} == {dict}
    assert {type(each) for each in compat.ExamStudentsClient(configuration).index_students(17).students} == {dict}
    assert {fields for _, _, fields in counted(configuration, url)} == {()}
    with pytest.raises(ConfigurationError, match="fields"):
        configured(sandbox, url, fields="yes")


def test_a_response_is_one_as_ever(sandbox: Sandbox, url: str) -> None:
    response = listed(mounted(configured(sandbox, url, fields=True)), limit="2")
    assert isinstance(response, requests.Response)
    assert response.json() == json.loads(response.text)
    assert response.json(parse_int=str)["students"][0]["id"] == str(response.json()["students"][0]["id"])
    for other in (pickle.loads(pickle.dumps(response)), copy.copy(response), copy.deepcopy(response)):  # noqa: S301
        assert type(other) is requests.Response
        assert type(other.json()["students"][0]) is dict
        assert other.content == response.content


class Own(requests.Response):
    """A class of the script's own."""


def test_a_response_of_the_scripts_own_class_stays_one(sandbox: Sandbox, url: str) -> None:
    class Adapter(requests.adapters.HTTPAdapter):
        def build_response(self, request: Any, response: Any) -> requests.Response:
            built = super().build_response(request, response)
            built.__class__ = Own
            return built

    session = requests.Session()
    session.mount("http://", Adapter())
    configuration = configured(sandbox, url, fields=True, mode="legacy")
    compat.mount(session, sandbox.base_url, configuration)
    assert type(listed(session, base=sandbox.base_url)) is Own


def row_of(record: dict[str, Any]) -> int:
    return csv.DictWriter(io.StringIO(), ["id", "name"], extrasaction="ignore").writerow(record)


READS: list[tuple[Callable[[Any], Any], set[str]]] = [
    (lambda record: record["id"], {"id"}),
    (lambda record: record.get("name"), {"name"}),
    (lambda record: record.get("status", "none"), {"status"}),
    (lambda record: "email" in record, {"email"}),
    (lambda record: record.pop("email"), {"email"}),
    (lambda record: record.pop("attempt", 0), {"attempt"}),
    (lambda record: record.popitem(), {"rtc_session_ids"}),
    (lambda record: record.setdefault("id", 1), {"id"}),
    (operator.itemgetter("id", "name"), {"id", "name"}),
    ("{id} {name}".format_map, {"id", "name"}),
    (lambda record: "%(id)s" % record, {"id"}),  # noqa: UP031 - as old scripts do
    (lambda record: record["rtc_session_ids"][0], {"rtc_session_ids"}),
    (lambda record: record.get("no field at all"), set()),
    (lambda record: (len(record), bool(record), record.update(x=1), record.__setitem__("name", "B")), set()),
    (list, {ALL}),
    (lambda record: list(reversed(record)), {ALL}),
    (lambda record: sorted(record.keys()), {ALL}),
    (lambda record: list(record.values()), {ALL}),
    (lambda record: list(record.items()), {ALL}),
    (dict, {ALL}),
    (lambda record: dict(**record), {ALL}),
    (lambda record: {**record}, {ALL}),
    (lambda record: {"x": 1} | record, {ALL}),
    (lambda record: record | {"x": 1}, {ALL}),
    (lambda record: {}.update(record), {ALL}),  # noqa: PLW0108 - a dict of each one's own
    (lambda record: record.copy(), {ALL}),
    (copy.copy, {ALL}),
    (copy.deepcopy, {ALL}),
    (lambda record: pickle.loads(pickle.dumps(record)), {ALL}),  # noqa: S301
    (json.dumps, {ALL}),
    (lambda record: json.dumps(record, indent=1, sort_keys=True), {ALL}),
    (repr, {ALL}),
    (str, {ALL}),
    (lambda record: record == {}, {ALL}),
    (lambda record: record != RECORD, {ALL}),
    (lambda record: {} == record, {ALL}),  # noqa: SIM300 - the other way round
    (
        lambda record: csv.DictWriter(io.StringIO(), ["id", "name"], extrasaction="ignore").writerow(record),
        {"id", "name"},
    ),
]


@pytest.mark.parametrize("number", range(len(READS)))
def test_what_each_way_of_reading_tells(number: int, record: ObservedRecord, told: list[CallRecord]) -> None:
    read, fields = READS[number]
    plain = copy.deepcopy(RECORD)
    given, expected = read(record), read(plain)
    assert names(told) == fields
    assert given == expected
    assert type(given) is type(expected)
    assert dict.__eq__(record, plain)


def test_matching_by_shape(record: ObservedRecord, told: list[CallRecord]) -> None:
    match record:
        case {"id": 5, "name": name}:
            assert name == "Ada"
        case _:
            pytest.fail("a record is a mapping")
    assert names(told) == {"id", "name"}


@pytest.mark.parametrize(
    "fails",
    [
        lambda record: record["nothing"],
        lambda record: record.pop("nothing"),
        lambda record: record.get([]),
        lambda record: [] in record,
        hash,
        lambda record: record.attribute,
        lambda record: setattr(record, "attribute", 1),
    ],
)
def test_what_a_dict_refuses(fails: Callable[[Any], Any], record: ObservedRecord) -> None:
    with pytest.raises((KeyError, TypeError, AttributeError)) as plain:
        fails(dict(RECORD))
    with pytest.raises(plain.type):
        fails(record)


def test_what_is_made_of_the_class_tells_nobody(record: ObservedRecord, told: list[CallRecord]) -> None:
    made = type(record)({"id": 1}, name="B")
    assert (made["id"], type(record).fromkeys(["id"])["id"], names(told)) == (1, None, set())


@pytest.mark.parametrize("content", [None, [], "students", {}, {"students": None}, {"students": [1, None]}])
def test_what_holds_no_records_is_left_alone(content: Any, told: list[CallRecord]) -> None:
    before = copy.deepcopy(content)
    after = seen(content, FieldObserver(told.append, CallRecord(1e9, "adapter", "index_students"), set()))
    assert (after, type(after), told) == (before, type(before), [])


def test_a_field_is_told_once_an_hour(told: list[CallRecord]) -> None:
    readings = FieldObservers(told.append)

    def read(at: float) -> None:
        record = ObservedRecord.of(dict(RECORD), readings.of(CallRecord(at, "adapter", "show_student", status=200)))
        assert (record["id"], record["id"]) == (5, 5)

    for at in (1e9, 1e9 + 10, 1e9 + 3601, 1e9 + 3700):
        read(at)
    assert [each.at for each in told] == [1e9, 1e9 + 3601]


def test_fields_that_do_not_fit_are_no_dropped_calls() -> None:
    def nowhere(url: str) -> Any:
        raise compat.StoreUnavailable("gone")

    inventory = Inventory("memory://fields", most_waiting=1, every=60, open_with=nowhere)
    call = CallRecord(1e9, "adapter", "show_student", status=200)
    inventory.note(call)
    inventory.note(CallRecord(1e9, "adapter", "show_student", status=200, fields=("id",), again=True))
    assert inventory.dropped == 0
    inventory.note(call)
    assert inventory.dropped == 1
    inventory.begin()


def test_fields_in_every_store(store_url: str) -> None:
    inventory = Inventory(store_url)
    call = CallRecord(1e9, "adapter", "show_student", status=200)
    inventory.note(call)
    assert inventory.flush()
    inventory.note(CallRecord(1e9, "adapter", "show_student", status=200, fields=("id",), again=True))
    assert inventory.flush()
    (usage,) = usages(store_url)
    assert (usage.number, usage.fields, sum(usage.days.values()), usage.first, usage.last) == (1, ("id",), 1, 1e9, 1e9)
