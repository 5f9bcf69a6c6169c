"""Checking recorded pairs: how many a second, in how much memory, growing how, and against parsing alone."""

from __future__ import annotations

import argparse
import itertools
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import urlencode

import msgspec

from benchmarks.data import compact, student_sessions
from benchmarks.harness import Figure, Report, Way, compare, timed
from benchmarks.walk_memory import peak
from compat.legacy.routes import INDEX_STUDENTS, LegacyCall
from compat.regression.check import check_pairs
from compat.regression.comparing.pairs import Answered, Pair
from compat.schemas import COLUMNS
from compat.schemas.rules import Constant, Default, LookedUp

PAIRS = 100_000
_QUICK = 5_000
_TENTH = 10
_AT_MOST = 10
_EXAMS = 50


@lru_cache
def records() -> list[dict[str, object]]:
    """Three hundred legacy records."""
    return [{name: record.get(name) for name in COLUMNS} for record in student_sessions()]


@lru_cache
def from_sessions() -> list[dict[str, object]]:
    """The same as paginated sessions would show them, which lack most: as many differences as there can be."""
    found = []
    for record in records():
        shown = dict(record)
        for name, column in COLUMNS.items():
            if isinstance(column.rule, Default | Constant):
                shown[name] = column.rule.value
            elif isinstance(column.rule, LookedUp):
                shown[name] = None
        found.append(shown)
    return found


def edited() -> list[dict[str, object]]:
    """The same, each record with one other value."""
    return [{**record, "priority": "other"} for record in records()]


def answered(listed: list[dict[str, object]], page: int = 1) -> Answered:
    """A page of them, which says that it is the one that was asked for."""
    count = str(len(listed))
    headers = {"Content-Type": "application/json", "X-Pagination-Item-Count": count, "X-Pagination-Page": f"{page}"}
    return Answered(200, headers, compact({"students": listed}), 0.05)


def pairs(count: int, new: list[dict[str, object]]) -> Iterator[Pair]:
    """So many pairs of answers of up to ten records, each of them bytes of its own, as read from a file."""
    sizes = itertools.cycle(range(_AT_MOST + 1))
    starts = itertools.cycle(range(0, len(records()) - _AT_MOST, 7))
    for number, size, start in zip(range(count), sizes, starts, strict=False):
        page = number % 1000 + 1
        query = urlencode({"limit": size or 1, "page": page})
        call = LegacyCall(INDEX_STUDENTS, str(number % _EXAMS), query)
        old, other = (answered(whole[start : start + size], page) for whole in (records(), new))
        yield Pair(call, "registrar", 1.5e9 + number, old, other, "legacy")


KINDS = {
    "equal": ("student_sessions", records),
    "edited": (None, edited),
    "sessions": ("paginated_sessions", from_sessions),
}


def child(count: int, kind: str) -> None:
    """Check, and tell the seconds and the MiB; what makes the pairs is not counted."""
    upstream, new = KINDS[kind]
    # One batch after the other: making pairs costs more than checking them.
    listed = new()
    making = 0.0

    def watched() -> Iterator[Pair]:
        nonlocal making
        source = pairs(count, listed)
        while True:
            begun = time.process_time()
            pair = next(source, None)
            making += time.process_time() - begun
            if pair is None:
                return
            yield pair

    begun = time.process_time()
    result = check_pairs(watched(), upstream=upstream)
    seconds = time.process_time() - begun - making
    assert result.all.calls == count
    assert (result.all.unexplained > 0) == (kind == "edited")
    print(json.dumps([seconds, peak()]))


def checked(count: int, kind: str) -> tuple[float, float]:
    """Seconds of the processor and peak MiB of a check, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.regression_check", "--child", str(count), "--kind", kind]
    answer = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    seconds, used = json.loads(answer.stdout)
    return seconds, used


def _both(old: Answered, new: Answered) -> Way:
    return timed(lambda: (msgspec.json.decode(old.body), msgspec.json.decode(new.body)))


def _one(old: Answered, new: Answered, upstream: str | None) -> Way:
    call = LegacyCall(INDEX_STUDENTS, "17", "limit=300")
    pair = Pair(call, None, 1.5e9, old, new, "legacy")
    return timed(lambda: check_pairs([pair], upstream=upstream))


def long_answers(rounds: int) -> Report:
    """Compare checking answers of 300 records with parsing both."""
    old = answered(records())
    ways: dict[str, Way] = {}
    targets: dict[tuple[str, str], str] = {}
    for name, upstream, listed in (
        ("a value edited in each", None, edited()),
        ("sessions", "paginated_sessions", from_sessions()),
        ("fields in another order", None, [dict(reversed(list(record.items()))) for record in records()]),
        ("in another order", None, list(reversed(records()))),
    ):
        new = answered(listed)
        ways[f"check, {name}"] = _one(old, new, upstream)
        ways[f"parse, {name}"] = _both(old, new)
        targets[f"check, {name}", f"parse, {name}"] = "at most 3"
    return compare(
        "Checking answers of 300 records",
        "All of a check of one pair: comparing, explaining, counting; beside it, msgspec reads both bodies.",
        ways,
        targets,
        rounds,
    )


def measured(count: int, rounds: int) -> Report:
    """Measure checks of so many pairs and of a tenth."""
    seconds: dict[str, list[float]] = {}
    figures = []
    for kind in KINDS:
        long, short = [], []
        for _ in range(rounds):
            short.append(checked(count // _TENTH, kind))
            long.append(checked(count, kind))
        growth = [math.log(one / other, _TENTH) for (one, _), (other, _) in zip(long, short, strict=True)]
        seconds[f"{count:,} pairs, {kind}"] = [taken for taken, _ in long]
        figures += [
            Figure(f"pairs a second, {kind}", "at least 2000", [count / taken for taken, _ in long]),
            Figure(f"exponent of the time's growth, {kind}", "at most 1.1", growth),
            Figure(
                f"MiB more than for a tenth, {kind}",
                "at most 8",
                [one - other for (_, one), (_, other) in zip(long, short, strict=True)],
            ),
        ]
    extra = long_answers(max(rounds, 3))
    return Report(
        f"Checking {count:,} recorded pairs",
        "Answers of up to ten records: equal, with an edited value in each record, and as sessions show them with all "
        "that they lack; processor time of comparing, explaining and counting on one core.",
        {**seconds, **extra.seconds},
        extra.versus,
        figures,
    )


def main(rounds: int = 1) -> Report:
    """Measure short checks."""
    return measured(_QUICK, min(rounds, 2))


def full(rounds: int = 1) -> Report:
    """Measure the checks of the claim, once."""
    return measured(PAIRS, 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=_QUICK, help=f"how many; the claim has {PAIRS:,}")
    parser.add_argument("--rounds", type=int, default=1, help="how often")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--kind", choices=KINDS, default="equal", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.kind)
    else:
        print(measured(given.pairs, given.rounds).markdown())
