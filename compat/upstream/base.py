"""An upstream's interface: its pages and lists, and what it is trusted to do by itself (contract, section 4).

One record can be wrong by a fault: an answer that was mixed up, a page between two releases. So neither is believed for
good that the upstream ignores what was left to it, nor that it was once seen to do it.
"""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timezone, tzinfo
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec

from compat.errors import InvalidParameter
from compat.legacy.answer import students
from compat.processes import renew_after_fork
from compat.upstream.limits import WalkSettings
from compat.upstream.transport import CallOptions, Transport

if TYPE_CHECKING:
    from compat.legacy.query import Comparable, Query
    from compat.upstream.page_columns import Columns
    from compat.upstream.retries import Deadline

__all__ = [
    "BELIEVED_FOR",
    "LONGEST_SET_ASIDE",
    "SET_ASIDE_FOR",
    "Capability",
    "Chunk",
    "Codec",
    "LegacySettings",
    "One",
    "PushdownTrust",
    "Reading",
    "Row",
    "Source",
    "Upstream",
]


@dataclass(frozen=True)
class Chunk:
    """One page of an upstream, as it came.

    Attributes:
        start: how many records of the source lie before it.
        rows: its records, each the JSON text as the upstream wrote it, or as the codec decodes them.
        total: how many records the upstream says there are.
        limit: how many it says a page has.
    """

    start: int
    rows: Sequence[Any]
    total: int
    limit: int


class Row(msgspec.Struct, frozen=True, gc=False):
    """A record as the core sees it.

    Attributes:
        key: what the upstream tells records apart by: its own id.
        id: the legacy id.
        exam_id: the exam that it belongs to, or None for none of the configured ones.
        values: the comparables of the columns asked for; empty for another exam's record.
        record: its JSON text, or what the codec decoded of it.
        person: the roster's values for its user.
    """

    key: int | str
    id: int
    exam_id: int | None
    values: Mapping[str, Comparable | None]
    record: Any
    person: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Row(id={self.id!r}, exam_id={self.exam_id!r})"


class Reading(ABC):
    """A list that was read whole: the records that a query wants, in its order.

    It can be kept elsewhere and read back there: all there is to it are these attributes, and the records in ranges.

    Attributes:
        count: how many records there are.
        unsettled: the list kept changing while it was read.
        people: the roster's values of each source that was read.
    """

    count: int
    unsettled: bool
    people: Sequence[Mapping[str, Any]]

    @abstractmethod
    def records(self, start: int, limit: int) -> Sequence[tuple[bytes, int]]:
        """Some records, in order: the JSON text of each, and the place in ``people`` of the source that it is from.

        Args:
            start: how many lie before the first.
            limit: how many at most.

        Raises:
            UpstreamError: they cannot be read back.
        """

    def rows(self, start: int, limit: int) -> list[Row]:
        """Some records, in order, to be rendered; their ids and columns are not known any more.

        Raises:
            UpstreamError: they cannot be read back.
        """
        people = self.people
        return [Row(0, 0, None, {}, text, people[source]) for text, source in self.records(start, limit)]


@dataclass(frozen=True)
class One:
    """What was found for one id.

    Attributes:
        row: the record, or None where there is none.
        unsettled: it was looked for in a list that kept changing.
    """

    row: Row | None
    unsettled: bool = False


class Source(ABC):
    """A list that is read page by page: the whole upstream, or one user's part of it.

    Attributes:
        person: the roster's values for the user whose list it is.
        numbered: pages go by number and stated limit; else by offset.
    """

    person: Mapping[str, Any]
    numbered: bool

    @abstractmethod
    def fetch(self, start: int, limit: int, step: int | None, walk: Deadline | None) -> Chunk:
        """Read the page that begins at ``start``.

        Args:
            start: records before it; for numbered pages a multiple of ``step``.
            limit: records asked for.
            step: records a page, as an earlier page stated it; None at the first.
            walk: the end of the walk that it belongs to.

        Raises:
            LegacyError: as contract 2 says for what failed.
        """

    def fetch_first(self, limit: int, decode: Callable[[bytes], Any], walk: Deadline | None) -> Chunk:
        """Read the first page, its records decoded whole if that may be: all of them are wanted.

        Args:
            limit: records asked for.
            decode: :meth:`Codec.page`.
            walk: the end of the walk that it belongs to.

        Raises:
            LegacyError: as contract 2 says for what failed.
        """
        return self.fetch(0, limit, None, walk)


