"""A filter and two sort columns over the same records: ours against SQLite's JSON functions and DuckDB.

Each begins with the pages' bytes in memory and ends with the texts of all records that pass, in order, in parts of 300.
The peers are told by hand where the legacy values of a session lie, compare times as the texts that these records
happen to have, and translate nothing. DuckDB uses as many processors as it finds.
"""

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import duckdb
import msgspec

from benchmarks.data import EXAM, EXAMS, SETTINGS, compact, session_rows
from benchmarks.harness import Report, compare, timed
from benchmarks.walking import FILTER, SINCE, SORT, session_list
from compat.core.collected import Collected
from compat.core.plan import make_plan
from compat.legacy.parameters import Parameters
from compat.legacy.query import parse_query
from compat.upstream.session_codec import SessionCodec

SESSIONS = 100_000
_QUICK = 12_000
_ROUNDS = 5
_LARGEST = 300
_NAME = ("$.metadata.exam_student.name", "$.metadata.name")

_asked = {"id": str(EXAM), "filter": compact(FILTER).decode(), "sort": compact(SORT).decode()}
_query = parse_query(Parameters(_asked, {}), SETTINGS.zone)
_plan = make_plan(_query, frozenset())
_codec = SessionCodec(EXAMS, SETTINGS)
Pages = Sequence[bytes]


@lru_cache
def pages(total: int) -> Pages:
    """The pages of an upstream with so many sessions."""
    served = session_list()
    rows = [{**served[number % len(served)], "id": str(number + 1)} for number in range(total)]
    heads = range(0, total, _LARGEST)
    return [
        compact({"limit": _LARGEST, "offset": at, "total": total, "sessions": rows[at : at + _LARGEST]}) for at in heads
    ]


def ours(bodies: Pages) -> list[bytes]:
    """As a walk does it."""
    collected = Collected(_query.sort, [{}])
    try:
        for place, body in enumerate(bodies):
            rows = session_rows(body)
            page = _plan.select(_codec.columns(rows, EXAM, _plan.columns, {}))
            collected.add(0, 0, place * _LARGEST, rows, page)
        count, distinct = collected.summary(0)
        assert count == distinct
        collected.settle(0)
        starts = range(0, collected.count, _LARGEST)
        return [text for start in starts for text, _ in collected.records(start, _LARGEST)]
    finally:
        collected.close()


_SQLITE = f"""
    CREATE TABLE chosen AS
    SELECT row_number() OVER (ORDER BY ended DESC, name, number) AS rank, text FROM (
        SELECT value AS text, value ->> '$.startedAtTime' AS started, value ->> '$.endedAtTime' AS ended,
            coalesce(value ->> '{_NAME[0]}', value ->> '{_NAME[1]}') AS name, pages.rowid * 1000 + key AS number
        FROM pages, json_each(body, '$.sessions')
    ) WHERE started >= ?
"""  # noqa: S608 - our own constants


def sqlite(bodies: Pages) -> list[str]:
    """SQLite's JSON functions, in memory."""
    database = sqlite3.connect(":memory:")
    try:
        database.execute("CREATE TABLE pages (body TEXT)")
        database.executemany("INSERT INTO pages VALUES (?)", [(body.decode(),) for body in bodies])
        database.execute(_SQLITE, (SINCE,))
        database.execute("CREATE UNIQUE INDEX ranks ON chosen (rank)")
        return _in_parts(database.execute, "SELECT text FROM chosen WHERE rank > ? AND rank <= ? ORDER BY rank")
    finally:
        database.close()


_DUCKDB = f"""
    CREATE TABLE chosen AS
    SELECT row_number() OVER (ORDER BY ended DESC, name, number) AS rank, text FROM (
        SELECT text, text ->> '$.startedAtTime' AS started, text ->> '$.endedAtTime' AS ended, number,
            coalesce(text ->> '{_NAME[0]}', text ->> '{_NAME[1]}') AS name
        FROM (
            SELECT unnest(from_json(body -> '$.sessions', '["json"]')) AS text,
                number * 1000 + generate_subscripts(from_json(body -> '$.sessions', '["json"]'), 1) AS number
            FROM pages
        )
    ) WHERE started >= ? ORDER BY rank
"""  # noqa: S608 - our own constants


def duck(bodies: Pages) -> list[str]:
    """DuckDB, in memory."""
    database = duckdb.connect(":memory:")
    try:
        database.execute("CREATE TABLE pages (number BIGINT, body JSON)")
        database.execute(
            "INSERT INTO pages SELECT unnest(?), unnest(?)",
            [list(range(len(bodies))), [body.decode() for body in bodies]],
        )
        database.execute(_DUCKDB, [SINCE])
        return _in_parts(database.execute, "SELECT text FROM chosen WHERE rank > ? AND rank <= ? ORDER BY rank")
    finally:
        database.close()


def _in_parts(execute: Callable[..., Any], statement: str) -> list[str]:
    texts: list[str] = []
    while True:
        part = execute(statement, (len(texts), len(texts) + _LARGEST)).fetchall()
        if not part:
            return texts
        texts += [text for (text,) in part]


def check(bodies: Pages) -> int:
    """Refuse to measure ways that do not choose the same records in the same order; gives how many."""
    wanted = [msgspec.json.decode(text) for text in ours(bodies)]
    assert [msgspec.json.decode(text) for text in sqlite(bodies)] == wanted
    assert [msgspec.json.decode(text) for text in duck(bodies)] == wanted
    return len(wanted)


def measured(sessions: int, rounds: int) -> Report:
    """Measure with so many sessions."""
    bodies = pages(sessions)
    matches = check(bodies)
    return compare(
        f"Select and sort {sessions:,} sessions",
        f"A filter that {matches:,} records pass and two columns to sort by, from pages in memory to the texts of all "
        "those records in order.",
        {
            "ours": timed(lambda: ours(bodies), 0),
            "SQLite JSON": timed(lambda: sqlite(bodies), 0),
            "DuckDB": timed(lambda: duck(bodies), 0),
        },
        {("ours", "SQLite JSON"): "", ("ours", "DuckDB"): ""},
        rounds,
        warm=False,
    )


def main(rounds: int = _ROUNDS) -> Report:
    """Measure with some sessions."""
    return measured(_QUICK, min(rounds, _ROUNDS))


def full(rounds: int = _ROUNDS) -> Report:
    """Measure with as many as the walk has."""
    return measured(SESSIONS, min(rounds, 3))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=_QUICK, help=f"how many; the walk has {SESSIONS:,}")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="how often the ways take turns")
    given = parser.parse_args()
    print(measured(given.sessions, given.rounds).markdown())
