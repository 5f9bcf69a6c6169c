"""The differences that people know of and accept for a time: a file of rules, each with its reason and its end.

A rule that has expired explains nothing any more. One that explains nothing although it has not is reported, since
what it was for has gone, or was never there.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from marshmallow import Schema, fields, validate

from compat.config_schemas import checked
from compat.errors import ConfigurationError
from compat.regression.differences import ASPECTS, KINDS, Difference

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["KnownDifference", "KnownDifferences", "load_known"]

_PATTERNS = ("route", "caller", "exam", "field", "kind", "aspect")
_NARROW = ("field", "kind", "aspect")


@dataclass(frozen=True)
class KnownDifference:
    """A rule: which differences are accepted, why, and until when.

    Every pattern is one of :mod:`fnmatch`, such as ``registrar*``; one that is not given fits everything.

    Attributes:
        reason: why they are accepted, for whoever reads the report.
        expires: the last day on which they are.
        route: the action of the route.
        caller: the caller's name.
        exam: the exam's id.
        field: the field, or the header.
        kind: a kind of :data:`~compat.regression.differences.KINDS`.
        aspect: an aspect of :data:`~compat.regression.differences.ASPECTS`.
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
    def _names_access(self) -> bool:
        return "access" in (self.kind, self.aspect) and not any(mark in self.caller for mark in "*?[")

    @property
    def name(self) -> str:
        """What it fits and why, in a line."""
        fits = ", ".join(f"{each} {getattr(self, each)}" for each in _PATTERNS if getattr(self, each) != "*")
        return f"{fits}: {self.reason}"

    def fits_call(self, route: str, caller: str | None, exam: str) -> bool:
        """Whether it speaks of such calls."""
        return (
            fnmatchcase(route, self.route) and fnmatchcase(caller or "", self.caller) and fnmatchcase(exam, self.exam)
        )

    def fits(self, difference: Difference) -> bool:
        """Whether it speaks of such a difference, in a call that it speaks of.

        Who may see what is excused by a rule alone that says ``access`` and names the caller, never by a pattern.
        """
        if difference.aspect == "access" and not self._names_access:
            return False
        return (
            fnmatchcase(difference.kind, self.kind)
            and fnmatchcase(difference.aspect, self.aspect)
            and fnmatchcase(difference.field or "", self.field)
        )


class KnownDifferences:
    """The rules of a file on a certain day.

    Args:
        rules: in their order; the first that fits explains.
        today: what expired before explains nothing.
    """

    def __init__(self, rules: Sequence[KnownDifference] = (), today: date | None = None) -> None:
        day = today or date.today()  # noqa: DTZ011 - the day where the check runs
        self.rules = tuple(rule for rule in rules if rule.expires >= day)
        self.expired = tuple(rule for rule in rules if rule.expires < day)
        self._of_calls: dict[tuple[str, str | None, str], tuple[KnownDifference, ...]] = {}

    def of_call(self, route: str, caller: str | None, exam: str) -> tuple[KnownDifference, ...]:
        """The rules that speak of such calls."""
        if not self.rules:
            return ()
        key = route, caller, exam
        found = self._of_calls.get(key)
        if found is None:
            found = tuple(rule for rule in self.rules if rule.fits_call(*key))
            if len(self._of_calls) < _MOST_REMEMBERED:
                self._of_calls[key] = found
        return found


_MOST_REMEMBERED = 10_000


class _RuleSchema(Schema):
    reason = fields.String(required=True, validate=validate.Length(min=1, error="Must say why."))
    expires = fields.Raw(required=True)
    route = fields.String()
    caller = fields.String()
    exam = fields.String()
    field = fields.String()
    kind = fields.String()
    aspect = fields.String()


class _FileSchema(Schema):
    known = fields.List(fields.Dict(), load_default=list)


def load_known(path: Path, today: date | None = None) -> KnownDifferences:
    """Read a file of known differences.

    Args:
        path: TOML, with a table ``[[known]]`` for each rule.
        today: the day of the check; None for this one.

    Raises:
        ConfigurationError: it cannot be read, or a rule cannot be used; the text names the rule and the key.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: {error}") from None
    try:
        entries = checked(_FileSchema(), content, "")["known"]
        rules = [_rule(entry, f"[[known]] {number}: ") for number, entry in enumerate(entries, 1)]
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None
    return KnownDifferences(rules, today)


def _rule(entry: Mapping[str, Any], where: str) -> KnownDifference:
    # Exams are numbers, and people write them as such.
    given = {name: str(value) if name == "exam" and type(value) is int else value for name, value in entry.items()}
    values = dict(checked(_RuleSchema(), given, where))
    if type(values["expires"]) is not date:
        raise ConfigurationError(f"{where}expires: must be a date such as 2027-01-31, without quotes")
    if all(values.get(name, "*").strip("*") == "" for name in _NARROW):
        raise ConfigurationError(f"{where}must name a field, a kind or an aspect: one that fits everything hides all")
    for name, known in (("kind", KINDS), ("aspect", ASPECTS)):
        pattern = values.get(name, "*")
        if not any(fnmatchcase(each, pattern) for each in known):
            raise ConfigurationError(f"{where}{name}: {pattern!r} is none of {', '.join(known)}")
    return KnownDifference(**values)
