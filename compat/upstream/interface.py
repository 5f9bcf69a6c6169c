"""What the core knows of an upstream, and no more."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timezone, tzinfo
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from compat.errors import InvalidParameter
from compat.legacy.answer import students
from compat.upstream.pushdown import Capability, PushdownTrust
from compat.upstream.records import One, Row, Source
from compat.upstream.transport import CallOptions, Transport
from compat.upstream.walk_limits import WalkSettings

if TYPE_CHECKING:
    from compat.legacy.query import Query
    from compat.legacy.values import Comparable
    from compat.upstream.noted import Columns

__all__ = ["Capability", "Codec", "LegacySettings", "Upstream"]

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
