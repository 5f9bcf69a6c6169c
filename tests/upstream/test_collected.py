"""What a reading keeps: the same as lists would, in memory or on disk, and gone when nobody wants it any more."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import listed, mounted, upstream_of

from compat.errors import UpstreamError
from compat.legacy.query import SortKey
from compat.plan import sort_rows
from compat.testing.sandbox import Sandbox
from compat.upstream import reading
from compat.upstream.collected import Collected
from compat.upstream.interface import Row

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

SORT = (SortKey("name", descending=True), SortKey("attempt"))


def row(key: int | str, name: str | None = None, attempt: int | None = None, text: bytes | None = None) -> Row:
    text = str(key).encode() if text is None else text
    return Row(key, key if isinstance(key, int) else 2**52 + 7, 17, {"name": name, "attempt": attempt}, text, {})


def kept(collected: Collected, start: int = 0, limit: int = 10_000) -> list[bytes]:
    return [text for text, _ in collected.records(start, limit)]


def numbered(*numbers: int) -> list[bytes]:
    return [str(number).encode() for number in numbers]


VALUES = st.tuples(st.one_of(st.none(), st.sampled_from("aäZz🎓")), st.one_of(st.none(), st.integers(-(2**70), 2**70)))


@given(st.lists(VALUES, max_size=12))
def test_rows_are_sorted_as_lists_are(values: list[tuple[str | None, int | None]]) -> None:
    rows = [row(key, *each) for key, each in enumerate(values)]
    collected = Collected(SORT, lambda each: True, [{}])
    collected.add(0, 0, 0, rows)
    collected.settle(0)
    assert kept(collected) == [each.record for each in sort_rows(rows, SORT)]
    assert collected.count == len(rows)
    collected.close()


ATTEMPTS = st.lists(st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=8), min_size=1, max_size=3)


def plainly_merged(attempts: Sequence[Sequence[Row]], wanted: dict[bytes, bool]) -> list[bytes]:
    newest = {each.key: each for attempt in attempts for each in attempt}
    order = dict.fromkeys(each.key for attempt in reversed(attempts) for each in attempt)
    return [newest[key].record for key in order if wanted[newest[key].record]]


@given(ATTEMPTS)
def test_unsettled_readings_are_merged_as_lists_are(given_: list[list[tuple[int, bool]]]) -> None:
    wanted: dict[bytes, bool] = {}
    attempts: list[list[Row]] = []
    for number, attempt in enumerate(given_):
        attempts.append([])
        for place, (key, want) in enumerate(attempt):
            text = f"{number}-{place}".encode()
            wanted[text] = want
            attempts[-1].append(row(key, text=text))
    collected = Collected((), lambda each: wanted[each.record], [{}])
    for number, rows in enumerate(attempts):
        collected.add(number, 0, 0, rows)
        keys = [each.key for each in rows]
        summary = collected.summary(number)
        assert (summary.count, summary.distinct) == (len(keys), len(set(keys)))
        assert collected.repeated(number) == {key for key in keys if keys.count(key) > 1}
    collected.merge()
    assert kept(collected) == plainly_merged(attempts, wanted)
    assert collected.unsettled
    collected.close()


def test_pages_come_in_any_order_and_are_kept_in_theirs() -> None:
    collected = Collected((), lambda each: True, [{}, {"name": "B"}])
    collected.add(0, 1, 0, [row(5), row(6)])
    collected.add(0, 0, 2, [row(3)])
    collected.add(0, 0, 0, [row(1), row(2)])
    collected.settle(0)
    assert kept(collected) == numbered(1, 2, 3, 5, 6)
    assert [each.person for each in collected.rows(3, 10)] == [{"name": "B"}] * 2
    assert kept(collected, 1, 2) == numbered(2, 3)
    assert kept(collected, 5, 10) == []
    collected.close()


def test_two_ids_with_one_legacy_id_are_refused() -> None:
    collected = Collected((), lambda each: True, [{}])
    collected.add(0, 0, 0, [row("a"), row("b")])
    with pytest.raises(UpstreamError, match=f"Two of the upstream's sessions have the legacy id {2**52 + 7}"):
        collected.settle(0)
    collected.close()


def spilled() -> list[str]:
    """SQLite's unnamed files that this process has open."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if "etilqs_" in target and "deleted" in target:
            found.append(target)
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_large_reading_spills_and_is_cleaned_up() -> None:
    before = len(spilled())
    collected = Collected((), lambda each: True, [{}], in_memory=64 * 1024)
    for start in range(0, 3000, 300):
        collected.add(0, 0, start, [row(start + place, text=b"x" * 2000) for place in range(300)])
    collected.settle(0)
    assert len(spilled()) > before
    assert kept(collected, 2998, 10) == [b"x" * 2000] * 2
    del collected
    gc.collect()
    assert len(spilled()) == before


def test_a_small_reading_touches_no_disk() -> None:
    if sys.platform != "linux":
        pytest.skip("looks into /proc")
    before = len(spilled())
    collected = Collected((), lambda each: True, [{}])
    collected.add(0, 0, 0, [row(key, text=b"x" * 2000) for key in range(300)])
    collected.settle(0)
    assert len(spilled()) == before
    collected.close()


class OnASmallDisk(Collected):
    """SQLite says that the disk is full, as it would say it of a disk of 40 pages."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._do("PRAGMA max_page_count = 40")


def test_a_full_disk_is_a_clear_error_and_never_a_shorter_list(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(reading, "Collected", partial(OnASmallDisk, in_memory=64 * 1024))
    with Sandbox(students=300, exams=1) as sandbox:
        session = mounted(upstream_of(sandbox, "student_sessions"))
        answer = listed(session, limit=5)
        assert answer.status_code == 502
        assert answer.json()["error"] == (
            "The records of the walk could not be kept: database or disk is full. "
            "Free space where SQLite keeps temporary files (SQLITE_TMPDIR), or narrow the query."
        )
        monkeypatch.undo()
        assert listed(session, limit=5, page=2).headers["X-Pagination-Item-Count"] == "300"
