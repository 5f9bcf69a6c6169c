"""A walk of many sessions, filter and two sort columns, all legacy pages, against reading the new endpoint's pages."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import pairwise

from benchmarks.harness import Figure, Report, compare
from benchmarks.upstream import serving
from benchmarks.walking import SINCE, asked, read, read_as_the_walk_does, session_list, walk

SESSIONS = 100_000
LATENCY = 0.02
_QUICK = 12_000
_ROUNDS = 3
_LARGEST = 300

_WALK = "walk"
_READ = "requests, page by page"
_PARSE = "requests, page by page, .json()"


class _Clock:
    """Does work, and notes the seconds and the processor's seconds that it took."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self.busy: list[float] = []

    def __call__(self) -> float:
        begun, busy = time.perf_counter(), time.process_time()
        self._work()
        self.busy.append(time.process_time() - busy)
        return time.perf_counter() - begun


def whole(base_url: str) -> int:
    """Walk it all, and keep nothing; gives the bytes of the legacy pages."""
    return sum(len(answer.content) for answer in walk(base_url))


def check(base_url: str, total: int) -> int:
    """The walk gives what the query asks for, in order, and reads each page of the upstream once; gives the matches."""
    served = session_list()
    times = [(served[number % len(served)], number + 1) for number in range(total)]
    wanted = {str(number) for session, number in times if session["startedAtTime"] >= SINCE}
    asked(base_url)
    records = [record for answer in walk(base_url) for record in answer.json()["students"]]
    counts = asked(base_url)
    assert len(counts) == -(-total // _LARGEST), "not every page was read"
    assert set(counts.values()) == {1}, "a page was read twice"
    assert {str(record["id"]) for record in records} == wanted
    assert len(records) == len(wanted)
    # The fields that the records of one session share, by its place: the sort is by instant, then by name.
    ends = {str(number): session["endedAtTime"] for session, number in times}
    shown = [ends[str(record["id"])] for record in records]
    assert shown == sorted(shown, reverse=True)
    for one, other in pairwise(records):
        assert ends[str(one["id"])] != ends[str(other["id"])] or one["name"] <= other["name"]
    return len(records)


def measured(sessions: int, latency: float, rounds: int) -> Report:
    """Measure with so many sessions."""
    served = session_list()
    with serving(served, sessions, latency) as slow, serving(served, sessions) as fast:
        matches = check(fast, sessions)
        walked = _Clock(lambda: whole(fast))
        fetched = _Clock(lambda: read_as_the_walk_does(fast, sessions))
        late, prompt = f", {latency * 1000:g} ms a call", ", no latency"
        report = compare(
            f"A walk of {sessions:,} sessions",
            f"A filter that {matches:,} of them pass and two columns to sort by, all legacy pages through the adapter; "
            f"each of the {-(-sessions // _LARGEST):,} pages upstream was read once. Every other session carries a "
            "legacy record. Selecting and translating is the processor's time of the walk without what reading the "
            "pages in the walk's own way takes.",
            {
                _WALK + late: _Clock(lambda: whole(slow)),
                _READ + late: _Clock(lambda: read(slow, sessions, parsed=False)),
                _WALK + prompt: walked,
                _PARSE + prompt: _Clock(lambda: read(fast, sessions, parsed=True)),
                "reading as the walk does" + prompt: fetched,
            },
            {
                (_WALK + late, _READ + late): "at most 0.35",
                (_WALK + prompt, _PARSE + prompt): "at most 1.4",
            },
            rounds,
            warm=False,
        )
    spent = [(one - other) / sessions * 1e6 for one, other in zip(walked.busy, fetched.busy, strict=True)]
    figure = Figure("select and translate, µs a record", "at most 10", spent)
    return Report(report.title, report.work, report.seconds, report.versus, [figure])


def main(rounds: int = _ROUNDS) -> Report:
    """Measure a short walk."""
    return measured(_QUICK, LATENCY, min(rounds, _ROUNDS))


def full(rounds: int = _ROUNDS) -> Report:
    """Measure the walk of the claim."""
    return measured(SESSIONS, LATENCY, min(rounds, _ROUNDS))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=_QUICK, help=f"how many; the claim has {SESSIONS:,}")
    parser.add_argument("--latency", type=float, default=LATENCY, help="seconds before an answer upstream")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="how often the ways take turns")
    given = parser.parse_args()
    print(measured(given.sessions, given.latency, given.rounds).markdown())
