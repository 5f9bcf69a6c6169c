"""The sessions of a page by column, and what their legacy records show of that, as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from msgspec import UNSET

from compat.mapping.compiled.layout import json_column
from compat.mapping.compiled.written_times import Written, WrittenTimes
from compat.mapping.exact import legacy_ids

__all__ = ["PageColumns"]

Pieces = Sequence[Sequence[bytes]]


class PageColumns:
    """Columns of a page; each is worked out once.

    Args:
        sessions: as the compiled form decodes them.
        sources: the session fields to look at.
        times: writes times.
    """

    def __init__(self, sessions: Sequence[Any], sources: Sequence[str], times: WrittenTimes) -> None:
        rows = map(attrgetter(*sources), sessions)
        self.live: dict[str, Sequence[Any]] = dict(zip(sources, zip(*rows, strict=True), strict=True))
        self._times = times
        self._written: dict[str, Written] = {}

    def ids(self, source: str) -> Pieces:
        """Legacy ids."""
        return [json_column(legacy_ids(self.live[source]))]

    def exams(self, source: str, exam: Callable[[str], int]) -> Pieces:
        """Exam ids.

        Raises:
            ValueError: an application is tied to none.
        """
        found = {application: b"%d" % exam(application) for application in set(self.live[source])}
        return [[found[application] for application in self.live[source]]]

    def texts(self, source: str) -> Pieces:
        """A session field as it stands."""
        return [json_column(self.live[source])]

    def written(self, source: str) -> Written:
        """A time in the zone, in three pieces."""
        if source not in self._written:
            self._written[source] = self._times.write(self.live[source])
        return self._written[source]

    def latest(self, sources: Sequence[str]) -> Written:
        """The latest of some times in the zone, in three pieces."""
        latest, shown = self.live[sources[0]], self.written(sources[0])
        for source in sources[1:]:
            others = self.live[source]
            later = self._times.later(latest, others)
            shown = shown.chosen(self.written(source), later)
            latest = [other if flag else one for flag, one, other in zip(later, latest, others, strict=True)]
        return shown

    def looked_up(self, key: str, people: Sequence[Mapping[str, Any]]) -> Pieces:
        """Metadata's own value, or else the person's."""
        own = [getattr(metadata, key, UNSET) for metadata in self.live["metadata"]]
        try:
            return [json_column(own)]
        except TypeError:
            values = [person.get(key) if value is UNSET else value for value, person in zip(own, people, strict=True)]
            return [json_column(values)]
