"""How one legacy field and a session know each other (contract, section 5).

A rule says all that it means: the legacy value of a session, which carried values stand in for it, the way back, what
is lost, and the words for the tables. What works on whole pages asks :meth:`Rule.column`, and so tests no rule's class.

Rules are structs: eleven dataclasses took longer to make than the rest of the declaration.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import timezone, tzinfo
from typing import Any, ClassVar, NamedTuple, Protocol, TypeVar

import msgspec

from compat.errors import ConfigurationError, MappingError
from compat.text import instants

__all__ = [
    "FIRST_SURROGATE",
    "Application",
    "Constant",
    "Default",
    "Exact",
    "Identifier",
    "Latest",
    "LookedUp",
    "Page",
    "Rule",
    "SessionOnly",
    "SessionText",
    "Ties",
    "Time",
    "Words",
    "legacy_id",
    "legacy_ids",
]

JSONValue = str | int | bool | None | list["JSONValue"] | dict[str, "JSONValue"]
Record = Mapping[str, Any]
_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

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


class Ties:
    """What the configuration ties together: exams to applications, and times without an offset to a zone.

    Args:
        exams: exam id to applicationId.
        zone: where times made here are written, and what a time without an offset means.

    Raises:
        ConfigurationError: the exams are not tied one to one.
    """

    def __init__(self, exams: Mapping[int, str], zone: tzinfo = timezone.utc) -> None:
        self.applications = dict(exams)
        self.exams = {application.lower(): exam for exam, application in exams.items()}
        self.zone = zone
        if len(self.exams) != len(self.applications):
            raise ConfigurationError("[exams]: two exam ids are tied to one applicationId; they go one to one")

    def instant(self, text: str) -> instants.Instant:
        """When a time is. Raises ValueError where it is none."""
        return instants.read(text, self.zone)

    def written(self, text: str) -> str:
        """A time in the zone; its own text where no clock of the zone can show it. Raises ValueError as above."""
        instant = self.instant(text)
        try:
            return instants.write(instant, self.zone)
        except ValueError:
            return text

    def name_the_same(self, one: Any, other: Any) -> bool:
        """Whether both are times, and of one instant."""
        if not isinstance(one, str) or not isinstance(other, str):
            return False
        try:
            return self.instant(one) == self.instant(other)
        except ValueError:
            return False


class Page(Protocol[_T_co]):
    """What works on columns, and has a way of its own for each rule: to write it, to compare it, to leave it out."""

    def identifier(self, rule: Identifier) -> _T_co: ...
    def application(self, rule: Application) -> _T_co: ...
    def time(self, rule: Time) -> _T_co: ...
    def constant(self, rule: Constant | Default) -> _T_co: ...
    def session_text(self, rule: SessionText) -> _T_co: ...
    def latest(self, rule: Latest) -> _T_co: ...
    def looked_up(self, rule: LookedUp) -> _T_co: ...


class Words(NamedTuple):
    """A rule in words for the tables; ``{0.name}`` stands for an attribute of the rule.

    Attributes:
        derived_from: how the legacy value is made.
        back: where a legacy value goes.
        loss: what a session that was never a legacy record cannot say; empty where nothing is lost.
    """

    derived_from: str
    loss: str
    back: str = "carried in `metadata.exam_student`"


class Rule(msgspec.Struct, frozen=True):
    """The common part.

    Attributes:
        category: the class of the contract's table: exact, derived, looked up or default.
        says: the rule in words.
        carries: whether a carried value may ever stand in.
        always: the legacy value whatever the session says; UNSET where that depends on the session.
        sources: the session fields that the legacy value comes from.
    """

    category: ClassVar[str]
    says: ClassVar[Words]
    carries: ClassVar[bool] = True

    @property
    def always(self) -> Any:
        return msgspec.UNSET

    @property
    def sources(self) -> tuple[str, ...]:
        return ()

    @property
    def derived_from(self) -> str:
        return self.says.derived_from.format(self)

    @property
    def back(self) -> str:
        return self.says.back.format(self)

    @property
    def loss(self) -> str:
        return self.says.loss.format(self)

    def legacy(self, session: Record, person: Record, ties: Ties) -> Any:
        """The legacy value of a session that carries none.

        Raises:
            MappingError: there is none; it names the session field.
        """
        raise NotImplementedError

    def counts(self, carried: Any, session: Record, ties: Ties) -> bool:
        """Whether a carried value stands in for the session's own."""
        return True

    def told(self, session: Record, person: Record) -> bool:
        """Whether a session that carries nothing has a word of its own for the field."""
        return False

    def column(self, page: Page[_T]) -> _T:
        """What a page has for the rule."""
        raise NotImplementedError


