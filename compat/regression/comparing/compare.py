"""Two answers side by side: their records aligned, and each place at which they differ.

Never by place in the list: one record less would make a difference of every one behind it.

Bodies that are equal to the byte are equal. Else records are laid beside each other by id, and of those that are not
equal to the byte every field is compared as the JSON text that it is, so that no digit is lost on the way. A value is
read only where its texts differ.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timezone, tzinfo
from functools import lru_cache
from itertools import takewhile
from typing import Any, NamedTuple

import msgspec

from compat.errors import LegacyError
from compat.legacy.parameters import gather, media_type
from compat.legacy.query import SortKey, parse_query
from compat.regression.comparing.known import NO_LOSSES, DeclaredLosses, Difference
from compat.regression.comparing.pairs import (
    COMPARED_HEADERS,
    ITEM_COUNT,
    PAGE,
    PAGE_COUNT,
    Answered,
    Content,
    Pair,
    ids_of,
    members,
    read_content,
)
from compat.schemas import COLUMNS
from compat.schemas.fields import json_type
from compat.text import instants
from compat.text.json import Number, dumps, loads

__all__ = ["change_of_value", "compare"]

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
    found = list(_changes_of_headers(_headers(old), _headers(new)))
    if old.body == new.body or pair.call.method == "HEAD":
        return found
    was, now = read_content(old.body, old.status), read_content(new.body, new.status)
    if was.form != now.form:
        kind = "body unreadable" if now.form in ("unreadable", "empty") else "body shape"
        return [*found, Difference(kind, None, None, was.form, now.form)]
    if was.form == "error":
        return found + list(_changes_of_error(was, now))
    if was.form in ("list", "one"):
        return found + _Lists(pair, was.records, now.records, zone, losses).differences()
    if not _same_json(old.body, new.body):
        found.append(Difference("body shape", None, None, was.form, now.form))
    return found


def _headers(answered: Answered) -> dict[str, str]:
    """Those that are compared; a charset may be said or not, since JSON is UTF-8."""
    given = {name: answered.named[name] for name in COMPARED_HEADERS if name in answered.named}
    return {name: media_type(value) if name == "content-type" else value for name, value in given.items()}


def _changes_of_headers(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Difference]:
    for name, value in old.items():
        if new.get(name) != value:
            yield Difference("header value" if name in new else "header missing", None, name, value, new.get(name))


def _changes_of_error(was: Content, now: Content) -> Iterator[Difference]:
    if was.error != now.error and not _same_json(was.error, now.error):
        yield Difference("error message", None, None, msgspec.Raw(was.error), msgspec.Raw(now.error))
    if was.parameters != now.parameters:
        yield Difference("error parameters", None, None, ", ".join(was.parameters), ", ".join(now.parameters))


def _same_json(one: bytes, other: bytes) -> bool:
    try:
        return bool(loads(one) == loads(other))
    except ValueError:
        return False


class _Edges(NamedTuple):
    """Whether pages lie before and behind the one that both answers show, and whether both say the same total."""

    before: bool
    behind: bool
    same_total: bool


@dataclass
class _Lists:
    """Two lists of records of one call, as JSON texts, and what is said of them once: stand-ins, and another order."""

    pair: Pair
    old: Sequence[msgspec.Raw]
    new: Sequence[msgspec.Raw]
    zone: tzinfo
    losses: DeclaredLosses
    stood_in: Counter[str] = field(default_factory=Counter)
    reordered: Difference | None = None

    def differences(self) -> list[Difference]:
        """All of them, the list's own first."""
        if list(self.old) == list(self.new):
            return []
        was, now = ids_of(self.old), ids_of(self.new)
        if was is None or now is None:
            said = ["a record without an id" if ids is None else "records with ids" for ids in (was, now)]
            return [Difference("body shape", None, "id", said[0], said[1])]
        found = [] if was == now else [*_membership(was, now, self._edges()), *self._displaced(was, now)]
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
        return found + [Difference("stand-in", None, name, records=count) for name, count in self.stood_in.items()]

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
        texts, tests = self.losses.texts, self.losses.tests
        # All of a check's time that is not reading JSON goes by here.
        for name, value, other in zip(was, was.values(), now.values(), strict=True):
            if value == other:
                continue
            if other == texts.get(name) or (name in tests and tests[name](value, other)):
                self.stood_in[name] += 1
            elif (kind := change_of_value(name, value, other, self.zone)) is not None:
                found.append(Difference(kind, key, name, value, other))
        return found

    def _edges(self) -> _Edges:
        old, new = self.pair.old, self.pair.new
        page, pages = old.number(PAGE) or 1, old.number(PAGE_COUNT)
        behind = pages is None or page < pages or page < (new.number(PAGE_COUNT) or 0)
        return _Edges(page > 1, behind, old.named.get(ITEM_COUNT) == new.named.get(ITEM_COUNT))

    def _displaced(self, old: Sequence[str], new: Sequence[str]) -> Iterator[Difference]:
        """The first record that stands elsewhere among those that both lists have, by their ids."""
        in_old, in_new = set(old), set(new)
        was = [key for key in dict.fromkeys(old) if key in in_new]
        now = [key for key in dict.fromkeys(new) if key in in_old]
        moved = next((one for one, other in zip(was, now, strict=True) if one != other), None)
        if moved is not None:
            before, after = self._sort_values(was), self._sort_values(now)
            # Records that the sort does not tell apart keep the order of the list; to lose that is a fault of its own.
            kind = "order of ties" if before is not None and before == after else "order"
            yield Difference(kind, moved, None, f"place {old.index(moved) + 1}", f"place {new.index(moved) + 1}")

    def _sort_values(self, keys: Sequence[str]) -> list[object] | None:
        """What the call sorts by, of some records of the old list; None where it sorts by nothing."""
        if self.pair.call.route.gives != "page":
            return None
        try:
            sort = parse_query(gather(self.pair.call), self.zone).sort
        except LegacyError:
            return None
        by_id = dict(zip(ids_of(self.old) or [], self.old, strict=True))
        return [_sort_value(members(by_id[key]) or {}, sort, self.zone) for key in keys] if sort else None


