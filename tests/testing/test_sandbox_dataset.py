"""The generated data holds what careless code stumbles over, and agrees with itself."""

from __future__ import annotations

import csv
import uuid
from collections.abc import Callable
from datetime import timezone
from pathlib import Path
from typing import Any

import pytest

from compat.testing.sandbox import Dataset, generate
from compat.testing.sandbox.reference import COLUMNS, FIELDS, STATUSES, read_instant
from compat.testing.sandbox.sandbox import write_roster

UTC = timezone.utc


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return generate()


def of_kind(dataset: Dataset, kind: str) -> list[dict[str, Any]]:
    exams = {exam.id for exam in dataset.exams if exam.kind == kind}
    return [record for record in dataset.students if record["exam_id"] in exams]


def sessions_by_application(dataset: Dataset, kind: str) -> list[dict[str, Any]]:
    ids = {exam.application_id for exam in dataset.exams if exam.kind == kind}
    return [session for session in dataset.sessions if session["applicationId"] in ids]


def test_the_same_seed_gives_the_same_data(dataset: Dataset) -> None:
    again = generate()
    assert again.students == dataset.students
    assert again.sessions == dataset.sessions
    assert again.student_sessions == dataset.student_sessions
    assert again.roster == dataset.roster
    assert generate(seed=1).students != dataset.students


@pytest.mark.parametrize(("students", "exams"), [(0, 1), (1, 3), (7, 2), (301, 1)])
def test_sizes(students: int, exams: int) -> None:
    dataset = generate(students, exams)
    assert len(dataset.students) == students
    assert [exam.id for exam in dataset.exams] == list(range(17, 17 + exams))


def test_a_set_without_exams_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one exam"):
        generate(1, 0)


def test_exams_are_told_apart_and_interleaved(dataset: Dataset) -> None:
    assert [exam.kind for exam in dataset.exams] == ["born_old", "born_new", "live"]
    assert len({uuid.UUID(exam.application_id) for exam in dataset.exams}) == 3
    order = [record["exam_id"] for record in dataset.students]
    assert order != sorted(order)
    assert {order.count(exam.id) for exam in dataset.exams} == {40}


def test_records_have_the_fields_in_order_and_the_types(dataset: Dataset) -> None:
    types: dict[str, type] = {"integer": int, "boolean": bool, "string": str, "time": str, "array": list}
    for record in dataset.students:
        assert tuple(record) == FIELDS
        for column, kind in COLUMNS.items():
            value = record[column]
            assert value is None or type(value) is types[kind]
            assert value is None or kind != "time" or read_instant(value, UTC)


def test_ids_are_unique_and_unsorted(dataset: Dataset) -> None:
    ids = [record["id"] for record in dataset.students]
    assert len(set(ids)) == len(ids)
    assert ids != sorted(ids)


def test_every_status_is_there(dataset: Dataset) -> None:
    for kind in ("born_old", "born_new", "live"):
        assert {record["status"] for record in of_kind(dataset, kind)} == set(STATUSES)


def test_old_records_have_a_start_and_a_later_end(dataset: Dataset) -> None:
    for record in of_kind(dataset, "born_old") + of_kind(dataset, "born_new"):
        assert read_instant(record["start_time"], UTC) <= read_instant(record["end_time"], UTC)


def test_some_instants_sort_against_their_text(dataset: Dataset) -> None:
    texts = sorted(record["start_time"] for record in of_kind(dataset, "born_old"))
    assert texts != sorted(texts, key=lambda text: read_instant(text, UTC))
    assert {text[-6:] for text in texts} == {"+01:00", "+02:00"}


def test_values_are_as_awkward_as_real_ones(dataset: Dataset) -> None:
    students = dataset.students
    starts = [record["start_time"] for record in students if record["start_time"]]
    assert {len(text) for text in starts} >= {
        len("2018-11-17T17:01:25+01:00"),
        len("2018-11-17T17:01:25.788+01:00"),
    }
    names = "".join(record["name"] for record in students)
    for low, high in (("À", "ÿ"), ("一", "鿿"), ("א", "ۿ"), ("\U0001f000", "\U0001ffff")):
        assert any(low <= letter <= high for letter in names)
    assert any(record["student_id"] and record["student_id"] > 2**53 for record in students)
    assert {"10", None} <= {record["reviewed"] for record in students}
    assert {"01", "1", None} <= {record["priority"] for record in students}
    assert "01010000" in {record["current_exam_mode"] for record in students}
    assert any(record["incidents"] for record in students)
    assert all(any(record[column] is None for record in students) for column in ("archived", "time_slot", "token"))


def test_sorts_have_ties_under_several_texts(dataset: Dataset) -> None:
    texts = {record["start_time"] for record in dataset.students if record["start_time"]}
    assert len({read_instant(text, UTC) for text in texts}) < len(texts)


def test_born_old_sessions_carry_the_whole_record(dataset: Dataset) -> None:
    records = {str(record["id"]): record for record in of_kind(dataset, "born_old")}
    sessions = sessions_by_application(dataset, "born_old")
    assert [session["id"] for session in sessions] == list(records)
    for session in sessions:
        record = records[session["id"]]
        carried = session["metadata"]["exam_student"]
        assert carried == {name: value for name, value in record.items() if name not in ("id", "exam_id")}
    assert any(len(session["metadata"]) > 1 for session in sessions)


