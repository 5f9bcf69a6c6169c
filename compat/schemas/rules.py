"""How one legacy field and a session know each other (contract, section 5).

A rule is data: the lens, the compiled form, the tables and the strategies each read it in their own way. They
are structs: eleven dataclasses took longer to make than the rest of the declaration.
"""

from __future__ import annotations

import json
from typing import ClassVar

import msgspec

__all__ = [
    "Application",
    "Constant",
    "Default",
    "Exact",
    "Identifier",
    "Latest",
    "LookedUp",
    "Rule",
    "SessionOnly",
    "SessionText",
    "Time",
]

JSONValue = str | int | bool | None | list["JSONValue"] | dict[str, "JSONValue"]


class Rule(msgspec.Struct, frozen=True):
    """The common part.

    Attributes:
        category: the class of the contract's table: exact, derived, looked up or default.
        sources: the session fields that the legacy value comes from.
        derived_from: in words for the tables, how the legacy value is made.
        back: in words for the tables, where a legacy value goes.
        loss: in words, what a session that was never a legacy record cannot say; empty where nothing is lost.
    """

    category: ClassVar[str]

    @property
    def sources(self) -> tuple[str, ...]:
        return ()

    @property
    def derived_from(self) -> str:
        raise NotImplementedError

    @property
    def back(self) -> str:
        return "carried in `metadata.exam_student`"

    @property
    def loss(self) -> str:
        raise NotImplementedError


class Exact(Rule, frozen=True):
    """A session field says the same, in another form; the live session field always counts."""

    source: str
    category: ClassVar[str] = "exact"

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.source,)

    @property
    def loss(self) -> str:
        return ""


class Identifier(Exact, frozen=True):
    """The session's id: its number where it is a canonical decimal, else a surrogate."""

    @property
    def derived_from(self) -> str:
        return f"`{self.source}`, or a surrogate from 2^52 up"

    @property
    def back(self) -> str:
        return f"`{self.source}`, decimal text of 1 to 2^52-1"


class Application(Exact, frozen=True):
    """The application's id, tied to an exam id by the configuration."""

    @property
    def derived_from(self) -> str:
        return f"`{self.source}` by `[exams]`"

    @property
    def back(self) -> str:
        return f"`{self.source}` by `[exams]`"


class Time(Exact, frozen=True):
    """The same instant; `required` ones are never null in a session."""

    required: bool = False

    @property
    def derived_from(self) -> str:
        return f"`{self.source}`"

    @property
    def back(self) -> str:
        return f"`{self.source}`; its text carried"


class Constant(Rule, frozen=True):
    """What is true of every session, since a session that exists was taken to its end."""

    value: JSONValue
    category: ClassVar[str] = "derived"

    @property
    def derived_from(self) -> str:
        return f"always `{_shown(self.value)}`"

    @property
    def loss(self) -> str:
        return f"any other value than `{_shown(self.value)}`"


class SessionText(Rule, frozen=True):
    """A session field's text as it stands."""

    source: str
    category: ClassVar[str] = "derived"

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.source,)

    @property
    def derived_from(self) -> str:
        return f"`{self.source}` as text"

    @property
    def loss(self) -> str:
        return f"any other value than the session's `{self.source}`"


class Latest(Rule, frozen=True):
    """The latest of some times of the session."""

    times: tuple[str, ...]
    category: ClassVar[str] = "derived"

    @property
    def sources(self) -> tuple[str, ...]:
        return self.times

    @property
    def derived_from(self) -> str:
        names = [f"`{name}`" for name in self.times]
        return names[0] if len(names) == 1 else f"the later of {' and '.join(names)}"

    @property
    def loss(self) -> str:
        return "the moment that the old system kept"


class LookedUp(Rule, frozen=True):
    """The metadata's own key of that name, else the roster's column."""

    key: str
    category: ClassVar[str] = "looked up"

    @property
    def sources(self) -> tuple[str, ...]:
        return ("metadata",)

    @property
    def derived_from(self) -> str:
        return f"`metadata.{self.key}`, else the roster, else null"

    @property
    def loss(self) -> str:
        return "the value, where neither metadata nor roster has it"


class Default(Rule, frozen=True):
    """What stands in when a session has nothing to say."""

    value: JSONValue = None
    category: ClassVar[str] = "default"

    @property
    def derived_from(self) -> str:
        return f"always `{_shown(self.value)}`"

    @property
    def loss(self) -> str:
        return "the value" if self.value is None else f"any other value than `{_shown(self.value)}`"


class SessionOnly(Rule, frozen=True):
    """Of a session's field that a legacy record has no place for.

    Attributes:
        made: in words, what a session made from a legacy record gets.
    """

    made: str = "left out"
    category: ClassVar[str] = "session only"

    @property
    def derived_from(self) -> str:
        return ""

    @property
    def back(self) -> str:
        return self.made

    @property
    def loss(self) -> str:
        return "the value"


def _shown(value: JSONValue) -> str:
    return json.dumps(value).strip('"')
