"""The blocks of the guides, pasted in their order: each runs, and prints what the guide says."""

from __future__ import annotations

from pathlib import Path

import pytest
from consoles import ROOT, Command, agrees, commands_in, steady, terminal
from support import program
from write_outputs import PAGES, PASTED


@pytest.mark.parametrize("name", PAGES)
def test_each_block_runs_as_pasted_and_prints_what_the_page_says(name: str, tmp_path: Path) -> None:
    program("node")
    program("curl")
    document = (ROOT / name).read_text(encoding="utf-8")
    # What a comment hides does not help: the reader does not paste it.
    assert "invisible-code" not in document
    with terminal(tmp_path) as shell:
        for command in commands_in(document):
            came = shell.paste(command)
            where = f"{name}:{document.count(chr(10), 0, command.starts)}: {command.text}"
            if command.printed is not None:
                anew = "python tests/docs/write_outputs.py writes them anew"
                assert agrees(command.printed, came), f"{where} ({anew})\n{steady(came)}"
            if name in PASTED:
                assert not shell.failed, f"{where}: {shell.failed}\n{came}"


@pytest.mark.parametrize(("block", "fails"), [("true\n", False), ("false\n", True), ("false\ntrue\n", True)])
def test_a_command_that_fails_is_noticed(tmp_path: Path, block: str, fails: bool) -> None:
    with terminal(tmp_path) as shell:
        shell.paste(Command("sh", block, None, 0, 0))
        assert bool(shell.failed) is fails


def test_what_one_block_sets_the_next_one_has(tmp_path: Path) -> None:
    first, second = Command("sh", "name=Anna\n", None, 0, 0), Command("console", "echo $name\n", "", 0, 0)
    with terminal(tmp_path) as shell:
        shell.paste(first)
        assert shell.paste(second) == "Anna\n"


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
        ("today: 0 would fail.\nend\n", "today: 2 would fail.\n┏━━┓\n│ sandbox │\n└──┘\nend\n", True),
        ("today: 0 would fail.\nend\n", "today: 2 would fail.\nTraceback\nend\n", False),
        ("at 2018-10-28T02:30:00+02:00\n", "at 2018-10-28T02:30:00+02:00\n", True),
        ("at 2018-10-28T02:30:00+02:00\n", "at 2018-10-28T02:31:00+02:00\n", False),
    ],
)
def test_what_agrees(said: str, came: str, alike: bool) -> None:
    assert agrees(said, came) is alike
