"""Sessions as legacy records: typed decoders first, the lens where they do not accept (contract, section 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from compat.drift import DRIFT
from compat.errors import MappingError, UpstreamError
from compat.legacy.query import Comparable
from compat.legacy.routes import students
from compat.mapping.fast import (
    REFUSED,
    Declined,
    LegacyPages,
    LegacyView,
    OddFields,
    SessionColumns,
    TimeColumns,
    Times,
    one_each,
)
from compat.mapping.fast.types import CARRIED_PATH, OWN_PATH, odd_paths
from compat.mapping.lens import NOBODY, SessionLens
from compat.schemas import COLUMNS, StudentSchema
from compat.schemas.fields import json_type
from compat.schemas.rules import FIRST_SURROGATE, legacy_id, legacy_ids
from compat.text.json import array_of, check_utf_8, dumps, unmasked, unmasked_text
from compat.upstream.base import (
    Columns,
    Decode,
    LegacySettings,
    People,
    Row,
    is_decoded,
)
from compat.upstream.page_scanners import SessionScanner
from compat.upstream.records import Codec, columns_of, comparable_of, listed_object

__all__ = ["SessionCodec"]

_SCHEMA = StudentSchema()
_encode = msgspec.json.Encoder().encode


_OF_A_BYTE, _OF_A_SESSION = 4, 1024
"""Bytes of memory at most: of a text, whose characters may take four each, and of a session's own object."""

_MOST_VIEWS = 64
"""Sets of columns whose compiled view is kept; scripts have a handful of queries, and callers may not fill memory."""


class _Keys(msgspec.Struct):
    id: str
    applicationId: str  # noqa: N815 - the session's own name


class _Look(NamedTuple):
    """Ways to look at some legacy columns: all of a record, or a page by column."""

    view: LegacyView
    decode: Callable[[bytes], list[Any]]
    columns: SessionColumns


class _Whole(NamedTuple):
    """What reads and writes whole records, some of their values as texts."""

    as_text: frozenset[str]
    view: LegacyView
    pages: LegacyPages


_keys = msgspec.json.Decoder(list[_Keys])


