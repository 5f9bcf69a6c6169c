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

__all__ = ["LIBRARIES", "PASSING_ON", "Library", "Wrapped", "after_import", "cover", "said", "say", "uncover"]

PASSING_ON: ContextVar[bool] = ContextVar("exam_compat_passing_on", default=False)
"""Whether the shim has a library send by its own means; the tasks that the library begins for that inherit it."""

_PACKAGE = "compat"
said: set[str] = set()
"""What was written to standard error: a service that runs for months repeats nothing."""


def say(text: str) -> None:
    """Write one line to standard error, each text once a process."""
    if text in said or sys.stderr is None:
        return
    said.add(text)
    try:
        sys.stderr.write(f"exam-compat: {' '.join(text.split())}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        # Closed: there is nobody to tell.
        return


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
        self._methods = {path: Wrapped(_standing_before(home, function)) for path, function in calls.items()}

    def __repr__(self) -> str:
        return f"Library({self.name!r})"

    def wrap(self, module: Any) -> bool:
        """Stand before its calls; whether the module has them: a file beside the script may have its name."""
        places = [(path.rpartition("."), method) for path, method in self._methods.items()]
        return all(method.wrap(getattr(module, owner, None), name) for (owner, _, name), method in places)

    def unwrap(self) -> None:
        """Put back what was there."""
        for method in self._methods.values():
            method.unwrap()


class Wrapped:
    """A method of somebody else's that one of ours stands before, for a time.

    Args:
        make: gives ours for the method as it was.
    """

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make
        self._held: tuple[Any, str, Any, Any] | None = None

    def wrap(self, owner: Any, name: str) -> bool:
        """Stand before a method, also where another tool has wrapped ours; whether there is one of that name."""
        found = getattr(owner, name, None)
        if found is not None and (self._held is None or found is not self._held[-1]):
            self._held = owner, name, found, self._make(found)
            setattr(owner, name, self._held[-1])
        return found is not None

    def unwrap(self) -> None:
        """Put back what was there. Where another tool has wrapped ours since, both stay, and ours only passes on."""
        if self._held is not None:
            owner, name, before, ours = self._held
            if getattr(owner, name) is ours:
                setattr(owner, name, before)
                self._held = None


def _standing_before(home: str, function: str) -> Callable[[Any], Any]:
    """What makes a method that has ours asked, which is loaded when it is first called."""

    def make(original: Any) -> Any:
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

    return make


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

_after: dict[str, Callable[[Any], object]] = {}
_prepare: Callable[[], object] | None = None
_due = False
"""Whether a library is there for which the shim begins at its import."""


def cover(prepare: Callable[[], object] | None = None) -> None:
    """Stand before the calls of every library: now, or once it is imported.

    Args:
        prepare: begins the shim, which it may be asked for again; None where it has begun.
    """
    global _prepare  # noqa: PLW0603 - what stands before a library is the process's own state
    _prepare = prepare or _prepare
    # A script may ask for the package first, which asks for requests itself: the shim then begins behind it.
    _after[_PACKAGE] = lambda _: _begin_if_due()
    for library in LIBRARIES:
        after_import(library.module, _coverer(library))


def uncover() -> None:
    """Undo :func:`cover`."""
    global _prepare, _due
    _prepare, _due = None, False
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    for library in LIBRARIES:
        library.unwrap()


def after_import(name: str, call: Callable[[Any], object]) -> None:
    """Call a function with a module: now, or once it is imported and its own code has run."""
    _after[name] = call
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    if name in sys.modules:
        call(sys.modules[name])


def _coverer(library: Library) -> Callable[[Any], object]:
    def imported(module: Any) -> None:
        global _due  # noqa: PLW0603 - as above
        if library.wrap(module) and library.at_import:
            _due = True
        package = sys.modules.get(_PACKAGE)
        if not getattr(getattr(package, "__spec__", None), "_initializing", False):
            _begin_if_due()

    return imported


def _begin_if_due() -> None:
    if _due and _prepare is not None:
        _prepare()


def _loaded(home: str, function: str) -> Any:
    """A function of ours; where the package cannot be loaded, one that calls the method as it was."""
    try:
        __import__(home)
        return getattr(sys.modules[home], function)
    except Exception as error:  # noqa: BLE001 - whatever it is, the script goes on without the shim
        say(f"the shim cannot be loaded ({type(error).__name__}: {error}); calls go out as they were")
        return lambda original, *args, **kwargs: original(*args, **kwargs)


class _AfterImports:
    """A finder that finds nothing by itself: it watches what the others find of the modules that are waited for."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        """What the other finders find, where it is waited for."""
        if name not in _after:
            return None
        others = [finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec")]
        found = (finder.find_spec(name, path, target) for finder in others)
        spec = next((each for each in found if each is not None), None)
        return None if spec is None else _watched(spec)


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
                _after[spec.name](module)

    try:
        loader.exec_module = exec_module
    except AttributeError:
        say(f"{spec.name} comes from a loader that cannot be watched; calls go out as they were")
    return spec
