"""The exact fields: a session field and a legacy field that say the same in two forms (contract, section 5)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any, Protocol

import msgspec

from compat.errors import ConfigurationError, MappingError
from compat.schemas import rules
from compat.text import instants

__all__ = ["FIRST_SURROGATE", "Conversion", "Conversions", "legacy_id", "legacy_ids"]

FIRST_SURROGATE = 2**52
"""Surrogate ids start here, and stay below 2^53: exact in every language's numbers, and no id of the old system."""

_integers = msgspec.json.Decoder(list[int])
_CANONICAL = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)


def legacy_id(session_id: str) -> int:
    """The integer that stands for a session's id.

    A canonical decimal from 1 to 2^52-1 is itself; any other text is 2^52 plus the first 52 bits of its SHA-256.
    """
    if _CANONICAL.fullmatch(session_id) and int(session_id) < FIRST_SURROGATE:
        return int(session_id)
    digest = hashlib.sha256(session_id.encode(errors="surrogatepass")).digest()
    return FIRST_SURROGATE + (int.from_bytes(digest[:7], "big") >> 4)


def legacy_ids(session_ids: Sequence[str]) -> list[int]:
    """:func:`legacy_id` of each; quick where all are canonical decimals."""
    text = f"[{','.join(session_ids)}]".encode(errors="surrogatepass")
    try:
        numbers = _integers.decode(text)
    except (msgspec.MsgspecError, ValueError):
        return list(map(legacy_id, session_ids))
    # JSON writes an integer in one way, so that the same text again means canonical decimals, one of each id.
    same = len(numbers) == len(session_ids) and msgspec.json.encode(numbers) == text
    if same and (not numbers or (min(numbers) >= 1 and max(numbers) < FIRST_SURROGATE)):
        return numbers
    return list(map(legacy_id, session_ids))


class Conversion(Protocol):
    """The two directions of one exact field."""

    def to_legacy(self, value: Any) -> Any:
        """The legacy value of a session's value. Raises MappingError where there is none."""

    def to_session(self, value: Any) -> Any:
        """The session's value of a legacy value. Raises MappingError where there is none."""


class _Identifier:
    def __init__(self, name: str) -> None:
        self._name = name

    def to_legacy(self, value: Any) -> int:
        return legacy_id(value)

    def to_session(self, value: Any) -> str:
        if type(value) is not int or not 1 <= value < FIRST_SURROGATE:
            raise MappingError(self._name, "Must be an integer from 1 to 2^52-1.")
        return str(value)


class _Application:
    def __init__(self, name: str, source: str, exams: Mapping[int, str]) -> None:
        self._name = name
        self._source = source
        self._by_exam = dict(exams)
        self._by_application = {application.lower(): exam for exam, application in exams.items()}
        if len(self._by_application) != len(self._by_exam):
            raise ConfigurationError("[exams]: two exam ids are tied to one applicationId; they go one to one")

    def to_legacy(self, value: Any) -> int:
        exam = self._by_application.get(value.lower())
        if exam is None:
            raise MappingError(self._source, "Must be tied to an exam id in [exams].")
        return exam

    def to_session(self, value: Any) -> str:
        if type(value) is not int or value not in self._by_exam:
            raise MappingError(self._name, "Must be an exam id that [exams] ties to an applicationId.")
        return self._by_exam[value]


class _Time:
    def __init__(self, name: str, source: str, zone: tzinfo, required: bool) -> None:
        self._name = name
        self._source = source
        self._zone = zone
        self._required = required

    def to_legacy(self, value: Any) -> str | None:
        if value is None:
            return None
        try:
            instant = instants.read(value, self._zone)
        except ValueError:
            raise MappingError(self._source, "Must be a time.") from None
        try:
            return instants.write(instant, self._zone)
        except ValueError:
            # No clock of that zone can show it: the session's own text says it as well.
            return str(value)

    def to_session(self, value: Any) -> str | None:
        if value is None and not self._required:
            return None
        if value is None:
            raise MappingError(self._name, "Must be there: a session has a start and an end.")
        try:
            return instants.write_utc(instants.read(value, self._zone))
        except (TypeError, ValueError):
            raise MappingError(self._name, "Must be a time in the years 1 to 9999 of UTC.") from None


class Conversions:
    """The conversions of every exact legacy field, by its name.

    Args:
        exams: exam id to applicationId.
        zone: where times made here are written, and what a time without an offset means.

    Raises:
        ConfigurationError: the exams are not tied one to one.
    """

    def __init__(self, exams: Mapping[int, str], zone: tzinfo) -> None:
        self._exams = exams
        self._zone = zone

    def of(self, name: str, rule: rules.Exact) -> Conversion:
        """The conversion of one legacy field."""
        if isinstance(rule, rules.Identifier):
            return _Identifier(name)
        if isinstance(rule, rules.Application):
            return _Application(name, rule.source, self._exams)
        if isinstance(rule, rules.Time):
            return _Time(name, rule.source, self._zone, rule.required)
        raise TypeError(f"{type(rule).__name__} has no conversion")
