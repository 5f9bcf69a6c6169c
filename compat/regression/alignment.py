"""Two lists of records, laid beside each other by id: which are missing, added, doubled, displaced.

Never by place in the list: one record less would make a difference of every one behind it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from compat.regression.differences import Difference

__all__ = ["Edges", "membership", "order"]


class Edges:
    """Whether the list goes on before and behind the page that both answers show.

    Args:
        before: pages lie before it.
        behind: pages lie behind it.
        same_total: both say the same number of matches.
    """

    __slots__ = ("before", "behind", "same_total")

    def __init__(self, before: bool, behind: bool, same_total: bool) -> None:
        self.before = before
        self.behind = behind
        self.same_total = same_total


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
    first_missing, last_missing = _edges(old, missing)
    first_added, last_added = _edges(new, added)
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


def _edges(keys: Sequence[str], those: set[str]) -> tuple[set[str], set[str]]:
    """Those of them that stand at the beginning without a break, and at the end."""
    first: set[str] = set()
    for key in keys:
        if key not in those:
            break
        first.add(key)
    last: set[str] = set()
    for key in reversed(keys):
        if key not in those:
            break
        last.add(key)
    return first, last


def order(
    old: Sequence[str], new: Sequence[str], sort_values: Callable[[Sequence[str]], Sequence[object] | None]
) -> Difference | None:
    """The first record that stands elsewhere among those that both lists have.

    Args:
        old: the ids of the old list.
        new: of the new one.
        sort_values: what the call sorts by, of each of some records; None where it sorts by nothing.
    """
    in_old, in_new = set(old), set(new)
    was = [key for key in dict.fromkeys(old) if key in in_new]
    now = [key for key in dict.fromkeys(new) if key in in_old]
    if was == now:
        return None
    place = next(place for place, (one, other) in enumerate(zip(was, now, strict=True)) if one != other)
    before, after = sort_values(was), sort_values(now)
    # Records that the sort does not tell apart keep the order of the list; to lose that is a fault of its own.
    tied = before is not None and before == after
    return Difference(
        "order of ties" if tied else "order",
        was[place],
        None,
        f"place {old.index(was[place]) + 1}",
        f"place {new.index(was[place]) + 1}",
    )
