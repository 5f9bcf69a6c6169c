"""Pages of sessions as legacy pages, column by column, joined from pieces that were laid out before.

A session that carries nothing differs from the next one in a dozen places: its record is a text with holes. One that
carries a record decodes into it, and only its exact fields are looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, Raw
from msgspec.structs import astuple

from compat.mapping.fast.time_columns import PIECES_OF_TIME, TimeColumns, WrittenTimes
from compat.mapping.fast.to_legacy import LegacyView, string_of
from compat.schemas import COLUMNS
from compat.schemas.rules import Application, Constant, Default, Identifier, Latest, LookedUp, SessionText, legacy_ids
from compat.schemas.rules import Time as SameTime
from compat.schemas.student import CARRIED_KEY, RULES, exact_rules

__all__ = [
    "Layout",
    "LegacyPages",
    "PageColumns",
    "json_column",
]

_encode = msgspec.json.Encoder().encode
_lines = msgspec.json.Encoder().encode_lines


class Layout:
    """Writes arrays of records.

    Args:
        parts: the text of one record, in order: constants, and the number of pieces that make up a hole.
    """

    def __init__(self, parts: Iterable[bytes | int]) -> None:
        self._record = [b""]
        self._holes: list[int] = []
        for part in parts:
            if isinstance(part, bytes):
                self._record[-1] += part
                continue
            for _ in range(part):
                self._holes.append(len(self._record))
                self._record.append(b"")
            self._record.append(b"")
        # Every record brings the comma before it; the first one's is taken away again.
        self._record[0] = b"," + self._record[0]

    def page(self, columns: Iterable[Sequence[bytes]], count: int, around: tuple[bytes, bytes]) -> bytes:
        """Records between two texts, put together at once.

        Args:
            columns: the pieces of each hole, in order, a piece for each record.
            count: how many records, one at least.
            around: what stands before the first record, and after the last.
        """
        pieces = self._pieces(columns, count)
        pieces[0] = around[0] + pieces[0][1:]
        pieces.append(around[1])
        return b"".join(pieces)

    def records(self, columns: Iterable[Sequence[bytes]], count: int) -> list[bytes]:
        """The records one by one, as :meth:`page` has them."""
        pieces, stride = self._pieces(columns, count), len(self._record)
        return [b"".join(pieces[start : start + stride])[1:] for start in range(0, len(pieces), stride)]

    def _pieces(self, columns: Iterable[Sequence[bytes]], count: int) -> list[bytes]:
        pieces, stride = self._record * count, len(self._record)
        for place, column in zip(self._holes, columns, strict=True):
            pieces[place::stride] = column
        return pieces


def json_column(values: Sequence[Any]) -> list[bytes]:
    """Values as JSON.

    Raises:
        ValueError: a text that is no Unicode.
        TypeError: a value that JSON does not have.
    """
    # In JSON a line break is escaped, so that each line is one value; one that is kept as its text may have blanks.
    lines = _lines(values).split(b"\n")[:-1]
    if len(lines) == len(values):
        return lines
    return [bytes(value).replace(b"\n", b" ") if type(value) is Raw else _encode(value) for value in values]


Pieces = Sequence[Sequence[bytes]]


class PageColumns:
    """Columns of a page; each is worked out once.

    Args:
        sessions: as the compiled form decodes them; one at least.
        nothing: what stands for the metadata of a session that has none.
        times: writes times.

    Attributes:
        live: the sessions' own fields by name.
        metadata: what the compiled form looks at in their metadata, by key; UNSET where it is absent.
    """

    def __init__(self, sessions: Sequence[Any], nothing: Any, times: TimeColumns) -> None:
        self.live = _by_column(sessions)
        held = self.live["metadata"]
        self.metadata = _by_column([nothing if one is None else one for one in held] if None in held else held)
        self._times = times
        self._written: dict[str, WrittenTimes] = {}

    def ids(self, source: str) -> list[int]:
        """Legacy ids."""
        return legacy_ids(self.live[source])

    def exams(self, source: str, exam: Callable[[str], int]) -> list[int]:
        """Exam ids.

        Raises:
            ValueError: an application is tied to none.
        """
        found = {application: exam(application) for application in set(self.live[source])}
        return [found[application] for application in self.live[source]]

    def written(self, source: str) -> Pieces:
        """A time in the zone, as pieces of JSON."""
        return self._time(source).pieces

    def latest(self, sources: Sequence[str]) -> Pieces:
        """The latest of some times in the zone, as pieces of JSON."""
        return reduce(WrittenTimes.latest, map(self._time, sources)).pieces

    def _time(self, source: str) -> WrittenTimes:
        if source not in self._written:
            self._written[source] = self._times.write(self.live[source])
        return self._written[source]

    def looked_up(self, key: str, people: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        """Metadata's own value, or else the person's."""
        own = self.metadata[key]
        if UNSET in own:
            own = [person.get(key) if value is UNSET else value for value, person in zip(own, people, strict=True)]
        return own


def _by_column(records: Sequence[Any]) -> dict[str, Sequence[Any]]:
    names = records[0].__struct_fields__
    return dict(zip(names, zip(*map(astuple, records), strict=True), strict=True))


People = Sequence[Mapping[str, Any]]
Hole = Callable[[PageColumns, People], Pieces]
_AROUND = (b'{"students":[', b"]}")


class _Students(msgspec.Struct):
    students: Sequence[Any]


class LegacyPages:
    """Translates decoded sessions, all of a page at once.

    Args:
        view: decodes and fills single records.
        times: writes times.
    """

    def __init__(self, view: LegacyView, times: TimeColumns) -> None:
        self._view = view
        self._times = times
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
