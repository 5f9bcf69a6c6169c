"""What was compared, question by question: a call for its route, a record for its list, a value for its field.

The same call a thousand times is one question. Each different question is kept once, with what its answers could show
and what of that differed; of very many, a sample is kept that is drawn by their digests, so that every question is as
likely to be in it as any other.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from functools import lru_cache
from operator import or_

import msgspec

from compat.regression.comparing.comparable import COMPARED_HEADERS, PAGE_COUNT, Content, members, read_content
from compat.regression.comparing.known import ASPECTS
from compat.regression.comparing.pairs import Pair
from compat.schemas import COLUMNS

__all__ = [
    "ASPECT_BITS",
    "FIELD_BITS",
    "MOST_QUESTIONS",
    "Evidence",
    "Question",
    "Questions",
    "aspect_bits",
    "evidence_of",
    "field_bits",
]

MOST_QUESTIONS = 16_384
"""Different questions that are kept: enough for bounds far below one in a thousand."""

FIELD_BITS: Mapping[str, int] = {name: 1 << place for place, name in enumerate(COLUMNS)}
ASPECT_BITS: Mapping[str, int] = {name: 1 << place for place, name in enumerate(ASPECTS)}


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """Sets of the aspects and of the fields that the answers to a call could show, as bits."""

    aspects: int = 0
    fields: int = 0


class Question(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A question, and what the answers to all its calls showed.

    Attributes:
        route: the action of the route.
        caller: the caller's name; empty where it is not known.
        unexplained: whether one of its calls had a difference that nothing explains.
        stays: whether one such difference was not merely seen once, and gone when the call was made again.
        aspects: that could be compared, as bits; ``fields`` likewise.
        wrong_aspects: those with an unexplained difference; ``wrong_fields`` likewise.
    """

    route: str
    caller: str
    unexplained: bool = False
    stays: bool = False
    aspects: int = 0
    fields: int = 0
    wrong_aspects: int = 0
    wrong_fields: int = 0

    def __or__(self, other: Question) -> Question:
        one, two = msgspec.structs.astuple(self), msgspec.structs.astuple(other)
        return Question(self.route, self.caller, *map(or_, one[2:], two[2:]))


class Questions:
    """Each different question so far; of more than :data:`MOST_QUESTIONS` those with the smallest digests."""

    def __init__(self, kept: Mapping[int, Question] = {}) -> None:
        self._kept = dict(kept)
        self._largest_first = [-digest for digest in self._kept]
        heapq.heapify(self._largest_first)

    def add(self, digest: int, question: Question) -> None:
        """Take note of a call of a question."""
        before = self._kept.get(digest)
        if before is not None:
            if before != question:
                self._kept[digest] = before | question
            return
        if len(self._kept) < MOST_QUESTIONS:
            heapq.heappush(self._largest_first, -digest)
        elif digest < -self._largest_first[0]:
            del self._kept[-heapq.heapreplace(self._largest_first, -digest)]
        else:
            return
        self._kept[digest] = question

    @property
    def kept(self) -> dict[int, Question]:
        """Digest to question, sorted."""
        return dict(sorted(self._kept.items()))


def evidence_of(pair: Pair, content: Content) -> Evidence:
    """What a pair that can be compared could show; the content is that of its old answer."""
    old, new = pair.old, pair.new
    if new.failure is not None or old.status != new.status:
        return _evidence(("access", "status"))
    given = {name.lower() for name in old.headers}
    aspects = ["access", "status"]
    if any(name in given for name in COMPARED_HEADERS):
        aspects.append("headers")
    if old.status != 200:
        return _evidence((*aspects, "error"))
    if not old.body:
        return _evidence(tuple(aspects))
    aspects.append("body")
    records = content.records
    if not records:
        if new.body != old.body and read_content(new.body, new.status).records:
            # That the new one has a record and the old one has none is a difference of membership.
            aspects.append("membership")
        return _evidence(tuple(aspects))
    aspects += ["membership", "fields", "values"]
    if len(records) > 1:
        aspects.append("order")
    if PAGE_COUNT in given:
        aspects.append("page boundary")
    return _evidence(tuple(aspects), tuple(members(records[0]) or ()))


@lru_cache(maxsize=1024)
def _evidence(aspects: tuple[str, ...], fields: tuple[str, ...] = ()) -> Evidence:
    return Evidence(aspect_bits(aspects), field_bits(fields))


def aspect_bits(names: Iterable[str]) -> int:
    """The set of some aspects."""
    return sum({ASPECT_BITS[name] for name in names})


def field_bits(names: Iterable[str]) -> int:
    """The set of some fields; those that nobody declared are in none."""
    return sum({FIELD_BITS.get(name, 0) for name in names})