def _sort_value(record: Mapping[str, msgspec.Raw], sort: Sequence[SortKey], zone: tzinfo) -> tuple[object, ...]:
    values: list[object] = []
    for key in sort:
        text = bytes(record.get(key.column, b"null"))
        try:
            values.append(COLUMNS[key.column].compared(loads(text), zone))
        except ValueError:
            values.append(text)
    return tuple(values)


def _membership(old: Sequence[str], new: Sequence[str], edges: _Edges) -> Iterator[Difference]:
    """The records that only one list has, or has more often.

    A record that one page has at its edge and the other has not may stand on the page before or behind; it is a
    difference of the page boundary where the rest of the list says so.
    """
    was, now = Counter(old), Counter(new)
    missing = [key for key in was if key not in now]
    added = [key for key in now if key not in was]
    yield from (Difference("record twice", key) for key in now if now[key] > was[key] > 0)
    yield from (Difference("record once", key) for key in was if was[key] > now[key] > 0)
    crossed = _crossed(old, new, set(missing), set(added), edges)
    for kind, keys in (("record missing", missing), ("record added", added)):
        yield from (Difference("page boundary" if key in crossed else kind, key) for key in keys)


def _crossed(old: Sequence[str], new: Sequence[str], missing: set[str], added: set[str], edges: _Edges) -> set[str]:
    """Those that went over an edge of the page: pushed or pulled by others, or counted and yet not shown."""
    if len(missing) == len(old) or len(added) == len(new):
        # Nothing in common: another page, or another list; only a record that both have tells where an edge is.
        return set()
    first_missing, last_missing = (set(takewhile(missing.__contains__, keys)) for keys in (old, reversed(old)))
    first_added, last_added = (set(takewhile(added.__contains__, keys)) for keys in (new, reversed(new)))
    grown = len(new) - len(set(new)) > len(old) - len(set(old))
    # What came in in front pushed others out behind; what went out in front was pulled to the page before.
    over_edges = [(first_missing, first_added, bool(last_added), bool(last_missing))] if edges.before else []
    if edges.behind:
        come_before = bool(added - last_added) or grown
        over_edges.append((last_missing, last_added, come_before, bool(missing - last_missing)))
    crossed: set[str] = set()
    for gone, come, others_came, others_went in over_edges:
        if gone and not come and (others_came or edges.same_total):
            crossed |= gone
        if come and not gone and (others_went or edges.same_total):
            crossed |= come
    return crossed


_LONGEST_REMEMBERED = 256
_ESCAPED = re.compile(r"[&?\x00-\x1f\x7f]")
_BLANKS = re.compile(r"\s+")


def change_of_value(field: str, old: Any, new: Any, zone: tzinfo) -> str | None:
    """The kind of difference between two JSON texts of a field; None where they say the same in other characters."""
    was, now = bytes(old), bytes(new)
    # Values repeat, those that everybody leaves at their default above all; long ones are nobody's default.
    short = len(was) + len(now) <= _LONGEST_REMEMBERED
    return (_remembered if short else _change_of_texts)(field, was, now, zone)


def _change_of_texts(field: str, old: bytes, new: bytes, zone: tzinfo) -> str | None:
    if old == new:
        return None
    if old == b"null" or new == b"null":
        return "was null" if old == b"null" else "became null"
    try:
        return _change(field, _read(old), _read(new), zone)
    except ValueError:
        return "text"


_remembered = lru_cache(maxsize=4096)(_change_of_texts)


def _read(text: bytes) -> Any:
    if text[:1] == b'"':
        with suppress(msgspec.MsgspecError):
            return msgspec.json.decode(text)
    return loads(text)


def _change(field: str, was: Any, now: Any, zone: tzinfo) -> str | None:
    if json_type(was) != json_type(now):
        return "type"
    if isinstance(was, str):
        return None if was == now else _change_of_text(field, was, now, zone)
    # As text: Python takes true for 1.
    one, other = dumps(was), dumps(now)
    if one == other:
        return None
    if isinstance(was, bool):
        return "boolean"
    if isinstance(was, int | Number):
        return "number text" if msgspec.json.decode(one) == msgspec.json.decode(other) else "number"
    return "items order" if isinstance(was, list) and Counter(map(dumps, was)) == Counter(map(dumps, now)) else "items"


def _change_of_text(field: str, was: str, now: str, zone: tzinfo) -> str:
    if field in COLUMNS and COLUMNS[field].is_time:
        try:
            return "time text" if instants.read(was, zone) == instants.read(now, zone) else "instant"
        except ValueError:
            return "text"
    if _BLANKS.sub("", was) == _BLANKS.sub("", now):
        return "blanks"
    if now and was.startswith(now):
        return "truncated"
    if was.casefold() == now.casefold():
        return "letter case"
    if was.isascii() and now.isascii() and not _ESCAPED.search(was + now):
        return "text"
    return "characters" if _plain(was) == _plain(now) else "text"


def _plain(text: str) -> str:
    """The text without what encodings, escapes and forms of one letter do to it."""
    # Only here: few answers ever need it.
    import html

    text = html.unescape(html.unescape(text))
    for encoding in ("latin-1", "cp1252"):
        with suppress(UnicodeError):
            text = text.encode(encoding).decode("utf-8")
            break
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(char for char in decomposed if char.isascii() and char != "?" and char.isprintable())
