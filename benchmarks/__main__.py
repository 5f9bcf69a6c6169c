"""``python -m benchmarks``: every benchmark in one run; ``--write`` keeps the results."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from benchmarks.harness import ROUNDS, Report, versions

_FOLDER = Path(__file__).parent
_RESULTS = _FOLDER / "RESULTS.md"
_PLOT = _FOLDER / "ratios.svg"
_HELPERS = (
    "__main__",
    "data",
    "gateway_candidates",
    "gateway_load",
    "gateway_peers",
    "harness",
    "plot",
    "pydantic_models",
    "sessions_page",
    "upstream",
    "walking",
)
_HEAD = f"""# Results

Written by `python -m benchmarks --write{{options}}` in one run. A ratio is taken within a round, in which the ways take
turns; below are the median, the least and the greatest of all rounds. Whatever else a machine does meanwhile slows all
ways of a round, though not always alike. The milliseconds say what the ratios are ratios of, and hold for that run.

![Results against their targets]({_PLOT.name})

"""


def found(full: bool) -> dict[str, Callable[[int], Report]]:
    """Name to ``main`` of every file that is a claim, or to ``full`` where it has one and that is asked for."""
    names = [module.name for module in pkgutil.iter_modules([str(_FOLDER)]) if module.name not in _HELPERS]
    modules = {name: importlib.import_module(f"benchmarks.{name}") for name in names}
    return {name: getattr(module, "full", module.main) if full else module.main for name, module in modules.items()}


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(found(False))}; all without one")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often the ways take turns; long ones do fewer")
    parser.add_argument("--full", action="store_true", help="walks as long as the claims say, which take minutes")
    parser.add_argument(
        "--write", action="store_true", help=f"write {_RESULTS.name} and {_PLOT.name} beside the benchmarks"
    )
    given = parser.parse_args()
    claims = found(given.full)
    if unknown := sorted(set(given.names) - set(claims)):
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    if given.write and given.names:
        parser.error("--write keeps the results of one run of all: leave the names out")
    reports: list[Report] = []
    failed: list[str] = []
    for name in given.names or claims:
        # The others take half an hour, and need not be measured again for it.
        try:
            reports.append(claims[name](given.rounds))
        except Exception:  # noqa: BLE001 - it is printed, and named at the end
            traceback.print_exc()
            failed.append(name)
            continue
        print(reports[-1].markdown(), flush=True)
    print(versions())
    if given.write:
        write(reports, f"{' --full' if given.full else ''} --rounds {given.rounds}", failed)
    if failed:
        sys.exit(f"not measured: {', '.join(failed)}")


def write(reports: list[Report], options: str, failed: list[str]) -> None:
    """Keep the results of a run."""
    # Only here is matplotlib needed.
    from benchmarks.plot import draw

    head = _HEAD.format(options=options)
    sections = [report.markdown() for report in reports]
    sections += [f"## Not measured: {name}\n\nIt ended with an error in this run.\n" for name in failed]
    sections.append(f"## Versions\n\n{versions()}")
    _RESULTS.write_text(head + "\n".join(sections), encoding="utf-8")
    draw(reports, _PLOT)


if __name__ == "__main__":
    main()
