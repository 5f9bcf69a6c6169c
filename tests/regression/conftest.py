"""A real browser for the pages of reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from support import program

_OPTIONS = ("--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all tests of a file."""
    path = program("chromium")
    with sync_playwright() as started:
        running = started.chromium.launch(executable_path=path, args=["--no-sandbox", *_OPTIONS])
        yield running
        running.close()


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Callable[[str], Page]]:
    """Opens a page of this text; by the end nothing may have failed in it, nor been asked of any network."""
    opened, failures = browser.new_page(), []

    def open_text(text: str) -> Page:
        path = tmp_path / "page.html"
        path.write_text(text, encoding="utf-8")
        opened.on("request", lambda request: failures.append(request.url) if request.url != path.as_uri() else None)
        opened.goto(path.as_uri())
        return opened

    opened.on("console", lambda message: failures.append(message.text))
    opened.on("pageerror", lambda error: failures.append(str(error)))
    yield open_text
    opened.close()
    assert failures == []
