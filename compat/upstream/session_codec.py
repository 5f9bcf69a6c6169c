"""Sessions as legacy records: typed decoders first, the lens where they do not accept (contract, section 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from compat import instants
from compat.drift import DRIFT
from compat.errors import MappingError, UpstreamError
from compat.json_text import dumps, loads
from compat.legacy.values import Comparable, comparable
from compat.mapping.compiled import carried_record_type, carried_session_type, looked_up_names
from compat.mapping.exact import legacy_id
from compat.mapping.lens import SessionLens
from compat.schemas import COLUMNS, StudentSchema
from compat.schemas.fields import json_type
from compat.schemas.rules import Latest, SessionText, Time
from compat.schemas.student import CARRIED_KEY
from compat.upstream.interface import Codec, LegacySettings, Row

__all__ = ["SessionCodec"]

_SCHEMA = StudentSchema()
_encode = msgspec.json.Encoder().encode
_REFUSED = (msgspec.MsgspecError, UnicodeError, RecursionError)
_TIMES = {name: column.rule for name, column in COLUMNS.items() if isinstance(column.rule, Time)}
_LATEST = {name: column.rule for name, column in COLUMNS.items() if isinstance(column.rule, Latest)}
_TEXTS = {name: column.rule for name, column in COLUMNS.items() if isinstance(column.rule, SessionText)}
_LOOKED_UP = looked_up_names()


class _Declined(Exception):
    """The compiled form leaves a record to the plain one."""


class _Keys(msgspec.Struct):
    id: str
    application: str = msgspec.field(name="applicationId")


_keys = msgspec.json.Decoder(_Keys)


class SessionCodec(Codec):
    """Reads and shows sessions as legacy records.

    Args:
        exams: exam id to applicationId.
        settings: the zone, and which carried fields beyond the 57 are let through.
    """

    def __init__(self, exams: Mapping[int, str], settings: LegacySettings) -> None:
        self.lens = SessionLens(exams, settings.zone)
        self._zone = settings.zone
        self._exams = {application.lower(): exam for exam, application in exams.items()}
        self._extra = settings.extra_fields
        named = () if self._extra == "all" else tuple(name for name in self._extra if name not in COLUMNS)
        session = carried_session_type(named)
        self._decode = msgspec.json.Decoder(session).decode
        self._record = carried_record_type(session)

    def scan(self, rows: Sequence[Any], exam_id: int, columns: Sequence[str], person: Mapping[str, Any]) -> list[Row]:
        return [self._scan(row, exam_id, columns, person) for row in rows]

    def _scan(self, text: Any, exam_id: int, columns: Sequence[str], person: Mapping[str, Any]) -> Row:
        key, application = _identity(text)
        exam = self._exams.get(application.lower())
        if exam != exam_id or not columns:
            return Row(key, legacy_id(key), exam, {}, text, person)
        values = self._values(text, columns, person)
        wanted = {name: self._comparable(key, name, values[name]) for name in columns}
        return Row(key, legacy_id(key), exam, wanted, text, person)

    def _values(self, text: Any, columns: Sequence[str], person: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            record = self.compiled(text, person)
            return {name: getattr(record, name) for name in columns}
        except (_Declined, *_REFUSED):
            shown = self._translated(text, person)
            return {name: shown[name] for name in columns}

    def _comparable(self, key: str, name: str, value: Any) -> Comparable | None:
        try:
            return comparable(COLUMNS[name], value, self._zone)
        except ValueError as error:
            kind = str(error).partition(" ")[2]
            raise UpstreamError(f"The upstream's session {legacy_id(key)} has no {kind} in '{name}'.") from None

    def render(self, rows: Sequence[Row]) -> bytes:
        return b"[" + b",".join(self._shown(row.text, row.person) for row in rows) + b"]"

    def _shown(self, text: Any, person: Mapping[str, Any]) -> bytes:
        if self._extra != "all":
            try:
                return _encode(self.compiled(text, person))
            except (_Declined, *_REFUSED):
                pass
        return self.plain(text, person)

    def compiled(self, text: Any, person: Mapping[str, Any]) -> Any:
        """A session's legacy record, by the typed decoder.

        Raises:
            msgspec.MsgspecError: a value of another type than declared.
            _Declined: a value that only the lens can tell.
        """
        session: Any = self._decode(text)
        metadata = session.metadata
        carried = getattr(metadata, CARRIED_KEY, msgspec.UNSET)
        record = self._record() if carried is msgspec.UNSET else carried
        try:
            self._fill(record, session, person)
        except (MappingError, ValueError):
            raise _Declined from None
        return record

    def _fill(self, record: Any, session: Any, person: Mapping[str, Any]) -> None:
        lens = self.lens
        for name, rule in _TIMES.items():
            live, carried = getattr(session, rule.source), getattr(record, name)
            if not self._same_instant(carried, live):
                setattr(record, name, lens.conversions[name].to_legacy(live))
        record.id = legacy_id(session.id)
        record.exam_id = self._exams.get(session.applicationId.lower())
        if record.exam_id is None:
            raise _Declined
        for name, text_rule in _TEXTS.items():
            if getattr(record, name) is msgspec.UNSET:
                setattr(record, name, getattr(session, text_rule.source))
        for name, latest in _LATEST.items():
            if getattr(record, name) is msgspec.UNSET:
                texts = [text for source in latest.times if (text := getattr(session, source)) is not None]
                setattr(record, name, self._written(texts))
        for name in _LOOKED_UP:
            if getattr(record, name) is msgspec.UNSET:
                own = getattr(session.metadata, name, msgspec.UNSET)
                setattr(record, name, person.get(name) if own is msgspec.UNSET else own)

    def _same_instant(self, carried: Any, live: str | None) -> bool:
        if live is None or not isinstance(carried, str):
            return False
        instant = instants.read(live, self._zone)
        try:
            return instants.read(carried, self._zone) == instant
        except ValueError:
            return False

    def _written(self, texts: Sequence[str]) -> str:
        return instants.write(max(instants.read(text, self._zone) for text in texts), self._zone)

    def plain(self, text: Any, person: Mapping[str, Any]) -> bytes:
        """A session's legacy record, by the schemas and the lens.

        Raises:
            UpstreamError: it has none; the text names field and session.
        """
        record = self._translated(text, person)
        for name in _SCHEMA.validate(record):
            DRIFT.report(name, json_type(record[name]))
        shown = {name: value for name, value in record.items() if self._let_through(name)}
        return dumps(shown).encode()

    def _let_through(self, name: str) -> bool:
        return name in COLUMNS or self._extra == "all" or name in self._extra

    def _translated(self, text: Any, person: Mapping[str, Any]) -> dict[str, Any]:
        session = _object(text)
        key, _ = _identity(text)
        try:
            return self.lens.to_legacy(session, person).record
        except MappingError as error:
            raise UpstreamError(f"The upstream's session {legacy_id(key)}: {error}") from None


def _object(text: Any) -> dict[str, Any]:
    try:
        session = loads(bytes(text))
    except ValueError:
        raise UpstreamError("The upstream's list holds a session that is not JSON.") from None
    if not isinstance(session, dict):
        raise UpstreamError(f"The upstream's list holds {json_type(session)} where a session should be.")
    return session


def _identity(text: Any) -> tuple[str, str]:
    try:
        found = _keys.decode(text)
        return found.id, found.application
    except _REFUSED:
        session = _object(text)
    for name in ("id", "applicationId"):
        if not isinstance(session.get(name), str):
            raise UpstreamError(f"The upstream's list holds a session that has no string in '{name}'.")
    return session["id"], session["applicationId"]
