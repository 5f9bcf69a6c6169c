"""Some legacy columns of sessions, to compare them by: nothing is written, and no record is made (law 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any, NamedTuple

from msgspec import UNSET, Raw

from compat.mapping.fast.scanner import Declined
from compat.mapping.fast.time_columns import TimeColumns
from compat.mapping.fast.to_legacy import one_each
from compat.mapping.fast.types import CARRIED_PATH, OWN_PATH, typed_values
from compat.schemas import COLUMNS
from compat.schemas.fields import Typed
from compat.schemas.rules import (
    Constant,
    Default,
    Identifier,
    Latest,
    LookedUp,
    Rule,
    SessionText,
    Time,
    legacy_ids,
)
from compat.schemas.student import RULES
from compat.text.json import array_of

__all__ = ["SessionColumns"]

Person = Mapping[str, Any]
ValuesAt = Callable[[str], Sequence[Any]]
_Reader = Callable[["_Page"], Sequence[Any]]
_TEXTS = (Raw, bytes)


class _Page(NamedTuple):
    """Sessions of one exam; ``at`` gives what stands at a path of each, UNSET where nothing does."""

    at: ValuesAt
    size: int
    person: Person
    exam_id: int


class SessionColumns:
    """Reads columns of decoded sessions.

    Args:
        names: the legacy columns, other than arrays.
        times: makes times comparable.
    """

    def __init__(self, names: Sequence[str], times: TimeColumns) -> None:
        self._readers = {name: RULES[name].column(_Reading(name, times)) for name in names}

    def of(self, at: ValuesAt, count: int, person: Person, exam_id: int) -> dict[str, Sequence[Any]]:
        """The columns by name, times as sortable text.

        Args:
            at: gives what stands at a path of each session: UNSET for nothing, Raw or bytes for what is still a text.
            count: how many sessions there are, all of one exam.
            person: the roster's values for their user.
            exam_id: the exam.

        Raises:
            ValueError: the lens has to decide.
        """
        page = _Page(at, count, person, exam_id)
        return {name: _checked(COLUMNS[name], read(page)) for name, read in self._readers.items()}


class _Reading:
    """Reads one column of sessions, by its rule.

    Args:
        name: the legacy column.
        times: makes times comparable.
    """

    def __init__(self, name: str, times: TimeColumns) -> None:
        self._name = name
        self._times = times

    def identifier(self, rule: Identifier) -> _Reader:
        return lambda page: legacy_ids(page.at(rule.source))

    def application(self, rule: Rule) -> _Reader:
        return lambda page: [page.exam_id] * page.size

    def time(self, rule: Time) -> _Reader:
        return lambda page: self._times.sortable(_live(page, rule.source))

    def constant(self, rule: Constant | Default) -> _Reader:
        constant = rule.value
        return self._carried_or(lambda page: [constant] * page.size)

    def session_text(self, rule: SessionText) -> _Reader:
        source = rule.source
        return self._carried_or(lambda page: _live(page, source))

    def looked_up(self, rule: LookedUp) -> _Reader:
        key = rule.key

        def look_up(page: _Page) -> Sequence[Any]:
            own = page.at(f"{OWN_PATH}{key}")
            return [page.person.get(key) if value is UNSET else value for value in own] if UNSET in own else own

        return self._carried_or(look_up)

    def latest(self, rule: Latest) -> _Reader:
        return lambda page: self._latest(self._name, rule.times, page)

    def _carried_or(self, stand_in: Callable[[_Page], Sequence[Any]]) -> _Reader:
        read = _carried_or(self._name, stand_in)
        return (lambda page: self._times.sortable(read(page))) if COLUMNS[self._name].is_time else read

    def _latest(self, name: str, sources: Sequence[str], page: _Page) -> list[Any]:
        carried = page.at(f"{CARRIED_PATH}{name}")
        kept = self._times.sortable(_read(COLUMNS[name], [None if text is UNSET else text for text in carried]))
        live = zip(*[self._times.sortable(_live(page, source)) for source in sources], strict=True)
        latest = [max([text for text in texts if text is not None]) for texts in live]
        return [made if text is UNSET else own for text, own, made in zip(carried, kept, latest, strict=True)]


def _live(page: _Page, source: str) -> Sequence[Any]:
    values = page.at(source)
    if UNSET in values:
        values = [None if value is UNSET else value for value in values]
    if bytes in {*map(type, values)}:
        raise Declined
    return values


def _carried_or(name: str, stand_in: Callable[[_Page], Sequence[Any]]) -> _Reader:
    def read(page: _Page) -> Sequence[Any]:
        values = page.at(f"{CARRIED_PATH}{name}")
        if UNSET in values:
            values = [other if value is UNSET else value for value, other in zip(values, stand_in(page), strict=True)]
        return _read(COLUMNS[name], values)

    return read


def _read(column: Typed, values: Sequence[Any]) -> Sequence[Any]:
    """A column, those of its values read that are kept as their text.

    Raises:
        ValueError: one of them is not of the column's type.
    """
    texts = [value for value in values if type(value) in _TEXTS]
    if texts:
        found = iter(one_each(typed_values(column)(array_of(texts)), texts))
        values = [next(found) if type(value) in _TEXTS else value for value in values]
    return _checked(column, values)


def _checked(column: Typed, values: Sequence[Any]) -> Sequence[Any]:
    """A column whose values are of its type, or null.

    Raises:
        Declined: one of them is not.
    """
    if not {*map(type, values)} <= {column.compiled_type, NoneType}:
        raise Declined
    return values
