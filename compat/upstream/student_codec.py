"""Student sessions as legacy records: the same fields, checked and put in order (contract, section 2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any

import msgspec

from compat.drift import DRIFT
from compat.errors import UpstreamError
from compat.json_text import Number, array_of, dumps
from compat.legacy.values import Comparable, comparable
from compat.mapping.compiled import REFUSED, TimeColumns, Times, joined, student_type
from compat.schemas import COLUMNS, StudentSchema
from compat.schemas.fields import Time, json_type
from compat.upstream.interface import Codec, LegacySettings
from compat.upstream.listed import listed_object
from compat.upstream.noted import Columns, columns_of
from compat.upstream.records import Row

__all__ = ["StudentCodec"]

_SCHEMA = StudentSchema()
_NOBODY: Mapping[str, Any] = {}
_encode = msgspec.json.Encoder().encode


class StudentCodec(Codec):
    """Reads and shows records that the same vendor's upstream wrote.

    The typed decoder takes what has the declared types; a record that has not goes through the marshmallow schema.
    """

    def __init__(self, settings: LegacySettings) -> None:
        self._zone = settings.zone
        times = Times(settings.zone)
        self._instant = times.instant
        self._times = TimeColumns(times)
        self._extra = settings.extra_fields
        named = () if self._extra == "all" else tuple(name for name in self._extra if name not in COLUMNS)
        self._student = student_type(extra_fields=named)
        students = list[self._student]  # type: ignore[name-defined]
        self._page: Callable[..., Any] = msgspec.defstruct("StudentsPage", [("students", students)], gc=False)
        self._decode_page = msgspec.json.Decoder(self._page).decode
        self._decode_all = msgspec.json.Decoder(list[self._student]).decode  # type: ignore[name-defined]

    def page_rows(self, body: bytes) -> Sequence[Any]:
        if self._extra == "all":
            return super().page_rows(body)
        page: Any = self._decode_page(body)
        students: list[Any] = page.students
        return students

    def scan(self, rows: Sequence[Any], exam_id: int, columns: Sequence[str], person: Mapping[str, Any]) -> list[Row]:
        names = tuple(dict.fromkeys(("id", "exam_id", *columns)))
        found = rows if rows and isinstance(rows[0], self._student) else _looked_at(rows, names)
        return [self._row(record, row, exam_id, columns, person) for record, row in zip(found, rows, strict=True)]

    def columns(self, rows: Sequence[Any], exam_id: int, names: Sequence[str], person: Mapping[str, Any]) -> Columns:
        try:
            found = joined(_decoder(tuple(dict.fromkeys(("id", "exam_id", *names)))), rows)
            places = [place for place, record in enumerate(found) if record.exam_id == exam_id]
            chosen = found if len(places) == len(found) else [found[place] for place in places]
            values = {name: self._column(name, chosen) for name in names}
        except REFUSED:
            return columns_of(self.scan(rows, exam_id, names, person), exam_id, names)
        return Columns([record.id for record in found], {}, places, values)

    def _column(self, name: str, records: Sequence[Any]) -> Sequence[Any]:
        values = [getattr(record, name) for record in records]
        return self._times.sortable(values) if isinstance(COLUMNS[name], Time) else values

    def _row(self, found: Any, record: Any, exam_id: int, columns: Sequence[str], person: Mapping[str, Any]) -> Row:
        key, exam = found.id, found.exam_id
        if exam != exam_id or not columns:
            return Row(key, key, exam, {}, record, person)
        values = {name: self._comparable(key, name, getattr(found, name)) for name in columns}
        return Row(key, key, exam, values, record, person)

    def _comparable(self, key: int, name: str, value: Any) -> Comparable | None:
        try:
            if value is not None and type(value) is str and isinstance(COLUMNS[name], Time):
                return self._instant(value)
            return comparable(COLUMNS[name], value, self._zone)
        except ValueError:
            kind = COLUMNS[name].kind.partition(" ")[2]
            raise UpstreamError(f"The upstream's student session {key} has no {kind} in '{name}'.") from None

    def whole_page(self, rows: Sequence[Any], having: Mapping[str, Comparable]) -> bytes | None:
        if not rows or not isinstance(rows[0], self._student):
            return None
        if any(set(map(attrgetter(name), rows)) != {value} for name, value in having.items()):
            return None
        if len(set(map(attrgetter("id"), rows))) != len(rows):
            return None
        # Encoded in one piece: a page is half a megabyte, and copying it costs as much as writing a third of it.
        return _encode(self._page(rows))

    def render(self, rows: Sequence[Row]) -> bytes:
        if self._extra != "all":
            try:
                return _encode(self._decoded(rows))
            except REFUSED:
                pass
        return array_of([self.plain(row.record) for row in rows])

    def _decoded(self, rows: Sequence[Row]) -> Any:
        if rows and isinstance(rows[0].record, self._student):
            return [row.record for row in rows]
        return joined(self._decode_all, [row.record for row in rows])

    def plain(self, text: Any, person: Mapping[str, Any] = _NOBODY) -> bytes:
        record = listed_object(text, "record")
        problems = _SCHEMA.validate(record)
        _required(record, problems)
        for name in problems:
            DRIFT.report(name, json_type(record[name]))
        shown = {name: record.get(name) for name in COLUMNS}
        if self._extra == "all":
            shown |= {name: value for name, value in record.items() if name not in COLUMNS}
        else:
            shown |= {name: record[name] for name in self._extra if name in record and name not in COLUMNS}
        return dumps(shown).encode()


@lru_cache(maxsize=64)
def _decoder(names: tuple[str, ...]) -> Callable[[bytes], list[Any]]:
    columns = student_type(names)
    return msgspec.json.Decoder(list[columns]).decode  # type: ignore[valid-type]


def _looked_at(rows: Sequence[Any], names: tuple[str, ...]) -> list[Any]:
    """Only some columns of each record, whatever their types."""
    try:
        return joined(_decoder(names), rows)
    except REFUSED:
        return [_plain(row, names) for row in rows]


class _Plain:
    """Some columns of a record that the typed decoder does not take."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__.update(values)


def _plain(text: Any, names: Sequence[str]) -> _Plain:
    record = listed_object(text, "record")
    _required(record, _SCHEMA.validate({name: record[name] for name in ("id", "exam_id") if name in record}))
    values = {name: record.get(name) for name in names}
    for name in ("id", "exam_id"):
        value = values[name]
        if isinstance(value, Number):
            values[name] = value.integer()
    return _Plain(values)


def _required(record: Mapping[str, Any], problems: Mapping[str, Any]) -> None:
    for name in ("id", "exam_id"):
        if name in problems:
            which = record.get("id") if "id" not in problems else None
            label = "list holds a record that" if which is None else f"student session {dumps(which)}"
            raise UpstreamError(f"The upstream's {label} has no integer in '{name}'.")
