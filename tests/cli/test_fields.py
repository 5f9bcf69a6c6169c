"""``fields`` and the tables behind it."""

from __future__ import annotations

import json

import pytest

from compat.mapping import tables
from compat.schemas import STUDENT_FIELDS, SessionOutputSchema

from .conftest import Invoke


def test_every_legacy_field_in_its_order(invoke: Invoke) -> None:
    rows = json.loads(invoke("fields", "--json").stdout)
    legacy = [row for row in rows if row["class"] != "session only"]
    assert [row["field"] for row in legacy] == list(STUDENT_FIELDS)
    assert set(rows[0]) == {"field", "type", "class", "from", "back", "loss"}


def test_every_session_field_is_somewhere() -> None:
    shown = " ".join(row.derived_from for row in tables.legacy_rows())
    own = {row.field for row in tables.session_rows()}
    for name in SessionOutputSchema._declared_fields:
        assert name in own or f"`{name}" in shown


def test_exact_fields_lose_nothing_and_all_others_something() -> None:
    assert all(bool(row.loss) == (row.category != "exact") for row in tables.mapping_rows())


@pytest.mark.parametrize("name", [name.replace(" ", "-") for name in tables.CATEGORIES])
def test_one_class(invoke: Invoke, name: str) -> None:
    rows = json.loads(invoke("fields", "--json", "--class", name).stdout)
    assert rows
    assert {row["class"] for row in rows} == {name.replace("-", " ")}


def test_an_unknown_class_is_a_usage_error(invoke: Invoke) -> None:
    result = invoke("fields", "--class", "lost")
    assert result.exit_code == 2
    assert "looked-up" in result.stderr


def test_markdown_is_the_generated_one(invoke: Invoke) -> None:
    markdown = invoke("fields", "--markdown").stdout
    assert markdown == tables.markdown_tables()
    lines = markdown.splitlines()
    assert sum(line.startswith("| `") for line in lines) == len(tables.mapping_rows())
    assert {line.count(" | ") for line in lines if line.startswith("| `id`")} == {5}


def test_markdown_of_one_class_has_one_table(invoke: Invoke) -> None:
    markdown = invoke("fields", "--markdown", "--class", "exact").stdout
    assert sum(line.startswith("| --- |") for line in markdown.splitlines()) == 1


def test_a_bar_in_a_cell_ends_no_cell() -> None:
    assert tables.markdown_table(("a",), [("x|y",)]) == "| a |\n| --- |\n| x\\|y |\n"


def test_the_table_for_people(invoke: Invoke) -> None:
    shown = invoke("fields").stdout
    assert all(name in shown for name in STUDENT_FIELDS)
    assert "`" not in shown
