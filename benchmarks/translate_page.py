"""A page of 300 student sessions into the legacy page, bytes to bytes.

The records are in the documented order of fields. The sandbox's own shuffle the fields of each record, which no decoder
can foresee: they are a row of their own, without a target. Of the peers only marshmallow and pydantic check types.
"""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import orjson
import pydantic
from cadwyn import (
    Version,
    VersionBundle,
    VersionChange,
    convert_response_to_previous_version_for,
    generate_versioned_models,
    migrate_response_body,
    schema,
)
from cadwyn.structure.data import ResponseInfo

from benchmarks.data import RECORDS, legacy_fields_of, student_sessions_page
from benchmarks.harness import ROUNDS, Report, command_line, compare, timed
from benchmarks.pydantic_models import NEWER, Student
from compat.mapping.fast.scanner import NO_EXTENSIONS
from compat.schemas import STUDENT_FIELDS, StudentSchema
from compat.upstream.base import LegacySettings
from compat.upstream.student_codec import StudentCodec
from compat.upstream.student_sessions import read_chunk
from compat.upstream.transport import Reply

_HEADERS = {"X-Pagination-Item-Count": str(RECORDS), "X-Pagination-Limit": str(RECORDS)}
_codec = StudentCodec(LegacySettings())
with patch.dict("os.environ", {NO_EXTENSIONS: "1"}):
    _codec_in_python = StudentCodec(LegacySettings())
_schema = StudentSchema(many=True)


def shim(body: bytes, codec: StudentCodec = _codec) -> bytes:
    """Every declared field's type checked, newer fields withheld, the old order; that it is UTF-8, all through."""
    chunk = read_chunk(Reply(200, _HEADERS, body), 0, codec.page)
    page = codec.whole_page(chunk.rows, {})
    assert page is not None
    return page


def in_python(body: bytes) -> bytes:
    """The same without the extension in C."""
    return shim(body, _codec_in_python)


def floor(body: bytes) -> bytes:
    """Parse and write, and nothing else."""
    return orjson.dumps(orjson.loads(body))


def by_hand(body: bytes) -> bytes:
    """A dictionary a record, no type checked."""
    students = [{name: record.get(name) for name in STUDENT_FIELDS} for record in json.loads(body)["students"]]
    return json.dumps({"students": students}).encode()


def by_hand_with_orjson(body: bytes) -> bytes:
    """The same between the fastest reader and writer."""
    students = [{name: record.get(name) for name in STUDENT_FIELDS} for record in orjson.loads(body)["students"]]
    return orjson.dumps({"students": students})


def plain_marshmallow(body: bytes) -> bytes:
    """The same schema by marshmallow itself, between the standard library's reader and writer."""
    students = _schema.load(json.loads(body)["students"])
    return json.dumps({"students": _schema.dump(students)}).encode()


_StudentsPage = pydantic.create_model("StudentsPage", students=(list[Student], ...))
_adapter = pydantic.TypeAdapter(_StudentsPage)


def with_pydantic(body: bytes) -> bytes:
    """A model of 57 fields in pydantic's strict mode; its JSON reader and writer."""
    return _adapter.dump_json(_adapter.validate_json(body))


_Session = pydantic.create_model("Session", __base__=Student, **dict.fromkeys(NEWER, (Any, None)))
_SessionsPage = pydantic.create_model("SessionsPage", students=(list[_Session], ...))


class _WithholdNewerFields(VersionChange):
    description = "The newer fields are shown."
    instructions_to_migrate_to_previous_version = tuple(schema(_Session).field(name).didnt_exist for name in NEWER)

    @convert_response_to_previous_version_for(_SessionsPage)
    def _withhold(response: ResponseInfo) -> None:  # noqa: N805 - cadwyn's form
        for student in response.body["students"]:
            for name in NEWER:
                student.pop(name, None)


_versions = VersionBundle(Version("2019-01-01", _WithholdNewerFields), Version("2018-01-01"))
generate_versioned_models(_versions)


def with_cadwyn(body: bytes) -> bytes:
    """Cadwyn's converter of a response to the version before, on what pydantic read, without a server around it."""
    page = pydantic.TypeAdapter(_SessionsPage).validate_json(body).model_dump()
    older = migrate_response_body(_versions, _SessionsPage, latest_body=page, version="2018-01-01")
    return older.model_dump_json().encode()


def check(body: bytes) -> None:
    """Refuse to measure ways that do not do the work."""
    upstream = json.loads(body)["students"]
    wanted = [legacy_fields_of(record) for record in upstream]
    assert len(wanted) == RECORDS
    for way in (shim, in_python, by_hand, by_hand_with_orjson, with_pydantic, with_cadwyn):
        answer = json.loads(way(body))["students"]
        assert answer == wanted, way.__name__
        assert [list(record) for record in answer] == [list(STUDENT_FIELDS)] * RECORDS, way.__name__
    # Plain marshmallow leaves out what the upstream left out.
    assert [legacy_fields_of(record) for record in json.loads(plain_marshmallow(body))["students"]] == wanted
    assert json.loads(floor(body))["students"] == upstream


def main(rounds: int = ROUNDS) -> Report:
    """Measure."""
    body = student_sessions_page()
    others = {
        "shuffled fields": student_sessions_page(shuffled=True),
        "blanks": json.dumps(json.loads(body), ensure_ascii=False, indent=1).encode(),
        "drift": body.replace(b'"attempt":', b'"attempt":1.', 5),
    }
    check(body)
    check(others["shuffled fields"])
    floored, plain = "orjson loads + dumps", "shim without the extension"
    ways = {}
    for name, other in others.items():
        ways[f"shim, {name}"] = timed(lambda other=other: shim(other))  # type: ignore[misc]
        ways[f"{plain}, {name}"] = timed(lambda other=other: in_python(other))  # type: ignore[misc]
        ways[f"{floored}, {name}"] = timed(lambda other=other: floor(other))  # type: ignore[misc]
    return compare(
        "Student sessions, a page of 300, bytes to bytes",
        f"A body of {len(body):,} bytes becomes the legacy page: types are checked, newer fields are withheld. Its "
        "fields are in the documented order; other rows have each record's fields in an order of its own, blanks, or "
        "values of another type in five records. The extension in C is used but where the row says otherwise.",
        {
            "shim": timed(lambda: shim(body)),
            plain: timed(lambda: in_python(body)),
            floored: timed(lambda: floor(body)),
            **ways,
            "dict code with orjson": timed(lambda: by_hand_with_orjson(body)),
            "dict code with json": timed(lambda: by_hand(body)),
            "pydantic": timed(lambda: with_pydantic(body)),
            "cadwyn": timed(lambda: with_cadwyn(body)),
            "marshmallow load + dump": timed(lambda: plain_marshmallow(body)),
        },
        {
            ("shim", floored): "at most 0.3",
            (plain, floored): "",
            **{(f"shim, {name}", f"{floored}, {name}"): "at most 0.5" for name in others},
            **{(f"{plain}, {name}", f"{floored}, {name}"): "" for name in others},
            ("marshmallow load + dump", "shim"): "at least 60",
            ("dict code with orjson", "shim"): "",
            ("dict code with json", "shim"): "",
            ("pydantic", "shim"): "",
            ("cadwyn", "shim"): "",
        },
        rounds,
    )


if __name__ == "__main__":
    command_line(main)