class Exact(Rule, frozen=True):
    """A session field says the same, in another form; the live session field always counts."""

    source: str
    category: ClassVar[str] = "exact"
    says: ClassVar[Words] = Words("`{0.source}`", "", "`{0.source}`")

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.source,)

    def counts(self, carried: Any, session: Record, ties: Ties) -> bool:
        return False

    def told(self, session: Record, person: Record) -> bool:
        return True

    def check(self, live: Any, ties: Ties) -> None:
        """Refuse a session's value that is none. Raises MappingError."""

    def session(self, name: str, value: Any, ties: Ties) -> Any:
        """The session's value of a legacy value.

        Raises:
            MappingError: there is none; it names the legacy field.
        """
        raise NotImplementedError

    def stands_for(self, original: Any, value: Any, ties: Ties) -> bool:
        """Whether a session's value may stay where a legacy value goes, since it shows as that value."""
        shown = self.legacy({self.source: original}, {}, ties)
        return type(shown) is type(value) and bool(shown == value)


class Identifier(Exact, frozen=True):
    """The session's id: its number where it is a canonical decimal, else a surrogate."""

    carries: ClassVar[bool] = False
    says: ClassVar[Words] = Words(
        "`{0.source}`, or a surrogate from 2^52 up", "", "`{0.source}`, decimal text of 1 to 2^52-1"
    )

    def legacy(self, session: Record, person: Record, ties: Ties) -> int:
        return legacy_id(session[self.source])

    def session(self, name: str, value: Any, ties: Ties) -> str:
        if type(value) is not int or not 1 <= value < FIRST_SURROGATE:
            raise MappingError(name, "Must be an integer from 1 to 2^52-1.")
        return str(value)

    def column(self, page: Page[_T]) -> _T:
        return page.identifier(self)


class Application(Exact, frozen=True):
    """The application's id, tied to an exam id by the configuration."""

    carries: ClassVar[bool] = False
    says: ClassVar[Words] = Words("`{0.source}` by `[exams]`", "", "`{0.source}` by `[exams]`")

    def legacy(self, session: Record, person: Record, ties: Ties) -> int:
        exam = ties.exams.get(session[self.source].lower())
        if exam is None:
            raise MappingError(self.source, "Must be tied to an exam id in [exams].")
        return exam

    def session(self, name: str, value: Any, ties: Ties) -> str:
        if type(value) is not int or value not in ties.applications:
            raise MappingError(name, "Must be an exam id that [exams] ties to an applicationId.")
        return ties.applications[value]

    def column(self, page: Page[_T]) -> _T:
        return page.application(self)


class Time(Exact, frozen=True):
    """The same instant; `required` ones are never null in a session."""

    required: bool = False
    says: ClassVar[Words] = Words("`{0.source}`", "", "`{0.source}`; its text carried")

    def legacy(self, session: Record, person: Record, ties: Ties) -> str | None:
        live = session.get(self.source)
        self.check(live, ties)
        return None if live is None else ties.written(live)

    def counts(self, carried: Any, session: Record, ties: Ties) -> bool:
        return ties.name_the_same(carried, session.get(self.source))

    def check(self, live: Any, ties: Ties) -> None:
        try:
            if live is not None:
                ties.instant(live)
        except ValueError:
            raise MappingError(self.source, "Must be a time.") from None

    def session(self, name: str, value: Any, ties: Ties) -> str | None:
        if value is None and not self.required:
            return None
        if value is None:
            raise MappingError(name, "Must be there: a session has a start and an end.")
        try:
            return instants.write_utc(ties.instant(value))
        except (TypeError, ValueError):
            raise MappingError(name, "Must be a time in the years 1 to 9999 of UTC.") from None

    def stands_for(self, original: Any, value: Any, ties: Ties) -> bool:
        return ties.name_the_same(value, original)

    def column(self, page: Page[_T]) -> _T:
        return page.time(self)


