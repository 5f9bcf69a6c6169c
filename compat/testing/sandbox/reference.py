"""The documented rules of the deprecated interface, as plainly as they can be: times, JSON, filter, sort and pages.

Differential tests hold the translated answers against this module, so it favours being obviously right
over being fast, and it shares no code with what it judges.

An instant is a pair: whole seconds since 1970 in UTC, and the digits after the decimal point without
trailing zeros. Pairs of that form compare as the instants do, which neither floats nor the microseconds
of ``datetime`` would.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Protocol, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

FIELDS = (
    "id", "session_id", "student_id", "external_id", "proctor_id", "time_slot", "created_at", "updated_at", "email",
    "operating_system", "browser", "browser_version", "status", "token", "screenshare_check", "microphone_check",
    "speakers_check", "webcam_check", "mobile_check", "dummy_exam_survey", "skip_requirements", "send_confirmation",
    "name", "start_time", "exam_id", "expires_at", "end_time", "entered_room", "reservation_time",
    "exam_document_content_type", "exam_document_file_size", "exam_document_updated_at", "reviewed",
    "id_card_file_name", "id_card_content_type", "id_card_file_size", "face_photo_file_name", "face_photo_content_type",
    "face_photo_file_size", "bandwidth_check", "bandwidth_speed", "open_time", "individual_info", "rtc_session_id",
    "in_setup", "in_check_requirements", "attempt", "archived", "current_exam_mode", "rtc_session_ids",
    "transcoding_status", "is_individual_info_html", "priority", "recording_started_at", "recording_ended_at",
    "is_email_sent", "incidents",
)  # fmt: skip
"""The fields of the legacy record, in its order."""

_TYPES = {
    "integer": (
        "id", "student_id", "proctor_id", "time_slot", "exam_id", "exam_document_file_size", "id_card_file_size",
        "face_photo_file_size", "rtc_session_id", "attempt",
    ),
    "boolean": (
        "skip_requirements", "send_confirmation", "entered_room", "in_setup", "in_check_requirements", "archived",
        "is_individual_info_html", "is_email_sent",
    ),
    "time": (
        "created_at", "updated_at", "start_time", "expires_at", "end_time", "reservation_time",
        "exam_document_updated_at", "open_time", "recording_started_at", "recording_ended_at",
    ),
    "array": ("rtc_session_ids", "incidents"),
}  # fmt: skip
COLUMNS = dict.fromkeys(FIELDS, "string") | {name: kind for kind, names in _TYPES.items() for name in names}
"""How each field filters and sorts."""

STATUSES = (
    "registered", "before_check_req_mail", "email_bounced", "email_sent", "after_check_req_mail", "before_check_req",
    "after_check_req", "in_setup", "exam_not_started", "exam_started", "exam_finished",
)  # fmt: skip


def column_type(column: str) -> str:
    """The type of a column that filters and sorts; ValueError for every other name."""
    if column not in COLUMNS:
        raise ValueError(f"{column!r} is not a column.")
    if COLUMNS[column] == "array":
        raise ValueError(f"{column!r} holds an array, which neither filters nor sorts.")
    return COLUMNS[column]


Instant = tuple[int, str]
_MOST_DIGITS = 400
_TIME = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})"
    r"(?:T(\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?(Z|[+-]\d{2}(?::\d{2})?)?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - the arithmetic below is on wall clocks
_FIRST_MILLISECOND = -62_135_596_800_000
_LAST_MILLISECOND = 253_402_300_799_999


def find_zone(name: str) -> tzinfo:
    """The time zone of that name; UTC needs no time zone database."""
    if name == "UTC":
        return timezone.utc
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"time_zone: {name!r} is not a time zone that this machine knows.") from error


def read_instant(text: str, zone: tzinfo) -> Instant:
    """Read an extended ISO 8601 time or a bare date; without an offset it is a time of ``zone``."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time.")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups()[:6])
    clock = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - the offset comes next
    offset = clock.replace(tzinfo=zone, fold=0).utcoffset() if match[8] is None else _written_offset(match[8])
    return (clock - _EPOCH - (offset or timedelta())) // timedelta(seconds=1), (match[7] or "").rstrip("0")


def _written_offset(text: str) -> timedelta:
    if text == "Z":
        return timedelta()
    hours, minutes = int(text[1:3]), int(text[4:6] or 0)
    if hours > 23 or minutes > 59:
        raise ValueError(f"{text!r} is not an offset.")
    size = timedelta(hours=hours, minutes=minutes)
    return -size if text[0] == "-" else size


def _read_milliseconds(milliseconds: int) -> Instant:
    if not _FIRST_MILLISECOND <= milliseconds <= _LAST_MILLISECOND:
        raise ValueError("That many milliseconds lead out of the years 0001 to 9999.")
    seconds, rest = divmod(milliseconds, 1000)
    return seconds, f"{rest:03d}".rstrip("0")