Capability = Literal["exam", "status", "filter", "sort"]

SET_ASIDE_FOR = 600.0
"""Seconds until what was disproved is tried again; twice as long each time that it is disproved at that."""

LONGEST_SET_ASIDE = 24 * 3600.0
"""Seconds that this grows to."""

BELIEVED_FOR = 600.0
"""Seconds for which an upstream that was seen to filter or sort is believed to."""

_log = logging.getLogger("compat.upstream")


@dataclass
class _SetAside:
    """What was disproved: for how long, until when, and whether it was tried since."""

    seconds: float
    until: float
    tried: bool = False


class PushdownTrust:
    """Remembers, for one upstream, what it was seen to ignore and to do; safe across threads.

    Pickled, it knows only what is configured.

    Args:
        configured: what the configuration leaves to the upstream.
        name: what the upstream is called in the log.
        clock: seconds on a clock that never goes back.
    """

    def __init__(
        self, configured: frozenset[Capability], name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._configured = configured
        self._name = name
        self._clock = clock
        self._set_aside: dict[Capability, _SetAside] = {}
        self._proved: dict[Capability, float] = {}
        self.renew()
        renew_after_fork(self.renew)

    def __getstate__(self) -> dict[str, Any]:
        return {"configured": self._configured, "name": self._name, "clock": self._clock}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def renew(self) -> None:
        """Take a lock of one's own, in a process that was forked; what is known is known there too."""
        self._lock = threading.Lock()

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What is left to the upstream now."""
        if not self._set_aside:
            return self._configured
        with self._lock:
            now = self._clock()
            return self._configured - {each for each in list(self._set_aside) if not self._due(each, now)}

    def _due(self, capability: Capability, now: float) -> bool:
        found = self._set_aside[capability]
        if now < found.until:
            return False
        if now >= found.until + found.seconds and found.tried:
            # It held for as long as it had been set aside: what comes after is another matter.
            del self._set_aside[capability]
        elif not found.tried:
            found.tried = True
            _log.warning("the %s are to see to %r again: it is looked at whether they do", self._name, capability)
        return True

    def disprove(self, capability: Capability) -> None:
        """A record came back that breaks what was left to the upstream: the shim does it, until it is tried again."""
        with self._lock:
            now = self._clock()
            found = self._set_aside.get(capability)
            if found is not None and now < found.until:
                # Of a call that began before the one by which it was disproved.
                return
            seconds = SET_ASIDE_FOR if found is None else min(2 * found.seconds, LONGEST_SET_ASIDE)
            self._set_aside[capability] = _SetAside(seconds, now + seconds)
            self._proved.pop(capability, None)
        _log.warning(
            "the %s ignored %r, which the configuration leaves to them: it is done here, and tried again in %d minutes",
            self._name,
            capability,
            seconds / 60,
        )

    def prove(self, capability: Capability) -> None:
        """The upstream was seen to do it."""
        self._proved[capability] = self._clock()

    def proved(self, capability: Capability) -> bool:
        """Whether it was seen to do it a short while ago."""
        at = self._proved.get(capability)
        return at is not None and self._clock() - at < BELIEVED_FOR


ExtraFields = Literal["all"] | tuple[str, ...]


@dataclass(frozen=True)
class LegacySettings:
    """How the old interface is shown, the keys of ``[legacy]`` that translation needs.

    Attributes:
        zone: what a time without an offset means, and where times made here are written.
        extra_fields: fields beyond the 57 that are let through: "all", or their names.
    """

    zone: tzinfo = timezone.utc
    extra_fields: ExtraFields = ()


class Codec(ABC):
    """Reads an upstream's records as legacy records, as far as asked."""

    def page(self, body: bytes) -> Any:
        """A page as the upstream wraps it, with its records decoded whole; ``bytes`` of one is a text of it again.

        Raises:
            ValueError: they are not all of the declared types, or decoding them whole saves nothing.
        """
        raise ValueError("decoded one by one")

    def page_rows(self, body: bytes) -> Sequence[Any]:
        """The records of a page, decoded whole.

        Raises:
            ValueError: they are not all of the declared types, or decoding them whole saves nothing.
        """
        raise ValueError("decoded one by one")

    @abstractmethod
    def scan(self, rows: Sequence[Any], exam_id: int, columns: Sequence[str], person: Mapping[str, Any]) -> list[Row]:
        """Look at the ids of every record, and at some columns of an exam's.

        Raises:
            UpstreamError: an id or exam id that is none, or a column's value that the column's type cannot read; the
                text names field and record.
        """

    def whole_page(self, rows: Sequence[Any], having: Mapping[str, Comparable]) -> bytes | None:
        """A page whose records are all wanted, shown as :meth:`render` shows them.

        Args:
            rows: the page's records, as :meth:`page_rows` decodes them.
            having: column to the value that every record has to have there.

        Returns:
            the JSON object that the old page was, ``{"students": [...]}``; None where a record has another value, an
            id comes twice, or the records have to be looked at one by one.
        """
        return None

    @abstractmethod
    def columns(self, rows: Sequence[Any], exam_id: int, names: Sequence[str], person: Mapping[str, Any]) -> Columns:
        """What :meth:`scan` sees, by column.

        Raises:
            UpstreamError: as :meth:`scan` does.
        """

    @abstractmethod
    def render(self, rows: Sequence[Row]) -> bytes:
        """Records as a JSON array of legacy records.

        Raises:
            UpstreamError: a record that has no legacy form; the text names field and record.
        """

    def body(self, rows: Sequence[Row]) -> bytes:
        """Records as the old page had them, ``{"students": [...]}``: :meth:`render`, without copying a page of it.

        Raises:
            UpstreamError: as :meth:`render` does.
        """
        return students(self.render(rows))

    @abstractmethod
    def plain(self, text: Any, person: Mapping[str, Any]) -> bytes:
        """One record as :meth:`render` shows it, by the marshmallow schemas alone.

        Raises:
            UpstreamError: it has no legacy form; the text names field and record.
        """


class Upstream(ABC):
    """A new endpoint.

    Attributes:
        kind: its name in the configuration.
        base_url: scheme and host.
        walk: how a reading of the whole list is bounded.
        pushdown: what it is trusted to do by itself.
    """

    kind: ClassVar[str]
    base_url: str
    walk: WalkSettings
    _transport: Transport

    def __init__(self, capabilities: frozenset[Capability], walk: WalkSettings) -> None:
        self.pushdown = PushdownTrust(capabilities, self.kind.replace("_", " "))
        self.walk = walk

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What it does by itself, as configured and not disproved a short while ago."""
        return self.pushdown.capabilities

    def close(self) -> None:
        """Close the connections that nobody uses; a session that the user gave stays open."""
        self._transport.close()

    @abstractmethod
    def check_query(self, query: Query) -> None:
        """Refuse a query that can have no answer from here.

        Raises:
            InvalidParameter: names it.
        """

    @abstractmethod
    def sources(
        self,
        query: Query,
        pushed: frozenset[Capability],
        options: CallOptions,
        page_rows: Callable[[bytes], Sequence[Any]] | None = None,
    ) -> list[Source]:
        """The lists to read for a query.

        Args:
            query: the query.
            pushed: what of it is left to the upstream.
            options: how the old call was to be sent.
            page_rows: decodes the records of a page whole, where they are all wanted.
        """

    @abstractmethod
    def codec(self, settings: LegacySettings) -> Codec:
        """The reader of its records."""

    @abstractmethod
    def one(self, student_session_id: int, codec: Codec, options: CallOptions) -> One:
        """The record of a legacy id.

        Raises:
            LegacyError: as contract 2 says for what failed.
        """

    @abstractmethod
    def add(self, exam_id: int, values: Mapping[str, str], codec: Codec, options: CallOptions) -> Row:
        """Register a student, and give the record made.

        Raises:
            LegacyError: as contract 2 says for what failed; InvalidParameter where the upstream only reads.
        """

    @abstractmethod
    def update(self, student_session_id: int, values: Mapping[str, str], codec: Codec, options: CallOptions) -> Row:
        """Change a record, and give it as it is then.

        Raises:
            LegacyError: as contract 2 says for what failed; InvalidParameter where the upstream only reads.
        """

    @abstractmethod
    def delete(self, student_session_id: int, options: CallOptions) -> None:
        """Delete a record that was just looked at.

        Raises:
            LegacyError: as contract 2 says for what failed; InvalidParameter where the upstream only reads.
        """

    @property
    def reads_only(self) -> InvalidParameter | None:
        """What a write is refused with, where the upstream only reads."""
        return None
