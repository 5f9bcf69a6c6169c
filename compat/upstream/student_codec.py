"""Student sessions as legacy records: the same fields, checked and put in order (contract, section 2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from operator import attrgetter
from types import NoneType
from typing import Any

import msgspec

from compat.drift import DRIFT
from compat.errors import UpstreamError
from compat.legacy.query import Comparable
from compat.legacy.routes import students as around
from compat.mapping.fast import REFUSED, Declined, OddFields, TimeColumns, Times, one_each, student_type
from compat.schemas import COLUMNS, STUDENT_FIELDS, StudentSchema
from compat.schemas.fields import json_type
from compat.text.json import Number, array_of, check_utf_8, dumps, unmasked
from compat.upstream.base import (
    Columns,
    Decode,
    LegacySettings,
    People,
    Row,
    is_decoded,
)
from compat.upstream.page_scanners import ShownPage, StudentScanner, StudentsPage
from compat.upstream.records import Codec, bare, columns_of, comparable_of, listed_object

__all__ = ["StudentCodec"]

_SCHEMA = StudentSchema()
_NOBODY: Mapping[str, Any] = {}
_encode = msgspec.json.Encoder().encode


class _Students(msgspec.Struct):
    students: Sequence[Any]


_ZERO_ID = re.compile(rb'"(?:exam_)?id"\s*:\s*-0\s*[,}]').search


class StudentCodec(Codec):
    """Reads and shows records that the same vendor's upstream wrote.

    The extension in C takes nearly all pages, where it is there. The typed decoder takes what has the declared types,
    and keeps the text of what has not. Only a record that neither can read goes through the marshmallow schema.
    """

    def __init__(self, settings: LegacySettings) -> None:
        self._zone = settings.zone
        times = Times(settings.zone)
        self._instant = times.instant
        self._times = TimeColumns(times)
        self._extra = settings.extra_fields
        self._named = () if self._extra == "all" else tuple(name for name in self._extra if name not in COLUMNS)
        self._odd = OddFields({name: column for name, column in COLUMNS.items() if column.allow_none})
        self._scanner = StudentScanner(settings.extra_fields)

    def page(self, body: bytes) -> Any:
        shown = self._scanner.shown(body, "students")
        if shown is not None:
            return StudentsPage(shown)
        # What is skipped over is not looked at: that it is UTF-8 is seen to here.
        check_utf_8(body)
        if self._extra == "all":
            raise Declined
        page = self._odd.decode(
            body, partial(_page_decoder, self._named), lambda page, name: _values(page.students, name)
        )
        if _may_lose_a_sign(page.students, body):
            raise Declined
        return page

    def page_size(self, page: Any, body: bytes) -> int | None:
        return len(page.students.body) if isinstance(page.students, ShownPage) else None

    def walk_page(self, names: Sequence[str]) -> Decode | None:
        return self._scanner.reader(tuple(names))

    def scan(
        self, rows: Sequence[Any], exam_id: int | None, columns: Sequence[str], person: Mapping[str, Any]
    ) -> list[Row]:
        names = tuple(dict.fromkeys(("id", "exam_id", *columns)))
        try:
            found = self._typed(rows, names)
        except REFUSED:
            found = [_plain(row, names) for row in rows]
        return [self._row(record, row, exam_id, columns, person) for record, row in zip(found, rows, strict=True)]

    def columns(
        self, rows: Sequence[Any], exam_id: int | None, names: Sequence[str], person: Mapping[str, Any]
    ) -> Columns:
        try:
            ids, exams, read = self._values(rows, tuple(dict.fromkeys(("id", "exam_id", *names))))
            places = [place for place, exam in enumerate(exams) if exam_id in (None, exam)]
            whole = len(places) == len(ids)
            keys = ids if whole else [ids[place] for place in places]
            found = {name: read(name) for name in names}
            chosen = found if whole else {name: [column[at] for at in places] for name, column in found.items()}
            values = {name: self._column(name, column, keys) for name, column in chosen.items()}
        except (*REFUSED, UpstreamError):
            # One by one, the first record that is wrong is named, whatever the order of the columns.
            return columns_of(self.scan(rows, exam_id, names, person), exam_id, names)
        return Columns(ids, {}, places, values)

    def _values(
        self, rows: Sequence[Any], names: tuple[str, ...]
    ) -> tuple[Sequence[int], Sequence[int], Callable[[str], Sequence[Any]]]:
        """Ids, exam ids, and what reads a column; null and absent are both None."""
        looked = None if is_decoded(rows) else self._scanner.columns(rows, names)
        if looked is not None:
            return looked["id"], looked["exam_id"], looked.__getitem__
        found = self._typed(rows, names)
        return _values(found, "id"), _values(found, "exam_id"), partial(_values, found)

    def _typed(self, rows: Sequence[Any], names: tuple[str, ...]) -> Sequence[Any]:
        """Some columns of each record; one that has shown other types as texts, lone surrogates masked."""
        if is_decoded(rows):
            return rows
        decoder = partial(_records_decoder, names, ())
        found = self._odd.decode(array_of(rows), decoder, _values, names, shown=False)
        return one_each(found, rows)

    def _column(self, name: str, values: Sequence[Any], keys: Sequence[int]) -> Sequence[Any]:
        column = COLUMNS[name]
        if self._odd.masking or not {*map(type, values)} <= {column.compiled_type, NoneType}:
            return [bare(self._comparable(key, name, value)) for key, value in zip(keys, values, strict=True)]
        return self._times.sortable(values) if column.is_time else values

    def _row(
        self, found: Any, record: Any, exam_id: int | None, columns: Sequence[str], person: Mapping[str, Any]
    ) -> Row:
        key, exam = found.id, found.exam_id
        if exam != exam_id or not columns:
            return Row(key, key, exam, {}, record, person)
        values = {name: self._comparable(key, name, getattr(found, name)) for name in columns}
        return Row(key, key, exam, values, record, person)

    def _comparable(self, key: int, name: str, value: Any) -> Comparable | None:
        try:
            return comparable_of(COLUMNS[name], value, self._zone, self._instant)
        except ValueError:
            kind = COLUMNS[name].kind.partition(" ")[2]
            raise UpstreamError(f"The upstream's student session {key} has no {kind} in '{name}'.") from None

    def whole_page(self, rows: Sequence[Any], having: Mapping[str, Comparable]) -> bytes | None:
        if isinstance(rows, ShownPage):
            return rows.whole(having)
        if not is_decoded(rows):
            return None
        if any(set(map(attrgetter(name), rows)) != {value} for name, value in having.items()):
            return None
        if len(set(map(attrgetter("id"), rows))) != len(rows):
            return None
        # Encoded in one piece: a page is half a megabyte, and copying it costs as much as writing a third of it.
        return self._unmasked(_encode(_Students(rows)))

    def render(self, records: Sequence[Any], people: People) -> bytes:
        return self.body(records, people)[len(b'{"students":') : -len(b"}")]

    def body(self, records: Sequence[Any], people: People) -> bytes:
        try:
            return self._shown(records)
        except REFUSED:
            return around(array_of([self.plain(record) for record in records]))

    def _shown(self, records: Sequence[Any]) -> bytes:
        if is_decoded(records):
            return self._unmasked(_encode(_Students(records)))
        body = array_of(records)
        page = self._scanner.shown(body)
        if page is not None and len(page) == len(records):
            return page.body
        if self._extra == "all":
            raise Declined
        decoder = partial(_records_decoder, STUDENT_FIELDS, self._named)
        found = one_each(self._odd.decode(body, decoder, _values), records)
        if _may_lose_a_sign(found, body):
            raise Declined
        return self._unmasked(_encode(_Students(found)))

    def _unmasked(self, text: bytes) -> bytes:
        return unmasked(text) if self._odd.masking else text

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


@lru_cache(maxsize=16)
def _page_decoder(extra: tuple[str, ...], as_text: frozenset[str]) -> Callable[[bytes], Any]:
    student = student_type(STUDENT_FIELDS, extra, as_text)
    page: Any = msgspec.defstruct("StudentsPage", [("students", list[student])], gc=False)  # type: ignore[valid-type]
    return msgspec.json.Decoder(page).decode


@lru_cache(maxsize=64)
def _records_decoder(
    names: tuple[str, ...], extra: tuple[str, ...], as_text: frozenset[str]
) -> Callable[[bytes], list[Any]]:
    student = student_type(names, extra, as_text)
    return msgspec.json.Decoder(list[student]).decode  # type: ignore[valid-type]


def _values(records: Sequence[Any], name: str) -> list[Any]:
    return list(map(attrgetter(name), records))


def _may_lose_a_sign(records: Sequence[Any], text: bytes) -> bool:
    """Whether some id may have come as ``-0``: its text is to be kept, and ids are decoded as integers."""
    return any(0 in map(attrgetter(name), records) for name in ("id", "exam_id")) and bool(_ZERO_ID(text))


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
