"""Reading a list whole, page by page, while it may change (contract, section 4).

Pages are stepped by what came back. A reading counts as whole when the ids that it found are as many as the last
total that the upstream stated, and none came twice; what was asked for is never taken for what was given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from compat.errors import UpstreamError
from compat.legacy.query import LARGEST_LIMIT
from compat.upstream.interface import Chunk, Row, Source, WalkSettings
from compat.upstream.retries import Deadline

__all__ = ["PAGES_AT_ONCE", "READINGS", "Reading", "read_range", "read_sources"]

PAGES_AT_ONCE = 4
READINGS = 3

Scan = Callable[[Chunk, Source], list[Row]]


@dataclass(frozen=True)
class Reading:
    """What a list holds.

    Attributes:
        rows: its records, in the upstream's order.
        unsettled: no reading was whole, and these are the records of all of them.
    """

    rows: list[Row] = field(repr=False)
    unsettled: bool


def read_sources(sources: Sequence[Source], settings: WalkSettings, scan: Scan) -> Reading:
    """Read some lists from end to end, again where a reading is not whole.

    Args:
        sources: the lists.
        settings: the deadline, and what to do with a list that kept changing.
        scan: what to note of each page's records.

    Raises:
        UpstreamError: an id that came twice in every reading of a list that stood still, two ids with one legacy
            id, a list that kept changing where that is to be refused, or what a page failed with.
    """
    deadline = Deadline.after(settings.deadline, f"walk_deadline of {settings.deadline:g} seconds")
    attempts: list[_Attempt] = []
    while len(attempts) < READINGS:
        attempt = _read_once(sources, scan, deadline)
        if attempt.whole:
            return Reading(_distinct_ids(attempt.rows), unsettled=False)
        attempts.append(attempt)
    _refuse_repeated(attempts)
    if settings.unsettled == "refuse":
        raise UpstreamError(f"The upstream's list changed while it was read, {READINGS} times over.")
    return Reading(_distinct_ids(_merged(attempts)), unsettled=True)


@dataclass
class _Attempt:
    """One reading of all sources."""

    rows: list[Row]
    totals: list[list[int]]
    consistent: bool

    @property
    def whole(self) -> bool:
        stated = sum(totals[-1] for totals in self.totals)
        return self.consistent and len(self.rows) == stated == len({row.key for row in self.rows})

    @property
    def repeated(self) -> set[int | str]:
        seen: set[int | str] = set()
        return {row.key for row in self.rows if row.key in seen or seen.add(row.key)}  # type: ignore[func-returns-value]


class _Progress:
    """How far one source has been read in one attempt."""

    def __init__(self, source: Source, scan: Scan) -> None:
        self.source = source
        self.totals: list[int] = []
        self.consistent = True
        self._scan = scan
        self._step: int | None = None
        self._next = 0
        self._found: dict[int, list[Row]] = {}

    @property
    def rows(self) -> list[Row]:
        return [row for start in sorted(self._found) for row in self._found[start]]

    def take(self, chunk: Chunk, end: int | None) -> Iterator[tuple[int, int]]:
        """Note a page, and say which pages to read next, as (start, end); the first page's end is None."""
        self.totals.append(chunk.total)
        if self._step is None:
            self._step = self._next = chunk.limit if self.source.numbered else max(len(chunk.rows), 1)
            end = self._step
        if self.source.numbered:
            rows = chunk.rows
            self.consistent = self.consistent and chunk.limit == self._step
        else:
            # By offset, what lies past the end belongs to the next page, and what is missing is asked for again.
            rows = chunk.rows[: (end or 0) - chunk.start]
            reached, due = chunk.start + len(rows), min(end or 0, chunk.total)
            if rows and reached < due:
                yield reached, due
        self._found[chunk.start] = self._scan(Chunk(chunk.start, rows, chunk.total, chunk.limit), self.source)
        while self.consistent and self._next < chunk.total:
            start = self._next
            self._next += self._step
            yield start, self._next

    def fetch(self, start: int, end: int | None, deadline: Deadline) -> Chunk:
        limit = LARGEST_LIMIT if end is None or self.source.numbered else end - start
        return self.source.fetch(start, limit, self._step, deadline)


