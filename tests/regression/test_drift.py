"""Data that moves while it is compared explains what it did, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random

import pytest
from answers_of import Page, Record, call_of, pair_of, records

from compat.legacy.routes import LegacyCall
from compat.regression.check import check_pairs
from compat.regression.pairs import Answered, Pair
from compat.regression.verdict import judge

PAIRS = 10_000
DRIFT = 0.05
LIMIT = 5


class World:
    """A list of records that anybody may change between any two readings.

    Args:
        chance: that something changes in front of a reading.
        candidate: turns the new answer's page into what the candidate gives.
    """

    def __init__(self, chance: float, seed: int = 2018) -> None:
        self._random = Random(seed)
        self._chance = chance
        self._records = [{name: record[name] for name in list(record)[:24]} for record in records(40)]
        self._next = 10_000
        self._bodies: dict[int, tuple[bytes, bytes, Record]] = {}
        self.changes = 0

    def old(self, call: LegacyCall) -> Answered:
        return self._page(call, new=False)

    def new(self, call: LegacyCall) -> Answered:
        return self._page(call, new=True)

    def _page(self, call: LegacyCall, *, new: bool) -> Answered:
        if self._random.random() < self._chance:
            self._change()
        number = int(call.query.partition("page=")[2])
        page = Page.of([], number, LIMIT)
        page.total = len(self._records)
        listed = self._records[(number - 1) * LIMIT : number * LIMIT]
        page.body = b'{"students":[' + b",".join(self._text(record, new=new) for record in listed) + b"]}"
        return page.answered()

    def _text(self, record: Record, *, new: bool) -> bytes:
        """The record as either endpoint writes it: the same to a reader of JSON."""
        if id(record) not in self._bodies:
            compact = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode()
            self._bodies[id(record)] = compact, json.dumps(record).encode(), record
        return self._bodies[id(record)][new and record["id"] % 3 == 0]

    def _change(self) -> None:
        self.changes += 1
        place = self._random.randrange(len(self._records))
        what = self._random.random()
        record = dict(self._records[place])
        self._next += 1
        if what < 0.6:
            name = self._random.choice(["name", "status", "updated_at", "proctor_id", "browser"])
            record[name] = self._next if name == "proctor_id" else f"changed {self._next}"
            self._records[place] = record
        elif what < 0.75:
            self._records.insert(place, {**record, "id": self._next})
        elif what < 0.9 and len(self._records) > 30:
            del self._records[place]
        else:
            self._records.append(self._records.pop(place))

    def pairs(self, count: int) -> Iterator[Pair]:
        """So many calls, each answered by the old endpoint and then by the new one."""
        for number in range(count):
            call = call_of({"limit": LIMIT, "page": number % 8 + 1})
            yield pair_of(call, self.old(call), self.new(call), at=1.5e9 + number)


def test_nothing_is_reported_on_ten_thousand_clean_pairs_of_moving_data() -> None:
    world = World(DRIFT)
    result = check_pairs(world.pairs(PAIRS), rereader=world)
    assert world.changes > 2 * PAIRS * DRIFT * 0.9
    assert result.reread > 100
    assert {count.by for count in result.differences} == {"drift"}
    assert (result.all.calls, result.all.unexplained) == (PAIRS, 0)
    assert judge(result).verdict == "ready"


def test_without_a_second_reading_drift_is_not_explained_away() -> None:
    world = World(DRIFT)
    assert check_pairs(world.pairs(500)).all.unexplained > 0


class Faulty(World):
    """The same, with a candidate that loses one letter of every name of five pages in a hundred."""

    def new(self, call: LegacyCall) -> Answered:
        answered = super().new(call)
        return Answered(answered.status, answered.headers, answered.body.replace(b'"exam_finished"', b'"exam_finish"'))


def test_a_fault_is_found_in_moving_data_too() -> None:
    still, moving = Faulty(0), Faulty(DRIFT)
    expected = check_pairs(still.pairs(400), rereader=still).all.unexplained
    result = check_pairs(moving.pairs(400), rereader=moving)
    assert expected > 100
    assert result.all.unexplained > 0.8 * expected
    assert {count.field for count in result.differences if count.by is None} == {"status"}


@pytest.mark.parametrize("silent", ["old", "new"])
def test_who_cannot_be_asked_again_explains_nothing(silent: str) -> None:
    class Silent(World):
        def old(self, call: LegacyCall) -> Answered:
            return super().old(call)

        def again(self, call: LegacyCall) -> Answered | None:
            return None

    world = Silent(DRIFT)
    pairs = list(world.pairs(300))
    setattr(world, silent, world.again)
    result = check_pairs(pairs, rereader=world)
    assert result.all.unexplained == check_pairs(pairs).all.unexplained > 0
