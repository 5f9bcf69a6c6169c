"""What a reading keeps: the same as lists would, in memory or on disk, and gone when nobody wants it any more."""

from __future__ import annotations

import errno
import gc
import os
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import listed, mounted, upstream_of

from compat.core import collected as collected_module
from compat.core import index as index_module
from compat.core import reading
from compat.core.collected import Collected
from compat.core.index import Index
from compat.errors import UpstreamError
from compat.legacy.query import SortKey
from compat.testing.sandbox import Sandbox
from compat.upstream.base import Columns

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

SORT = (SortKey("name", descending=True), SortKey("attempt"))
PLACES = pytest.mark.parametrize("in_memory", [collected_module.IN_MEMORY, 0], ids=["memory", "disk"])


class Record(NamedTuple):
    """A record with two columns."""

    key: int | str
    name: str | None = None
    attempt: int | None = None
    text: bytes = b""


def row(key: int | str, name: str | None = None, attempt: int | None = None) -> Record:
    return Record(key, name, attempt, str(key).encode())


def add(
    collected: Collected,
    rows: Sequence[Record],
    attempt: int = 0,
    source: int = 0,
    start: int = 0,
    places: Sequence[int] | None = None,
) -> None:
    """Keep records, all of them by default; texts have one surrogate, as two ids might."""
    places = range(len(rows)) if places is None else places
    wanted = [rows[place] for place in places]
    surrogates: dict[int | str, int] = {each.key: 2**52 + 7 for each in rows if isinstance(each.key, str)}
    values: dict[str, list[Any]] = {
        "name": [each.name for each in wanted],
        "attempt": [each.attempt for each in wanted],
    }
    columns = Columns([each.key for each in rows], surrogates, places, values)
    collected.add(attempt, source, start, [each.text for each in rows], columns)


def plainly_sorted(rows: Sequence[Record]) -> list[Record]:
    """By SORT: nulls come first descending, and last ascending."""
    ascending = sorted(rows, key=lambda each: (each.attempt is None, each.attempt or 0))
    return sorted(ascending, key=lambda each: (each.name is None, each.name or ""), reverse=True)


def kept(collected: Collected, start: int = 0, limit: int = 10_000) -> list[bytes]:
    return [text for text, _ in collected.records(start, limit)]


def numbered(*numbers: int) -> list[bytes]:
    return [str(number).encode() for number in numbers]


VALUES = st.tuples(st.one_of(st.none(), st.sampled_from("aäZz🎓")), st.one_of(st.none(), st.integers(-(2**70), 2**70)))


@PLACES
@given(st.lists(VALUES, max_size=12))
def test_rows_are_sorted_as_lists_are(in_memory: int, values: list[tuple[str | None, int | None]]) -> None:
    rows = [row(key, *each) for key, each in enumerate(values)]
    collected = Collected(SORT, [{}], in_memory)
    add(collected, rows)
    collected.settle(0)
    assert kept(collected) == [each.text for each in plainly_sorted(rows)]
    assert collected.count == len(rows)
    collected.close()


ATTEMPTS = st.lists(st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=8), min_size=1, max_size=3)


def plainly_merged(attempts: Sequence[Sequence[Record]], wanted: dict[bytes, bool]) -> list[bytes]:
    newest = {each.key: each for attempt in attempts for each in attempt}
    order = dict.fromkeys(each.key for attempt in reversed(attempts) for each in attempt)
    return [newest[key].text for key in order if wanted[newest[key].text]]


@PLACES
@given(ATTEMPTS)
def test_unsettled_readings_are_merged_as_lists_are(in_memory: int, given_: list[list[tuple[int, bool]]]) -> None:
    wanted: dict[bytes, bool] = {}
    attempts: list[list[Record]] = []
    for number, attempt in enumerate(given_):
        attempts.append([])
        for place, (key, want) in enumerate(attempt):
            text = f"{number}-{place}".encode()
            wanted[text] = want
            attempts[-1].append(Record(key, text=text))
    collected = Collected((), [{}], in_memory)
    for number, rows in enumerate(attempts):
        add(collected, rows, number, places=[place for place, each in enumerate(rows) if wanted[each.text]])
        keys = [each.key for each in rows]
        assert collected.summary(number) == (len(keys), len(set(keys)))
        assert collected.repeated(number) == {key for key in keys if keys.count(key) > 1}
    collected.merge()
    assert kept(collected) == plainly_merged(attempts, wanted)
    assert collected.unsettled
    collected.close()


