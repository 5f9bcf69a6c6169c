"""The sessions of a page by column, and what their legacy records show of that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any

from msgspec import UNSET
from msgspec.structs import astuple

from compat.mapping.compiled.written_times import Written, WrittenTimes
from compat.schemas.rules import legacy_ids

__all__ = ["PageColumns"]

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

    def __init__(self, sessions: Sequence[Any], nothing: Any, times: WrittenTimes) -> None:
        self.live = _by_column(sessions)
        held = self.live["metadata"]
        self.metadata = _by_column([nothing if one is None else one for one in held] if None in held else held)
        self._times = times
        self._written: dict[str, Written] = {}

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
        return reduce(self._times.latest, map(self._time, sources)).pieces

    def _time(self, source: str) -> Written:
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
