"""Measures ways of doing the same work against each other, and prints ratios.

The ways take turns: a round asks each of them once, every other round in the opposite order, so that a machine that
slows down slows them all. A ratio is taken within a round; what is reported is the median, the least and the greatest
of all rounds. Nothing here asserts a time.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = ["ROUNDS", "Figure", "Report", "Versus", "Way", "command_line", "compare", "timed", "versions"]

ROUNDS = 21
_LEAST = 0.02
_DISTRIBUTIONS = (
    "exam-students-compat",
    "aiohttp",
    "cadwyn",
    "duckdb",
    "fastapi",
    "flask",
    "gunicorn",
    "httptools",
    "marshmallow",
    "msgspec",
    "orjson",
    "playwright",
    "pydantic",
    "redis",
    "requests",
    "urllib3",
    "uvicorn",
)
_TARGET = re.compile(r"at (most|least) ([\d.]+)")

Way = Callable[[], float]
"""Does the work, and returns the seconds that doing it once took."""


def timed(work: Callable[[], object], least: float = _LEAST) -> Way:
    """A way that does the work as often as it takes to be measured well.

    Args:
        work: what to measure.
        least: seconds that a measurement lasts, about.
    """
    repeats = 0

    def way() -> float:
        nonlocal repeats
        if not repeats:
            repeats = max(1, round(least / max(_seconds(work, 1), 1e-9)))
        return _seconds(work, repeats) / repeats

    return way


def _seconds(work: Callable[[], object], repeats: int) -> float:
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        begun = time.perf_counter()
        for _ in range(repeats):
            work()
        return time.perf_counter() - begun
    finally:
        if collecting:
            gc.enable()


@dataclass(frozen=True)
class Versus:
    """One way measured against another.

    Attributes:
        way: the one.
        peer: the other.
        target: what is claimed, in words; empty where nothing is.
        ratios: of each round, the seconds of the way by those of the peer.
    """

    way: str
    peer: str
    target: str
    ratios: Sequence[float] = field(repr=False)

    @property
    def values(self) -> Sequence[float]:
        """The ratios."""
        return self.ratios

    @property
    def name(self) -> str:
        """Both ways."""
        return f"{self.way} / {self.peer}"


@dataclass(frozen=True)
class Figure:
    """Something measured that is no ratio of two ways.

    Attributes:
        name: what it is, with its unit.
        target: what is claimed, in words; empty where nothing is.
        values: of each round.
    """

    name: str
    target: str
    values: Sequence[float] = field(repr=False)


def share(found: Versus | Figure) -> float | None:
    """How much of its target a result uses up: 1 is just met, more is missed; None where nothing is claimed."""
    claimed = _TARGET.match(found.target)
    if claimed is None:
        return None
    ratio = statistics.median(found.values) / float(claimed[2])
    return ratio if claimed[1] == "most" else 1 / ratio


@dataclass(frozen=True)
class Report:
    """What a benchmark found.

    Attributes:
        title: the claim, in a line.
        work: what each way did.
        seconds: way to seconds a round.
        versus: the comparisons.
        figures: what else was measured.
    """

    title: str
    work: str
    seconds: Mapping[str, Sequence[float]] = field(repr=False)
    versus: Sequence[Versus]
    figures: Sequence[Figure] = ()

    @property
    def results(self) -> list[Versus | Figure]:
        """All that was found, in the order of the report."""
        return [*self.versus, *self.figures]

    def markdown(self) -> str:
        """The report as a section of Markdown."""
        lines = [f"## {self.title}", "", self.work, ""]
        lines += ["| ratio | target | median | least | greatest |", "|---|---|---:|---:|---:|"]
        lines += [
            f"| {each.name} | {each.target or '–'} | {_three(statistics.median(each.values))} "
            f"| {_three(min(each.values))} | {_three(max(each.values))} |"
            for each in self.results
        ]
        lines += ["", "| way | median ms |", "|---|---:|"]
        lines += [f"| {name} | {_three(statistics.median(each) * 1000)} |" for name, each in self.seconds.items()]
        return "\n".join(lines) + "\n"


def _three(number: float) -> str:
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def compare(
    title: str,
    work: str,
    ways: Mapping[str, Way],
    targets: Mapping[tuple[str, str], str],
    rounds: int = ROUNDS,
    warm: bool = True,
) -> Report:
    """Let ways of doing the same work take turns.

    Args:
        title: the claim, in a line.
        work: what each way does.
        ways: name to way.
        targets: (way, peer) to the claim in words, in the order of the report.
        rounds: how many.
        warm: call each once before the first round, which is not counted.
    """
    for way in ways.values() if warm else ():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        names = list(ways) if number % 2 == 0 else list(reversed(ways))
        for name in names:
            seconds[name].append(ways[name]())
    versus = [
        Versus(way, peer, target, [one / other for one, other in zip(seconds[way], seconds[peer], strict=True)])
        for (way, peer), target in targets.items()
    ]
    return Report(title, work, seconds, versus)


def versions() -> str:
    """What was measured, and with what, as a Markdown list."""
    found = {platform.python_implementation(): platform.python_version()}
    installed = {each.metadata["Name"].lower(): each.version for each in importlib.metadata.distributions()}
    found |= {name: installed[name] for name in _DISTRIBUTIONS if name in installed}
    return "\n".join(f"- {name} {version}" for name, version in found.items()) + "\n"


def command_line(main: Callable[[int], Report]) -> None:
    """Run one benchmark as a script, with ``--rounds``."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often the ways take turns")
    print(main(parser.parse_args().rounds).markdown())
