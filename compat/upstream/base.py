"""An upstream's interface: its lists and pages, its records, and what it is trusted with (contract, section 4).

One record can be wrong by a fault: an answer that was mixed up, a page between two releases. So neither is believed for
good that the upstream ignores what was left to it, nor that it was once seen to do it.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timezone, tzinfo
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import msgspec
import requests

from compat.errors import ConfigurationError, InvalidParameter
from compat.processes import ForkLock, MadeAnew
from compat.settings_checks import checked_bytes, checked_url
from compat.upstream.limits import AnswerLimits, LimitKeys, SharedKeys, WalkSettings
from compat.upstream.retries import BREAKER_FAILURES, Deadline, RetryPolicy
from compat.upstream.transport import CallOptions, Reply, Transport

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from compat.legacy.query import Comparable, Query
    from compat.legacy.signature import Caller
    from compat.upstream.records import Codec

__all__ = [
    "BELIEVED_FOR",
    "LONGEST_SET_ASIDE",
    "SET_ASIDE_FOR",
    "AskedPage",
    "Capability",
    "Chunk",
    "Columns",
    "LegacySettings",
    "PageReader",
    "PushdownIgnored",
    "PushdownTrust",
    "Row",
    "SharedKeys",
    "Sortable",
    "Source",
    "Upstream",
    "asked_page",
    "is_decoded",
    "with_texts",
]

Capability = Literal["exam", "status", "filter", "sort"]
SET_ASIDE_FOR = 600.0
"""Seconds until what was disproved is tried again; twice as long each time that it is disproved at that."""

LONGEST_SET_ASIDE = 24 * 3600.0
"""Seconds that this grows to."""

BELIEVED_FOR = 600.0
"""Seconds for which an upstream that was seen to filter or sort is believed to."""

_log = logging.getLogger("compat.upstream")

Decode = Callable[[bytes], Any]
"""Decodes the body of a page whole, as :meth:`compat.upstream.records.Codec.page` does."""

_REUSE_BYTES = 16 << 20

People = Sequence[Mapping[str, Any]]
"""The roster's values for the user of each record."""


@dataclass(frozen=True)
class Chunk:
    """One page of an upstream, as it came.

    Attributes:
        start: how many records of the source lie before it.
        rows: its records, each the JSON text as the upstream wrote it, or as the codec decoded it.
        total: how many records the upstream says there are.
        limit: how many it says a page has.
    """

    start: int
    rows: Sequence[Any]
    total: int
    limit: int


Sortable = int | bool | str
"""What stands for a value within a column: a comparable, and of a time its sortable text."""


class Columns(NamedTuple):
    """One page of records as it is selected and sorted by.

    Attributes:
        keys: each record's own id, a number where it is one.
        surrogates: the legacy ids of the others.
        places: where the wanted records stand among all.
        values: of those alone the columns asked for, by name; null is None.
    """

    keys: Sequence[int | str]
    surrogates: Mapping[int | str, int]
    places: Sequence[int]
    values: Mapping[str, Sequence[Sortable | None]]

    def ids(self) -> list[int | str]:
        """The legacy id of every record."""
        return [self.surrogates.get(key, key) for key in self.keys] if self.surrogates else [*self.keys]


