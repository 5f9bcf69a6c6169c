"""Deliberate regressions: what a candidate does wrong on page 2 of 3, and what a check has to say of it."""

from __future__ import annotations

import copy
import html
import json
from collections.abc import Callable
from dataclasses import dataclass

from answers_of import Page, Record, body_of, records

from compat.regression.comparing.pairs import Answered

Expected = tuple[str, int | None, str | None]
"""Kind, place of the record in the whole list or None, and field or header."""


def whole_list() -> list[Record]:
    """Thirty records, sorted by status; every value that a fault needs is there."""
    found = sorted(records(30), key=lambda record: record["status"])
    for number, record in enumerate(found):
        record["status"] = "exam_finished" if number < 14 else "exam_started"
        record["name"] = f"Zoë  O'Neill-Brontë {number}"
        record["email"] = f"zoe.{number}@school.example"
        record["browser"] = None
        record["browser_version"] = ""
        record["start_time"] = f"2018-10-28T0{number % 5}:30:{number:02}.373+02:00"
        record["end_time"] = f"2018-10-28T0{number % 5}:59:{number:02}.500+01:00"
        record["student_id"] = 2**53 + 2 * number + 1
        record["attempt"] = number
        record["archived"] = False
        record["rtc_session_ids"] = [number, number + 1, number + 2]
    return found


@dataclass(frozen=True)
class Fault:
    """One regression.

    Attributes:
        name: what is wrong, in words.
        tamper: what it does to the page that the candidate would have given.
        expected: every difference that there is then.
    """

    name: str
    tamper: Callable[[Page], object]
    expected: frozenset[Expected]


def _fault(name: str, tamper: Callable[[Page], object], *expected: Expected) -> Fault:
    return Fault(name, tamper, frozenset(expected))


def _value(name: str, field: str, change: Callable[[object], object], kind: str, place: int = 13) -> Fault:
    def tamper(page: Page) -> None:
        record = page.records[place - 10]
        record[field] = change(record[field])

    return _fault(name, tamper, (kind, place, field))


def _text(name: str, change: Callable[[str], str], kind: str, field: str = "name") -> Fault:
    return _value(name, field, lambda value: change(str(value)), kind)


def _header(name: str, header: str, value: str, kind: str = "header value") -> Fault:
    return _fault(name, lambda page: page.headers.update({header: value}), (kind, None, header.lower()))


def _drop(page: Page) -> None:
    del page.records[3]
    page.records.append(copy.deepcopy(WHOLE[20]))


def _drop_and_count(page: Page) -> None:
    _drop(page)
    page.total -= 1


def _swap(first: int, second: int) -> Callable[[Page], None]:
    def tamper(page: Page) -> None:
        listed = page.records
        listed[first], listed[second] = listed[second], listed[first]

    return tamper


def _mix_up(page: Page) -> None:
    one, other = page.records[2], page.records[6]
    one["email"], other["email"] = other["email"], one["email"]


def _rename(page: Page) -> None:
    page.records[4]["state"] = page.records[4].pop("status")


def _turned(page: Page) -> None:
    page.records = [dict(reversed(list(record.items()))) for record in page.records]


def _shifted(by: int) -> Callable[[Page], None]:
    def tamper(page: Page) -> None:
        page.records = copy.deepcopy(WHOLE[10 + by : 20 + by])

    return tamper


def _float(page: Page) -> None:
    page.body = body_of(page.records).replace(b'"attempt": 13,', b'"attempt": 13.0,')


def _failed(message: str, **errors: list[str]) -> bytes:
    return json.dumps({"error": message, "errors": errors}).encode()


def refused() -> Answered:
    """The old answer to a call that is refused."""
    return Answered(422, {"Content-Type": "application/json"}, _failed("Must be a number.", page=["Must be a number."]))


WHOLE = whole_list()
_NULL, _EMPTY = "browser", "browser_version"

