"""Whatever holds a lock, a thread, a queue or a connection says what becomes of it in a forked process.

Read off the source: an attribute or a global that is one has to be named in a function that is registered with
``compat.processes``, or stand below with the reason why it need not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import compat

PACKAGE = Path(compat.__file__).parent
MAKERS = {
    "threading": {"Lock", "RLock", "Condition", "Event", "Semaphore", "BoundedSemaphore", "Barrier", "Thread", "Timer"},
    "queue": {"Queue", "LifoQueue", "PriorityQueue", "SimpleQueue"},
    "concurrent.futures": {"ThreadPoolExecutor", "ProcessPoolExecutor"},
    "sqlite3": {"connect"},
    "requests": {"Session", "session"},
    "requests.adapters": {"HTTPAdapter"},
    "urllib3": {"PoolManager", "ProxyManager", "HTTPConnectionPool", "HTTPSConnectionPool"},
    "aiohttp": {"ClientSession"},
    "http.client": {"HTTPConnection", "HTTPSConnection"},
    "redis": {"Redis", "ConnectionPool"},
    "socket": {"socket", "create_connection", "socketpair"},
}
MADE = {f"{module}.{name}" for module, of in MAKERS.items() for name in of}
REGISTERING = {"renew_after_fork", "pause_around_fork"}
NEEDS_NONE = {
    "core/reading.py:PageThreads._waiting": "of one reading, which its parent goes on with",
    "core/collected.py:SpillFile._lock": "taken where there is no pread, and so no fork",
    "core/index.py:_Database._connection": "asked under a lock that a fork waits for; of one reading",
    "migration/modes/rules.py:SwitchReader._first": "made with each thread, and asked only while that is there",
    "migration/modes/rules.py:SwitchReader._ended": "likewise",
    "gateway/workers.py:Worker._changed": "of the process that watches the workers, which it spawns",
}
OUTSIDE = ("testing/", "processes.py")
"""A sandbox serves from the process that began it; and what makes all the others new."""


def _called(node: ast.AST, names: dict[str, str]) -> Iterator[str]:
    """The full names of what is called within."""
    for each in ast.walk(node):
        if isinstance(each, ast.Call):
            yield ".".join(reversed(list(_parts(each.func, names))))


def _parts(node: ast.AST, names: dict[str, str]) -> Iterator[str]:
    while isinstance(node, ast.Attribute):
        yield node.attr
        node = node.value
    if isinstance(node, ast.Name):
        yield names.get(node.id, node.id)


def _imported(tree: ast.Module) -> dict[str, str]:
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def _makes(node: ast.AST | None, names: dict[str, str]) -> bool:
    return node is not None and any(called in MADE for called in _called(node, names))


def _renewed(scope: ast.AST) -> set[str]:
    """The names that the registered functions of a class or a module speak of."""
    calls = [node for node in ast.walk(scope) if isinstance(node, ast.Call) and _last(node.func) in REGISTERING]
    registered = {_last(argument) for call in calls for argument in call.args}
    functions = [node for node in ast.walk(scope) if isinstance(node, ast.FunctionDef) and node.name in registered]
    return {_last(node) for function in functions for node in ast.walk(function)} | registered


def _last(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _kept(scope: ast.AST, names: dict[str, str], *, attributes: bool) -> Iterator[str]:
    """The attributes of ``self``, or the globals, that are made to hold something that must not cross a fork."""
    nodes = ast.walk(scope) if attributes else ast.iter_child_nodes(scope)
    for node in nodes:
        if isinstance(node, ast.Assign | ast.AnnAssign) and _makes(node.value, names):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                for each in ast.walk(target):
                    of_self = isinstance(each, ast.Attribute) and _last(each.value) == "self"
                    if of_self or (not attributes and isinstance(each, ast.Name)):
                        yield _last(each)


def unregistered(source: str, name: str) -> set[str]:
    """What a module keeps and does not register, as ``module:Class.attribute``."""
    if not any(module.partition(".")[0] in source for module in MAKERS):
        return set()
    tree = ast.parse(source)
    names = _imported(tree)
    found = {f"{name}:{each}" for each in set(_kept(tree, names, attributes=False)) - _renewed(tree)}
    for scope in ast.walk(tree):
        if isinstance(scope, ast.ClassDef):
            kept = set(_kept(scope, names, attributes=True)) - _renewed(scope)
            found |= {f"{name}:{scope.name}.{each}" for each in kept}
    return found


def test_everything_is_registered() -> None:
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith(OUTSIDE):
            found |= unregistered(path.read_text(encoding="utf-8"), name)
    assert found == set(NEEDS_NONE)


def test_what_is_not_registered_is_found() -> None:
    source = """
import threading
from queue import Queue as Line
from requests import Session

_LOCK = threading.Lock()

class Forgetful:
    def __init__(self):
        self.lock = self.other = threading.RLock()
        self.line: Line = Line()
        self.session = Session()
        renew_after_fork(self.renew)
    def renew(self):
        self.other = threading.RLock()
    def work(self):
        with Session() as own: ...
"""
    assert unregistered(source, "m.py") == {
        "m.py:_LOCK",
        "m.py:Forgetful.lock",
        "m.py:Forgetful.line",
        "m.py:Forgetful.session",
    }


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_property_has_a_lock_of_the_whole_process(path: Path) -> None:
    """Before Python 3.12 the standard library's has one, which a fork would leave held in the child for ever."""
    if path.name != "processes.py":
        text = path.read_text(encoding="utf-8")
        assert "functools.cached_property" not in {*_imported(ast.parse(text)).values()}
        assert "functools.cached_property" not in text
