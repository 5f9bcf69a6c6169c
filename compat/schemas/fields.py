"""marshmallow fields that check a value's JSON type and leave the value as it is.

marshmallow's own fields convert: ``"5"`` would become 5 and ``.788+01:00`` would become ``.788000+01:00``. Here
every value has to come out with the text that it went in with (contract, section 2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from marshmallow import fields

from compat.schemas.rules import Rule
from compat.text.json import Number

__all__ = ["Array", "Boolean", "Integer", "Record", "String", "Time", "Typed", "json_type"]


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


class Typed(fields.Field[Any]):
    """A field of one JSON type.

    Args:
        rule: how the field and a session know each other; only the legacy record's fields have one.
        required: the key must be there; else null stands in for an absent one.
        nullable: null is a value of the field.
        kept: what a recording keeps as it is, since it speaks of no person: every value, these words alone, or nothing.
            Whatever else stands there becomes a pseudonym.

    Raises:
        TypeError: a word that is to be kept holds another character than ``a-z``, ``0-9``, ``_``, ``.`` and ``/``,
            before which pseudonyms have to sort.
    """

    kind: ClassVar[str]
    compiled_type: ClassVar[Any]
    comparable: ClassVar[bool] = True
    harmless: ClassVar[bool] = False
    """Whether no value of the type can speak of a person."""

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

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        if not self.accepts(value):
            raise self.make_error("invalid")
        return value

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return value


class Integer(Typed):
    kind = "an integer"
    compiled_type = int

    def accepts(self, value: Any) -> bool:
        return type(value) is int or (isinstance(value, Number) and value.text.lstrip("-").isdigit())


class Boolean(Typed):
    kind = "a boolean"
    compiled_type = bool
    harmless = True

    def accepts(self, value: Any) -> bool:
        return isinstance(value, bool)


class String(Typed):
    kind = "a string"
    compiled_type = str

    def accepts(self, value: Any) -> bool:
        return isinstance(value, str)


class Time(String):
    """A string that says a time. Its type is what is checked; it is read only where a filter or sort needs it."""

    kind = "a time"
    harmless = True


class Array(Typed):
    kind = "an array"
    compiled_type = list[msgspec.Raw]
    comparable = False

    def accepts(self, value: Any) -> bool:
        return isinstance(value, list)


class Record(Typed):
    kind = "an object"
    compiled_type = dict[str, msgspec.Raw]
    comparable = False

    def accepts(self, value: Any) -> bool:
        return isinstance(value, dict)
