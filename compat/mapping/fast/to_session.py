"""Legacy records to sessions by typed decoders and encoders (contract, section 5).

Every record is looked at by column: what its session would say by itself is left out, and everything else is carried.
A record with a field beyond the 57, or with a value of another type than declared, is the lens's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import astuple

from compat.errors import ConfigurationError
from compat.mapping.fast.scanner import Declined
from compat.mapping.fast.time_columns import TimeColumns, WrittenTimes
from compat.mapping.fast.types import has_negative_zero, struct
from compat.schemas import COLUMNS
from compat.schemas.rules import FIRST_SURROGATE, Constant, Default, Latest, Rule, SessionText, Time
from compat.schemas.student import CARRIED_KEY, RULES, exact_rules
from compat.text.json import check_utf_8

__all__ = ["SessionPages"]

_encode = msgspec.json.Encoder().encode
_EXACT = exact_rules(COLUMNS)


def _left_out(rule: Rule) -> Any:
    """What is left out: UNSET where that depends on the session, which is then said by UNSET itself."""
    return None if rule.category == "looked up" else rule.always


_SELDOM_SAID = tuple(name for name, rule in RULES.items() if rule.carries and _left_out(rule) is UNSET)
_NOTHING_SAID = (UNSET,) * len(_SELDOM_SAID)
_ARRAYS = tuple(name for name, column in COLUMNS.items() if column.json == "array")
_TO_THE_SECOND = len("2018-11-17T16:09:39")
Column = Sequence[Any]


class SessionPages:
    """Makes sessions of legacy records, all of a page at once.

    Args:
        exams: exam id to applicationId.
        times: reads and writes times.

    Raises:
        ConfigurationError: the exams are not tied one to one.
    """

    def __init__(self, exams: Mapping[int, str], times: TimeColumns) -> None:
        if len({application.lower() for application in exams.values()}) != len(exams):
            raise ConfigurationError("[exams]: two exam ids are tied to one applicationId; they go one to one")
        self._exams = dict(exams)
        self._times = times
        whole = [
            (name, column.compiled_type if not column.allow_none else column.compiled_type | None)
            for name, column in COLUMNS.items()
        ]
        self._record = struct("Record", whole, forbid_unknown_fields=True)
        carried = [(name, Any, _left_out(rule)) for name, rule in RULES.items()]
        self._carried: Callable[..., Any] = msgspec.defstruct("Carried", carried, omit_defaults=True, gc=False)
        self._made: Callable[..., Any] = msgspec.defstruct("Metadata", [(CARRIED_KEY, Any)], gc=False)
        sources = [rule.source for rule in _EXACT.values()]
        self._session: Callable[..., Any] = msgspec.defstruct(
            "Session",
            [
                *((source, Any) for source in sources),
                ("durationInSeconds", int),
                ("toolId", str),
                ("wasteDurationInSeconds", int),
                ("wastePercentage", int),
                ("metadata", Any),
            ],
            gc=False,
        )
        self._decode = msgspec.json.Decoder(list[self._record]).decode  # type: ignore[name-defined]

    def render(self, body: bytes) -> bytes:
        """Sessions of a JSON array of legacy records, as a JSON array.

        Raises:
            ValueError: the lens has to decide.
        """
        if has_negative_zero(body):
            raise Declined
        records: list[Any] = self._decode(body)
        if not records:
            return b"[]"
        columns = dict(zip(COLUMNS, zip(*map(astuple, records), strict=True), strict=True))
        for name in _ARRAYS:
            _check_texts(columns[name])
        live: dict[str, Column] = {}
        shown: dict[str, Column] = {}
        written: dict[str, WrittenTimes] = {}
        for name, rule in _EXACT.items():
            exact = _Live(columns[name], self._exams, self._times, written)
            live[rule.source], shown[rule.source] = rule.column(exact)
        seconds = _durations(live["startedAtTime"], live["endedAtTime"])
        carried = {name: RULES[name].column(_LeftOut(each, live, shown, written)) for name, each in columns.items()}
        return _encode(self._sessions(live, seconds, carried))

    def _sessions(self, live: Mapping[str, Column], seconds: list[int], carried: Mapping[str, Column]) -> list[Any]:
        held = list(map(self._carried, *carried.values()))
        made = list(map(self._made, held))
        for index, said in enumerate(zip(*[carried[name] for name in _SELDOM_SAID], strict=True)):
            if said == _NOTHING_SAID and _encode(held[index]) == b"{}":
                made[index] = None
        applications = live["applicationId"]
        zeros = [0] * len(seconds)
        return list(map(self._session, *live.values(), seconds, applications, zeros, zeros, made))


@dataclass
class _Live:
    """What the sessions say of one exact column, and what their legacy records would show of that."""

    values: Column
    exams: Mapping[int, str]
    times: TimeColumns
    written: dict[str, WrittenTimes]

    def identifier(self, rule: Rule) -> tuple[Column, Column]:
        if min(self.values) < 1 or max(self.values) >= FIRST_SURROGATE:
            raise Declined
        return list(map(str, self.values)), self.values

    def application(self, rule: Rule) -> tuple[Column, Column]:
        try:
            return [self.exams[exam] for exam in self.values], self.values
        except KeyError:
            raise Declined from None

    def time(self, rule: Time) -> tuple[Column, Column]:
        if rule.required and None in self.values:
            raise Declined
        written = self.written[rule.source] = self.times.write(self.values)
        return written.in_utc, written.texts()

    def constant(self, rule: Rule) -> tuple[Column, Column]:
        raise TypeError("only an exact column is live")

    session_text = latest = looked_up = constant


@dataclass
class _LeftOut:
    """One column with its attribute's default wherever the session says the same by itself."""

    values: Column
    live: Mapping[str, Column]
    shown: Mapping[str, Column]
    written: Mapping[str, WrittenTimes]

    def identifier(self, rule: Rule) -> Column:
        return [UNSET] * len(self.values)

    application = identifier

    def time(self, rule: Time) -> Column:
        return _unless(self.values, self.shown[rule.source])

    def constant(self, rule: Constant | Default) -> Column:
        default = rule.value
        if not isinstance(default, str):
            return self.values
        # The encoder leaves out what is the default itself, not what equals it; only texts can be two.
        return [default if item == default else item for item in self.values]

    def session_text(self, rule: SessionText) -> Column:
        return _unless(self.values, self.live[rule.source])

    def latest(self, rule: Latest) -> Column:
        latest = reduce(WrittenTimes.latest, map(self.written.__getitem__, rule.times))
        return _unless(self.values, latest.texts())

    def looked_up(self, rule: Rule) -> Column:
        return self.values


def _check_texts(arrays: Column) -> None:
    """What is in an array is passed on as its text, which nothing else looks at.

    Raises:
        UnicodeDecodeError: it is no UTF-8.
    """
    for items in arrays:
        if items:
            check_utf_8(b",".join(items))


def _durations(starts: Column, ends: Column) -> list[int]:
    """Whole seconds from start to end, both just written in UTC, with their digits after the point and a ``Z``.

    Raises:
        Declined: an end lies before its start.
    """
    read, to_the_second = datetime.fromisoformat, _TO_THE_SECOND
    seconds: list[int] = []
    for start, end in zip(starts, ends, strict=True):
        apart = read(end[:to_the_second]) - read(start[:to_the_second])
        seconds.append(apart.days * 86400 + apart.seconds - (end[to_the_second:-1] < start[to_the_second:-1]))
    if min(seconds) < 0:
        raise Declined
    return seconds


def _unless(values: Column, said: Sequence[Any]) -> Column:
    return [UNSET if value == other else value for value, other in zip(values, said, strict=True)]
