"""Some legacy columns of sessions, to compare them by: nothing is written, and no record is made (law 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from types import NoneType
from typing import Any, NamedTuple

from msgspec import UNSET, Raw

from compat.mapping.compiled.odd_fields import typed_values
from compat.mapping.compiled.refused import Declined
from compat.mapping.compiled.time_columns import TimeColumns
from compat.mapping.compiled.times import Times
from compat.mapping.compiled.to_legacy import one_each
from compat.mapping.exact import legacy_ids
from compat.schemas import COLUMNS
from compat.schemas.fields import Time as TimeField
from compat.schemas.fields import Typed
from compat.schemas.rules import Application, Constant, Default, Identifier, Latest, LookedUp, Rule, SessionText, Time
from compat.schemas.student import CARRIED_KEY
from compat.text.json import array_of

__all__ = ["SessionColumns"]

Person = Mapping[str, Any]
_Reader = Callable[["_Sessions"], list[Any]]


class _Sessions(NamedTuple):
    sessions: Sequence[Any]
    person: Person
    exam_id: int


class SessionColumns:
    """Reads columns of decoded sessions.

    Args:
        names: the legacy columns, other than arrays.
        times: reads times.
    """

    def __init__(self, names: Sequence[str], times: Times) -> None:
        self._times = TimeColumns(times)
        self._readers = {name: self._reader(name, COLUMNS[name].rule) for name in names}

    def of(self, sessions: Sequence[Any], person: Person, exam_id: int) -> dict[str, Sequence[Any]]:
        """The columns by name, times as sortable text.

        Args:
            sessions: of one exam, as :class:`~compat.mapping.compiled.LegacyView` decodes them for these columns.
            person: the roster's values for their user.
            exam_id: the exam.

        Raises:
            ValueError: the lens has to decide.
        """
        page = _Sessions(sessions, person, exam_id)
        return {name: _checked(COLUMNS[name], read(page)) for name, read in self._readers.items()}

    def _reader(self, name: str, rule: Rule | None) -> _Reader:
        if isinstance(rule, Identifier):
            return lambda page: legacy_ids([session.id for session in page.sessions])
        if isinstance(rule, Application):
            return lambda page: [page.exam_id] * len(page.sessions)
        if isinstance(rule, Time):
            return lambda page: self._times.sortable(_live(page, rule.source))
        if isinstance(rule, Latest):
            return lambda page: self._latest(name, rule.times, page)
        read = _carried_or(name, _stand_in(rule))
        if isinstance(COLUMNS[name], TimeField):
            return lambda page: self._times.sortable(read(page))
        return read

    def _latest(self, name: str, sources: Sequence[str], page: _Sessions) -> list[Any]:
        carried = _read(COLUMNS[name], [UNSET if one is UNSET else getattr(one, name) for one in _carried(page)])
        kept = self._times.sortable([None if text is UNSET else text for text in carried])
        live = zip(*[self._times.sortable(_live(page, source)) for source in sources], strict=True)
        latest = [max([text for text in texts if text is not None]) for texts in live]
        return [made if text is UNSET else own for text, own, made in zip(carried, kept, latest, strict=True)]


def _live(page: _Sessions, source: str) -> list[Any]:
    return list(map(attrgetter(source), page.sessions))


def _carried(page: _Sessions) -> list[Any]:
    return [getattr(session.metadata, CARRIED_KEY, UNSET) for session in page.sessions]


def _carried_or(name: str, stand_in: Callable[[Any, Person], Any]) -> _Reader:
    carried_of = attrgetter(name)

    def read(page: _Sessions) -> list[Any]:
        person = page.person
        values = [
            stand_in(session, person) if record is UNSET or (value := carried_of(record)) is UNSET else value
            for record, session in zip(_carried(page), page.sessions, strict=True)
        ]
        return _read(COLUMNS[name], values)

    return read


def _stand_in(rule: Rule | None) -> Callable[[Any, Person], Any]:
    if isinstance(rule, Constant | Default):
        constant = rule.value
        return lambda session, person: constant
    if isinstance(rule, SessionText):
        source = attrgetter(rule.source)
        return lambda session, person: source(session)
    if isinstance(rule, LookedUp):
        key = rule.key

        def look_up(session: Any, person: Person) -> Any:
            own = getattr(session.metadata, key, UNSET)
            return person.get(key) if own is UNSET else own

        return look_up
    raise TypeError(f"{type(rule).__name__} has no column")


def _read(column: Typed, values: list[Any]) -> list[Any]:
    """A column, those of its values read that are kept as their text.

    Raises:
        ValueError: one of these is not of the column's type.
    """
    texts = [value for value in values if type(value) is Raw]
    if not texts:
        return values
    found = iter(one_each(typed_values(column)(array_of(texts)), texts))
    return [next(found) if type(value) is Raw else value for value in values]


def _checked(column: Typed, values: Sequence[Any]) -> Sequence[Any]:
    """A column whose values are of its type, or null.

    Raises:
        Declined: one of them is not.
    """
    if not {*map(type, values)} <= {column.compiled_type, NoneType}:
        raise Declined
    return values
