"""Legacy records to sessions by typed decoders and encoders (contract, section 5).

Every record is looked at by column: what its session would say by itself is left out, and everything else is carried.
A record with a field beyond the 57, or with a value of another type than declared, is the lens's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET
from msgspec.structs import astuple

from compat.errors import ConfigurationError
from compat.mapping.compiled.odd_fields import has_negative_zero
from compat.mapping.compiled.refused import Declined
from compat.mapping.compiled.times import Times
from compat.mapping.compiled.types import struct
from compat.schemas import COLUMNS
from compat.schemas.fields import Array
from compat.schemas.rules import (
    FIRST_SURROGATE,
    Application,
    Constant,
    Default,
    Exact,
    Identifier,
    Latest,
    LookedUp,
    Rule,
    SessionText,
    Time,
)
from compat.schemas.student import CARRIED_KEY
from compat.text.json import check_utf_8

__all__ = ["SessionPages"]

_encode = msgspec.json.Encoder().encode
_EXACT = {name: column.rule for name, column in COLUMNS.items() if isinstance(column.rule, Exact)}
_REQUIRED = {rule.source for rule in _EXACT.values() if not isinstance(rule, Time) or rule.required}
_SELDOM_SAID = tuple(name for name, column in COLUMNS.items() if isinstance(column.rule, Time | SessionText | Latest))
_NOTHING_SAID = (UNSET,) * len(_SELDOM_SAID)
_ARRAYS = tuple(name for name, column in COLUMNS.items() if isinstance(column, Array))
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

    def __init__(self, exams: Mapping[int, str], times: Times) -> None:
        if len({application.lower() for application in exams.values()}) != len(exams):
            raise ConfigurationError("[exams]: two exam ids are tied to one applicationId; they go one to one")
        self._exams = dict(exams)
        self._times = times
        whole = [
            (name, column.compiled_type if not column.allow_none else column.compiled_type | None)
            for name, column in COLUMNS.items()
        ]
        self._record = struct("Record", whole, forbid_unknown_fields=True)
        carried = [(name, Any, _stand_in(column.rule)) for name, column in COLUMNS.items()]
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
        for name, rule in _EXACT.items():
            live[rule.source], shown[rule.source] = self._live(rule, columns[name])
        seconds = _durations(live["startedAtTime"], live["endedAtTime"])
        carried = self._leave_out(columns, live, shown)
        return _encode(self._sessions(live, seconds, carried))

    def _live(self, rule: Exact, column: Column) -> tuple[Column, Column]:
        """What the session says, and what its legacy record would show of that."""
        if isinstance(rule, Identifier):
            if min(column) < 1 or max(column) >= FIRST_SURROGATE:
                raise Declined
            return list(map(str, column)), column
        if isinstance(rule, Application):
            try:
                return [self._exams[exam] for exam in column], column
            except KeyError:
                raise Declined from None
        if rule.source in _REQUIRED and None in column:
            raise Declined
        return self._times.write_utc_each(column)

    def _leave_out(
        self, columns: Mapping[str, Column], live: Mapping[str, Column], shown: Mapping[str, Column]
    ) -> dict[str, Column]:
        """The columns with their attribute's default wherever the session says the same by itself."""
        left: dict[str, Column] = {}
        for name, values in columns.items():
            rule = COLUMNS[name].rule
            if isinstance(rule, Identifier | Application):
                left[name] = [UNSET] * len(values)
            elif isinstance(rule, Time):
                left[name] = _unless(values, shown[rule.source])
            elif isinstance(rule, SessionText):
                left[name] = _unless(values, live[rule.source])
            elif isinstance(rule, Latest):
                left[name] = _unless(values, _latest(rule.times, live, shown))
            elif isinstance(default := _stand_in(rule), str):
                # The encoder leaves out what is the default itself, not what equals it; only texts can be two.
                left[name] = [default if item == default else item for item in values]
            else:
                left[name] = values
        return left

    def _sessions(self, live: Mapping[str, Column], seconds: list[int], carried: Mapping[str, Column]) -> list[Any]:
        held = list(map(self._carried, *carried.values()))
        made = list(map(self._made, held))
        for index, said in enumerate(zip(*[carried[name] for name in _SELDOM_SAID], strict=True)):
            if said == _NOTHING_SAID and _encode(held[index]) == b"{}":
                made[index] = None
        applications = live[next(rule.source for rule in _EXACT.values() if isinstance(rule, Application))]
        zeros = [0] * len(seconds)
        return list(map(self._session, *live.values(), seconds, applications, zeros, zeros, made))


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


def _latest(sources: Sequence[str], live: Mapping[str, Column], shown: Mapping[str, Column]) -> Column:
    """What a legacy record would show of the latest of some times.

    All were just written in UTC, in one form but for further digits: without the ``Z`` their texts compare as they do.
    """
    latest, texts = live[sources[0]], shown[sources[0]]
    for source in sources[1:]:
        pairs = zip(latest, live[source], strict=True)
        later = [other is not None and other[:-1] > one[:-1] for one, other in pairs]
        texts = [b if flag else a for flag, a, b in zip(later, texts, shown[source], strict=True)]
        latest = [b if flag else a for flag, a, b in zip(later, latest, live[source], strict=True)]
    return texts


def _stand_in(rule: Rule | None) -> Any:
    """What is left out: UNSET where that depends on the session, which is then said by UNSET itself."""
    if isinstance(rule, Constant | Default):
        return rule.value
    return None if isinstance(rule, LookedUp) else UNSET


def _unless(values: Column, said: Sequence[Any]) -> Column:
    return [UNSET if value == other else value for value, other in zip(values, said, strict=True)]