def test_sessions_name_the_same_instants(dataset: Dataset) -> None:
    records = {str(record["id"]): record for record in dataset.students}
    pairs = (
        ("startedAtTime", "start_time"),
        ("endedAtTime", "end_time"),
        ("recordingStartedAtTime", "recording_started_at"),
        ("recordingEndedAtTime", "recording_ended_at"),
    )
    for session in dataset.sessions:
        record = records.get(session["id"])
        for new, old in pairs if record else ():
            assert record is not None
            if record[old] is None:
                assert session[new] is None
            else:
                assert session[new].endswith("Z")
                assert read_instant(session[new], UTC) == read_instant(record[old], UTC)


def test_durations_are_whole_seconds_rounded_down(dataset: Dataset) -> None:
    for session in dataset.sessions:
        start, end = (read_instant(session[name], UTC) for name in ("startedAtTime", "endedAtTime"))
        assert (start[0] + session["durationInSeconds"], start[1]) <= end
        assert (start[0] + session["durationInSeconds"] + 1, start[1]) > end


def test_born_new_sessions_carry_nothing(dataset: Dataset) -> None:
    sessions = sessions_by_application(dataset, "born_new")
    metadata = [session["metadata"] for session in sessions]
    assert None in metadata
    assert {} in metadata
    assert any(each and "email" in each for each in metadata)
    assert not any(each and "exam_student" in each for each in metadata)
    assert [session["id"] for session in sessions] == [str(each["id"]) for each in of_kind(dataset, "born_new")]


def test_live_sessions_exist_for_finished_students_under_new_ids(dataset: Dataset) -> None:
    records = of_kind(dataset, "live")
    finished = [record for record in records if record["status"] == "exam_finished"]
    sessions = sessions_by_application(dataset, "live")
    assert 0 < len(sessions) == len(finished) < len(records)
    assert all(str(uuid.UUID(session["id"])) == session["id"] for session in sessions)
    assert all(record["end_time"] is None for record in records if record not in finished)


def test_some_sessions_leave_optional_keys_out(dataset: Dataset) -> None:
    for name in ("toolId", "isProctored", "proctoredResult", "webcamEnabled", "recordingS3Key"):
        present = [name in session for session in dataset.sessions]
        assert any(present)
        assert not all(present)


def test_student_sessions_add_fields_and_leave_out_only_nulls(dataset: Dataset) -> None:
    left_out = 0
    orders = set()
    for record, session in zip(dataset.students, dataset.student_sessions, strict=True):
        orders.add(tuple(session)[:5])
        assert {name: session.get(name) for name in FIELDS} == record
        assert {"preserve", "pin_code", "incidents_count"} <= set(session)
        left_out += sum(name not in session for name in FIELDS)
    assert left_out > 0
    assert len(orders) > 50


def test_people_sit_several_exams_and_keep_the_rosters_order(dataset: Dataset) -> None:
    positions = {row.user_id: position for position, row in enumerate(dataset.roster)}
    people = {row.user_id: row for row in dataset.roster}
    sat: dict[str, int] = {}
    for exam in dataset.exams:
        records = [record for record in dataset.students if record["exam_id"] == exam.id]
        users = [dataset.user_of(record["id"]) or "" for record in records]
        order = [positions[user] for user in users]
        assert order == sorted(set(order))
        for user, record in zip(users, records, strict=True):
            sat[user] = sat.get(user, 0) + 1
            row = people[user]
            assert (row.email, row.name) == (record["email"], record["name"])
            assert (row.student_id, row.external_id) == (record["student_id"], record["external_id"])
    assert max(sat.values()) > 1
    assert len({row.email for row in dataset.roster}) == len(dataset.roster)


def test_the_roster_survives_its_file(dataset: Dataset, tmp_path: Path) -> None:
    write_roster(dataset.roster, tmp_path / "roster.csv")
    with (tmp_path / "roster.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    empty: Callable[[object], str] = lambda value: "" if value is None else str(value)  # noqa: E731
    assert [row["name"] for row in rows] == [row.name for row in dataset.roster]
    assert [row["student_id"] for row in rows] == [empty(row.student_id) for row in dataset.roster]
    assert [row["external_id"] for row in rows] == [empty(row.external_id) for row in dataset.roster]


def test_changes_reach_every_view() -> None:
    dataset = generate(30, 1)
    record = dataset.students[0]
    dataset.change(record["id"], {"name": "Renamed"})
    assert dataset.students[0]["name"] == "Renamed"
    assert dataset.student_sessions[0]["name"] == "Renamed"
    assert dataset.sessions[0]["metadata"]["exam_student"]["name"] == "Renamed"
    assert dataset.remove(record["id"])
    assert not dataset.remove(record["id"])
    assert len(dataset.students) == len(dataset.sessions) == 29
    assert dataset.user_of(record["id"]) is None