class SessionCodec(Codec):
    """Reads and shows sessions as legacy records.

    Args:
        exams: exam id to applicationId.
        settings: the zone, and which carried fields beyond the 57 are let through.
    """

    keeps_texts = True

    def __init__(self, exams: Mapping[int, str], settings: LegacySettings) -> None:
        self.lens = SessionLens(exams, settings.zone)
        self._zone = settings.zone
        self._times = Times(settings.zone)
        self._columns_of_times = TimeColumns(self._times)
        self._extra = settings.extra_fields
        named = () if self._extra == "all" else tuple(name for name in self._extra if name not in COLUMNS)
        self._exams = dict(exams)
        self._named = named
        self._odd = OddFields(odd_paths())
        self._scanner = SessionScanner()
        self._views: dict[tuple[tuple[str, ...], frozenset[str]], _Look] = {}
        self._whole = self._whole_of(frozenset())
        self._view = self._whole.view

    def page(self, body: bytes) -> Any:
        if self._extra == "all":
            raise Declined
        # What is skipped over is not looked at: that it is UTF-8 is seen to here.
        check_utf_8(body)
        page = self._odd.decode(body, lambda as_text: self._whole_of(as_text).view.decode_page, _values_of_page)
        self._check_ids(page.sessions)
        return page

    def page_size(self, page: Any, body: bytes) -> int | None:
        return None if self._odd.masking else _OF_A_BYTE * len(body) + _OF_A_SESSION * len(page.sessions)

    def _whole_of(self, as_text: frozenset[str]) -> _Whole:
        """What reads and writes whole records, the one that is in use; another is made where others are odd."""
        whole = getattr(self, "_whole", None)
        if whole is None or whole.as_text != as_text:
            view = LegacyView(self._exams, self._times, extra_fields=self._named, as_text=as_text)
            whole = self._whole = _Whole(as_text, view, LegacyPages(view, self._columns_of_times))
        return whole

    def _check_ids(self, sessions: Sequence[Any]) -> None:
        """Leave ids with lone surrogates to the lens, since what stands for them here is no id.

        Raises:
            Declined: there is one.
        """
        if self._odd.masking and any(unmasked_text(session.id) != session.id for session in sessions):
            raise Declined

    def scan(
        self, rows: Sequence[Any], exam_id: int | None, columns: Sequence[str], person: Mapping[str, Any]
    ) -> list[Row]:
        if not columns:
            return [self._identified(text, person) for text in rows]
        try:
            view, sessions = self._typed(tuple(columns), rows)
        except REFUSED:
            return [self._plainly(text, exam_id, columns, person) for text in rows]
        return [
            self._compiled(view, session, text, exam_id, columns, person)
            for session, text in zip(sessions, rows, strict=True)
        ]

    def _identified(self, text: Any, person: Mapping[str, Any]) -> Row:
        key, application = _identity(listed_object(text, "session"))
        return Row(key, legacy_id(key), self._view.exam(application), {}, text, person)

    def columns(
        self, rows: Sequence[Any], exam_id: int | None, names: Sequence[str], person: Mapping[str, Any]
    ) -> Columns:
        try:
            at = self._values(rows, tuple(names))
            ids, applications = at("id"), at("applicationId")
            exams = {application: self._view.exam(application) for application in {*applications}}
            places: Sequence[int] = range(len(ids))
            if exam_id is not None and {*exams.values()} != {exam_id}:
                places = [place for place, application in enumerate(applications) if exams[application] == exam_id]
            values = {} if exam_id is None else self._columns_of(tuple(names), at, places, person, exam_id)
        except (*REFUSED, UpstreamError):
            # One by one, the first record that is wrong is named, whatever the order of the columns.
            return columns_of(self.scan(rows, exam_id, names, person), exam_id, names)
        keys, surrogates = _keyed(ids)
        return Columns(keys, surrogates, places, values)

    def walk_page(self, names: Sequence[str]) -> Decode | None:
        return self._scanner.reader(tuple(names))

    def _values(self, rows: Sequence[Any], names: tuple[str, ...]) -> Callable[[str], Sequence[Any]]:
        """Gives what stands at a path of each session, UNSET where nothing does."""
        if is_decoded(rows) and not names:
            return partial(_values, rows)
        looked = None if is_decoded(rows) else self._scanner.columns(rows, names)
        return partial(_values, self._typed(names, rows)[1]) if looked is None else looked.__getitem__

    def _typed(self, names: tuple[str, ...], rows: Sequence[Any]) -> tuple[LegacyView, list[Any]]:
        """Some columns of each session, and the view that they were decoded by."""

        def decoder(as_text: frozenset[str]) -> Callable[[bytes], tuple[LegacyView, list[Any]]]:
            look = self._look(names, as_text)
            return lambda body: (look.view, look.decode(body))

        paths = [f"{begin}{name}" for name in names for begin in (OWN_PATH, CARRIED_PATH)]
        view, sessions = self._odd.decode(
            array_of(rows), decoder, lambda found, path: _values(found[1], path), paths, shown=False
        )
        self._check_ids(one_each(sessions, rows))
        return view, sessions

    def _columns_of(
        self,
        names: tuple[str, ...],
        at: Callable[[str], Sequence[Any]],
        places: Sequence[int],
        person: Mapping[str, Any],
        exam_id: int,
    ) -> Mapping[str, Sequence[Any]]:
        def chosen(path: str) -> Sequence[Any]:
            values = at(path)
            return values if len(places) == len(values) else [values[place] for place in places]

        found = self._look(names).columns.of(chosen, len(places), person, exam_id)
        if not self._odd.masking:
            return found
        return {
            name: [unmasked_text(value) if type(value) is str else value for value in values]
            for name, values in found.items()
        }

    def _look(self, names: tuple[str, ...], as_text: frozenset[str] = frozenset()) -> _Look:
        look = self._views.get((names, as_text))
        if look is None:
            view = LegacyView(self._exams, self._times, names, instants_only=True, as_text=as_text)
            decode = view.decode_all if names else _keys.decode
            look = _Look(view, decode, SessionColumns(names, self._columns_of_times))
            if len(self._views) < _MOST_VIEWS:
                self._views[names, as_text] = look
        return look

    def _compiled(
        self,
        view: LegacyView,
        session: Any,
        text: Any,
        exam_id: int | None,
        columns: Sequence[str],
        person: Mapping[str, Any],
    ) -> Row:
        key, exam = session.id, view.exam(session.applicationId)
        if exam != exam_id:
            return Row(key, legacy_id(key), exam, {}, text, person)
        try:
            record = view.record(session, person)
            values = {name: self._comparable(key, name, getattr(record, name)) for name in columns}
        except REFUSED:
            return self._plainly(text, exam_id, columns, person)
        return Row(key, record.id, exam, values, text, person)

    def _plainly(self, text: Any, exam_id: int | None, columns: Sequence[str], person: Mapping[str, Any]) -> Row:
        row = self._identified(text, person)
        if row.exam_id != exam_id:
            return row
        shown = self._translated(text, person)
        values = {name: self._comparable(str(row.key), name, shown[name]) for name in columns}
        return Row(row.key, row.id, exam_id, values, text, person)

    def _comparable(self, key: str, name: str, value: Any) -> Comparable | None:
        if value is None or type(value) is tuple:
            return value
        try:
            return comparable_of(COLUMNS[name], value, self._zone, self._times.instant)
        except ValueError:
            kind = COLUMNS[name].kind.partition(" ")[2]
            raise UpstreamError(f"The upstream's session {legacy_id(key)} has no {kind} in '{name}'.") from None

    def render(self, records: Sequence[Any], people: People) -> bytes:
        return self.body(records, people)[len(b'{"students":') : -len(b"}")]

    def body(self, records: Sequence[Any], people: People) -> bytes:
        if self._extra != "all":
            try:
                shown = self._whole_body(records, people)
                return unmasked(shown) if self._odd.masking else shown
            except REFUSED:
                pass
        return students(
            array_of([self._shown(bytes(record), person) for record, person in zip(records, people, strict=True)])
        )

    def _whole_body(self, records: Sequence[Any], people: People) -> bytes:
        if is_decoded(records):
            # They may have been decoded before another field was found to be odd: either way of writing does.
            return self._whole.pages.render(records, people)

        def decoder(as_text: frozenset[str]) -> Callable[[bytes], tuple[_Whole, list[Any]]]:
            whole = self._whole_of(as_text)
            return lambda body: (whole, whole.view.decode_all(body))

        whole, sessions = self._odd.decode(array_of(records), decoder, lambda found, path: _values(found[1], path))
        self._check_ids(one_each(sessions, records))
        return whole.pages.render(sessions, people)

    def _shown(self, text: Any, person: Mapping[str, Any]) -> bytes:
        if self._extra != "all":
            try:
                return _encode(self._view.record(self._view.decode(text), person))
            except REFUSED:
                pass
        return self.plain(text, person)

    def plain(self, text: Any, person: Mapping[str, Any] = NOBODY) -> bytes:
        record = self._translated(text, person)
        for name in _SCHEMA.validate(record):
            DRIFT.report(name, json_type(record[name]))
        shown = {name: value for name, value in record.items() if self._let_through(name)}
        return dumps(shown).encode()

    def _let_through(self, name: str) -> bool:
        return name in COLUMNS or self._extra == "all" or name in self._extra

    def _translated(self, text: Any, person: Mapping[str, Any]) -> dict[str, Any]:
        session = listed_object(text, "session")
        key, _ = _identity(session)
        try:
            return self.lens.to_legacy(session, person).record
        except MappingError as error:
            raise UpstreamError(f"The upstream's session {legacy_id(key)}: {error}") from None


def _values_of_page(page: Any, path: str) -> list[Any]:
    return _values(page.sessions, path)


def _values(sessions: Sequence[Any], path: str) -> list[Any]:
    """What stands at a path of each session; UNSET where nothing does."""
    found = list(sessions)
    for name in path.split("."):
        found = [getattr(one, name, UNSET) for one in found]
    return found


def _keyed(texts: Sequence[str]) -> tuple[Sequence[int | str], dict[int | str, int]]:
    """Ids as numbers where that is what they are, and the surrogates of the others."""
    ids = legacy_ids(texts)
    if not ids or max(ids) < FIRST_SURROGATE:
        return ids, {}
    surrogates: dict[int | str, int] = {
        text: number for text, number in zip(texts, ids, strict=True) if number >= FIRST_SURROGATE
    }
    return [text if text in surrogates else number for text, number in zip(texts, ids, strict=True)], surrogates


def _identity(session: Mapping[str, Any]) -> tuple[str, str]:
    for name in ("id", "applicationId"):
        if not isinstance(session.get(name), str):
            raise UpstreamError(f"The upstream's list holds a session that has no string in '{name}'.")
    return session["id"], session["applicationId"]
