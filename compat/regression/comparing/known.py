"""What can differ between two answers: what is declared a loss, and what people accept for a time.

A rule that has expired explains nothing any more. One that explains nothing although it has not is reported, since
what it was for has gone, or was never there.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timezone, tzinfo
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import msgspec
from marshmallow import Schema, fields, validate

from compat.config.schemas import checked
from compat.errors import ConfigurationError
from compat.mapping.fast import Times
from compat.schemas import COLUMNS
from compat.schemas.rules import Constant, Default, Rule
from compat.settings_checks import reason_of
from compat.text.json import dumps
from compat.upstream.kinds import maps_records

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "ASPECTS",
    "ASPECT_BITS",
    "FIELD_BITS",
    "KINDS",
    "NO_LOSSES",
    "By",
    "DeclaredLosses",
    "Difference",
    "KnownDifference",
    "KnownDifferences",
    "Place",
    "aspect_bits",
    "field_bits",
    "load_known",
]

_KINDS_OF: Mapping[str, tuple[str, ...]] = {
    "access": ("access",),
    "status": ("no answer", "status"),
    "error": ("error message", "error parameters"),
    "body": ("body unreadable", "body shape"),
    "headers": ("header missing", "header value"),
    "membership": ("record missing", "record added", "record twice", "record once"),
    "page boundary": ("page boundary",),
    "order": ("order", "order of ties"),
    "fields": ("field missing", "field added", "field order"),
    "values": (
        *("became null", "was null", "stand-in", "type", "number", "number text", "boolean", "instant", "time text"),
        *("truncated", "blanks", "letter case", "characters", "text", "items", "items order"),
    ),
}
KINDS: Mapping[str, str] = {kind: aspect for aspect, kinds in _KINDS_OF.items() for kind in kinds}
"""Every kind of difference, with the aspect of the answer that it belongs to."""

ASPECTS = tuple(_KINDS_OF)
"""What has a verdict of its own; the time that the answers took has one beside these."""

ASPECT_BITS: Mapping[str, int] = {name: 1 << place for place, name in enumerate(ASPECTS)}
FIELD_BITS: Mapping[str, int] = {name: 1 << place for place, name in enumerate(COLUMNS)}


def aspect_bits(names: Iterable[str]) -> int:
    """The set of some aspects."""
    return sum({ASPECT_BITS[name] for name in names})


def field_bits(names: Iterable[str]) -> int:
    """The set of some fields; those that nobody declared are in none."""
    return sum({FIELD_BITS.get(name, 0) for name in names})


By = Literal["loss", "known", "drift"]
Place = tuple[str, object, str | None]
"""The aspect, the record and the field: where readings that follow each other are compared with each other."""


class Difference(msgspec.Struct, frozen=True, gc=False):
    """One difference between what the old endpoint answered and what the new one did.

    Attributes:
        record: the id of the record that it is in, as its JSON text; None outside records.
        field: the field of the record, or the header; None for what is of neither.
        old: the old value as JSON text, personal as it came; None for none. ``new`` likewise.
        records: in how many records of the answer it is, where it is counted and not placed.
        by: what explains it, and ``reason`` the explanation in words; None where nothing does.
        once: whether nothing explains it, and it was not there when the call was made again. The list may have gone
            another way and back, or the new endpoint answered wrongly once: neither can be told from the other.
    """

    kind: str
    record: str | None = None
    field: str | None = None
    old: Any = None
    new: Any = None
    records: int = 1
    by: By | None = None
    reason: str = ""
    once: bool = False

    @property
    def aspect(self) -> str:
        return KINDS[self.kind]

    @property
    def place(self) -> Place:
        """Where it is, whatever its kind: a list has one order, and a record is on its page or not."""
        aspect = self.aspect
        if aspect == "order":
            return aspect, None, None
        return "membership" if aspect == "page boundary" else aspect, self.record, self.field

    def explained(self, by: By, reason: str) -> Difference:
        """The same with an explanation; most of a check's differences get one, so that it is made at once."""
        return Difference(self.kind, self.record, self.field, self.old, self.new, self.records, by, reason)

    def __repr__(self) -> str:
        return f"<Difference {self.kind!r} record={self.record} field={self.field}>"