def _read_once(sources: Sequence[Source], scan: Scan, deadline: Deadline) -> _Attempt:
    progresses = [_Progress(source, scan) for source in sources]
    waiting: list[tuple[_Progress, int, int | None]] = [(progress, 0, None) for progress in progresses]
    if len(waiting) == 1:
        # Most lists are one page: no thread is worth its start for that.
        progress, start, end = waiting.pop()
        waiting = [(progress, *pages) for pages in progress.take(progress.fetch(start, end, deadline), end)]
    if waiting:
        _read_concurrently(waiting, deadline)
    return _Attempt(
        [row for progress in progresses for row in progress.rows],
        [progress.totals for progress in progresses],
        all(progress.consistent for progress in progresses),
    )


def _read_concurrently(waiting: list[tuple[_Progress, int, int | None]], deadline: Deadline) -> None:
    waiting.reverse()
    running: dict[Future[Chunk], tuple[_Progress, int | None]] = {}
    pool = ThreadPoolExecutor(PAGES_AT_ONCE, thread_name_prefix="exam-compat-page")
    try:
        while waiting or running:
            while waiting and len(running) < PAGES_AT_ONCE:
                progress, start, end = waiting.pop()
                running[pool.submit(progress.fetch, start, end, deadline)] = (progress, end)
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                progress, end = running.pop(future)
                waiting[:0] = [(progress, *pages) for pages in progress.take(future.result(), end)][::-1]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _distinct_ids(rows: list[Row]) -> list[Row]:
    keys: dict[int, int | str] = {}
    for row in rows:
        if keys.setdefault(row.id, row.key) != row.key:
            raise UpstreamError(f"Two of the upstream's sessions have the legacy id {row.id}.")
    return rows


def _refuse_repeated(attempts: Sequence[_Attempt]) -> None:
    stated = [
        {total for attempt in attempts for total in attempt.totals[index]} for index in range(len(attempts[0].totals))
    ]
    always = set.intersection(*(attempt.repeated for attempt in attempts))
    if always and all(len(totals) == 1 for totals in stated):
        raise UpstreamError(f"The upstream lists the id {min(map(str, always))} twice.")


def _merged(attempts: Sequence[_Attempt]) -> list[Row]:
    """Every record that any reading found, its newest value, in the order of the last reading."""
    newest = {row.key: row for attempt in attempts for row in attempt.rows}
    order = dict.fromkeys(row.key for attempt in reversed(attempts) for row in attempt.rows)
    return [newest[key] for key in order]


def read_range(source: Source, start: int, limit: int) -> Chunk | None:
    """Read one legacy page of a source that selects and sorts by itself.

    One request, or as many as the upstream's own limit makes of it.

    Returns:
        the page's rows, total and limit; None where its parts do not fit together.

    Raises:
        LegacyError: what a page failed with.
    """
    first = source.fetch(start, limit, None, None)
    end = min(start + limit, first.total)
    if first.limit == limit:
        return first if len(first.rows) == max(end - start, 0) else None
    step = first.limit
    starts = [index * step for index in range(start // step, -(-end // step))]
    with ThreadPoolExecutor(PAGES_AT_ONCE, thread_name_prefix="exam-compat-page") as pool:
        chunks = list(pool.map(lambda begin: source.fetch(begin, limit, step, None), starts))
    for chunk in chunks:
        if chunk.limit != step or chunk.total != first.total:
            return None
        if len(chunk.rows) != min(step, chunk.total - chunk.start):
            return None
    rows = [row for chunk in chunks for row in chunk.rows]
    skipped = start - starts[0] if starts else 0
    return Chunk(start, rows[skipped : skipped + max(end - start, 0)], first.total, limit)
