"""Two answers side by side: their records aligned, and each place at which they differ.

Never by place in the list: one record less would make a difference of every one behind it.

Bodies that are equal to the byte are equal. Else records are laid beside each other by id, and of those that are not
equal to the byte every field is compared as the JSON text that it is, so that no digit is lost on the way. A value is
read only where its texts differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timezone, tzinfo
from itertools import takewhile
from typing import Any, NamedTuple

import msgspec

from compat.errors import LegacyError
from compat.legacy.parameters import gather
from compat.legacy.query import SortKey, parse_query
from compat.legacy.routes import LegacyCall
from compat.regression.comparing.comparable import (
    COMPARED_HEADERS,
    ITEM_COUNT,
    PAGE,
    PAGE_COUNT,
    Content,
    ids_of,
    members,
    read_content,
)
from compat.regression.comparing.known import NO_LOSSES, DeclaredLosses, Difference
from compat.regression.comparing.pairs import Answered, Pair
from compat.regression.comparing.values import change_of_value
from compat.schemas import COLUMNS
from compat.text.json import loads

__all__ = ["Edges", "compare", "membership", "order"]


class Edges(NamedTuple):
    """Whether pages lie before and behind the one that both answers show, and whether both say the same total."""

    before: bool
    behind: bool
    same_total: bool


def membership(old: Sequence[str], new: Sequence[str], edges: Edges) -> list[Difference]:
    """The records that only one list has, or has more often.

    A record that one page has at its edge and the other has not may stand on the page before or behind; it is a
    difference of the page boundary where the rest of the list says so.
    """
    if sorted(old) == sorted(new):
        return []
    was, now = Counter(old), Counter(new)
    missing = [key for key in was if key not in now]
    added = [key for key in now if key not in was]
    found = [Difference("record twice", key) for key in now if now[key] > was[key] > 0]
    found += [Difference("record once", key) for key in was if was[key] > now[key] > 0]
    crossed = _crossed(old, new, set(missing), set(added), edges)
    found += [Difference("page boundary" if key in crossed else "record missing", key) for key in missing]
    found += [Difference("page boundary" if key in crossed else "record added", key) for key in added]
    return found


def _crossed(old: Sequence[str], new: Sequence[str], missing: set[str], added: set[str], edges: Edges) -> set[str]:
    """Those that went over an edge of the page: pushed or pulled by others, or counted and yet not shown."""
    if len(missing) == len(old) or len(added) == len(new):
        # Nothing in common: another page, or another list; only a record that both have tells where an edge is.
        return set()
    first_missing, last_missing = (set(takewhile(missing.__contains__, keys)) for keys in (old, reversed(old)))
    first_added, last_added = (set(takewhile(added.__contains__, keys)) for keys in (new, reversed(new)))
    grown = len(new) - len(set(new)) > len(old) - len(set(old))
    crossed: set[str] = set()
    if edges.before:
        # What came in in front pushed others out behind; what went out in front was pulled to the page before.
        if first_missing and not first_added and (last_added or edges.same_total):
            crossed |= first_missing
        if first_added and not first_missing and (last_missing or edges.same_total):
            crossed |= first_added
    if edges.behind:
        gone_before = bool(missing - last_missing)
        come_before = bool(added - last_added) or grown
        if last_added and not last_missing and (gone_before or edges.same_total):
            crossed |= last_added
        if last_missing and not last_added and (come_before or edges.same_total):
            crossed |= last_missing
    return crossed


def order(
    old: Sequence[str], new: Sequence[str], sort_values: Callable[[Sequence[str]], Sequence[object] | None]
) -> Difference | None:
    """The first record that stands elsewhere among those that both lists have, by their ids.

    ``sort_values`` gives what the call sorts by, of each of some records; None where it sorts by nothing.
    """
    in_old, in_new = set(old), set(new)
    was = [key for key in dict.fromkeys(old) if key in in_new]
    now = [key for key in dict.fromkeys(new) if key in in_old]
    if was == now:
        return None
    place = next(place for place, (one, other) in enumerate(zip(was, now, strict=True)) if one != other)
    before, after = sort_values(was), sort_values(now)
    # Records that the sort does not tell apart keep the order of the list; to lose that is a fault of its own.
    kind = "order of ties" if before is not None and before == after else "order"
    old_place, new_place = (f"place {keys.index(was[place]) + 1}" for keys in (old, new))
    return Difference(kind, was[place], None, old_place, new_place)


_KEPT_OUT = (401, 403)
"""The statuses by which an endpoint says that a caller may not see something."""


def compare(pair: Pair, zone: tzinfo = timezone.utc, losses: DeclaredLosses = NO_LOSSES) -> list[Difference]:
    """Every difference between the two answers of a pair whose old one says something.

    Values that may stand in for lost ones are counted by field, since there are many; times without an offset are in
    that zone.
    """
    old, new = pair.old, pair.new
    if new.failure is not None:
        return [Difference("no answer", None, None, f"{old.status}", new.failure)]
    if old.status != new.status:
        kind = "access" if (old.status in _KEPT_OUT) != (new.status in _KEPT_OUT) else "status"
        return [Difference(kind, None, None, f"{old.status}", f"{new.status}")]
    headers = _Headers(old), _Headers(new)
    found = _changes_of_headers(*headers)
    if old.body == new.body or pair.call.method == "HEAD":
        return found
    was, now = read_content(old.body, old.status), read_content(new.body, new.status)
    if was.form != now.form:
        kind = "body unreadable" if now.form in ("unreadable", "empty") else "body shape"
        return [*found, Difference(kind, None, None, was.form, now.form)]
    if was.form == "error":
        return found + list(_changes_of_error(was, now))
    if was.form in ("list", "one"):
        return found + _Lists(pair.call, was.records, now.records, zone, losses).differences(*headers)
    if not _same_json(old.body, new.body):
        found.append(Difference("body shape", None, None, was.form, now.form))
    return found


class _Headers:
    """The headers that count, by their names in lower case."""

    def __init__(self, answered: Answered) -> None:
        given = {name.lower(): value for name, value in answered.headers.items()}
        self.values = {name: given[name] for name in COMPARED_HEADERS if name in given}
        if "content-type" in self.values:
            # A charset may be said or not: JSON is UTF-8.
            self.values["content-type"] = self.values["content-type"].partition(";")[0].strip().lower()

    def number(self, name: str) -> int | None:
        """The number in a header; None where there is none."""
        text = self.values.get(name, "")
        return int(text) if text.isascii() and text.isdigit() else None


def _changes_of_headers(old: _Headers, new: _Headers) -> list[Difference]:
    if old.values == new.values:
        return []
    return [
        Difference("header value" if name in new.values else "header missing", None, name, value, new.values.get(name))
        for name, value in old.values.items()
        if new.values.get(name) != value
    ]


def _changes_of_error(was: Content, now: Content) -> Iterator[Difference]:
    if was.error != now.error and not _same_json(was.error, now.error):
        yield Difference("error message", None, None, msgspec.Raw(was.error), msgspec.Raw(now.error))
    if was.parameters != now.parameters:
        yield Difference("error parameters", None, None, ", ".join(was.parameters), ", ".join(now.parameters))


def _same_json(one: Any, other: Any) -> bool:
    try:
        return bool(loads(bytes(one)) == loads(bytes(other)))
    except ValueError:
        return False


@dataclass
class _Lists:
    """Two lists of records of one call, as JSON texts, and what is said of them once: stand-ins, and another order."""

    call: LegacyCall
    old: Sequence[msgspec.Raw]
    new: Sequence[msgspec.Raw]
    zone: tzinfo
    losses: DeclaredLosses
    stood_in: dict[str, int] = field(default_factory=dict)
    reordered: Difference | None = None

    def differences(self, old_headers: _Headers, new_headers: _Headers) -> list[Difference]:
        """All of them, the list's own first."""
        if list(self.old) == list(self.new):
            return []
        was, now = ids_of(self.old), ids_of(self.new)
        if was is None or now is None:
            said = ["a record without an id" if ids is None else "records with ids" for ids in (was, now)]
            return [Difference("body shape", None, "id", said[0], said[1])]
        found: list[Difference] = []
        if was != now:
            found = membership(was, now, self._edges(old_headers, new_headers))
            displaced = order(was, now, self._sort_values)
            found += [displaced] if displaced else []
        old_by_id: dict[str, list[msgspec.Raw]] = {}
        for key, record in zip(reversed(was), reversed(self.old), strict=True):
            old_by_id.setdefault(key, []).append(record)
        for key, record in zip(now, self.new, strict=True):
            # One that comes twice is laid beside the other list's first and second.
            left = old_by_id.get(key)
            before = None if not left else left[0] if len(left) == 1 else left.pop()
            if before is not None and before != record:
                found += self._changes_of_record(key, before, record)
        # That fields stand in another order is said once: it is the writer's way, and no record's own.
        found += [self.reordered] if self.reordered else []
        found += [Difference("stand-in", None, name, records=count) for name, count in self.stood_in.items()]
        return found

    def _changes_of_record(self, key: str, before: Any, after: Any) -> Iterable[Difference]:
        was, now = members(before), members(after)
        if was is None or now is None:
            return [Difference("body shape", key, None, "a record", "no record")]
        found: list[Difference] = []
        if was.keys() != now.keys():
            found += [Difference("field missing", key, name, was[name], None) for name in was if name not in now]
            found += [Difference("field added", key, name, None, now[name]) for name in now if name not in was]
            was = {name: value for name, value in was.items() if name in now}
            now = {name: value for name, value in now.items() if name in was}
        if list(was) != list(now):
            self.reordered = self.reordered or Difference("field order", key)
            now = {name: now[name] for name in was}
        texts, tests, stood_in = self.losses.texts, self.losses.tests, self.stood_in
        # All of a check's time that is not reading JSON goes by here.
        for name, value, other in zip(was, was.values(), now.values(), strict=True):
            if value == other:
                continue
            if other == texts.get(name) or (name in tests and tests[name](value, other)):
                stood_in[name] = stood_in.get(name, 0) + 1
            elif (kind := change_of_value(name, value, other, self.zone)) is not None:
                found.append(Difference(kind, key, name, value, other))
        return found

    def _edges(self, old: _Headers, new: _Headers) -> Edges:
        page, pages = old.number(PAGE) or 1, old.number(PAGE_COUNT)
        behind = pages is None or page < pages or page < (new.number(PAGE_COUNT) or 0)
        return Edges(page > 1, behind, old.values.get(ITEM_COUNT) == new.values.get(ITEM_COUNT))

    def _sort_values(self, keys: Sequence[str]) -> list[object] | None:
        """What the call sorts by, of some records of the old list."""
        if self.call.route.gives != "page":
            return None
        try:
            sort = parse_query(gather(self.call), self.zone).sort
        except LegacyError:
            return None
        if not sort:
            return None
        ids = ids_of(self.old) or []
        by_id = dict(zip(ids, self.old, strict=True))
        return [_sort_value(members(by_id[key]) or {}, sort, self.zone) for key in keys]


def _sort_value(record: Mapping[str, msgspec.Raw], sort: Sequence[SortKey], zone: tzinfo) -> tuple[object, ...]:
    values: list[object] = []
    for key in sort:
        text = bytes(record.get(key.column, b"null"))
        try:
            values.append(COLUMNS[key.column].compared(loads(text), zone))
        except ValueError:
            values.append(text)
    return tuple(values)
