"""Opening the page of a check in a browser, against opening an empty one."""

from __future__ import annotations

import shutil
import tempfile
import time
from itertools import chain
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from benchmarks.harness import Figure, Report, Way, command_line, compare
from benchmarks.regression_check import edited, from_sessions, pairs, records
from compat.regression.check import check_pairs
from compat.regression.evidence.verdict import judge
from compat.regression.report.content import content_of
from compat.regression.report.forms import as_html

PAIRS = 100_000
_EMPTY = '<!doctype html><html lang="en"><title>empty</title><p>Nothing.</p>'


def _page(count: int) -> str:
    """The page of a check of so many pairs: most are equal, some differ in every record."""
    few = count // 100
    found = check_pairs(
        chain(pairs(count - 2 * few, records()), pairs(few, edited()), pairs(few, from_sessions())),
        upstream="paginated_sessions",
    )
    assert found.all.calls == count
    assert found.all.unexplained > 0
    return as_html(content_of(found, judge(found)))


def _opening(browser: Browser, path: Path) -> Way:
    def way() -> float:
        opened = browser.new_page()
        begun = time.perf_counter()
        opened.goto(path.as_uri(), wait_until="load")
        # Until it was laid out and drawn.
        opened.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        seconds = time.perf_counter() - begun
        opened.close()
        return seconds

    return way


def main(rounds: int = 9, count: int = 10_000) -> Report:
    """Measure, with the page of a check of ten thousand pairs."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        pages = {"the page of a check": Path(folder, "check.html"), "an empty page": Path(folder, "empty.html")}
        pages["the page of a check"].write_text(_page(count), encoding="utf-8")
        pages["an empty page"].write_text(_EMPTY, encoding="utf-8")
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        found = compare(
            f"Opening the report of {count:,} pairs",
            "Headless Chromium, from the address to the first frame that was drawn; 2 % of the pairs differ.",
            {name: _opening(browser, path) for name, path in pages.items()},
            {("the page of a check", "an empty page"): ""},
            rounds,
        )
        browser.close()
    opened = Figure("seconds until it is drawn", "at most 2", found.seconds["the page of a check"])
    return Report(found.title, found.work, found.seconds, found.versus, [opened])


def full(rounds: int = 9) -> Report:
    """Measure the page of the claim."""
    return main(rounds, PAIRS)


if __name__ == "__main__":
    command_line(main)
