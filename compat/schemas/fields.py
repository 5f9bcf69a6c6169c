"""marshmallow fields that check a value's JSON type and leave the value as it is.

marshmallow's own fields convert: ``"5"`` would become 5 and ``.788+01:00`` would become ``.788000+01:00``. Here
every value has to come out with the text that it went in with (contract, section 2).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

import msgspec
from marshmallow import fields

from compat.schemas.rules import Rule
from compat.text import instants
from compat.text.json import Number

__all__ = ["Array", "Boolean", "Comparable", "Integer", "Record", "String", "Time", "Typed", "json_type"]

Comparable = int | bool | str | instants.Instant
"""What stands for a value in comparisons; within one column all are of one type, and null is None."""

_WORD = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_./")


def json_type(value: Any) -> str:
    """The name of a value's JSON type, for messages: never the value itself."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float | Number):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list | tuple) else "an object"


_INTEGER = re.compile(r"-?[0-9]+", re.ASCII)
_QUOTED_MILLISECONDS = re.compile(r"-?[0-9]{11,13}", re.ASCII)
_LARGEST_EXPONENT = 400
_LONGEST = 4000
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_TIME_RULE = "Must be a time such as 2018-11-17T17:09:39.373+01:00, a date such as 2018-11-17, or epoch milliseconds"


def _whole_number(value: Number) -> int | None:
    if len(value.text) > _LONGEST:
        return None
    try:
        number = Decimal(value.text)
    except InvalidOperation:  # an exponent beyond any number that there is
        return None
    if abs(number.adjusted()) > _LARGEST_EXPONENT + len(value.text):
        return None
    return int(number) if number == number.to_integral_value() else None


class Typed(fields.Field[Any]):
    """A field of one JSON type.

    Args:
        rule: how the field and a session know each other; only the legacy record's fields have one.
        required: the key must be there; else null stands in for an absent one.
        nullable: null is a value of the field.
        kept: what a recording keeps as it is, since it speaks of no person: every value, these words alone, or nothing.
            Whatever else stands there becomes a pseudonym.

    Attributes:
        kind: the type in words.
        json: the type's name in JSON Schema.
        is_time: its texts say times, which compare as instants.
        compiled_type: what a typed decoder reads it as.
        comparable: filter and sort may name such a column.
        harmless: no value of the type can speak of a person.

    Raises:
        TypeError: a word that is to be kept holds another character than ``a-z``, ``0-9``, ``_``, ``.`` and ``/``,
            before which pseudonyms have to sort.
    """

    kind: ClassVar[str]
    json: ClassVar[str]
    is_time: ClassVar[bool] = False
    compiled_type: ClassVar[Any]
    comparable: ClassVar[bool] = True
    harmless: ClassVar[bool] = False

    def __init__(
        self,
        rule: Rule | None = None,
        *,
        required: bool = False,
        nullable: bool = True,
        kept: bool | tuple[str, ...] = False,
    ) -> None:
        super().__init__(required=required, allow_none=nullable)
        self.rule = rule
        self.kept = self.harmless or kept
        if isinstance(kept, tuple) and not all(_WORD.issuperset(word) for word in kept):
            raise TypeError(f"{type(self).__name__}: words that are kept hold a-z, 0-9, _, . and / alone")
        self.error_messages["invalid"] = f"Must be {self.kind}."

    def accepts(self, value: Any) -> bool:
        """Whether a value that is not null has the field's type."""
        raise NotImplementedError

    def read(self, value: Any, zone: tzinfo) -> Comparable:
        """What stands for a filter's value in comparisons.

        Args:
            value: as :func:`compat.text.json.loads_strictly` gives it, not null.
            zone: of times without an offset.

        Raises:
            ValueError: the type cannot read it; the text states the rule.
        """
        raise TypeError(f"{type(self).__name__} is not compared")

    def compared(self, value: Any, zone: tzinfo) -> Comparable | None:
        """What stands for a record's value in comparisons; null stays null.

        Raises:
            ValueError: the value has another type than the column; the text says which it should be.
        """
        if value is None:
            return None
        if not self.accepts(value):
            raise ValueError(self.kind)
        found: Comparable = value.integer() if isinstance(value, Number) else value
        return found

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not self.accepts(value):
            raise self.make_error("invalid")
        return value

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return value


class Integer(Typed):
    kind = "an integer"
    json = "integer"
    compiled_type = int

    def accepts(self, value: Any) -> bool:
        return type(value) is int or (isinstance(value, Number) and value.text.lstrip("-").isdigit())

    def read(self, value: Any, zone: tzinfo) -> int:
        found: int | None = None
        if isinstance(value, Number):
            found = _whole_number(value)
        elif isinstance(value, str) and _INTEGER.fullmatch(value) and len(value) <= _LONGEST:
            found = int(value)
        if found is None:
            raise ValueError("Must be an integer, or its digits as text")
        return found


class Boolean(Typed):
    kind = "a boolean"
    json = "boolean"
    compiled_type = bool
    harmless = True

    def accepts(self, value: Any) -> bool:
        return isinstance(value, bool)

    def read(self, value: Any, zone: tzinfo) -> bool:
        text = value.text if isinstance(value, Number) else value
        if isinstance(text, bool):
            return text
        if not isinstance(text, str) or text.lower() not in _BOOLEANS:
            raise ValueError("Must be one of: true, false, 1, 0")
        return _BOOLEANS[text.lower()]


class String(Typed):
    kind = "a string"
    json = "string"
    compiled_type = str

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str)

    def read(self, value: Any, zone: tzinfo) -> Comparable:
        if isinstance(value, Number):
            return value.text
        if not isinstance(value, str):
            raise ValueError("Must be a String")
        return value


class Time(String):
    """A string that says a time. Its type is what is checked; it is read only where a filter or sort needs it."""

    kind = "a time"
    is_time = True
    harmless = True

    def read(self, value: Any, zone: tzinfo) -> instants.Instant:
        milliseconds: int | None = None
        if isinstance(value, Number):
            milliseconds = _whole_number(value)
        elif isinstance(value, str) and _QUOTED_MILLISECONDS.fullmatch(value):
            milliseconds = int(value)
        elif isinstance(value, str):
            try:
                return instants.read(value, zone)
            except ValueError:
                hint = "; a + in a URL has to be sent as %2B" if " " in value else ""
                raise ValueError(_TIME_RULE + hint) from None
        if milliseconds is None:
            raise ValueError(_TIME_RULE)
        return instants.from_milliseconds(milliseconds)

    def compared(self, value: Any, zone: tzinfo) -> instants.Instant | None:
        text = super().compared(value, zone)
        try:
            return None if text is None else instants.read(value, zone)
        except ValueError:
            raise ValueError(self.kind) from None


class Array(Typed):
    kind = "an array"
    json = "array"
    compiled_type = list[msgspec.Raw]
    comparable = False

    def accepts(self, value: Any) -> bool:
        return isinstance(value, list)


class Record(Typed):
    kind = "an object"
    json = "object"
    compiled_type = dict[str, msgspec.Raw]
    comparable = False

    def accepts(self, value: Any) -> bool:
        return isinstance(value, dict)
