"""What the documents say about the code, compared with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from write_tables import tables_in, written_anew

import compat
from compat.schemas import STUDENT_FIELDS

ROOT = Path(__file__).parents[2]
PAGES = tuple(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))
DOCUMENTS = (
    "README.md",
    "MIGRATION.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "benchmarks/README.md",
    "examples/clients/README.md",
    "examples/legacy/README.md",
    *PAGES,
)


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["MIGRATION.md", "docs/recordings.md"])
def test_the_tables_are_those_of_the_schemas(name: str) -> None:
    document = _text(name)
    assert "`student_id`" in document
    assert document == written_anew(document), "run: python tests/docs/write_tables.py"


def test_the_tables_name_every_legacy_field_once_and_in_order() -> None:
    named = re.findall(r"^\| `(\w+)` \|", tables_in(_text("MIGRATION.md")), flags=re.MULTILINE)
    assert tuple(named[: len(STUDENT_FIELDS)]) == STUDENT_FIELDS


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_files_that_exist(name: str) -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", _text(name))
    for target in targets:
        if "://" not in target:
            assert (ROOT / name).parent.joinpath(target).exists(), target


def test_ci_runs_the_command_that_the_readme_gives() -> None:
    commands = re.findall(r"pip install -e '\.\[(\w+)\]' && (.+)$", _text("README.md"), flags=re.MULTILINE)
    assert [extra for extra, _ in commands] == ["all", "tests"]
    ci = _text(".ci/run").splitlines()
    for _, command in commands:
        assert any(re.fullmatch(rf"step \w+ {re.escape(command)}", line) for line in ci), command
    installed = next(line for line in ci if "pip install" in line)
    assert "tests" in installed


def test_the_changelog_has_this_version() -> None:
    assert f"## [{compat.__version__}]" in _text("CHANGELOG.md")


def test_the_changelog_names_every_public_entrance() -> None:
    changelog = _text("CHANGELOG.md")
    for name in (
        "mount",
        "install",
        "ExamStudentsAdapter",
        "ExamStudentsClient",
        "StudentSessionsClient",
        "load_config",
    ):
        assert f"`compat.{name}`" in changelog
