"""The report's page in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from contents import NASTY, content, score
from playwright.sync_api import Browser, Page

from compat.regression.evidence.headline import CallerLeft
from compat.regression.evidence.statistics import percent
from compat.regression.report.content import Group
from compat.regression.report.forms import as_html, as_markdown


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
        assert cells.locator("[data-of=at_most]").inner_text() == percent(row.at_most)
        assert cells.locator("[data-of=calls]").inner_text() == f"{row.calls:,}"
        assert cells.locator("[data-of=unexplained]").inner_text() == f"{row.unexplained:,}"
    assert page.locator("[data-group=by-route]").count() == 0
    assert page.locator("[data-group=not-comparable] tbody tr").count() == len(made.not_comparable)
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
    assert page.title() == "NOT READY: old and new endpoint compared"
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
    for caption in page.locator("caption").all():
        assert caption.evaluate("caption => caption.getBoundingClientRect().right") <= width
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


def test_the_bound_stands_beside_what_is_allowed(open_page: Callable[[str], Page]) -> None:
    for at_most, enough in ((0.0018, True), (0.0075, False), (1.0, False)):
        made = content()
        opened = open_page(as_html(replace(made, bound=replace(made.bound, at_most=at_most))))
        gauge = opened.get_by_role("img", name=f"At most {percent(at_most)} may differ, 0.6 % is allowed")
        bar, mark = gauge.locator("rect").nth(1).bounding_box(), gauge.locator("line").bounding_box()
        assert bar is not None
        assert mark is not None
        assert (bar["x"] + bar["width"] <= mark["x"] + 1) == enough


def test_differences_stand_before_tables_and_rows_that_say_nothing_fold(page: Page) -> None:
    headings = page.locator("main h2").all_inner_texts()
    assert headings == [
        *("Evidence", "The largest differences", "Callers left", "All calls", "Differences", "Not comparable"),
        *("Parity over time", "By field", "By caller", "Latency", "Also to know"),
    ]
    fields = page.locator("section[data-group=by-field]")
    assert fields.locator("summary").all_inner_texts() == ["2 fields alike", "1 field not compared"]
    assert not fields.get_by_text("browser").is_visible()
    # A keyboard opens what folds.
    fields.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert fields.get_by_text("browser").is_visible()


def test_the_first_screen_answers_whether_to_switch(page: Page) -> None:
    page.set_viewport_size({"width": 1200, "height": 800})
    seen = [page.locator(".verdict"), page.get_by_role("img", name="At most"), *page.locator(".largest li").all()]
    seen.append(page.locator("[data-group=callers-left] li").last)
    boxes = [each.bounding_box() for each in seen]
    assert len(boxes) == 6
    assert all(box is not None and box["y"] + box["height"] <= 800 for box in boxes)
    first = page.locator(".largest li").first.inner_text().split("\n")
    assert [line for line in first if line] == [
        "field value in start_time unexplained",
        "14 differences in 4 calls",
        "Compare both values.",
    ]


def test_what_is_many_and_says_nothing_folds(open_page: Callable[[str], Page]) -> None:
    callers = [score(f"caller {number}", "no difference seen", 9, 0, 0, 0.3, 9) for number in range(57)]
    left = [CallerLeft(each.name, 2.0, None, "rewritable", "0 unexplained in 9") for each in callers]
    wrong = score("lms", "not ready", 9, 0, 2, 0.5, 9)
    group = Group("By caller", "Calls of the caller", "Caller", [*callers, wrong])
    made = replace(content(), groups=[group], callers_left=left)
    opened = open_page(as_html(made))
    by_caller = opened.locator("[data-group=by-caller]")
    folded = "57 callers alike (57 with too few questions for a verdict of their own)"
    assert by_caller.locator("summary").all_inner_texts() == [folded]
    assert [each.get_attribute("data-name") for each in by_caller.locator("tr[data-name]:visible").all()] == ["lms"]
    callers_left = opened.locator("[data-group=callers-left]")
    assert "57 callers are left, with 114 calls a day." in callers_left.inner_text()
    assert (callers_left.locator("li:visible").count(), callers_left.locator("li").count()) == (5, 57)
    assert callers_left.locator("summary").inner_text() == "52 more callers"
    text = as_markdown(made)
    assert f"\n\n{folded}.\n\n" in text
    assert "<details><summary>52 more callers</summary>\n\n| caller |" in text


def test_it_says_where_nobody_asked_who_is_left(open_page: Callable[[str], Page]) -> None:
    for left, told in (
        (None, "Who still calls the old interface was not asked: check with --callers."),
        ([], "No caller is left, by the inventory."),
    ):
        made = replace(content(), callers_left=left)
        assert told in open_page(as_html(made)).locator("[data-group=callers-left]").inner_text()
        assert ("## Callers left" in as_markdown(made)) == (left is not None)


def test_every_column_is_explained_where_it_stands(page: Page) -> None:
    for each in page.locator("details").all():
        each.evaluate("details => details.open = true")
    for table in page.locator("[data-group^=by-] table, [data-group=not-comparable]").all():
        caption = table.locator("caption").inner_text()
        for heading in table.locator("thead th").all_inner_texts():
            assert heading in {"Field", "Caller"} or f"{heading}: " in caption, heading


def test_a_printed_page_has_nothing_cut_off(page: Page) -> None:
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 718, "height": 1000})
    assert page.evaluate("document.documentElement.scrollWidth") <= 718
    assert not page.locator("#filters").is_visible()


def test_a_report_without_anything_to_show(open_page: Callable[[str], Page]) -> None:
    nothing = {"groups": [], "buckets": [], "latency": [], "callers_left": [], "differences": [], "notices": []}
    nothing["largest"] = []
    opened = open_page(as_html(replace(content(), began_at=None, **nothing)))
    for heading in ("The largest differences", "Differences"):
        section = opened.locator("section", has=opened.get_by_role("heading", name=heading, exact=True))
        assert "None was found." in section.inner_text(), heading
    assert Axe().run(opened).violations_count == 0