_OF_CALLS = ("route", "caller", "exam")
_NARROW = ("field", "kind", "aspect")
_PATTERNS = (*_OF_CALLS, *_NARROW)


@dataclass(frozen=True)
class KnownDifference:
    """A rule: which differences are accepted, why (for readers of the report), and until which day, that one included.

    All others are patterns of :mod:`fnmatch`, such as ``registrar*``; one that is not given fits everything. A route is
    given by its action, a caller by its name, an exam by its id, and ``field`` is a header too.
    """

    reason: str
    expires: date
    route: str = "*"
    caller: str = "*"
    exam: str = "*"
    field: str = "*"
    kind: str = "*"
    aspect: str = "*"

    @property
    def name(self) -> str:
        """What it fits and why, in a line."""
        fits = ", ".join(f"{each} {getattr(self, each)}" for each in _PATTERNS if getattr(self, each) != "*")
        return f"{fits}: {self.reason}"

    def fits_call(self, *of: str) -> bool:
        """Whether it speaks of the calls of a route, a caller and an exam."""
        return all(fnmatchcase(text, getattr(self, name)) for name, text in zip(_OF_CALLS, of, strict=True))

    def fits(self, difference: Difference) -> bool:
        """Whether it speaks of such a difference, in a call that it speaks of.

        Who may see what is excused by a rule alone that says ``access`` and names the caller, never by a pattern.
        """
        if difference.aspect == "access" and (
            "access" not in (self.kind, self.aspect) or any(mark in self.caller for mark in "*?[")
        ):
            return False
        return all(fnmatchcase(getattr(difference, name) or "", getattr(self, name)) for name in _NARROW)


_MOST_REMEMBERED = 10_000


class KnownDifferences:
    """The rules of a file on a certain day; the first that fits explains, and what expired before explains nothing."""

    def __init__(self, rules: Sequence[KnownDifference] = (), today: date | None = None) -> None:
        day = today or date.today()  # noqa: DTZ011 - the day where the check runs
        self.rules = tuple(rule for rule in rules if rule.expires >= day)
        self.expired = tuple(rule for rule in rules if rule.expires < day)
        self._of_calls: dict[tuple[str, str, str], tuple[KnownDifference, ...]] = {}

    def of_call(self, route: str, caller: str | None, exam: str) -> tuple[KnownDifference, ...]:
        """The rules that speak of such calls."""
        if not self.rules:
            return ()
        key = route, caller or "", exam
        found = self._of_calls.get(key)
        if found is None:
            found = tuple(rule for rule in self.rules if rule.fits_call(*key))
            if len(self._of_calls) >= _MOST_REMEMBERED:
                self._of_calls.clear()
            self._of_calls[key] = found
        return found


_RULE = Schema.from_dict(
    {
        "reason": fields.String(required=True, validate=validate.Length(min=1, error="Must say why.")),
        "expires": fields.Raw(required=True),
        **{pattern: fields.String() for pattern in _PATTERNS},
    }
)
_FILE = Schema.from_dict({"known": fields.List(fields.Dict(), load_default=list)})


