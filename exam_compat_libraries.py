"""The HTTP libraries whose calls the shim answers, one row each, and what puts it before their calls.

A library that is imported is met at once, and another one when it is imported. Nothing is imported for that: a script
pays for the libraries that it asks for itself. This lies beside the package and imports nothing of it, since start-up
code reads it: importing ``compat`` brings ``requests``.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:  # as in typing, whose import would cost more than all of this module
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

__all__ = ["LIBRARIES", "PASSING_ON", "Library", "cover", "uncover"]

PASSING_ON: ContextVar[bool] = ContextVar("exam_compat_passing_on", default=False)
"""Whether the shim has a library send by its own means; the tasks that the library begins for that inherit it."""

_PACKAGE = "compat"


class Library:
    """A library, and how the shim comes before its calls.

    Args:
        name: what its users call it.
        module: the module whose import brings what is replaced.
        home: the module of ours that answers its calls.
        calls: method of the library, such as ``Session.get_adapter``, to the function of ``home`` in its place; that is
            given the method as it was, and then what the method is given.
        at_import: whether the shim begins when the library is imported, so that threads that begin later are noted;
            else at the first call, for what most programs import without calling it.
    """

    def __init__(self, name: str, module: str, home: str, calls: dict[str, str], *, at_import: bool = True) -> None:
        self.name = name
        self.module = module
        self.at_import = at_import
        self._methods = [_Method(home, path, function) for path, function in calls.items()]

    def __repr__(self) -> str:
        return f"Library({self.name!r})"

    def wrap(self, module: ModuleType) -> bool:
        """Stand before its calls; whether the module has them: a file beside the script may have its name."""
        return all(method.wrap(module) for method in self._methods)

    def unwrap(self) -> None:
        """Put back what was there."""
        for method in self._methods:
            method.unwrap()


class _Method:
    """A method of a library that ours stands before."""

    def __init__(self, home: str, path: str, function: str) -> None:
        self._home, self._function = home, function
        self._owner, _, self._name = path.rpartition(".")
        self._wrapped: tuple[Any, Any, Any] | None = None

    def wrap(self, module: ModuleType) -> bool:
        owner = getattr(module, self._owner, None)
        found = getattr(owner, self._name, None)
        if found is None:
            return False
        if self._wrapped is None or found is not self._wrapped[2]:
            ours = _standing_before(found, self._home, self._function)
            self._wrapped = owner, found, ours
            setattr(owner, self._name, ours)
        return True

    def unwrap(self) -> None:
        # Another tool may have wrapped it since: it keeps working, and ours then only passes calls on.
        if self._wrapped is not None:
            owner, before, ours = self._wrapped
            if getattr(owner, self._name) is ours:
                setattr(owner, self._name, before)
                self._wrapped = None


LIBRARIES = (
    Library("requests", "requests", "compat.entrances.install", {"Session.get_adapter": "get_adapter"}),
    Library(
        "httpx",
        "httpx",
        "compat.entrances.httpx_transports",
        {
            "HTTPTransport.handle_request": "handle_request",
            "AsyncHTTPTransport.handle_async_request": "handle_async_request",
        },
    ),
    Library(
        "urllib",
        "urllib.request",
        "compat.entrances.urllib_handlers",
        {"AbstractHTTPHandler.do_open": "do_open"},
        at_import=False,
    ),
    Library("aiohttp", "aiohttp", "compat.entrances.aiohttp_middlewares", {"ClientSession._request": "request"}),
)

_by_module = {library.module: library for library in LIBRARIES}
_prepare: Callable[[], object] | None = None
_say: Callable[[str], object] | None = None
_due = False
"""Whether a library is there for which the shim begins at its import."""


def cover(say: Callable[[str], object], prepare: Callable[[], object] | None = None) -> None:
    """Stand before the calls of every library: now, or once it is imported.

    Args:
        say: writes a line to standard error.
        prepare: begins the shim, which it may be asked for again; None where it has begun.
    """
    global _prepare, _say  # noqa: PLW0603 - what stands before a library is the process's own state
    _say = say
    _prepare = prepare or _prepare
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    for name in _by_module:
        if name in sys.modules:
            _imported(name)


def uncover() -> None:
    """Undo :func:`cover`."""
    global _prepare, _due
    _prepare, _due = None, False
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    for library in LIBRARIES:
        library.unwrap()


def _standing_before(original: Any, home: str, function: str) -> Any:
    """A method that has ours asked, which is loaded when it is first called."""
    ours: Any = None

    def method(*args: Any, **kwargs: Any) -> Any:
        nonlocal ours
        if _prepare is not None:
            _prepare()
        if ours is None:
            ours = _loaded(home, function)
        return ours(original, *args, **kwargs)

    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(method, name, getattr(original, name, None))
    method.__wrapped__ = original  # type: ignore[attr-defined]  # what inspect looks for
    return method


def _loaded(home: str, function: str) -> Any:
    """A function of ours; where the package cannot be loaded, one that calls the method as it was."""
    try:
        __import__(home)
        return getattr(sys.modules[home], function)
    except Exception as error:  # noqa: BLE001 - whatever it is, the script goes on without the shim
        if _say is not None:
            _say(f"the shim cannot be loaded ({type(error).__name__}: {error}); calls go out as they were")
        return lambda original, *args, **kwargs: original(*args, **kwargs)


def _imported(name: str) -> None:
    """Stand before the calls of a library whose module was executed, and begin where that is due.

    A script may ask for ``compat`` first, which asks for ``requests`` itself: the shim then begins behind ``compat``.
    """
    global _due  # noqa: PLW0603 - as above
    library = _by_module.get(name)
    if library is not None and library.wrap(sys.modules[name]) and library.at_import:
        _due = True
    if _due and _prepare is not None and (name == _PACKAGE or not _on_its_way(sys.modules.get(_PACKAGE))):
        _prepare()


def _on_its_way(module: ModuleType | None) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


class _AfterImports:
    """A finder that finds nothing by itself: it tells of the libraries that another finder's loader executes."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        """What the other finders find, watched where it is a library or this package."""
        if name not in _by_module and name != _PACKAGE:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                return _watched(spec)
        return None


_finder: Any = _AfterImports()


def _watched(spec: ModuleSpec) -> ModuleSpec:
    """Tell when the module's own code has run; its loader stays the one that it is."""
    loader: Any = spec.loader
    execute: Callable[[ModuleType], None] | None = getattr(loader, "exec_module", None)
    if execute is None:
        return spec

    def exec_module(module: ModuleType) -> None:
        execute(module)
        if getattr(module, "__name__", None) == spec.name:
            vars(loader).pop("exec_module", None)
            if _finder in sys.meta_path:
                _imported(spec.name)

    try:
        loader.exec_module = exec_module
    except AttributeError:
        if _say is not None:
            _say(f"{spec.name} comes from a loader that cannot be watched; calls go out as they were")
    return spec