def utc_text(text: str) -> str:
    """The same instant written in UTC with a Z, every fraction digit kept."""
    seconds, _ = read_instant(text, timezone.utc)
    fraction = re.search(r"[.,](\d+)", text)
    return (_EPOCH + timedelta(seconds=seconds)).isoformat() + (f".{fraction[1]}Z" if fraction else "Z")


def amsterdam_text(seconds: int, fraction: str = "") -> str:
    """An instant as a clock in Amsterdam shows it, by the European rule in force since 1996.

    The rule is written out so that the data set does not depend on the machine's time zone database.
    """
    clock = _EPOCH + timedelta(seconds=seconds)
    hours = 2 if _last_sunday(clock.year, 3) <= clock < _last_sunday(clock.year, 10) else 1
    return (clock + timedelta(hours=hours)).isoformat() + fraction + f"+0{hours}:00"


def _last_sunday(year: int, month: int) -> datetime:
    last = datetime(year, month, 31, 1)  # noqa: DTZ001 - 01:00 in UTC, where both changes happen
    return last - timedelta(days=(last.weekday() + 1) % 7)


@dataclass(frozen=True)
class Number:
    """A JSON number by its own text, so that ``70.0`` and ``70`` stay apart."""

    text: str


@dataclass(frozen=True)
class Pairs:
    """A JSON object as its pairs, in the order and number they were written."""

    items: Sequence[tuple[str, object]]

    def doubled(self) -> list[str]:
        """The keys that stand more than once."""
        return [key for key, count in Counter(key for key, _ in self.items).items() if count > 1]


def _refuse_constant(text: str) -> object:
    raise ValueError(f"{text} is not JSON.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=Pairs, parse_int=Number, parse_float=Number, parse_constant=_refuse_constant
)


def read_json(text: str) -> object:
    """Read a JSON text into Pairs, lists, str, Number, bool and None; ValueError where it is not JSON."""
    try:
        value: object = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"Must be JSON: {error}.") from error
    except RecursionError as error:
        raise ValueError("Must be JSON that is less deeply nested.") from error
    return value


def read_strict_json(text: str) -> object:
    """The same, and a key given twice anywhere is a ValueError."""
    value = read_json(text)
    # A work list and not recursion: what the decoder just managed to nest must not overflow here.
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, list):
            waiting.extend(current)
        if isinstance(current, Pairs):
            if current.doubled():
                raise ValueError(f"The key {current.doubled()[0]!r} is given twice.")
            waiting.extend(inner for _, inner in current.items)
    return value


def number(text: str) -> int:
    """Digits, and not more of them than anybody means."""
    if not re.fullmatch("[0-9]+", text) or len(text) > _MOST_DIGITS:
        raise ValueError("Must be a number.")
    return int(text)


def positive_number(text: str) -> int:
    value = number(text)
    if value == 0:
        raise ValueError("Must be at least 1.")
    return value


def one_of(*allowed: str) -> Callable[[str], str]:
    """A reader of one of these texts."""

    def read(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"Must be one of: {', '.join(allowed)}.")
        return text

    return read


_FLAGS = {"true": True, "false": False, "1": True, "0": False}


def boolean(text: str) -> bool:
    """A flag, in any case, as clients in use send Python's ``True``."""
    return _FLAGS[one_of(*_FLAGS)(text.lower())]


def _whole_number(text: str) -> int:
    """The whole number that a number's text stands for: 5, 5.0, 1e2; bounded, so that 1e999999 is refused."""
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{text} is not a whole number.") from error
    if value.is_zero():
        return 0
    if value.adjusted() >= _MOST_DIGITS or value != int(value):
        raise ValueError(f"{text} is not a whole number of at most {_MOST_DIGITS} digits.")
    return int(value)


def read_integer(value: object, zone: tzinfo) -> int:
    """A JSON number with a whole value, or digits as text."""
    if isinstance(value, Number):
        return _whole_number(value.text)
    if isinstance(value, str) and re.fullmatch("-?[0-9]+", value):
        return _whole_number(value)
    raise ValueError("Must be a whole number.")


def read_boolean(value: object, zone: tzinfo) -> bool:
    """true, false, 1 or 0, as JSON or as text in any case."""
    if isinstance(value, bool):
        return value
    return boolean(read_string(value, zone) if isinstance(value, (Number, str)) else "")


def read_string(value: object, zone: tzinfo) -> str:
    """A text, or a number's own text."""
    if isinstance(value, Number):
        return value.text
    if isinstance(value, str):
        return value
    raise ValueError("Must be a text.")


