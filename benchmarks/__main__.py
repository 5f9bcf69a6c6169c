"""``python -m benchmarks``: every benchmark in one run; ``--write`` keeps the results."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.harness import ROUNDS, Report, versions

_FOLDER = Path(__file__).parent
_RESULTS = _FOLDER / "RESULTS.md"
_HELPERS = ("__main__", "data", "harness")
_HEAD = """# Results

Written by `tox -e benchmarks`. A ratio is taken within a round, in which the ways take turns; below are the median, the
least and the greatest of all rounds. The milliseconds say what the ratios are ratios of, and hold for one run alone.

"""


def found() -> dict[str, Callable[[int], Report]]:
    """Name to ``main`` of every file that is a claim."""
    names = [module.name for module in pkgutil.iter_modules([str(_FOLDER)]) if module.name not in _HELPERS]
    return {name: importlib.import_module(f"benchmarks.{name}").main for name in names}


def main() -> None:
    """Run what is asked for."""
    claims = found()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(claims)}; all without one")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often the ways take turns")
    parser.add_argument("--write", action="store_true", help=f"write {_RESULTS.name} beside the benchmarks")
    given = parser.parse_args()
    if unknown := sorted(set(given.names) - set(claims)):
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    if given.write and given.names:
        parser.error("--write keeps the results of one run of all: leave the names out")
    sections = []
    for name in given.names or claims:
        sections.append(claims[name](given.rounds).markdown())
        print(sections[-1], flush=True)
    print(versions())
    if given.write:
        _RESULTS.write_text(_HEAD + "\n".join([*sections, f"## Versions\n\n{versions()}"]), encoding="utf-8")


if __name__ == "__main__":
    main()