NAMES = st.one_of(st.none(), st.text(max_size=3))
PAGES = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 2),
        st.integers(0, 4),
        st.lists(st.tuples(st.one_of(st.integers(-(2**65), 2**65), st.text(max_size=2)), NAMES), max_size=4),
        st.sets(st.integers(0, 3)),
    ),
    max_size=6,
)


@given(PAGES, st.booleans(), st.booleans(), st.integers(0, 2000))
@example([(1, 1, 0, [(0, None), (0, None)], {0, 1}), (1, 1, 0, [(0, None)], {0})], False, False, 0)
def test_what_spills_is_what_does_not(pages: Any, descending: bool, merged: bool, in_memory: int) -> None:
    """Pages of several lists and attempts, that overlap or not; the limit is met at any of them."""
    sort = (SortKey("name", descending),)
    both = Collected(sort, [{}] * 3), Collected(sort, [{}] * 3, in_memory)
    told: list[Any] = []
    for collected in both:
        for attempt, source, start, rows, wanted in sorted(pages, key=lambda page: page[0]):
            places = sorted(place for place in wanted if place < len(rows))
            surrogates = {key: 2**52 + ord(key[0]) for key, _ in rows if isinstance(key, str) and key}
            texts = [f"{attempt} {source} {start} {place}".encode() for place in range(len(rows))]
            names = {"name": [rows[place][1] for place in places]}
            columns = Columns([key for key, _ in rows], surrogates, places, names)
            collected.add(attempt, source, start, texts, columns)
        told.append([collected.summary(0), {*map(_written, collected.repeated(0))}])
        try:
            collected.merge() if merged else collected.settle(1)
        except UpstreamError as error:
            told[-1].append(str(error).partition(" id ")[0])
        told[-1].append((collected.count, collected.records(0, 100), collected.records(2, 1), collected.records(9, 9)))
        collected.close()
    assert told[0] == told[1]


def _written(key: Any) -> Any:
    """An id as SQLite has it: what it cannot hold goes as another form, which is only ever shown."""
    return index_module._storable(key)


def test_the_two_forms_are_both_in_use() -> None:
    """Otherwise the comparisons above would hold for nothing."""
    small, large = Collected((), [{}]), Collected((), [{}], 0)
    for collected, kind in ((small, type(None)), (large, Index)):
        add(collected, [row(1)])
        assert type(collected._index) is kind
        collected.close()


def test_a_second_attempt_is_compared_in_an_index() -> None:
    collected = Collected((), [{}])
    add(collected, [row(1)])
    add(collected, [row(2), row(1)], attempt=1)
    assert type(collected._index) is Index
    assert [collected.summary(0), collected.summary(1)] == [(1, 1), (2, 2)]
    collected.settle(1)
    assert kept(collected) == numbered(2, 1)
    collected.close()


@PLACES
def test_pages_come_in_any_order_and_are_kept_in_theirs(in_memory: int) -> None:
    collected = Collected((), [{}, {"name": "B"}], in_memory)
    add(collected, [row(5), row(6)], source=1)
    add(collected, [row(3)], start=2)
    add(collected, [row(1), row(2)])
    collected.settle(0)
    assert kept(collected) == numbered(1, 2, 3, 5, 6)
    assert collected.page(3, 10) == (numbered(5, 6), [{"name": "B"}] * 2)
    assert kept(collected, 1, 2) == numbered(2, 3)
    assert kept(collected, 5, 10) == []
    assert kept(collected, 10**30, 300) == []
    collected.close()


@PLACES
@pytest.mark.parametrize("end", [lambda collected: collected.settle(0), lambda collected: collected.merge()])
def test_two_ids_with_one_legacy_id_are_refused(in_memory: int, end: Any) -> None:
    collected = Collected((), [{}], in_memory)
    add(collected, [row("a"), row("b")])
    with pytest.raises(UpstreamError, match=f"Two of the upstream's sessions have the legacy id {2**52 + 7}"):
        end(collected)
    collected.close()