def load_known(path: Path, today: date | None = None) -> KnownDifferences:
    """Read a file of known differences: TOML, with a table ``[[known]]`` for each rule.

    Raises:
        ConfigurationError: it cannot be read, or a rule cannot be used; the text names the rule and the key.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        entries = checked(_FILE(), content, "")["known"]
        rules = [_rule(entry, f"[[known]] {number}: ") for number, entry in enumerate(entries, 1)]
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: {reason_of(error)}") from None
    return KnownDifferences(rules, today)


def _rule(entry: Mapping[str, Any], where: str) -> KnownDifference:
    # Exams are numbers, and people write them as such.
    given = {name: str(value) if name == "exam" and type(value) is int else value for name, value in entry.items()}
    values = dict(checked(_RULE(), given, where))
    if type(values["expires"]) is not date:
        raise ConfigurationError(f"{where}expires: must be a date such as 2027-01-31, without quotes")
    if all(values.get(name, "*").strip("*") == "" for name in _NARROW):
        raise ConfigurationError(f"{where}must name a field, a kind or an aspect: one that fits everything hides all")
    for name, known in (("kind", KINDS), ("aspect", ASPECTS)):
        pattern = values.get(name, "*")
        if not any(fnmatchcase(each, pattern) for each in known):
            raise ConfigurationError(f"{where}{name}: {pattern!r} is none of {', '.join(known)}")
    return KnownDifference(**values)


_WRITTEN_TIME = re.compile(rb'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,}(?:[+-]\d\d:\d\d|Z)"').fullmatch
_WITHHELD = "a field beyond the documented ones, which is withheld"
_OWN_TEXT = "its own text; the instant is the same"


_MayStandIn = msgspec.Raw | Callable[[Any, Any], bool] | None
"""What of a session may stand where an old value stood: one JSON text, whatever passes a test, or nothing else."""


class DeclaredLosses:
    """Knows which values the declaration lets stand in for the old ones, where the kind of the new endpoint is known.

    A default that is not the declared one, or a null where a session has a value, is no declared loss. What a filter
    or a sort by a lost field does to a list is none either: that list is of no more use to its caller.

    Attributes:
        texts: field to the one JSON text that may stand in.
        tests: field to whether a new text may stand where the old one stood.
    """

    def __init__(self, upstream: str | None = None, zone: tzinfo = timezone.utc) -> None:
        self.texts: dict[str, msgspec.Raw] = {}
        self.tests: dict[str, Callable[[Any, Any], bool]] = {}
        self._reasons: dict[str, str] = {}
        self._times = Times(zone)
        for name, column in COLUMNS.items() if maps_records(upstream) else ():
            may_stand_in = column.rule.column(self) if column.rule is not None else None
            if column.rule is None or may_stand_in is None:
                continue
            self._reasons[name] = column.rule.loss or _OWN_TEXT
            if isinstance(may_stand_in, msgspec.Raw):
                self.texts[name] = may_stand_in
            else:
                self.tests[name] = may_stand_in

    def identifier(self, rule: Rule) -> _MayStandIn:
        return None

    application = identifier

    def time(self, rule: Rule) -> _MayStandIn:
        return self._same_instant

    def constant(self, rule: Constant | Default) -> _MayStandIn:
        return msgspec.Raw(dumps(rule.value).encode())

    def session_text(self, rule: Rule) -> _MayStandIn:
        return lambda old, new: bytes(new)[:1] == b'"'

    def latest(self, rule: Rule) -> _MayStandIn:
        # Which of the session's times it is, is seen where the record's own times are compared.
        return lambda old, new: _WRITTEN_TIME(new) is not None

    def looked_up(self, rule: Rule) -> _MayStandIn:
        return msgspec.Raw(b"null")

    def _same_instant(self, old: Any, new: Any) -> bool:
        if _WRITTEN_TIME(new) is None:
            return False
        try:
            return self._times.same(str(bytes(old)[1:-1], "utf-8"), str(bytes(new)[1:-1], "utf-8"))
        except ValueError:
            return False

    def reason(self, difference: Difference) -> str | None:
        """Why the declaration expects a difference; None where it does not."""
        field = difference.field or ""
        if difference.kind == "stand-in":
            return self._reasons.get(field)
        return _WITHHELD if difference.kind == "field missing" and field not in COLUMNS else None


NO_LOSSES = DeclaredLosses()
