"""Data that moves while it is compared explains what it did, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from random import Random

import pytest
from answers_of import Page, Record, call_of, pair_of, records
from faults import FAULTS, WHOLE, Fault
from hypothesis import given, settings
from hypothesis import strategies as st

from compat.legacy.routes import LegacyCall
from compat.regression.check import check_pairs
from compat.regression.comparing.compare import compare
from compat.regression.comparing.explain import Explainer
from compat.regression.comparing.known import NO_LOSSES, Place
from compat.regression.comparing.pairs import Answered, Pair
from compat.regression.evidence.verdict import Thresholds, judge

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
            call = call_of({"limit": LIMIT, "page": number % 8 + 1}, exam=f"{number // 8}")
            yield pair_of(call, self.old(call), self.new(call), at=1.5e9 + number)

    def recorded(self, count: int, changes: int) -> Iterator[Pair]:
        """The old answers of so many calls, and those that the candidate gives after so many changes of the data."""
        calls = [call_of({"limit": LIMIT, "page": number % 8 + 1}, exam=f"{number // 8}") for number in range(count)]
        answers = [self.old(call) for call in calls]
        for _ in range(changes):
            self._change()
        for call, answered in zip(calls, answers, strict=True):
            yield pair_of(call, answered, self.new(call))


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


class WrongInEach(World):
    """The same, with a candidate that is wrong about one record of each page, always in the same way."""

    def __init__(self, chance: float, seed: int, field: str, value: object) -> None:
        super().__init__(chance, seed)
        self._field, self._value = field, value

    def new(self, call: LegacyCall) -> Answered:
        answered = super().new(call)
        content = json.loads(answered.body)
        if content["students"]:
            content["students"][0][self._field] = self._value
        return replace(answered, body=json.dumps(content).encode())


def verdicts(number: int) -> tuple[str, str]:
    """What a check says of a right candidate and of a wrong one, of data that moves since and meanwhile."""
    chance = Random(number)
    drift, changes = chance.choice([0.0, 0.002, 0.01]), chance.choice([0, 1, 5, 25])
    field, value = chance.choice([("name", "WRONG"), ("email", None), ("start_time", None), ("attempt", -1)])
    thresholds = Thresholds(max_unexplained=0.05)
    worlds = World(drift, number), WrongInEach(drift, number, field, value)
    right, wrong = (
        judge(check_pairs(world.recorded(70, changes), rereader=world), thresholds).verdict for world in worlds
    )
    return right, wrong


def judged_checks(checks: int) -> tuple[set[str], set[str]]:
    right, wrong = zip(*map(verdicts, range(checks)), strict=True)
    return set(right), set(wrong)


def test_no_wrong_candidate_is_ready_and_no_right_one_is_not() -> None:
    right, wrong = judged_checks(40)
    assert "not ready" not in right
    assert wrong == {"not ready"}


@pytest.mark.soak
def test_no_wrong_candidate_is_ready_and_no_right_one_is_not_in_a_thousand_checks() -> None:
    right, wrong = judged_checks(1000)
    assert "not ready" not in right
    assert wrong == {"not ready"}


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


FIELDS = ("name", "status")
Dataset = dict[int, Record]
Wrong = Callable[[list[Record]], list[Record]]


def datasets() -> st.SearchStrategy[Dataset]:
    """A few records by id."""
    values = st.fixed_dictionaries(
        {"name": st.sampled_from("abc"), "status": st.sampled_from("xy"), "attempt": st.just(0)}
    )
    return st.dictionaries(st.integers(1, 9), values, max_size=7)


def wrongs() -> st.SearchStrategy[Wrong]:
    """What a candidate may do wrong to a list: a field, a record, the order, or nothing."""

    def of_field(field: str, ids: frozenset[int]) -> Wrong:
        return lambda listed: [{**each, field: "WRONG"} if each["id"] in ids else each for each in listed]

    def lost(ids: frozenset[int]) -> Wrong:
        return lambda listed: [each for each in listed if each["id"] not in ids]

    ids = st.frozensets(st.integers(1, 9), min_size=1)
    return st.one_of(
        st.builds(of_field, st.sampled_from(FIELDS), ids),
        st.builds(lost, ids),
        st.just(lambda listed: listed[::-1]),
        st.just(lambda listed: listed),
    )


def shown(dataset: Dataset, wrong: Wrong = lambda listed: listed, limit: int = 4) -> Answered:
    """The first page of a dataset."""
    listed = wrong([{"id": key, **dataset[key]} for key in sorted(dataset)])
    return Page.of(listed, 1, limit).answered()


class Readings:
    """Both endpoints, whose data goes through some states, one for each reading, and stays at the last."""

    def __init__(self, states: list[Dataset], wrong: Wrong) -> None:
        self._states, self._wrong = list(states), wrong

    def old(self, call: LegacyCall) -> Answered:
        return shown(self._state())

    def new(self, call: LegacyCall) -> Answered:
        return shown(self._state(), self._wrong)

    def _state(self) -> Dataset:
        return self._states.pop(0) if len(self._states) > 1 else self._states[0]


def unexplained(pair: Pair, rereader: Readings) -> set[Place]:
    outcome = Explainer(NO_LOSSES).outcome(pair, rereader)
    return {each.place for each in outcome.unexplained}


@settings(max_examples=400)
@given(datasets(), datasets(), st.lists(datasets(), min_size=3, max_size=3), datasets(), wrongs())
def test_what_differs_now_is_never_drift(
    recorded: Dataset, asked: Dataset, moving: list[Dataset], now: Dataset, wrong: Wrong
) -> None:
    """For any data, any drift before the last reading, and any wrong field, record or order."""
    call = call_of({"limit": 4})
    pair = pair_of(call, shown(recorded), shown(asked, wrong))
    persisting = {each.place for each in compare(pair_of(call, shown(now), shown(now, wrong)))}
    # Where the old answers around the new one differ, the call is made once more.
    moved = moving if shown(moving[0]) != shown(moving[2]) else []
    if compare(pair):
        assert unexplained(pair, Readings([*moved, now], wrong)) >= persisting


@settings(max_examples=400)
@given(datasets(), datasets())
def test_a_right_answer_of_data_that_moved_since_is_drift(recorded: Dataset, now: Dataset) -> None:
    pair = pair_of(call_of({"limit": 4}), shown(recorded), shown(now))
    assert unexplained(pair, Readings([now], lambda listed: listed)) == set()


@settings(max_examples=400)
@given(datasets(), datasets(), datasets())
def test_what_comes_and_goes_between_the_readings_was_seen_once(here: Dataset, guests: Dataset, later: Dataset) -> None:
    """The old answers before and after agree, and yet a right endpoint differs from both."""
    pair = pair_of(call_of({"limit": 4}), shown(here), shown(guests))
    rereader = Readings([here, guests, here, later], lambda listed: listed)
    outcome = Explainer(NO_LOSSES).outcome(pair, rereader)
    assert all(each.once for each in outcome.unexplained)
    assert {each.place for each in outcome.unexplained} == {each.place for each in compare(pair)}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_of_a_record_that_the_recording_lacks_is_found(fault: Fault) -> None:
    """The faulty records registered since: all that the recording has is right."""
    wrong = Page.of(WHOLE, 2)
    fault.tamper(wrong)
    call = call_of({"page": 2, "limit": 10})
    recorded = Page.of([*WHOLE[:10], *deepcopy(WHOLE[20:])], 2).answered()
    now = Page.of(WHOLE, 2).answered()

    class Now:
        def old(self, call: LegacyCall) -> Answered:
            return now

        def new(self, call: LegacyCall) -> Answered:
            return wrong.answered()

    outcome = Explainer(NO_LOSSES).outcome(pair_of(call, recorded, wrong.answered()), Now())
    expected = {each.place for each in compare(pair_of(call, now, wrong.answered()))}
    assert {each.place for each in outcome.unexplained} == expected != set()


def test_who_may_see_what_is_never_drift() -> None:
    call, kept_out = call_of({"limit": 10}), Answered(403, {}, b'{"error": "No."}')
    seen = Page.of(WHOLE).answered()

    class Now:
        def old(self, call: LegacyCall) -> Answered:
            return seen

        def new(self, call: LegacyCall) -> Answered:
            return seen

    result = check_pairs([pair_of(call, kept_out, seen)], rereader=Now())
    assert [(each.kind, each.by) for each in result.differences] == [("access", None)]
