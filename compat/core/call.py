"""The way through: a legacy call in, the legacy answer out, whatever the entrance and the upstream."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from compat.core.collected import OnePage, Reading
from compat.core.plan import Plan, believed, make_plan
from compat.core.reading import find_one, read_range, read_sources
from compat.core.walks import ASKS_UPSTREAM, KeptPages, ProcessWalks, Steps, WalkKey, Walks
from compat.errors import StudentSessionNotFound, UpstreamError
from compat.legacy.parameters import Parameters, check, gather
from compat.legacy.query import LARGEST_LIMIT, Comparable, Query, parse_query
from compat.legacy.routes import ROUTES, Answer, LegacyCall, Route
from compat.legacy.signature import Caller
from compat.legacy.verifier import Verifier
from compat.upstream.base import (
    Chunk,
    Columns,
    LegacySettings,
    PushdownIgnored,
    Row,
    Source,
    Upstream,
    is_decoded,
    with_texts,
)
from compat.upstream.transport import CallOptions

__all__ = ["Admitted", "Shim", "finished"]

_T = TypeVar("_T")

_DEFAULT = CallOptions()
_LONGEST_LIST = 10**12


def finished(steps: Steps[_T]) -> _T:
    """The result of steps, with this thread waiting where they have to."""
    try:
        while True:
            future = next(steps)
            if future is not None:
                # Waits until it is done; what it came to is looked at by whoever asked for it.
                future.exception()
    except StopIteration as end:
        result: _T = end.value
        return result


@dataclass(frozen=True)
class Admitted:
    """A call that may be answered.

    Attributes:
        caller: whose it is, or None where nobody verifies.
        key: tells callers' walks apart.
    """

    call: LegacyCall
    parameters: Parameters
    caller: Caller | None
    key: str


class Shim:
    """Answers legacy calls from an upstream.

    Args:
        verifier: checks signatures where that is wanted; without one, calls are taken as they come.
        walks: where walks are kept for their later pages; without one, in this process.
    """

    def __init__(
        self,
        upstream: Upstream,
        settings: LegacySettings = LegacySettings(),
        verifier: Verifier | None = None,
        walks: Walks | None = None,
    ) -> None:
        self.upstream = upstream
        self.settings = settings
        self._verifier = verifier
        self._codec = upstream.codec(settings)
        self._pages = KeptPages(upstream.reuse_bytes, self._codec.page_size)
        self._walks = walks if walks is not None else ProcessWalks()

    def __getstate__(self) -> dict[str, Any]:
        # The codec holds compiled types, which are made anew rather than pickled; pages are nobody else's.
        return {name: value for name, value in self.__dict__.items() if name not in ("_codec", "_pages")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._codec = self.upstream.codec(self.settings)
        self._pages = KeptPages(self.upstream.reuse_bytes, self._codec.page_size)

    def answer(self, call: LegacyCall, options: CallOptions = _DEFAULT) -> Answer:
        """Answer a call.

        Raises:
            LegacyError: the failure, which :func:`compat.legacy.routes.failure` makes an answer of.
        """
        return finished(self.steps(self.admit(call), options))

    def admit(self, call: LegacyCall) -> Admitted:
        """Gather a call's parameters and verify it; an entrance that treats callers apart does so after this.

        Raises:
            NotAuthorized: the call does not hold.
        """
        parameters = gather(call)
        if self._verifier is None:
            key = hashlib.sha256((call.authorization or "").encode(errors="surrogatepass")).hexdigest()
            return Admitted(call, parameters, None, key)
        caller = self._verifier.verify(call, parameters)
        return Admitted(call, parameters, caller, caller.name)

    def steps(self, admitted: Admitted, options: CallOptions = _DEFAULT) -> Steps[Answer]:
        """Answer a call that was admitted, without a thread that waits for what other calls read.

        Raises:
            LegacyError: as :meth:`answer`.
            Cancelled: as ``options`` say.
        """
        given: Answer = yield from getattr(self, admitted.call.route.answer)(admitted, options)
        return given.without_body() if admitted.call.method == "HEAD" else given

    def index(self, admitted: Admitted, options: CallOptions) -> Steps[Answer]:
        """The answer to ``index_students``.

        Raises:
            LegacyError: as :meth:`answer`; so do the other three.
        """
        query = parse_query(admitted.parameters, self.settings.zone)
        self.upstream.check_query(query)
        while True:
            plan = make_plan(query, self.upstream.pushdown.capabilities)
            try:
                # No list is longer than that, and an upstream may stumble over such a page where the old one gave none.
                if plan.direct and query.start < _LONGEST_LIST:
                    yield ASKS_UPSTREAM
                    if found := self._direct(plan, admitted.key, options):
                        return found
                return (yield from self._walked(plan, admitted.key, options))
            except PushdownIgnored as ignored:
                self.upstream.pushdown.disprove(ignored.capability)

    def _direct(self, plan: Plan, caller: str, options: CallOptions) -> Answer | None:
        """One page of an upstream that does it all; None where it does not add up, or cannot be believed yet."""
        query = plan.query
        source = self.upstream.sources(query, plan.pushed, options)[0]
        decode = self._pages.decoder((WalkKey.of(caller, query), query.page), self._codec.page)
        chunk = read_range(source, query.start, query.limit, self.upstream.walk, decode)
        if chunk is None:
            return None
        body = None
        if not (query.conditions or query.sort):
            # No more than the records' exams and statuses need be looked at.
            having: dict[str, Comparable] = {"exam_id": query.exam_id}
            if query.status is not None:
                having["status"] = query.status
            body = self._codec.whole_page(chunk.rows, having)
        body = body or self._looked_at(plan, chunk, source, options)
        if body is None:
            return None
        return Answer.page(body, matches=chunk.total, number=query.page, limit=query.limit)

    def _looked_at(self, plan: Plan, chunk: Chunk, source: Source, options: CallOptions) -> bytes | None:
        """The page's body, each record looked at; None where they do not add up, or cannot be believed yet."""
        page = self._look(plan, chunk, source)
        if len({*page.keys}) != len(page.keys):
            return None
        plan.check_order(page)
        if not believed(self.upstream, plan, chunk, options):
            return None
        records = [chunk.rows[place] for place in page.places]
        return self._codec.body(records, [source.person] * len(records))

    def _look(self, plan: Plan, chunk: Chunk, source: Source) -> Columns:
        return plan.select(self._codec.columns(chunk.rows, plan.query.exam_id, plan.columns, source.person))

    def _walked(self, plan: Plan, caller: str, options: CallOptions) -> Steps[Answer]:
        query = plan.query
        read = partial(self._walk, plan, caller, options)
        walk = yield from self._walks.steps(WalkKey.of(caller, query), query.page, read, options.cancelled)
        return Answer.page(
            self._codec.body(*walk.page(query.start, query.limit)),
            matches=walk.count,
            number=query.page,
            limit=query.limit,
            unsettled=walk.unsettled,
        )

    def _walk(self, plan: Plan, caller: str, options: CallOptions, cancelled: Callable[[], bool]) -> Reading:
        sources = self.upstream.sources(plan.query, plan.pushed, replace(options, cancelled=cancelled))
        look, settings = partial(self._look, plan), self.upstream.walk
        read = partial(read_sources, sources, settings, look, decode=self._codec.walk_page(plan.columns))
        if plan.columns or len(sources) != 1 or not self._codec.keeps_texts:
            return read(plan.query.sort)
        deadline = settings.limit()
        decode = self._pages.decoder(WalkKey.of(caller, plan.query), self._codec.page)
        first = sources[0].fetch(0, LARGEST_LIMIT, None, deadline, decode)
        if first.total == len(first.rows) and is_decoded(first.rows):
            page = look(first, sources[0])
            # An id that stands for two records takes a reading with its repeats.
            if len({*page.ids()}) == len(page.keys):
                return OnePage([first.rows[place] for place in page.places], sources[0].person)
        return read(first=with_texts(first), deadline=deadline)

    def show(self, admitted: Admitted, options: CallOptions) -> Steps[Answer]:
        """The answer to ``show_student``."""
        exam_id, student_session_id = _ids(admitted)
        yield ASKS_UPSTREAM
        row, unsettled = self._found(exam_id, student_session_id, options)
        return Answer.of(_student(self._codec.single(row)), unsettled=unsettled)

    def _found(self, exam_id: int, student_session_id: int, options: CallOptions) -> tuple[Row, bool]:
        self.upstream.check_query(Query(exam_id))
        row, unsettled = find_one(self.upstream, student_session_id, self._codec, options)
        if row is not None and row.exam_id == exam_id:
            return row, unsettled
        if unsettled:
            raise UpstreamError("The upstream's list kept changing while the student session was looked for.")
        raise StudentSessionNotFound(student_session_id)

    def add(self, admitted: Admitted, options: CallOptions) -> Steps[Answer]:
        """The answer to ``add_student``."""
        values = self._writable(admitted)
        yield ASKS_UPSTREAM
        route = admitted.call.route
        sent = {
            name: text.lower() if name in route.flags else text for name, text in values.items() if name in route.own
        }
        row = self.upstream.add(int(values["id"]), sent, self._codec, options)
        return Answer.of(_student(self._codec.single(row)), 201)

    def delete(self, admitted: Admitted, options: CallOptions) -> Steps[Answer]:
        """The answer to ``delete_student``."""
        self._writable(admitted)
        exam_id, student_session_id = _ids(admitted)
        yield ASKS_UPSTREAM
        self._found(exam_id, student_session_id, options)
        self.upstream.delete(student_session_id, options)
        return Answer.of(b"{}")

    def _writable(self, admitted: Admitted) -> Mapping[str, str]:
        values = check(admitted.call.route, admitted.parameters)
        if self.upstream.reads_only is not None:
            raise self.upstream.reads_only
        return values


def _student(record: bytes) -> bytes:
    return b'{"student":' + record + b"}"


def _ids(admitted: Admitted) -> tuple[int, int]:
    values = check(admitted.call.route, admitted.parameters)
    return int(values["id"]), int(values["student_session_id"])


def check_answered(routes: Iterable[Route]) -> None:
    """See that the shim has a method for each route.

    Raises:
        TypeError: it has none; the text names the route.
    """
    for route in routes:
        if not callable(vars(Shim).get(route.answer)):
            raise TypeError(f"nobody answers the route {route.action!r}: Shim has no method {route.answer!r}")


check_answered(ROUTES)
