"""The report's page in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from contents import NASTY, content
from playwright.sync_api import Browser, Page

from compat.regression.report.html import as_html


@pytest.fixture
def page(open_page: Callable[[str], Page]) -> Page:
    """The page, opened."""
    return open_page(as_html(content()))


def test_its_numbers_are_those_of_the_content(page: Page) -> None:
    made = content()
    shown = {name: page.locator(f"[data-number={name}]").inner_text() for _, name, _ in made.totals}
    assert shown == {name: f"{number:,}" for _, name, number in made.totals}
    for row in made.groups[0].rows:
        cells = page.locator(f"[data-group=by-field] tr[data-name={row.name}]")
        assert cells.locator("[data-of=calls]").inner_text() == f"{row.calls:,}"
        assert cells.locator("[data-of=unexplained]").inner_text() == f"{row.unexplained:,}"
    assert page.locator("[data-group=by-route]").count() == 0
    assert page.locator("#list > li").count() == len(made.differences)


def test_it_filters(page: Page) -> None:
    shown = page.locator("#list > li:visible")
    page.get_by_label("State").select_option("unexplained")
    assert shown.count() == 10
    page.get_by_label("Search").fill("record 8")
    assert shown.count() == 1
    assert page.get_by_role("status").inner_text() == "1 of 40 shown"
    page.get_by_role("button", name="Show all").click()
    page.wait_for_function("document.getElementById('shown').textContent === '40 of 40 shown'")


def test_it_is_used_by_keyboard(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "differences"
    page.keyboard.press("Tab")
    page.keyboard.type("record 12")
    assert page.get_by_role("status").inner_text() == "1 of 40 shown"


def test_a_value_in_it_is_nothing_but_text(page: Page) -> None:
    assert page.title() == "not ready: old and new endpoint compared"
    assert page.locator("script").count() == 1
    assert page.locator("#list pre").first.inner_text() == NASTY


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_it_is_accessible_and_fits(page: Page, scheme: str, width: int) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for each in page.locator("details").all():
        each.evaluate("details => details.open = true")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_without_scripts_all_is_there(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(as_html(content()), encoding="utf-8")
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(path.as_uri())
    assert opened.locator("#list > li:visible").count() == 40
    assert opened.locator("#filters:visible").count() == 0
    context.close()


def test_a_report_without_anything_to_show(open_page: Callable[[str], Page]) -> None:
    nothing = {"groups": [], "buckets": [], "latency": [], "callers_left": [], "differences": [], "notices": []}
    opened = open_page(as_html(replace(content(), began_at=None, **nothing)))
    assert "None was found." in opened.locator("main").inner_text()
    assert Axe().run(opened).violations_count == 0
