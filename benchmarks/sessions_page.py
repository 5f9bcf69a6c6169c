"""What the two benchmarks of a page of sessions share."""

from __future__ import annotations

import json

import orjson

from benchmarks.data import EXAM, EXAMS, RECORDS, SETTINGS, sessions_page
from benchmarks.harness import Report, compare, timed
from compat.mapping.lens import SessionLens
from compat.schemas import STUDENT_FIELDS
from compat.text.json import check_utf_8
from compat.upstream.session_codec import SessionCodec

__all__ = ["measured"]

_codec = SessionCodec(EXAMS, SETTINGS)


def shim(body: bytes) -> bytes:
    """The page of sessions as the legacy page, as a list is read that has no other page and is all wanted."""
    check_utf_8(body)
    rows = _codec.page(body).sessions
    places = _codec.columns(rows, EXAM, (), {}).places
    return _codec.body([rows[place] for place in places], [{}] * len(places))


def check(body: bytes) -> bytes:
    """Refuse to measure what does not do the work; gives the legacy page."""
    lens = SessionLens(EXAMS, SETTINGS.zone)
    wanted = [lens.to_legacy(session).record for session in json.loads(body)["sessions"]]
    assert len(wanted) == RECORDS
    page = shim(body)
    answer = json.loads(page)["students"]
    assert answer == wanted
    assert [list(record) for record in answer] == [list(STUDENT_FIELDS)] * RECORDS
    return page


def measured(*, born_old: bool, target: str, rounds: int) -> Report:
    """Measure a page.

    Args:
        born_old: the sessions carry legacy records, and the floor writes the upstream's body; else the legacy page.
        target: what is claimed.
        rounds: how often the ways take turns.
    """
    body = sessions_page(born_old)
    page = check(body)
    shown = orjson.loads(page)
    if born_old:
        floor = "orjson loads + dumps of the upstream's body"
        ways = {floor: timed(lambda: orjson.dumps(orjson.loads(body)))}
    else:
        floor = "orjson loads of the upstream's body + dumps of the legacy page"
        ways = {floor: timed(lambda: (orjson.loads(body), orjson.dumps(shown)))}
    return compare(
        f"Paginated sessions born {'old' if born_old else 'new'}, a page of 300, bytes to bytes",
        f"A body of {len(body):,} bytes becomes a legacy page of {len(page):,}: all sessions recorded, times of "
        + (
            "milliseconds in UTC, each carrying its legacy record."
            if born_old
            else "milliseconds in UTC, written in Europe/Amsterdam."
        ),
        {"shim": timed(lambda: shim(body)), **ways},
        {("shim", floor): target},
        rounds,
    )
