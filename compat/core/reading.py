"""Reading a list whole, page by page and in threads, while it may change (contract, section 4).

Those of ``concurrent.futures`` are: a page that does not come would hold up a script that has long had its answer.

Pages are stepped by what came back. A reading counts as whole when the ids that it found are as many as the last
total that the upstream stated, none came twice, and the total never fell meanwhile: a record that is deleted before
the page being read moves another one out of sight, and the sum would still come out right.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from functools import partial
from typing import Generic, ParamSpec, TypeVar

from compat.core.collected import Collected
from compat.errors import UpstreamError
from compat.legacy.query import LARGEST_LIMIT, SortKey
from compat.upstream.base import Chunk, Columns, Decode, Row, Source, Upstream, is_decoded
from compat.upstream.limits import FREE_PAGES, WalkMeter, WalkSettings
from compat.upstream.records import Codec
from compat.upstream.retries import Deadline
from compat.upstream.transport import CallOptions

__all__ = ["PAGES_AT_ONCE", "READINGS", "PageThreads", "find_one", "page_length", "read_range", "read_sources"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class PageThreads(Generic[_T]):
    """Calls functions in a few threads, in the order in which they are handed over.

    Args:
        most: threads at once; each starts when there is something for it.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._started = 0
        self._waiting: queue.SimpleQueue[tuple[Future[_T], Callable[[], _T]] | None] = queue.SimpleQueue()

    def submit(self, fetch: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Have a function called; from one thread alone."""
        future: Future[_T] = Future()
        self._waiting.put((future, lambda: fetch(*args, **kwargs)))
        if self._started < self._most:
            self._started += 1
            threading.Thread(target=_work, args=(self._waiting,), name="exam-compat-page", daemon=True).start()
        return future

    def __enter__(self) -> PageThreads[_T]:
        return self

    def __exit__(self, *exception: object) -> None:
        """Call nothing more; what is being called is left to itself."""
        while True:
            try:
                waiting = self._waiting.get_nowait()
            except queue.Empty:
                break
            if waiting is not None:
                waiting[0].cancel()
        for _ in range(self._started):
            self._waiting.put(None)


def _work(waiting: queue.SimpleQueue[tuple[Future[_T], Callable[[], _T]] | None]) -> None:
    while (taken := waiting.get()) is not None:
        future, call = taken
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
                future.set_exception(error)
        # Nothing is kept alive by a thread that waits.
        del taken, future, call


PAGES_AT_ONCE = 4
_HANDED_OVER = 3 * PAGES_AT_ONCE
READINGS = 3

Look = Callable[[Chunk, Source], Columns]
"""Looks at a page: the ids of its records, which of them are wanted, and what those are sorted by."""


def read_sources(
    sources: Sequence[Source],
    settings: WalkSettings,
    look: Look,
    sort: Sequence[SortKey] = (),
    first: Chunk | None = None,
    deadline: Deadline | None = None,
    decode: Decode | None = None,
) -> Collected:
    """Read some lists from end to end, again where a reading is not whole.

    Args:
        settings: the limits, and what to do with a list that kept changing.
        sort: the columns to sort the wanted records by.
        first: the first page of the only list, where it was read already.
        deadline: the end of the whole reading; None to begin it now.
        decode: decodes each page; None to have its records as texts.

    Raises:
        UpstreamError: an id that came twice in every reading of a list that stood still, two ids with one legacy
            id, a list that kept changing where that is to be refused, a limit, or what a page failed with.
    """
    deadline = deadline or settings.limit()
    meter = WalkMeter(settings)
    collected = Collected(sort, [source.person for source in sources])
    attempts: list[list[_Progress]] = []
    try:
        for attempt in range(READINGS):
            keep = [partial(collected.add, attempt, index) for index in range(len(sources))]
            attempts.append([_Progress(*each, look, meter, decode) for each in zip(sources, keep, strict=True)])
            _read_once(attempts[-1], deadline, None if attempt else first)
            if _whole(attempts[-1], *collected.summary(attempt)):
                collected.settle(attempt)
                return collected
        _check_unsettled(attempts, collected, settings)
        collected.merge()
    except BaseException:
        collected.close()
        raise
    return collected


class _Progress:
    """How far one source has been read in one attempt."""

    def __init__(
        self, source: Source, keep: Callable[..., None], look: Look, meter: WalkMeter, decode: Decode | None
    ) -> None:
        self.source = source
        self.totals: list[int] = []
        self.consistent = True
        self._keep = keep
        self._look = look
        self._meter = meter
        self._decode = decode
        self._rows = LARGEST_LIMIT
        self._step: int | None = None
        self._limit = 0
        self._next = 0

    def take(self, chunk: Chunk, end: int | None) -> Iterator[tuple[int, int]]:
        """Keep a page, and say which pages to read next, as (start, end); the first page's end is None."""
        self._meter.took(chunk.rows)
        self._rows = len(chunk.rows)
        if self.totals and chunk.total < self.totals[-1]:
            self.consistent = False
        self.totals.append(chunk.total)
        if self._step is None:
            self._limit = chunk.limit
            self._step = self._next = end = page_length(self.source, chunk)
        if self.source.numbered:
            due = min(self._step, max(chunk.total - chunk.start, 0))
            self.consistent = self.consistent and (chunk.limit == self._limit or len(chunk.rows) == due)
        else:
            # By offset, what lies past the end belongs to the next page, and what is missing is asked for again.
            chunk = replace(chunk, rows=chunk.rows[: (end or 0) - chunk.start])
            reached, due = chunk.start + len(chunk.rows), min(end or 0, chunk.total)
            if chunk.rows and reached < due:
                yield reached, due
        self._keep(chunk.start, chunk.rows, self._look(chunk, self.source))
        if self.consistent:
            self._meter.expect(-(-max(chunk.total - self._next, 0) // self._step))
        while self.consistent and self._next < chunk.total:
            start = self._next
            self._next += self._step
            yield start, self._next

    def fetch(self, start: int, end: int | None, deadline: Deadline) -> Chunk:
        self._meter.wait(self._rows, deadline)
        limit = LARGEST_LIMIT if end is None or self.source.numbered else end - start
        return self.source.fetch(start, limit, self._step, deadline, self._decode)


def page_length(source: Source, chunk: Chunk) -> int:
    """How many records a list's pages have, by its first: what it states, or what it gave where that is less."""
    short = len(chunk.rows) < min(chunk.limit, chunk.total)
    return max(chunk.limit if source.numbered and not short else len(chunk.rows), 1)


def _read_once(progresses: list[_Progress], deadline: Deadline, first: Chunk | None) -> None:
    waiting: list[tuple[_Progress, int, int | None]] = [(progress, 0, None) for progress in progresses]
    if len(waiting) == 1:
        # Most lists are one page: no thread is worth its start for that.
        progress, start, end = waiting.pop()
        chunk = progress.fetch(start, end, deadline) if first is None else first
        waiting = [(progress, *pages) for pages in progress.take(chunk, end)]
    if waiting:
        _read_concurrently(waiting, deadline)


def _read_concurrently(waiting: list[tuple[_Progress, int, int | None]], deadline: Deadline) -> None:
    waiting.reverse()
    running: dict[Future[Chunk], tuple[_Progress, int | None]] = {}
    with PageThreads[Chunk](PAGES_AT_ONCE) as threads:
        while waiting or running:
            # More are handed over than are read at once, so that the upstream does not wait while pages are looked at.
            while waiting and len(running) < _HANDED_OVER:
                progress, start, end = waiting.pop()
                running[threads.submit(progress.fetch, start, end, deadline)] = (progress, end)
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                progress, end = running.pop(future)
                waiting[:0] = [(progress, *pages) for pages in progress.take(future.result(), end)][::-1]


def _whole(progresses: Sequence[_Progress], count: int, distinct: int) -> bool:
    consistent = all(progress.consistent for progress in progresses)
    return consistent and count == distinct == sum(progress.totals[-1] for progress in progresses)


def _check_unsettled(attempts: Sequence[Sequence[_Progress]], collected: Collected, settings: WalkSettings) -> None:
    """Refuse a list that has an id twice, or that kept changing where that is to be refused."""
    stated = [{total for progress in one for total in progress.totals} for one in zip(*attempts, strict=True)]
    if all(len(totals) == 1 for totals in stated):
        always = set.intersection(*(collected.repeated(attempt) for attempt in range(len(attempts))))
        if always:
            raise UpstreamError(f"The upstream lists the id {min(map(str, always))} twice.")
    if settings.unsettled == "refuse":
        raise UpstreamError(f"The upstream's list changed while it was read, {READINGS} times over.")


def read_range(source: Source, start: int, limit: int, settings: WalkSettings, decode: Decode) -> Chunk | None:
    """Read one legacy page of a source that selects and sorts by itself.

    One request, or as many as the upstream's own limit makes of it; these are a walk, though a short one.

    Returns:
        the page's rows, total and limit; None where its parts do not fit together.

    Raises:
        LegacyError: what a page failed with.
    """
    first = source.fetch(start, limit, None, None, decode)
    end = min(start + limit, first.total)
    if first.limit == limit:
        return first if len(first.rows) == max(end - start, 0) else None
    # The first page was asked for by another length than the upstream has: where it begins is not known.
    step = first.limit
    starts = [index * step for index in range(start // step, -(-end // step))]
    deadline = settings.limit()

    def fetch(begin: int) -> Chunk:
        if begin - starts[0] >= FREE_PAGES * step:
            settings.slow_down(step, deadline)
        return source.fetch(begin, limit, step, deadline, decode)

    with PageThreads[Chunk](PAGES_AT_ONCE) as threads:
        chunks = [each.result() for each in [threads.submit(fetch, begin) for begin in starts]]
    for chunk in chunks:
        due = min(step, chunk.total - chunk.start)
        if chunk.limit != step or chunk.total != first.total or len(chunk.rows) != due:
            return None
    if len({is_decoded(chunk.rows) for chunk in chunks}) > 1:
        return None
    rows = [row for chunk in chunks for row in chunk.rows]
    skipped = start - starts[0] if starts else 0
    return Chunk(start, rows[skipped : skipped + max(end - start, 0)], first.total, limit)


def find_one(
    upstream: Upstream, student_session_id: int, codec: Codec, options: CallOptions
) -> tuple[Row | None, bool]:
    """The record of a legacy id, and whether it was looked for in a list that kept changing.

    Where no route gives one record, it is looked for in the whole list.

    Raises:
        LegacyError: as contract 2 says for what failed.
    """
    found = upstream.one(student_session_id, codec, options)
    if not isinstance(found, list):
        return found, False

    def look(chunk: Chunk, source: Source) -> Columns:
        page = codec.columns(chunk.rows, None, (), source.person)
        return page._replace(places=[place for place, number in enumerate(page.ids()) if number == student_session_id])

    read = read_sources(found, upstream.walk, look)
    try:
        texts, people = read.page(0, 1)
        row = codec.scan(texts, None, (), people[0])[0] if texts else None
        return row, read.unsettled
    finally:
        read.close()
