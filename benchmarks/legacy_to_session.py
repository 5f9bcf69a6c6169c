"""A page of 300 legacy records into sessions, bytes to bytes.

There is no compiled form of this direction: what is measured is the lens itself, which `exam-compat translate --to
sessions` uses, between the fastest reader and writer.
"""

from __future__ import annotations

import json

import orjson

from benchmarks.data import EXAMS, RECORDS, SETTINGS, legacy_page
from benchmarks.harness import ROUNDS, Report, command_line, compare, timed
from compat.mapping.lens import SessionLens

_lens = SessionLens(EXAMS, SETTINGS.zone)


def shim(body: bytes) -> bytes:
    """The legacy page as sessions."""
    return orjson.dumps([_lens.to_session(record) for record in orjson.loads(body)["students"]])


def check(body: bytes) -> None:
    """Refuse to measure what does not do the work: each session has to give its record back."""
    records = json.loads(body)["students"]
    assert len(records) == RECORDS
    assert [_lens.to_legacy(session).record for session in json.loads(shim(body))] == records


def main(rounds: int = ROUNDS) -> Report:
    """Measure."""
    body = legacy_page()
    check(body)
    return compare(
        "Legacy records to sessions, a page of 300, bytes to bytes",
        f"A body of {len(body):,} bytes becomes an array of sessions that give the same records back.",
        {
            "shim": timed(lambda: shim(body)),
            "orjson loads + dumps of the legacy body": timed(lambda: orjson.dumps(orjson.loads(body))),
        },
        {("shim", "orjson loads + dumps of the legacy body"): "at most 2.0"},
        rounds,
    )


if __name__ == "__main__":
    command_line(main)