class Row(msgspec.Struct, frozen=True, gc=False):
    """One record, looked at by itself.

    Attributes:
        key: what the upstream tells records apart by: its own id.
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


def is_decoded(rows: Sequence[Any]) -> bool:
    """Whether records came as the codec decodes them, and not as their texts."""
    return bool(rows) and isinstance(rows[0], msgspec.Struct)


def with_texts(chunk: Chunk) -> Chunk:
    """A page with each record as its text."""
    return replace(chunk, rows=[*map(bytes, chunk.rows)]) if is_decoded(chunk.rows) else chunk


class AskedPage:
    """One page of an upstream that is asked for, its attempts one after another.

    Args:
        decode: decodes the page's body; None leaves that to the upstream.
    """

    condition: Mapping[str, str] = MappingProxyType({})
    """Headers that the next attempt is sent with."""

    def __init__(self, decode: Decode | None) -> None:
        self.decode = decode

    def answer(self, reply: Reply) -> Reply:
        """The answer that a reply stands for."""
        return reply


class PageReader(ABC):
    """Decodes pages, and may know what the upstream said to the same request before."""

    @abstractmethod
    def __call__(self, body: bytes) -> Any:
        """Decode a page that is asked for without a condition."""

    @abstractmethod
    def asked(self, request: Hashable) -> AskedPage:
        """The page of one request; path and parameters, without a signature, tell those of one query apart."""


def asked_page(decode: Decode | None, path: str, parameters: Mapping[str, str]) -> AskedPage:
    """The page that a request asks for, on its condition where one is known."""
    if isinstance(decode, PageReader):
        return decode.asked((path, *parameters.items()))
    return AskedPage(decode)


class Source(ABC):
    """A list that is read page by page: the whole upstream, or one user's part of it.

    Attributes:
        person: the roster's values for the user whose list it is.
        numbered: pages go by number and stated limit; else by offset.
    """

    person: Mapping[str, Any]
    numbered: bool

    @abstractmethod
    def fetch(
        self, start: int, limit: int, step: int | None, walk: Deadline | None, decode: Decode | None = None
    ) -> Chunk:
        """Read the page that begins at ``start``.

        Args:
            start: records before it; for numbered pages a multiple of ``step``.
            limit: records asked for.
            step: records a page, as an earlier page stated it; None at the first.
            walk: the end of the walk that it belongs to.
            decode: decodes the records whole, if that may be; None to have their texts.

        Raises:
            LegacyError: as contract 2 says for what failed.
        """


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


class PushdownIgnored(Exception):
    """A record came back that breaks what was left to the upstream."""

    def __init__(self, capability: Capability) -> None:
        super().__init__(capability)
        self.capability = capability


@dataclass
class _Disproof:
    """What was disproved: for how long, until when, and whether it was tried since."""

    seconds: float
    until: float
    tried: bool = False


class PushdownTrust(MadeAnew):
    """What one upstream was seen to ignore and to do; safe across threads."""

    def __init__(
        self, configured: frozenset[Capability], name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._configured = configured
        self._name = name
        self._clock = clock
        self._set_aside: dict[Capability, _Disproof] = {}
        self._proved: dict[Capability, float] = {}
        self._lock = ForkLock()

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
        """Do it here from now on, until it is tried again: a record came back that breaks it."""
        with self._lock:
            now = self._clock()
            found = self._set_aside.get(capability)
            if found is not None and now < found.until:
                # Of a call that began before the one by which it was disproved.
                return
            seconds = SET_ASIDE_FOR if found is None else min(2 * found.seconds, LONGEST_SET_ASIDE)
            self._set_aside[capability] = _Disproof(seconds, now + seconds)
            self._proved.pop(capability, None)
        _log.warning(
            "the %s ignored %r, which the configuration leaves to them: it is done here, and tried again in %d minutes",
            self._name,
            capability,
            seconds / 60,
        )

    def prove(self, capability: Capability) -> None:
        """Note that the upstream was seen to do it."""
        self._proved[capability] = self._clock()

    def proved(self, capability: Capability) -> bool:
        """Whether it was seen to do it a short while ago."""
        at = self._proved.get(capability)
        return at is not None and self._clock() - at < BELIEVED_FOR


class Upstream(ABC):
    """A new endpoint, and the settings that every kind of it has.

    Whatever asks it raises a LegacyError as contract 2 says for what failed, and an
    InvalidParameter where it only reads.

    Args:
        base_url: scheme and host.
        capabilities: what is left to it.
        walk_deadline: seconds that a reading of the whole list may take.
        walk_pages: pages that one may read, all its attempts together; more is an error.
        walk_bytes: bytes of records that one may read, all its attempts together; more is an error.
        walk_rate: calls a second that readings of small pages, with fewer than 100 records, make together.
        unsettled: "serve" a list that kept changing and say so, or "refuse" it.
        breaker_failures: attempts in a row that fail before one call at a time goes on trying, while others are told
            at once; 0 for no such stop.
        reuse_bytes: bytes of translated pages that are kept for a minute at most, and used again while the upstream
            answers the same caller's same query with the same bytes; 0 keeps none.
        session: the ``requests`` session to call with; your adapters, proxies, certificates and cookies then count.
        retries: how often and how long to try.
        limits: the keys of :class:`compat.upstream.limits.AnswerLimits`.

    Attributes:
        kind: its name in the configuration, by which :data:`compat.upstream.kinds.KINDS` has more of it.
        takes_other_calls: it is the old endpoint's own host, which takes the caller's other calls as they are.
        base_url: scheme and host.
        walk: how a reading of the whole list is bounded.
        pushdown: what it is trusted to do by itself.
        keep_alive: seconds that an idle connection is trusted.
        reuse_bytes: as given.

    Raises:
        ConfigurationError: an argument that cannot be used.
    """

    kind: ClassVar[str]
    takes_other_calls: ClassVar[bool] = False

    def __init__(
        self,
        base_url: str,
        capabilities: frozenset[Capability],
        *,
        walk_deadline: float = WalkSettings.deadline,
        walk_pages: int = WalkSettings.pages,
        walk_bytes: int = WalkSettings.bytes,
        walk_rate: float = WalkSettings.rate,
        unsettled: Literal["serve", "refuse"] = "serve",
        breaker_failures: int = BREAKER_FAILURES,
        reuse_bytes: int = _REUSE_BYTES,
        session: requests.Session | None = None,
        retries: RetryPolicy = RetryPolicy(),
        **limits: Unpack[LimitKeys],
    ) -> None:
        name = self.kind.replace("_", " ")
        self.base_url = checked_url("base_url", base_url)
        self.walk = WalkSettings(walk_deadline, unsettled, walk_pages, walk_bytes, walk_rate)
        self.pushdown = PushdownTrust(capabilities, name)
        taken = AnswerLimits(**limits)
        self.keep_alive = taken.keep_alive
        self.reuse_bytes = checked_bytes("reuse_bytes", reuse_bytes)
        if not isinstance(retries, RetryPolicy):
            raise ConfigurationError(f"retries = {retries!r}: must be a RetryPolicy, such as RetryPolicy(attempts=3)")
        self._transport = Transport(retries, session, name, taken, breaker_failures)

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
    def sources(self, query: Query, pushed: frozenset[Capability], options: CallOptions) -> list[Source]:
        """The lists to read for a query, of which the upstream is to do what is pushed."""

    @abstractmethod
    def codec(self, settings: LegacySettings) -> Codec:
        """The reader of its records."""

    @abstractmethod
    def one(self, student_session_id: int, codec: Codec, options: CallOptions) -> Row | list[Source] | None:
        """The record of a legacy id, or None where there is none.

        Returns:
            where no route gives one record, the lists to look for it in.
        """

    @abstractmethod
    def add(self, exam_id: int, values: Mapping[str, str], codec: Codec, options: CallOptions) -> Row:
        """Register a student, and give the record made."""

    @abstractmethod
    def update(self, student_session_id: int, values: Mapping[str, str], codec: Codec, options: CallOptions) -> Row:
        """Change a record, and give it as it is then."""

    @abstractmethod
    def delete(self, student_session_id: int, options: CallOptions) -> None:
        """Delete a record that was just looked at."""

    @property
    @abstractmethod
    def successor_path(self) -> str:
        """Where the new list is: a path of the gateway, which passes it through, or a URL."""

    @property
    def signed_with(self) -> tuple[str, ...]:
        """The keys of ``[upstream]`` that its requests are signed with."""
        return ()

    @property
    def beside(self) -> Mapping[str, str]:
        """What it calls beside its base URL: what that is called, and the URL."""
        return {}

    @property
    def account(self) -> Caller | None:
        """What its requests are signed with, where the old endpoint takes that too."""
        return None

    @property
    def reads_only(self) -> InvalidParameter | None:
        """What a write is refused with, where the upstream only reads."""
        return None
