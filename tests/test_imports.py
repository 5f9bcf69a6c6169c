"""What importing the package brings, and that names which come on first use are names like any other."""

from __future__ import annotations

import ast
import importlib
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import compat
import compat.mapping
import compat.mapping.fast
import compat.regression
import compat.upstream
from compat.mapping import Loss, Remainder

# Each of these is for some calls, some upstreams or some commands alone.
HEAVY = (
    "asyncio",
    "click",
    "compat.mapping.lens",
    "compat.schemas",
    "compat.upstream.paginated_sessions",
    "concurrent.futures",
    "hypothesis",
    "marshmallow",
    "multipart",
    "oauthlib",
    "packaging",
    "rich",
    "sqlite3",
    "tenacity",
    "tomllib",
)
PACKAGES = (compat, compat.mapping, compat.mapping.fast, compat.regression, compat.upstream)


def run(code: str) -> str:
    """What a process of its own prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def declared_for_type_checkers(package: object) -> list[tuple[str, str]]:
    """The module and the name of each import that only type checkers see."""
    tree = ast.parse(Path(str(package.__file__)).read_text(encoding="utf-8"))  # type: ignore[attr-defined]
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    return [
        (str(node.module), alias.name)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    ]


@pytest.mark.parametrize("module", HEAVY)
def test_a_heavy_module_can_be_imported_at_all(module: str) -> None:
    """Else the next test could not fail for it."""
    if module == "tomllib" and sys.version_info < (3, 11):
        module = "tomli"
    assert importlib.import_module(module)


def test_importing_the_package_leaves_heavy_modules_out() -> None:
    brought = run("import sys, compat; print(*sys.modules)").split()
    assert "compat.entrances.adapter" in brought
    assert not [name for name in brought if name in HEAVY]


def test_student_sessions_are_mounted_without_the_other_upstream() -> None:
    brought = run(
        "import sys, requests, compat\n"
        "upstream = compat.StudentSessions('https://new.example', api_token='a', secret_key='b')\n"
        "compat.mount(requests.Session(), 'https://old.example', upstream)\n"
        "print(*sys.modules)"
    ).split()
    assert "compat.schemas" in brought
    assert not {"compat.mapping.lens", "compat.upstream.paginated_sessions", "oauthlib"} & {*brought}


@pytest.mark.parametrize("name", compat.__all__)
def test_a_public_name_is_there_in_a_fresh_process(name: str) -> None:
    assert run(f"import compat; assert {name!r} in dir(compat); compat.{name}; print('there')") == "there\n"


def test_all_names_can_be_had_at_once() -> None:
    assert run("from compat import *; print(SessionLens.__name__, load_config.__name__)") == "SessionLens load_config\n"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_type_checkers_read_what_comes_on_first_use(package: object) -> None:
    declared = declared_for_type_checkers(package)
    assert declared
    for module, name in declared:
        assert getattr(package, name) is getattr(importlib.import_module(module), name)
        assert name in package.__all__  # type: ignore[attr-defined]
    for name in package.__all__:  # type: ignore[attr-defined]
        assert getattr(package, name) is not None


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_a_name_that_there_is_not(package: object) -> None:
    with pytest.raises(AttributeError, match=r"^module 'compat[a-z.]*' has no attribute 'StudentSession'$"):
        package.StudentSession  # type: ignore[attr-defined]  # noqa: B018 - looking it up is what is tested


@pytest.mark.parametrize("value", [Loss("name", "the value"), Remainder(absent=("toolId",))], ids=["loss", "remainder"])
def test_what_was_pickled_is_read_where_nothing_is_imported_yet(value: object) -> None:
    assert run(f"import pickle; print(pickle.loads({pickle.dumps(value)!r}))") == f"{value}\n"