def spilled() -> list[str]:
    """Unnamed files that this process has open: SQLite's, and those of texts."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if "deleted" in target:
            found.append(target)
    return found


def large(in_memory: int = 64 * 1024) -> Collected:
    collected = Collected((), [{}], in_memory)
    for start in range(0, 3000, 300):
        rows = [Record(start + place, text=b"%d" % (start + place) + b" " * 2000) for place in range(300)]
        add(collected, rows, start=start)
    return collected


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_large_reading_spills_and_is_cleaned_up() -> None:
    before = len(spilled())
    collected = large()
    assert len(spilled()) >= before + 2
    collected.settle(0)
    assert len(spilled()) == before + 1, "of a finished reading, the texts alone are left"
    assert [text.strip() for text in kept(collected, 2998, 10)] == numbered(2998, 2999)
    del collected
    gc.collect()
    assert len(spilled()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_large_reading_that_fails_is_cleaned_up_at_once() -> None:
    before = len(spilled())
    collected = large()
    collected.close()
    assert len(spilled()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_small_reading_touches_no_disk() -> None:
    before = len(spilled())
    collected = large(collected_module.IN_MEMORY)
    collected.settle(0)
    assert len(spilled()) == before
    collected.close()


def test_texts_are_read_without_pread_as_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has none."""
    collected = large()
    collected.settle(0)
    with_it = kept(collected)
    monkeypatch.delattr(os, "pread", raising=False)
    assert kept(collected) == with_it
    assert len(with_it) == 3000
    collected.close()


def test_a_file_that_lost_its_end_is_an_error() -> None:
    collected = large()
    collected.settle(0)
    file = collected._texts._file
    assert file is not None
    file.truncate(2000)
    with pytest.raises(UpstreamError, match="the temporary file is shorter than it was"):
        kept(collected, 2998, 2)
    collected.close()


@contextmanager
def a_limited_file(monkeypatch: pytest.MonkeyPatch, size: int) -> Iterator[None]:
    """The system refuses to let a file grow beyond a size, as it would on a full disk."""
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    before, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def refused_walk(sandbox: Sandbox) -> str:
    answer = listed(mounted(upstream_of(sandbox, "student_sessions")), limit=5)
    assert answer.status_code == 502
    message: str = answer.json()["error"]
    return message


FREE = "Free space where temporary files are kept (TMPDIR), or narrow the query."


def test_texts_that_no_disk_takes_are_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "Collected", partial(Collected, in_memory=64 * 1024))
    with Sandbox(students=300, exams=1) as sandbox:
        with a_limited_file(monkeypatch, 100 * 1024):
            message = refused_walk(sandbox)
        assert message == f"The records of the walk could not be kept: {os.strerror(errno.EFBIG)}. {FREE}"
        monkeypatch.undo()
        session = mounted(upstream_of(sandbox, "student_sessions"))
        assert listed(session, limit=5, page=2).headers["X-Pagination-Item-Count"] == "300"


def test_no_place_for_a_temporary_file_is_a_clear_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(reading, "Collected", partial(Collected, in_memory=64 * 1024))
    with Sandbox(students=300, exams=1) as sandbox:
        monkeypatch.setattr(collected_module.tempfile, "tempdir", str(tmp_path / "gone"))
        assert (
            refused_walk(sandbox) == f"The records of the walk could not be kept: {os.strerror(errno.ENOENT)}. {FREE}"
        )


class OnASmallDisk(Index):
    """SQLite says that the disk is full, as it would say it of a disk of 10 pages."""

    def __init__(self, sort: Sequence[SortKey], in_memory: int) -> None:
        super().__init__(sort, in_memory)
        self._do("PRAGMA max_page_count = 10")


def test_ids_that_no_disk_takes_are_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "Collected", partial(Collected, in_memory=0))
    monkeypatch.setattr(collected_module, "Index", OnASmallDisk)
    with Sandbox(students=1500, exams=1) as sandbox:
        assert refused_walk(sandbox) == f"The records of the walk could not be kept: database or disk is full. {FREE}"


def test_sorting_that_no_disk_takes_is_a_clear_error() -> None:
    index = Index((), 0)
    index._do("DROP TABLE found")
    with pytest.raises(UpstreamError, match="could not be kept: no such table"):
        index.settled(0)
    index.close()
    with index._database as database, pytest.raises(sqlite3.ProgrammingError):
        database.execute("SELECT 1")
