"""Whole pages of sessions to legacy records, a column at a time.

A session that carries nothing differs from the next one in a dozen places: its record is a text with holes. One that
carries a record decodes into it, and only its exact fields are looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import UNSET

from compat.mapping.compiled.times import Times
from compat.mapping.compiled.to_legacy import LegacyView
from compat.mapping.exact import legacy_id
from compat.schemas import COLUMNS
from compat.schemas.rules import Application, Constant, Default, Identifier, Latest, LookedUp, Rule, SessionText
from compat.schemas.rules import Time as SameTime
from compat.schemas.student import CARRIED_KEY

__all__ = ["LegacyPages"]

_encode = msgspec.json.Encoder().encode
Column = Callable[["_Page"], Sequence[Any]]


class _Page:
    """The sessions of a page by column; each column is worked out once."""

    def __init__(self, sessions: Sequence[Any], people: Sequence[Mapping[str, Any]], times: Times) -> None:
        self.sessions = sessions
        self.people = people
        self.metadata = [session.metadata for session in sessions]
        self._times = times
        self._written: dict[str, list[str | None]] = {}

    def live(self, source: str) -> list[Any]:
        return list(map(attrgetter(source), self.sessions))

    def written(self, source: str) -> list[str | None]:
        if source not in self._written:
            self._written[source] = self._times.write_each(self.live(source))
        return self._written[source]


class LegacyPages:
    """Translates decoded sessions, all of a page at once.

    Args:
        view: decodes and fills single records.
        times: reads and writes times.
    """

    def __init__(self, view: LegacyView, times: Times) -> None:
        self._view = view
        self._times = times
        parts: list[str] = []
        self._holes: list[Column] = []
        for name, column in COLUMNS.items():
            rule = column.rule
            if isinstance(rule, Constant | Default):
                shown = json.dumps(rule.value).replace("%", "%%")
            else:
                shown = "%s"
                self._holes.append(self._column(name, rule))
            parts.append(f"{json.dumps(name)}:{shown}")
        self._text = "{" + ",".join(parts) + "}"
        self._exact_times = [(n, c.rule.source) for n, c in COLUMNS.items() if isinstance(c.rule, SameTime)]

    def render(self, sessions: Sequence[Any], people: Sequence[Mapping[str, Any]]) -> bytes:
        """A JSON array of legacy records.

        Args:
            sessions: as :class:`LegacyView` decodes them.
            people: the roster's values for each session's user.

        Raises:
            ValueError: the lens has to decide.
        """
        carry = [getattr(session.metadata, CARRIED_KEY, UNSET) is not UNSET for session in sessions]
        if not any(carry):
            return f"[{','.join(self._made(sessions, people))}]".encode()
        if all(carry):
            return _encode(self._carried(sessions, people))
        made = iter(self._made(*_chosen(sessions, people, carry, False)))
        carried = iter(self._carried(*_chosen(sessions, people, carry, True)))
        return b"[" + b",".join([_encode(next(carried)) if flag else next(made).encode() for flag in carry]) + b"]"

    def _made(self, sessions: Sequence[Any], people: Sequence[Mapping[str, Any]]) -> list[str]:
        page = _Page(sessions, people, self._times)
        text = self._text
        return [text % values for values in zip(*[column(page) for column in self._holes], strict=True)]

    def _carried(self, sessions: Sequence[Any], people: Sequence[Mapping[str, Any]]) -> list[Any]:
        page = _Page(sessions, people, self._times)
        records = [getattr(metadata, CARRIED_KEY) for metadata in page.metadata]
        for name, source in self._exact_times:
            kept = self._times.keep_each(list(map(attrgetter(name), records)), page.live(source))
            for record, text in zip(records, kept, strict=True):
                setattr(record, name, text)
        self._view.fill_rest(records, sessions, people)
        return records

    def _column(self, name: str, rule: Rule | None) -> Column:
        if isinstance(rule, Identifier):
            return lambda page: [legacy_id(text) for text in page.live(rule.source)]
        if isinstance(rule, Application):
            return lambda page: [self._view.exam_or_decline(text) for text in page.live(rule.source)]
        if isinstance(rule, SameTime):
            return lambda page: _quoted(page.written(rule.source))
        if isinstance(rule, SessionText):
            return lambda page: [encode_basestring(text) for text in page.live(rule.source)]
        if isinstance(rule, Latest):
            return lambda page: _quoted(self._latest(page, rule.times))
        if isinstance(rule, LookedUp):
            return lambda page: _looked_up(page, rule.key)
        raise TypeError(f"{name}: {type(rule).__name__} has no compiled column")

    def _latest(self, page: _Page, sources: Sequence[str]) -> list[str | None]:
        latest, shown = page.live(sources[0]), page.written(sources[0])
        for source in sources[1:]:
            pairs = zip(latest, page.live(source), strict=True)
            later = [other is not None and (one is None or self._is_later(other, one)) for one, other in pairs]
            latest = [other if flag else one for flag, one, other in zip(later, latest, page.live(source), strict=True)]
            others = page.written(source)
            shown = [other if flag else one for flag, one, other in zip(later, shown, others, strict=True)]
        return shown

    def _is_later(self, one: str, other: str) -> bool:
        if len(one) == len(other) and one[-1] == other[-1] == "Z":
            return one > other
        return self._times.instant(one) > self._times.instant(other)


def _chosen(
    sessions: Sequence[Any], people: Sequence[Mapping[str, Any]], flags: Sequence[bool], wanted: bool
) -> tuple[list[Any], list[Mapping[str, Any]]]:
    chosen = [index for index, flag in enumerate(flags) if flag is wanted]
    return [sessions[index] for index in chosen], [people[index] for index in chosen]


def _quoted(texts: Sequence[str | None]) -> list[str]:
    return ["null" if text is None else f'"{text}"' for text in texts]


def _looked_up(page: _Page, key: str) -> list[str]:
    shown: list[str] = []
    for metadata, person in zip(page.metadata, page.people, strict=True):
        value = getattr(metadata, key, UNSET)
        if value is UNSET:
            value = person.get(key)
        if value is None:
            shown.append("null")
        else:
            shown.append(encode_basestring(value) if type(value) is str else str(value))
    return shown
