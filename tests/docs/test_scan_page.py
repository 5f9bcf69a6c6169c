"""docs/scan-and-migrate.md: its tables are those of the code, and its commands print what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from refusals import PAGE, reasons, written_anew
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser

from compat.cli.program import program

COMMANDS = re.compile(r"^```console\n\$ exam-compat (?P<words>.+)\n(?P<output>(?:.*\n)*?)```$", re.MULTILINE)


def test_the_tables_are_those_of_the_code() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == written_anew(page), "run: python tests/docs/refusals.py"
    assert len(reasons()) > 30


def test_the_commands_print_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for language, name in (("python", "finished.py"), ("sh", "count.sh")):
        block = Sybil([CodeBlockParser(language=language, evaluator=lambda _: None)]).parse(PAGE)
        (tmp_path / name).write_text(next(iter(block.examples())).parsed)
    monkeypatch.chdir(tmp_path)
    commands = list(COMMANDS.finditer(page))
    assert [each["words"] for each in commands] == ["scan .", "migrate ."]
    for each in commands:
        result = CliRunner().invoke(program, each["words"].split())
        assert result.stdout == each["output"]
