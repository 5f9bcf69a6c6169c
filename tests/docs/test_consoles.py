"""The commands of the guide, run in their order: each prints what the guide says."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import pytest
from consoles import ROOT, Command, agrees, commands_in, steady, terminal, with_tables
from support import program
from write_outputs import PAGES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@pytest.mark.parametrize("name", PAGES)
def test_each_command_prints_what_the_page_says(name: str, tmp_path: Path) -> None:
    program("node")
    document = (ROOT / name).read_text(encoding="utf-8")
    commands = list(commands_in(document))
    assert len(commands) > 5
    with terminal(tmp_path) as shell:
        for command in commands:
            if isinstance(command, Command):
                came = shell.run(command.line)
                line = document.count("\n", 0, command.starts)
                where = f"{name}:{line}: {command.line} (python tests/docs/write_outputs.py writes them anew)"
                assert agrees(command.printed, came), f"{where}\n{steady(came)}"
            else:
                shell.configure(command)


def test_keys_are_added_to_the_table_of_their_name() -> None:
    before = '[legacy]\nbase_url = "https://acme.example"\n\n[[callers]]\nname = "a"\n'
    after = tomllib.loads(with_tables(before, "[legacy]\nsunset = 2027-06-30\n\n[migration]\nmode = 'new'\n"))
    assert after["legacy"] == {"base_url": "https://acme.example", "sunset": date(2027, 6, 30)}
    assert after["migration"] == {"mode": "new"}
    assert len(tomllib.loads(with_tables(before, '[[callers]]\nname = "b"\n'))["callers"]) == 2


@pytest.mark.parametrize(
    ("said", "came", "alike"),
    [
        ("a\n", "a\n", True),
        ("a\n", "b\n", False),
        ("a\n", "a\nb\n", False),
        ("a\n…\nd\n", "a\nb\nc\nd\n", True),
        ("a\n…\nd\n", "a\nb\nc\n", False),
        ("", "a\n", False),
        ("in 3 s\n", "in 12.5 s\n", True),
        ("at 2026-11-22 06:50\n", "at 2027-01-01 23:59\n", True),
        ("at 2018-10-28T02:30:00+02:00\n", "at 2018-10-28T02:30:00+02:00\n", True),
        ("at 2018-10-28T02:30:00+02:00\n", "at 2018-10-28T02:31:00+02:00\n", False),
    ],
)
def test_what_agrees(said: str, came: str, alike: bool) -> None:
    assert agrees(said, came) is alike
