"""Which fields of a record a script reads, where ``[migration] fields`` asks for that.

A record is then a dict that tells of every key that is read. What walks through a record, copies, compares or prints it
depends on all of its fields, and is told as ``*``. What reads a dict's inside past its methods cannot be seen, nor can
a script that parses the answer's text by itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import requests

from compat.schemas import STUDENT_FIELDS
from compat.stores.ledger import CallGroup, CallRecord

__all__ = ["ALL", "FieldObserver", "FieldObservers", "ObservedRecord", "seen", "watch"]

ALL = "*"
"""What stands for all fields of a record."""

_TOLD_FOR = 3600.0
"""Seconds after which a field that is still read is told again: the store may have been begun anew."""
_MOST_TOLD = 1000
"""Kinds of calls of which it is remembered what was told."""
_NAMES = {name: name for name in (*STUDENT_FIELDS, ALL)}


class FieldObserver:
    """Tells of each field that is read of the answers to calls of one kind, the first time, and none after all of them.

    The call is counted already; ``told`` holds the names that need not be told again.
    """

    __slots__ = ("_call", "_note", "_told")

    def __init__(self, note: Callable[[CallRecord], None], call_record: CallRecord, told: set[str]) -> None:
        self._note = note
        self._call = call_record
        self._told = told

    def __call__(self, key: Any) -> None:
        """A key was read; one that is no documented field is the script's own, or too new for an old script."""
        if key in self._told or ALL in self._told:
            return
        name = _NAMES.get(key)
        if name is not None:
            self._told.add(name)
            self._note(replace(self._call, fields=(name,), again=True))


class FieldObservers:
    """Makes the observers of a process; ``note`` takes what they tell, and neither waits nor raises."""

    def __init__(self, note: Callable[[CallRecord], None]) -> None:
        self._note = note
        self._since = 0.0
        self._told: dict[CallGroup, set[str]] = {}

    def of(self, call_record: CallRecord) -> FieldObserver:
        """That of the answer to a call."""
        if call_record.at - self._since >= _TOLD_FOR or len(self._told) >= _MOST_TOLD:
            self._since, self._told = call_record.at, {}
        return FieldObserver(self._note, call_record, self._told.setdefault(CallGroup.of(call_record), set()))


class ObservedRecord(dict[str, Any]):
    """A record that tells what is read of it. Its copies, pickled ones too, are plain dicts."""

    __slots__ = ("_read",)
    __hash__ = None

    _read: Callable[[Any], None]

    def __new__(cls, *args: Any, **kwargs: Any) -> ObservedRecord:
        record = super().__new__(cls)
        # What another library makes of this class is nobody's answer.
        record._read = _nobody
        return record

    @classmethod
    def of(cls, record: dict[str, Any], observer: FieldObserver) -> ObservedRecord:
        """A record of an answer."""
        made = cls(record)
        made._read = observer
        return made

    def popitem(self) -> tuple[str, Any]:
        key, value = super().popitem()
        self._read(key)
        return key, value

    def copy(self) -> dict[str, Any]:
        return dict(self)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return dict, (), None, None, iter(self.items())


def _reads(name: str, *, all_fields: bool) -> Callable[..., Any]:
    """A method of ``dict`` that tells of its first argument unless it fails, or of every field before it begins."""
    original = getattr(dict, name)

    @functools.wraps(original)
    def reads_one(self: ObservedRecord, key: Any, /, *arguments: Any) -> Any:
        value = original(self, key, *arguments)
        self._read(key)
        return value

    @functools.wraps(original)
    def reads_all(self: ObservedRecord, *arguments: Any) -> Any:
        self._read(ALL)
        return original(self, *arguments)

    return reads_all if all_fields else reads_one


_OF_ONE = ("__getitem__", "__contains__", "get", "pop", "setdefault")
# __iter__ among them also makes dict(record) and **record ask keys().
_OF_ALL = ("__iter__", "__reversed__", "keys", "values", "items", "__or__", "__ror__", "__eq__", "__ne__", "__repr__")
for _name in _OF_ONE + _OF_ALL:
    setattr(ObservedRecord, _name, _reads(_name, all_fields=_name in _OF_ALL))


class _ObservedResponse(requests.Response):
    """A response whose records tell what is read of them. Its copies are plain responses."""

    _observer: FieldObserver

    def json(self, **kwargs: Any) -> Any:
        return seen(super().json(**kwargs), self._observer)

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return requests.Response, (), self.__getstate__()  # type: ignore[attr-defined]


def watch(response: requests.Response, observer: FieldObserver) -> None:
    """Have the records that ``response.json()`` gives tell what is read of them.

    One of a class of the script's own stays as it is: it may do anything in ``json``.
    """
    if type(response) is requests.Response:
        response.__class__ = _ObservedResponse
        response._observer = observer  # type: ignore[attr-defined]


def seen(content: Any, observer: FieldObserver) -> Any:
    """The content of an answer, with records that tell; of what is no answer with records, nothing is changed."""
    if type(content) is dict:
        for name in ("student", "student_session"):
            if type(content.get(name)) is dict:
                content[name] = ObservedRecord.of(content[name], observer)
        students = content.get("students")
        if type(students) is list:
            students[:] = [ObservedRecord.of(each, observer) if type(each) is dict else each for each in students]
    return content


def _nobody(key: Any) -> None:
    pass