class _Fixed(Rule, frozen=True):
    """One value whatever the session says."""

    value: JSONValue

    @property
    def always(self) -> Any:
        return self.value

    @property
    def shown(self) -> str:
        """The value as JSON, a text without its quotes."""
        return json.dumps(self.value).strip('"')

    def legacy(self, session: Record, person: Record, ties: Ties) -> Any:
        return deepcopy(self.value)

    def column(self, page: Page[_T]) -> _T:
        return page.constant(self)  # type: ignore[arg-type]  # one of the two below


class Constant(_Fixed, frozen=True):
    """What is true of every session, since a session that exists was taken to its end."""

    category: ClassVar[str] = "derived"
    says: ClassVar[Words] = Words("always `{0.shown}`", "any other value than `{0.shown}`")


class Default(_Fixed, frozen=True):
    """What stands in when a session has nothing to say."""

    value: JSONValue = None
    category: ClassVar[str] = "default"
    says: ClassVar[Words] = Constant.says

    @property
    def loss(self) -> str:
        return "the value" if self.value is None else super().loss


class SessionText(Rule, frozen=True):
    """A session field's text as it stands."""

    source: str
    category: ClassVar[str] = "derived"
    says: ClassVar[Words] = Words("`{0.source}` as text", "any other value than the session's `{0.source}`")

    @property
    def sources(self) -> tuple[str, ...]:
        return (self.source,)

    def legacy(self, session: Record, person: Record, ties: Ties) -> Any:
        return session[self.source]

    def column(self, page: Page[_T]) -> _T:
        return page.session_text(self)


class Latest(Rule, frozen=True):
    """The latest of some times of the session."""

    times: tuple[str, ...]
    category: ClassVar[str] = "derived"
    says: ClassVar[Words] = Words("{0.shown}", "the moment that the old system kept")

    @property
    def sources(self) -> tuple[str, ...]:
        return self.times

    @property
    def shown(self) -> str:
        """The times in words."""
        names = [f"`{name}`" for name in self.times]
        return names[0] if len(names) == 1 else f"the later of {' and '.join(names)}"

    def legacy(self, session: Record, person: Record, ties: Ties) -> str:
        texts = [text for name in self.times if (text := session.get(name)) is not None]
        return ties.written(max(texts, key=ties.instant))

    def column(self, page: Page[_T]) -> _T:
        return page.latest(self)


class LookedUp(Rule, frozen=True):
    """The metadata's own key of that name, else the roster's column."""

    key: str
    category: ClassVar[str] = "looked up"
    says: ClassVar[Words] = Words(
        "`metadata.{0.key}`, else the roster, else null", "the value, where neither metadata nor roster has it"
    )

    @property
    def sources(self) -> tuple[str, ...]:
        return ("metadata",)

    def legacy(self, session: Record, person: Record, ties: Ties) -> Any:
        return self._own(session)[self.key] if self.key in self._own(session) else person.get(self.key)

    def told(self, session: Record, person: Record) -> bool:
        return self.key in self._own(session) or self.key in person

    def _own(self, session: Record) -> Record:
        metadata = session.get("metadata")
        return metadata if isinstance(metadata, dict) else {}

    def column(self, page: Page[_T]) -> _T:
        return page.looked_up(self)


class SessionOnly(Rule, frozen=True):
    """Of a session's field that a legacy record has no place for.

    Attributes:
        made: in words, what a session made from a legacy record gets.
    """

    made: str = "left out"
    category: ClassVar[str] = "session only"
    says: ClassVar[Words] = Words("", "the value", "{0.made}")
