"""What reads and shows an upstream's records, one by one and by column (contract, section 2)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from typing import Any, ClassVar

import msgspec

from compat.errors import UpstreamError
from compat.legacy.query import Comparable
from compat.legacy.routes import students
from compat.schemas.fields import Typed, json_type
from compat.schemas.rules import FIRST_SURROGATE
from compat.text import instants
from compat.text.json import loads, unmasked_text
from compat.upstream.base import Columns, Decode, People, Row, Sortable

__all__ = ["Codec", "bare", "columns_of", "comparable_of", "listed_object"]


class Codec(ABC):
    """Reads an upstream's records as legacy records, as far as asked.

    Whatever shows or looks at a record raises an UpstreamError where that cannot be done; its text names field and
    record.

    Attributes:
        keeps_texts: whether ``bytes`` of a record that was decoded whole is a text of it again.
    """

    keeps_texts: ClassVar[bool] = False

    def walk_page(self, names: Sequence[str]) -> Decode | None:
        """What decodes a page of a walk together with some columns of its records, for :meth:`columns`.

        Returns:
            None where there is nothing faster than reading the records as texts.
        """
        return None

    def page_size(self, page: Any, body: bytes) -> int | None:
        """How many bytes a page holds at most that :meth:`page` decoded from a body; None where it may not be kept."""
        return None

    @abstractmethod
    def page(self, body: bytes) -> Any:
        """A page as the upstream wraps it, with its records decoded whole.

        Raises:
            ValueError: they are not all of the declared types, or decoding them whole saves nothing.
        """

    @abstractmethod
    def columns(
        self, rows: Sequence[Any], exam_id: int | None, names: Sequence[str], person: Mapping[str, Any]
    ) -> Columns:
        """The ids of every record, and some columns of an exam's.

        Args:
            rows: the records, as their texts or as :meth:`page` decodes them.
            exam_id: the exam, or None for the records of all, of which only the ids are looked at.
            person: the roster's values for the user whose records they are.
        """

    @abstractmethod
    def scan(
        self, rows: Sequence[Any], exam_id: int | None, columns: Sequence[str], person: Mapping[str, Any]
    ) -> list[Row]:
        """The same record by record, which :meth:`columns` has to agree with."""

    def whole_page(self, rows: Sequence[Any], having: Mapping[str, Comparable]) -> bytes | None:
        """A page whose records are all wanted, shown as :meth:`body` shows it.

        Args:
            having: column to the value that every record has to have there.

        Returns:
            None where a record has another value, an id comes twice, or the records have to be looked at one by one.
        """
        return None

    @abstractmethod
    def render(self, records: Sequence[Any], people: People) -> bytes:
        """Records as a JSON array of legacy records.

        Args:
            records: texts, or as :meth:`page` decodes them.
            people: the roster's values for the user of each.
        """

    def body(self, records: Sequence[Any], people: People) -> bytes:
        """Records as the old page had them, ``{"students": [...]}``: :meth:`render`, without copying a page of it."""
        return students(self.render(records, people))

    def single(self, row: Row) -> bytes:
        """One record as a legacy record."""
        return self.render([row.record], [row.person])[1:-1]

    @abstractmethod
    def plain(self, text: Any, person: Mapping[str, Any]) -> bytes:
        """One record as :meth:`render` shows it, by the marshmallow schemas alone."""


def bare(value: Comparable | None) -> Sortable | None:
    """A comparable as columns have it."""
    return instants.sortable(value) if isinstance(value, tuple) else value


def comparable_of(
    column: Typed, value: Any, zone: tzinfo, instant: Callable[[str], instants.Instant]
) -> Comparable | None:
    """What stands for a value that a typed decoder gave, which may be the text of an odd one.

    Args:
        value: the value; lone surrogates may be masked in it.
        zone: what a time without an offset means.

    Raises:
        ValueError: the column's type cannot read it.
    """
    if type(value) in (msgspec.Raw, bytes):
        value = loads(bytes(value))
    if type(value) is str:
        value = unmasked_text(value)
        if column.is_time:
            return instant(value)
    return column.compared(value, zone)


def columns_of(rows: Sequence[Row], exam_id: int | None, names: Sequence[str]) -> Columns:
    """The columns of records that were looked at one by one."""
    places = [place for place, row in enumerate(rows) if exam_id in (None, row.exam_id)]
    return Columns(
        [row.id if row.id < FIRST_SURROGATE else row.key for row in rows],
        {row.key: row.id for row in rows if isinstance(row.key, str) and row.id >= FIRST_SURROGATE},
        places,
        {name: [bare(rows[place].values[name]) for place in places] for name in names},
    )


def listed_object(text: Any, kind: str) -> dict[str, Any]:
    """The object in a list that a text is.

    Args:
        kind: the name of what it should be, for messages.

    Raises:
        UpstreamError: it is no JSON, or no object.
    """
    try:
        found = loads(bytes(text))
    except ValueError:
        raise UpstreamError(f"The upstream's list holds a {kind} that is not JSON.") from None
    if not isinstance(found, dict):
        raise UpstreamError(f"The upstream's list holds {json_type(found)} where a {kind} should be.")
    return found
