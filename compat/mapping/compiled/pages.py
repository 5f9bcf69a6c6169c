"""Whole pages of sessions to legacy records, a column at a time.

A session that carries nothing differs from the next one in a dozen places: its record is a text with holes. One that
carries a record decodes into it, and only its exact fields are looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET

from compat.mapping.compiled.layout import Layout, json_column
from compat.mapping.compiled.page_columns import PageColumns, Pieces
from compat.mapping.compiled.times import Times
from compat.mapping.compiled.to_legacy import LegacyView, string_of
from compat.mapping.compiled.written_times import PIECES_OF_TIME, WrittenTimes
from compat.schemas import COLUMNS
from compat.schemas.rules import Application, Constant, Default, Identifier, Latest, LookedUp, SessionText
from compat.schemas.rules import Time as SameTime
from compat.schemas.student import CARRIED_KEY, RULES, exact_rules

__all__ = ["LegacyPages"]

_encode = msgspec.json.Encoder().encode
People = Sequence[Mapping[str, Any]]
Hole = Callable[[PageColumns, People], Pieces]
_AROUND = (b'{"students":[', b"]}")


class _Students(msgspec.Struct):
    students: Sequence[Any]


class LegacyPages:
    """Translates decoded sessions, all of a page at once.

    Args:
        view: decodes and fills single records.
        times: reads and writes times.
    """

    def __init__(self, view: LegacyView, times: Times) -> None:
        self._view = view
        self._times = WrittenTimes(times)
        holes = {name: rule.column(_Holes(view.exam_or_decline)) for name, rule in RULES.items()}
        self._holes = [hole.column for hole in holes.values() if hole.column is not None]
        self._layout = Layout(_parts(holes))
        self._exact_times = [(name, rule.source) for name, rule in exact_rules(COLUMNS).items() if rule.carries]

    def render(self, sessions: Sequence[Any], people: People) -> bytes:
        """Legacy records as the old page had them, ``{"students": [...]}``.

        Args:
            sessions: as :class:`LegacyView` decodes them; what they carry is filled in, which may be done again.
            people: the roster's values for each session's user.

        Raises:
            ValueError: the lens has to decide.
        """
        if not sessions:
            return b"".join(_AROUND)
        columns = self._columns(sessions)
        carry = [record is not UNSET for record in columns.metadata[CARRIED_KEY]]
        if not any(carry):
            return self._layout.page(self._made(columns, people), len(sessions), _AROUND)
        if all(carry):
            return _encode(_Students(self._carried(columns, sessions, people)))
        return self._mixed(sessions, people, carry)

    def _mixed(self, sessions: Sequence[Any], people: People, carry: Sequence[bool]) -> bytes:
        made, those = _chosen(sessions, people, carry, False)
        shown = iter(self._layout.records(self._made(self._columns(made), those), len(made)))
        carrying, those = _chosen(sessions, people, carry, True)
        carried = iter(self._carried(self._columns(carrying), carrying, those))
        return b",".join([_encode(next(carried)) if flag else next(shown) for flag in carry]).join(_AROUND)

    def _columns(self, sessions: Sequence[Any]) -> PageColumns:
        return PageColumns(sessions, self._view.no_metadata, self._times)

    def _made(self, columns: PageColumns, people: People) -> Pieces:
        return list(chain.from_iterable(hole(columns, people) for hole in self._holes))

    def _carried(self, columns: PageColumns, sessions: Sequence[Any], people: People) -> Sequence[Any]:
        records = columns.metadata[CARRIED_KEY]
        ids, exams = columns.ids("id"), columns.exams("applicationId", self._view.exam_or_decline)
        for record, number, exam in zip(records, ids, exams, strict=True):
            record.id = number
            record.exam_id = exam
        for name, source in self._exact_times:
            carried = list(map(string_of, map(attrgetter(name), records)))
            kept = self._times.keep(carried, columns.live[source])
            if kept is not carried:
                for record, text in zip(records, kept, strict=True):
                    setattr(record, name, text)
        self._view.fill_rest(records, sessions, people)
        return records


class _Hole(NamedTuple):
    """What stands in a record's text for one field.

    Attributes:
        part: the text itself, or the number of pieces that a column has for it.
        column: gives these pieces; None where the text is the same in every record.
    """

    part: bytes | int
    column: Hole | None = None


class _Holes:
    """What stands for a field in the records of sessions that carry nothing, by its rule.

    Args:
        exam: the exam that an application is tied to.
    """

    def __init__(self, exam: Callable[[str], int]) -> None:
        self._exam = exam

    def identifier(self, rule: Identifier) -> _Hole:
        return _Hole(1, lambda columns, people: [json_column(columns.ids(rule.source))])

    def application(self, rule: Application) -> _Hole:
        return _Hole(1, lambda columns, people: [json_column(columns.exams(rule.source, self._exam))])

    def time(self, rule: SameTime) -> _Hole:
        return _Hole(PIECES_OF_TIME, lambda columns, people: columns.written(rule.source))

    def constant(self, rule: Constant | Default) -> _Hole:
        return _Hole(json.dumps(rule.value).encode())

    def session_text(self, rule: SessionText) -> _Hole:
        return _Hole(1, lambda columns, people: [json_column(columns.live[rule.source])])

    def latest(self, rule: Latest) -> _Hole:
        return _Hole(PIECES_OF_TIME, lambda columns, people: columns.latest(rule.times))

    def looked_up(self, rule: LookedUp) -> _Hole:
        return _Hole(1, lambda columns, people: [json_column(columns.looked_up(rule.key, people))])


def _parts(holes: Mapping[str, _Hole]) -> Iterator[bytes | int]:
    """A record's text, as the layout wants it."""
    before = "{"
    for name, hole in holes.items():
        yield f"{before}{json.dumps(name)}:".encode()
        yield hole.part
        before = ","
    yield b"}"


def _chosen(
    sessions: Sequence[Any], people: People, flags: Sequence[bool], wanted: bool
) -> tuple[list[Any], list[Mapping[str, Any]]]:
    chosen = [index for index, flag in enumerate(flags) if flag is wanted]
    return [sessions[index] for index in chosen], [people[index] for index in chosen]
