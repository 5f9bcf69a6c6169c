"""An array of 300 legacy records into sessions, bytes to bytes."""

from __future__ import annotations

import json

import orjson

from benchmarks.data import EXAMS, RECORDS, SETTINGS, compact, legacy_records
from benchmarks.harness import ROUNDS, Report, command_line, compare, timed
from compat.mapping.lens import BulkLens, SessionLens

_FLOOR = "orjson loads + dumps of the legacy body"
_LENS = "lens between orjson loads and dumps"
_bulk = BulkLens(EXAMS, SETTINGS.zone)
_lens = SessionLens(EXAMS, SETTINGS.zone)


def shim(body: bytes) -> bytes:
    """The legacy records as sessions."""
    return _bulk.to_sessions(body)


def record_by_record(body: bytes) -> bytes:
    """The lens alone, between the fastest reader and writer."""
    return orjson.dumps([_lens.to_session(record) for record in orjson.loads(body)])


def check(body: bytes) -> None:
    """Refuse to measure what does not do the work: each session has to give its record back."""
    records = json.loads(body)
    assert len(records) == RECORDS
    assert [_lens.to_legacy(session).record for session in json.loads(shim(body))] == records
    assert json.loads(shim(body)) == json.loads(record_by_record(body))


def main(rounds: int = ROUNDS) -> Report:
    """Measure."""
    body = compact(legacy_records())
    check(body)
    return compare(
        "Legacy records to sessions, 300, bytes to bytes",
        f"A body of {len(body):,} bytes becomes an array of sessions that give the same records back.",
        {
            "shim": timed(lambda: shim(body)),
            _FLOOR: timed(lambda: orjson.dumps(orjson.loads(body))),
            _LENS: timed(lambda: record_by_record(body)),
        },
        {("shim", _FLOOR): "at most 2.0", (_LENS, "shim"): ""},
        rounds,
    )


if __name__ == "__main__":
    command_line(main)
