"""The plot of RESULTS.md: how much of its target each result uses up."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from benchmarks.harness import Report, share

__all__ = ["draw"]


def draw(reports: Sequence[Report], path: Path) -> None:
    """Draw the results that have a target.

    Args:
        reports: of all benchmarks.
        path: an SVG file to write.
    """
    found = [(each, used) for report in reports for each in report.results if (used := share(each)) is not None]
    found.reverse()
    mpl.rcParams["svg.hashsalt"] = "benchmarks"
    canvas = Canvas(figsize=(11, 0.55 * len(found) + 1.2), layout="constrained")
    axes = canvas.subplots()
    colours = ["#2a9d8f" if used <= 1 else "#e76f51" for _, used in found]
    bars = axes.barh([f"{each.name}\n{each.target}" for each, _ in found], [used for _, used in found], color=colours)
    axes.bar_label(bars, [f"{statistics.median(each.values):.3g}" for each, _ in found], padding=3, fontsize=8)
    axes.axvline(1, color="#264653", linewidth=1)
    axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.tick_params(axis="y", labelsize=7)
    axes.set_xlabel("part of the target that is used up: left of 1 the claim holds; beside each bar its median")
    canvas.savefig(path, format="svg", metadata={"Date": None})
