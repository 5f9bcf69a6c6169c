"""The plan of the house: imports go one way, from entrances down to texts, and never in a circle."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import compat

PACKAGE = Path(compat.__file__).parent
LAYERS = (
    ("_version", "errors", "lazy", "processes", "text"),
    ("call_site", "drift", "schemas"),
    ("legacy", "mapping"),
    ("deprecation", "settings_checks"),
    ("upstream",),
    ("config", "core"),
    ("doctor", "stores"),
    ("regression",),
    ("migration",),
    ("entrances",),
    ("",),
    ("gateway", "testing"),
    ("cli",),
    ("__main__",),
)
"""Folders and single files, the lowest first; what stands side by side knows nothing of each other upwards. ``""`` is
the package's own ``__init__``: what it offers is public, so that whatever lies above may take it from there."""
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def modules() -> dict[str, Path]:
    """Every module of the package by its full name."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = ("compat", *path.relative_to(PACKAGE).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(tree: ast.AST, known: dict[str, Path]) -> Iterator[str]:
    """What is imported of the package as a file is loaded: not within functions, nor for type checkers alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name in known)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "compat":
            for each in node.names:
                whole = f"{node.module}.{each.name}"
                yield whole if whole in known else str(node.module)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not _for_type_checkers(node):
            yield from imported(node, known)


def _for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test) and not node.orelse


@pytest.fixture(scope="module")
def arrows() -> dict[str, set[str]]:
    known = modules()
    found: dict[str, set[str]] = defaultdict(set)
    for name, path in known.items():
        found[name] = {each for each in imported(ast.parse(path.read_text(encoding="utf-8")), known) if each != name}
    return found


def test_no_modules_import_each_other_in_a_circle(arrows: dict[str, set[str]]) -> None:
    # What imports nothing of the rest is taken away until nothing is left; a circle is what stays.
    left = {name: set(of) for name, of in arrows.items()}
    while free := [name for name, of in left.items() if not of & left.keys()]:
        for name in free:
            del left[name]
    # A package is loaded before what lies in it, so its own names may lead back to it.
    assert not {name: of & left.keys() for name, of in left.items()}


def test_imports_go_down(arrows: dict[str, set[str]]) -> None:
    upward = set()
    for name, of in arrows.items():
        for each in of:
            here, there = (f"{path}.".split(".")[1] for path in (name, each))
            assert here in LEVEL, f"{here} stands in no layer"
            assert there in LEVEL, f"{there} stands in no layer"
            if here != there and LEVEL[there] >= LEVEL[here]:
                upward.add((name, each))
    assert not upward
