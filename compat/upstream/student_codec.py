"""Student sessions as legacy records: the same fields, checked and put in order (contract, section 2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from compat.drift import DRIFT
from compat.errors import UpstreamError
from compat.json_text import Number, dumps, loads
from compat.legacy.values import Comparable, comparable
from compat.mapping.compiled import columns_type, student_type
from compat.schemas import COLUMNS, StudentSchema
from compat.schemas.fields import json_type
from compat.upstream.interface import Codec, LegacySettings, Row

__all__ = ["StudentCodec"]

_SCHEMA = StudentSchema()
_encode = msgspec.json.Encoder().encode
_NOBODY: Mapping[str, Any] = {}


class StudentCodec(Codec):
    """Reads and shows records that the same vendor's upstream wrote.

    The typed decoder takes what has the declared types; a record that has not goes through the marshmallow schema.
    """

    def __init__(self, settings: LegacySettings) -> None:
        self._zone = settings.zone
        self._extra = settings.extra_fields
        named = () if self._extra == "all" else tuple(name for name in self._extra if name not in COLUMNS)
        students: Any = list[student_type(named)]  # type: ignore[misc]
        self._decode = msgspec.json.Decoder(students).decode

    def scan(self, rows: Sequence[Any], exam_id: int, columns: Sequence[str], person: Mapping[str, Any]) -> list[Row]:
        names = ("id", "exam_id", *columns)
        decode = msgspec.json.Decoder(columns_type(tuple(columns))).decode
        return [self._scan(row, exam_id, names, decode, person) for row in rows]

    def _scan(
        self,
        row: Any,
        exam_id: int,
        names: Sequence[str],
        decode: Callable[[Any], Any],
        person: Mapping[str, Any],
    ) -> Row:
        try:
            found = decode(row)
            values = {name: getattr(found, name) for name in names}
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            values = _plain(row, names)
        if values["exam_id"] != exam_id:
            return Row(values["id"], values["id"], values["exam_id"], {}, row, person)
        wanted = {name: self._comparable(name, values) for name in names[2:]}
        return Row(values["id"], values["id"], exam_id, wanted, row, person)

    def _comparable(self, name: str, values: Mapping[str, Any]) -> Comparable | None:
        try:
            return comparable(COLUMNS[name], values[name], self._zone)
        except ValueError as error:
            raise UpstreamError(
                f"The upstream's student session {values['id']} has no {str(error).partition(' ')[2]} in '{name}'."
            ) from None

    def render(self, rows: Sequence[Row]) -> bytes:
        if self._extra != "all":
            try:
                return _encode(self._decode(_joined(rows)))
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                pass
        return b"[" + b",".join(self.plain(row.text) for row in rows) + b"]"

    def plain(self, text: Any, person: Mapping[str, Any] = _NOBODY) -> bytes:
        """One record through the marshmallow schema, which says what has another type than declared.

        Raises:
            UpstreamError: it has no integer id or exam id.
        """
        record = _object(text)
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


def _joined(rows: Sequence[Row]) -> bytes:
    return b"[" + b",".join(bytes(row.text) for row in rows) + b"]"


def _object(text: Any) -> dict[str, Any]:
    try:
        record = loads(bytes(text))
    except ValueError:
        raise UpstreamError("The upstream's list holds a record that is not JSON.") from None
    if not isinstance(record, dict):
        raise UpstreamError(f"The upstream's list holds {json_type(record)} where a record should be.")
    return record


def _required(record: Mapping[str, Any], problems: Mapping[str, Any]) -> None:
    for name in ("id", "exam_id"):
        if name in problems:
            which = record.get("id") if "id" not in problems else None
            label = "list holds a record that" if which is None else f"student session {dumps(which)}"
            raise UpstreamError(f"The upstream's {label} has no integer in '{name}'.")


def _plain(text: Any, names: Sequence[str]) -> dict[str, Any]:
    record = _object(text)
    _required(record, _SCHEMA.validate({name: record[name] for name in ("id", "exam_id") if name in record}))
    values = {name: record.get(name) for name in names}
    for name in ("id", "exam_id"):
        value = values[name]
        if isinstance(value, Number):
            values[name] = value.integer()
    return values
