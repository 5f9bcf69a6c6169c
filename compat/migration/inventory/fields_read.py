"""Which fields of a record a script reads, where ``[migration] fields`` asks for that.

A record is then a dict that tells of every key that is read. What walks through a record, copies, compares or prints it
depends on all of its fields, and is told as ``*``. What reads a dict's inside past its methods cannot be seen, nor can
a script that parses the answer's text by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import requests

from compat.migration.inventory.counts import Group, Sighting
from compat.schemas import STUDENT_FIELDS

__all__ = ["ALL", "Reading", "Readings", "SeenRecord", "seen", "watch"]

ALL = "*"
"""What stands for all fields of a record."""

_TOLD_FOR = 3600.0
"""Seconds after which a field that is still read is told again: the store may have been begun anew."""
_MOST_TOLD = 1000
"""Kinds of calls of which it is remembered what was told."""
_NAMES = {name: name for name in (*STUDENT_FIELDS, ALL)}


class Reading:
    """Tells of each field that is read of the answers to calls of one kind, the first time, and none after all of them.

    Args:
        note: takes what is told.
        sighting: the call, which is counted already.
        told: the names that need not be told again.
    """

    __slots__ = ("_note", "_sighting", "_told")

    def __init__(self, note: Callable[[Sighting], None], sighting: Sighting, told: set[str]) -> None:
        self._note = note
        self._sighting = sighting
        self._told = told

    def __call__(self, key: Any) -> None:
        """A key was read; one that is no documented field is the script's own, or too new for an old script."""
        if key in self._told or ALL in self._told:
            return
        name = _NAMES.get(key)
        if name is not None:
            self._told.add(name)
            self._note(replace(self._sighting, fields=(name,), again=True))


class Readings:
    """Makes the readings of a process.

    Args:
        note: takes what they tell; never waits and never raises.
    """

    def __init__(self, note: Callable[[Sighting], None]) -> None:
        self._note = note
        self._since = 0.0
        self._told: dict[Group, set[str]] = {}

    def of(self, sighting: Sighting) -> Reading:
        """That of the answer to a call."""
        if sighting.at - self._since >= _TOLD_FOR or len(self._told) >= _MOST_TOLD:
            self._since, self._told = sighting.at, {}
        return Reading(self._note, sighting, self._told.setdefault(Group.of(sighting), set()))


class SeenRecord(dict[str, Any]):
    """A record that tells what is read of it. Its copies, pickled ones too, are plain dicts."""

    __slots__ = ("_read",)
    __hash__ = None

    _read: Callable[[Any], None]

    def __new__(cls, *args: Any, **kwargs: Any) -> SeenRecord:
        record = super().__new__(cls)
        # What another library makes of this class is nobody's answer.
        record._read = _nobody
        return record

    @classmethod
    def of(cls, record: dict[str, Any], reading: Reading) -> SeenRecord:
        """A record of an answer."""
        made = cls(record)
        made._read = reading
        return made

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        self._read(key)
        return value

    def get(self, key: str, default: Any = None, /) -> Any:
        value = super().get(key, default)
        self._read(key)
        return value

    def __contains__(self, key: object) -> bool:
        found = super().__contains__(key)
        self._read(key)
        return found

    def pop(self, key: str, *default: Any) -> Any:
        value = super().pop(key, *default)
        self._read(key)
        return value

    def popitem(self) -> tuple[str, Any]:
        key, value = super().popitem()
        self._read(key)
        return key, value

    def setdefault(self, key: str, default: Any = None, /) -> Any:
        value = super().setdefault(key, default)
        self._read(key)
        return value

    def __iter__(self) -> Iterator[str]:
        # Overridden, it also makes dict(record) and **record ask keys().
        self._read(ALL)
        return super().__iter__()

    def __reversed__(self) -> Iterator[str]:
        self._read(ALL)
        return super().__reversed__()

    def keys(self) -> Any:
        self._read(ALL)
        return super().keys()

    def values(self) -> Any:
        self._read(ALL)
        return super().values()

    def items(self) -> Any:
        self._read(ALL)
        return super().items()

    def copy(self) -> dict[str, Any]:
        return dict(self)

    def __or__(self, other: Any) -> Any:
        self._read(ALL)
        return super().__or__(other)

    def __ror__(self, other: Any) -> Any:
        self._read(ALL)
        return super().__ror__(other)

    def __eq__(self, other: object) -> bool:
        self._read(ALL)
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        self._read(ALL)
        return super().__ne__(other)

    def __repr__(self) -> str:
        self._read(ALL)
        return super().__repr__()

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return dict, (), None, None, iter(self.items())


class _SeenResponse(requests.Response):
    """A response whose records tell what is read of them. Its copies are plain responses."""

    _reading: Reading

    def json(self, **kwargs: Any) -> Any:
        return seen(super().json(**kwargs), self._reading)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return requests.Response, (), self.__getstate__()  # type: ignore[attr-defined]


def watch(response: requests.Response, reading: Reading) -> None:
    """Have the records that ``response.json()`` gives tell what is read of them.

    One of a class of the script's own stays as it is: it may do anything in ``json``.
    """
    if type(response) is requests.Response:
        response.__class__ = _SeenResponse
        response._reading = reading  # type: ignore[attr-defined]


def seen(content: Any, reading: Reading) -> Any:
    """The content of an answer, with records that tell; of what is no answer with records, nothing is changed."""
    if type(content) is dict:
        for name in ("student", "student_session"):
            if type(content.get(name)) is dict:
                content[name] = SeenRecord.of(content[name], reading)
        students = content.get("students")
        if type(students) is list:
            students[:] = [SeenRecord.of(each, reading) if type(each) is dict else each for each in students]
    return content


def _nobody(key: Any) -> None:
    pass
