"""The reasons for which a rewrite leaves a place, read off the code that gives them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from compat.mapping.tables import markdown_table
from compat.migration.scan import RULES

PAGE = Path(__file__).parents[2] / "docs" / "scan-and-migrate.md"
MIGRATION = Path(__file__).parents[2] / "compat" / "migration"
SOURCES = (MIGRATION / "codemod", MIGRATION / "program")


def reasons() -> dict[str, str]:
    """Reason to what to do by hand, each part that depends on the script as an ellipsis."""
    found: dict[str, str] = {}
    paths = sorted(path for folder in SOURCES for path in folder.glob("*.py"))
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            node.targets[0].id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        }
        found.update(_in_module(tree, constants))
    return dict(sorted(found.items()))


def _in_module(tree: ast.Module, constants: dict[str, str]) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Unsure":
            by_hand = node.args[1]
            told = constants[by_hand.id] if isinstance(by_hand, ast.Name) else _text(by_hand)
            yield _text(node.args[0]), told


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) if isinstance(part, ast.Constant) else "…" for part in node.values)
    raise AssertionError(f"a reason that is not written out: {ast.unparse(node)}")


def tables() -> dict[str, str]:
    """The generated tables of docs/scan-and-migrate.md, by their names."""
    rules = [(f"`{rule.id}`", rule.title, rule.instead, rule.level) for rule in RULES.values()]
    return {
        "rules": markdown_table(("rule", "finds", "use instead", "level"), rules),
        "refusals": markdown_table(("why", "what to do"), list(reasons().items())),
    }


def written_anew(page: str) -> str:
    """The page with its tables as the code has them."""
    for name, table in tables().items():
        begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}\n{table}\n{end}{rest.partition(end)[2]}"
    return page


if __name__ == "__main__":
    PAGE.write_text(written_anew(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