FAULTS = (
    _fault(
        "a dropped record, the next one pulled up", _drop, ("record missing", 13, None), ("page boundary", 20, None)
    ),
    _fault(
        "a dropped record that is not counted either",
        _drop_and_count,
        ("record missing", 13, None),
        ("page boundary", 20, None),
        ("header value", None, "x-pagination-item-count"),
    ),
    _fault("a short page", lambda page: page.records.pop(), ("page boundary", 19, None)),
    _fault("a page that is too long", lambda page: page.records.append(WHOLE[20]), ("page boundary", 20, None)),
    _fault(
        "a duplicate across pages",
        lambda page: page.records.insert(0, WHOLE[9]) or page.records.pop(),
        ("page boundary", 9, None),
        ("page boundary", 19, None),
    ),
    _fault("a page that begins one late", _shifted(1), ("page boundary", 10, None), ("page boundary", 20, None)),
    _fault("a duplicate on a page", lambda page: page.records.insert(4, page.records[3]), ("record twice", 13, None)),
    _fault(
        "a record of another exam",
        lambda page: page.records.insert(4, {**WHOLE[0], "id": 999}),
        ("record added", -1, None),
    ),
    _fault(
        "an empty page", lambda page: page.records.clear(), *(("record missing", each, None) for each in range(10, 20))
    ),
    _fault("a swapped order of ties", _swap(1, 2), ("order of ties", 11, None)),
    _fault("a sort that is not kept", _swap(0, 9), ("order", 10, None)),
    _fault("a list turned round", lambda page: page.records.reverse(), ("order", 10, None)),
    _value('a null turned ""', _NULL, lambda value: "", "was null"),
    _value("a null turned into a word", _NULL, lambda value: "null", "was null"),
    _value('"" turned null', _EMPTY, lambda value: None, "became null"),
    _value("a value lost", "email", lambda value: None, "became null"),
    _text("an offset lost", lambda text: text[:-6], "instant", "start_time"),
    _text("an offset replaced by UTC without moving the clock", lambda text: text[:-6] + "Z", "instant", "start_time"),
    _text(
        "an hour too much behind the clock change", lambda text: text.replace("+01:00", "+02:00"), "instant", "end_time"
    ),
    _text("a sub-second shift", lambda text: text.replace(".373", ".374"), "instant", "start_time"),
    _text("milliseconds cut off", lambda text: text.replace(".373", ""), "instant", "start_time"),
    _text("zeros of a time cut off", lambda text: text.replace(".500", ".5"), "time text", "end_time"),
    _text("a time that is none", lambda text: text.replace("T", " at "), "text", "start_time"),
    _text("a truncated name", lambda text: text[:11], "truncated"),
    _text("a name in capitals", str.upper, "letter case"),
    _text("blanks run together", lambda text: " ".join(text.split()), "blanks"),
    _text("a name read in another encoding", lambda text: text.encode().decode("latin-1"), "characters"),
    _text("accents lost", lambda text: text.replace("ë", "e"), "characters"),
    _text("characters escaped for HTML", html.escape, "characters"),
    _text("a status mapped wrongly", lambda text: "in_setup", "text", "status"),
    _value("a number turned text", "attempt", str, "type"),
    _value("a boolean turned number", "archived", int, "type"),
    _value("a boolean turned over", "archived", lambda value: not value, "boolean"),
    _value("an integer past 2^53 rounded", "student_id", lambda value: int(float(str(value))) + 1, "number"),
    _fault("an integer written as a fraction", _float, ("number text", 13, "attempt")),
    _value("an item lost from an array", "rtc_session_ids", lambda value: list(value)[1:], "items"),  # type: ignore[call-overload]
    _value("an array turned round", "rtc_session_ids", lambda value: list(value)[::-1], "items order"),  # type: ignore[call-overload]
    _value("an array that holds text", "rtc_session_ids", lambda value: [str(each) for each in value], "items"),  # type: ignore[attr-defined]
    _fault("values of two records mixed up", _mix_up, ("text", 12, "email"), ("text", 16, "email")),
    _fault("a field renamed", _rename, ("field missing", 14, "status"), ("field added", 14, "state")),
    _fault("fields in another order", _turned, ("field order", 10, None)),
    _header("a wrong count header", "X-Pagination-Item-Count", "29"),
    _header("a wrong page count", "X-Pagination-Page-Count", "4"),
    _header("another limit", "X-Pagination-Limit", "300"),
    _header("a header lost", "X-Pagination-Page", "", "header missing"),
    _header("another content type", "Content-Type", "text/html"),
    _fault("a status of its own", lambda page: setattr(page, "status", 206), ("status", None, None)),
    _fault("a failure", lambda page: setattr(page, "status", 502), ("status", None, None)),
    _fault("a timeout", lambda page: setattr(page, "failure", "timeout"), ("no answer", None, None)),
    _fault(
        "a body cut off",
        lambda page: setattr(page, "body", body_of(page.records)[:-20]),
        ("body unreadable", None, None),
    ),
    _fault(
        "another envelope",
        lambda page: setattr(page, "body", body_of(page.records).replace(b"students", b"data", 1)),
        ("body shape", None, None),
    ),
    _fault(
        "records without an id",
        lambda page: [record.pop("id") for record in page.records],
        ("body shape", None, "id"),
    ),
)

FAULTS_OF_REFUSALS = (
    ("another message", Answered(422, {}, _failed("Nope.", page=["Nope."])), ("error message", None, None)),
    (
        "another parameter",
        Answered(422, {}, _failed("Must be a number.", limit=["Must be a number."])),
        ("error parameters", None, None),
    ),
    ("served all the same", Page.of(WHOLE).answered(), ("status", None, None)),
    ("kept out instead", Answered(403, {}, _failed("Not yours.")), ("access", None, None)),
    ("not found in its place", Answered(404, {}, _failed("Not found.")), ("status", None, None)),
)