def read_time(value: object, zone: tzinfo) -> Instant:
    """An ISO 8601 text, or milliseconds since 1970 as a whole number or as 11 to 13 digits of text."""
    if isinstance(value, Number):
        return _read_milliseconds(_whole_number(value.text))
    if not isinstance(value, str):
        raise ValueError("Must be a time.")
    if re.fullmatch("-?[0-9]{11,13}", value):
        return _read_milliseconds(int(value))
    return read_instant(value, zone)


_READERS: dict[str, Callable[[object, tzinfo], Any]] = {
    "integer": read_integer,
    "boolean": read_boolean,
    "string": read_string,
    "time": read_time,
}
_COMPARES: dict[str, Callable[[Any, Any], bool]] = {"eq": eq, "ne": ne, "gt": gt, "gte": ge, "lt": lt, "lte": le}


class _Row(Protocol):
    """Anything that stands for one legacy record."""

    @property
    def record(self) -> Mapping[str, Any]: ...


_R = TypeVar("_R", bound=_Row)


Condition = tuple[str, str, Any]
"""A column, an operator, and what it compares with; a list for in and nin."""

SortKey = tuple[str, bool]
"""A column to sort by, and whether it descends."""


def read_filter(text: str, zone: tzinfo) -> list[Condition]:
    """The conditions of a ``filter`` parameter; ValueError says what is wrong with it."""
    value = read_strict_json(text)
    if not isinstance(value, Pairs):
        raise ValueError("Must be a JSON object of columns.")
    conditions = []
    for column, operators in value.items:
        column_type(column)
        if not isinstance(operators, Pairs):
            raise ValueError(f"{column!r} must hold an object of operators.")
        conditions += [_condition(column, name, operand, zone) for name, operand in operators.items]
    return conditions


def _condition(column: str, name: str, operand: object, zone: tzinfo) -> Condition:
    if name in _COMPARES:
        return column, name, _operand(column, operand, zone)
    if name not in ("in", "nin"):
        raise ValueError(f"{name!r} is not an operator.")
    if not isinstance(operand, list):
        raise ValueError(f"{name!r} takes an array.")
    return column, name, [_operand(column, each, zone) for each in operand]


def _operand(column: str, operand: object, zone: tzinfo) -> Any:
    if operand is None:
        return None
    try:
        return _READERS[column_type(column)](operand, zone)
    except ValueError as error:
        raise ValueError(f"{column!r}: {error}") from error


def read_sort(text: str) -> list[SortKey]:
    """The keys of a ``sort`` parameter, first one first; ValueError says what is wrong with it."""
    value = read_strict_json(text)
    if not isinstance(value, list):
        raise ValueError("Must be a JSON array of objects.")
    keys = []
    for each in value:
        if not isinstance(each, Pairs):
            raise ValueError("Must be a JSON array of objects.")
        for column, direction in each.items:
            column_type(column)
            if not isinstance(direction, str) or direction.lower() not in ("asc", "desc"):
                raise ValueError("A direction must be asc or desc.")
            keys.append((column, direction.lower() == "desc"))
    return keys


def _comparable(record: Mapping[str, Any], column: str, zone: tzinfo) -> Any:
    """A column's value in the form that compares: times as instants, all others as they are."""
    value = record[column]
    return read_time(value, zone) if value is not None and column_type(column) == "time" else value


def _holds(record: Mapping[str, Any], condition: Condition, zone: tzinfo) -> bool:
    column, name, wanted = condition
    actual = _comparable(record, column, zone)
    if name == "in":
        return any(_compares(actual, "eq", each) for each in wanted)
    if name == "nin":
        return all(_compares(actual, "ne", each) for each in wanted)
    return _compares(actual, name, wanted)


def _compares(actual: Any, name: str, wanted: Any) -> bool:
    if wanted is None:
        return (name == "eq" and actual is None) or (name == "ne" and actual is not None)
    return actual is not None and _COMPARES[name](actual, wanted)


def filtered(rows: Sequence[_R], conditions: Sequence[Condition], zone: tzinfo) -> list[_R]:
    """The rows that fulfil every condition, in their order."""
    return [row for row in rows if all(_holds(row.record, condition, zone) for condition in conditions)]


def ordered(rows: Sequence[_R], keys: Sequence[SortKey], zone: tzinfo) -> list[_R]:
    """The rows sorted: ties keep their order, nulls come last ascending and first descending."""
    result = list(rows)
    for column, descending in reversed(keys):
        nulls = [row for row in result if row.record[column] is None]
        others = [row for row in result if row.record[column] is not None]
        others.sort(key=lambda row: _comparable(row.record, column, zone), reverse=descending)
        result = nulls + others if descending else others + nulls
    return result


def one_page(rows: Sequence[_R], page: int, limit: int) -> list[_R]:
    """The rows of a page, counted from 1; none past the end."""
    return list(rows[(page - 1) * limit : page * limit])


def page_count(rows: int, limit: int) -> int:
    return -(-rows // limit)
