"""The people whose sessions are read, and what is known of them (contract, sections 4 and 5)."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compat.errors import ConfigurationError
from compat.mapping.compiled.types import looked_up_names
from compat.schemas import COLUMNS

__all__ = ["Person", "read_roster"]


_INTEGER = re.compile(r"-?[0-9]{1,40}", re.ASCII)


@dataclass(frozen=True)
class Person:
    """One user of the new platform.

    Attributes:
        user_id: the user's id there.
        values: legacy field to value, of those that the roster gives.
        line: where the roster's file names the user.
    """

    user_id: str = field(repr=False)
    values: Mapping[str, Any] = field(repr=False)
    line: int


def read_roster(path: str | Path) -> list[Person]:
    """Read a CSV with the columns user_id, email, name, student_id and external_id; an empty cell is null.

    Raises:
        ConfigurationError: the file cannot be read, lacks a column, or names a user twice; the text names the line,
            and no person.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return _people(str(path), csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"roster {path}: {error}") from None


def _people(path: str, reader: csv.DictReader[str]) -> list[Person]:
    columns = ("user_id", *looked_up_names())
    absent = [name for name in columns if name not in (reader.fieldnames or ())]
    if absent:
        raise ConfigurationError(f"roster {path}: has no column {', '.join(absent)}; it needs {', '.join(columns)}")
    if len(set(reader.fieldnames or ())) != len(reader.fieldnames or ()):
        raise ConfigurationError(f"roster {path}: names a column twice")
    people: dict[str, Person] = {}
    for row in reader:
        where = f"roster {path}, line {reader.line_num}"
        if None in row or None in row.values():
            raise ConfigurationError(f"{where}: must have {len(reader.fieldnames or ())} cells")
        user_id = row["user_id"]
        if not user_id or user_id in (".", ".."):
            raise ConfigurationError(f"{where}: user_id is empty, or no id")
        if user_id in people:
            raise ConfigurationError(f"{where}: the same user_id stands on a line before")
        people[user_id] = Person(user_id, dict(_values(where, row, columns[1:])), reader.line_num)
    if not people:
        raise ConfigurationError(f"roster {path}: names nobody, so that every list would be empty")
    return list(people.values())


def _values(where: str, row: Mapping[str, str | None], names: Iterable[str]) -> Iterable[tuple[str, Any]]:
    for name in names:
        text = row[name]
        if not text:
            yield name, None
        elif COLUMNS[name].json != "integer":
            yield name, text
        elif _INTEGER.fullmatch(text):
            yield name, int(text)
        else:
            raise ConfigurationError(f"{where}: {name} must be an integer or empty")
