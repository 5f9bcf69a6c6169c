"""A page of 300 student sessions into the legacy page, bytes to bytes."""

from __future__ import annotations

import json

import orjson

from benchmarks.data import RECORDS, legacy_fields_of, student_sessions_page
from benchmarks.harness import ROUNDS, Report, command_line, compare, timed
from compat.schemas import STUDENT_FIELDS, StudentSchema
from compat.upstream.interface import LegacySettings
from compat.upstream.student_codec import StudentCodec

_ANY_EXAM = -1
_codec = StudentCodec(LegacySettings())
_schema = StudentSchema(many=True)


def shim(body: bytes) -> bytes:
    """Every declared field's type checked, newer fields withheld, the old order."""
    rows = _codec.scan(_codec.page_rows(body), _ANY_EXAM, (), {})
    return b'{"students":' + _codec.render(rows) + b"}"


def floor(body: bytes) -> bytes:
    """Parse and write, and nothing else."""
    return orjson.dumps(orjson.loads(body))


def plain_marshmallow(body: bytes) -> bytes:
    """The same schema by marshmallow itself, between the standard library's reader and writer."""
    students = _schema.load(json.loads(body)["students"])
    return json.dumps({"students": _schema.dump(students)}).encode()


def check(body: bytes) -> None:
    """Refuse to measure ways that do not do the work."""
    upstream = json.loads(body)["students"]
    wanted = [legacy_fields_of(record, STUDENT_FIELDS) for record in upstream]
    assert len(wanted) == RECORDS
    answer = json.loads(shim(body))["students"]
    assert answer == wanted
    assert [list(record) for record in answer] == [list(STUDENT_FIELDS)] * RECORDS
    # Plain marshmallow leaves out what the upstream left out.
    kept = [legacy_fields_of(record, STUDENT_FIELDS) for record in json.loads(plain_marshmallow(body))["students"]]
    assert kept == wanted
    assert json.loads(floor(body))["students"] == upstream


def main(rounds: int = ROUNDS) -> Report:
    """Measure."""
    body = student_sessions_page()
    check(body)
    return compare(
        "Student sessions, a page of 300, bytes to bytes",
        f"A body of {len(body):,} bytes becomes the legacy page: types are checked, newer fields are withheld.",
        {
            "shim": timed(lambda: shim(body)),
            "orjson loads + dumps": timed(lambda: floor(body)),
            "marshmallow load + dump": timed(lambda: plain_marshmallow(body)),
        },
        {
            ("shim", "orjson loads + dumps"): "at most 0.75",
            ("marshmallow load + dump", "shim"): "at least 60",
        },
        rounds,
    )


if __name__ == "__main__":
    command_line(main)
