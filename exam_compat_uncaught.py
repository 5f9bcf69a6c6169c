"""Tells of calls of the old endpoint that the shim does not catch, in one line for each line of a script.

Python tells an audit hook of every name that is resolved and of every connection that is opened, whichever library does
it. A hook is told of much else too, and can never be removed. So it is added when sockets are first imported, looks at
the event's name first, and does nothing any more once it was ended.

This lies beside the package and imports nothing of it: a script that calls by ``http.client`` shall not wait for
``requests``. All that is taken of the configuration here is the old endpoint's host, which is compared and never shown.
So whoever could have written the file has nothing of it, and it is not judged.
"""

from __future__ import annotations

import atexit
import os
import sys
from _thread import _local

import exam_compat_libraries
from exam_compat_libraries import say

TYPE_CHECKING = False
if TYPE_CHECKING:  # as in typing, whose import would cost more than all of this module
    from collections.abc import Callable, Iterable, Iterator
    from types import FrameType
    from typing import Any

__all__ = ["RUN_VARIABLE", "UNCAUGHT", "LegacyHost", "caught", "end", "kind_of", "watch", "watch_run"]

RUN_VARIABLE = "EXAM_COMPAT_RUN"
"""What ``exam-compat run`` hands on: the id of the script's process, a colon, the file that :func:`caught` removes."""

_RESOLVING = ("socket.getaddrinfo", "socket.gethostbyname")
_EVENTS = frozenset((*_RESOLVING, "socket.connect"))
_PORTS = {"http": 80, "https": 443}
_LARGEST = 1 << 20
"""Characters that are read of a configuration."""
_MOST = 50
"""Lines of scripts that are told of: code made at run time would add some for ever."""
_CAUGHT = tuple(library.name for library in exam_compat_libraries.LIBRARIES)
_KNOWN = (
    *("aiohttp", "anyio", "asyncio", "http.client", "httplib2", "httpx", "niquests", "pycurl", "requests", "socket"),
    *("tornado", "treq", "trio", "urllib", "urllib3", "websockets", "xmlrpc"),
)
"""What a line of ours calls a library; of several, the one that the script calls is named."""

UNCAUGHT = (
    "no deprecated call was caught. Only calls that Python makes by "
    f"{', '.join(_CAUGHT)} are seen here; "
    "for every other library, program and language there is the gateway: exam-compat serve"
)
_still_uncaught: str | None = None
_watching = False
_listening = False
_host: LegacyHost | None = None
_told: dict[object, object] = {}
_here = _local()


def watch_run() -> None:
    """Where this process is one of a run, say at its end that nothing was caught."""
    global _still_uncaught  # noqa: PLW0603 - one run a process
    process, _, path = os.environ.get(RUN_VARIABLE, "").partition(":")
    if not path:
        return
    _still_uncaught = path
    if process == str(os.getpid()):
        atexit.register(_say_if_uncaught, os.getpid(), path)


def caught() -> None:
    """Note that a deprecated call was seen, in whichever process of the run."""
    global _still_uncaught
    if _still_uncaught is not None:
        path, _still_uncaught = _still_uncaught, None
        _remove(path)


def _say_if_uncaught(process: int, path: str) -> None:
    # A forked child that ends like a script runs this too. What was said already tells why nothing was caught.
    if os.getpid() == process and _remove(path) and not exam_compat_libraries.said:
        say(UNCAUGHT)


def _remove(path: str) -> bool:
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


def watch() -> None:
    """Tell from now on of each line that reaches the old endpoint past the shim."""
    global _watching  # noqa: PLW0603 - an audit hook is the process's own, and so is what it knows
    if sys.flags.isolated or sys.flags.ignore_environment:
        return
    _watching = True
    exam_compat_libraries.after_import("socket", lambda _: _listen())
    # It connects where Python does not see it.
    exam_compat_libraries.after_import("pycurl", lambda module: _without_failing(_stand_before_curl, module))


def end() -> None:
    """Tell of nothing any more, for the rest of the process."""
    global _watching  # noqa: PLW0603 - as above
    _watching = False


def _listen() -> None:
    global _listening  # noqa: PLW0603 - as above
    if not _listening:
        _listening = True
        sys.addaudithook(_hook)


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    # It runs for every file that is opened, every module that is imported, every id() that is taken.
    if event in _EVENTS and _watching:
        _without_failing(_look, event, arguments)


def _without_failing(look: Callable[..., object], *arguments: Any) -> None:
    """Look at what a script does; nothing that goes wrong here is the script's."""
    if getattr(_here, "looking", False):
        # What is written to standard error may go through a socket itself.
        return
    _here.looking = True
    try:
        look(*arguments)
    except Exception:  # noqa: BLE001, S110 - an error would stop the call that is only looked at
        pass
    finally:
        _here.looking = False


class LegacyHost:
    """Where the old endpoint listens.

    Args:
        base_url: of the old endpoint.

    Raises:
        ValueError: it is no URL of http or https.
    """

    def __init__(self, base_url: str) -> None:
        from urllib.parse import urlsplit

        parts = urlsplit(base_url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("no URL of http or https")
        self._name = _usual(parts.hostname)
        self._port = parts.port or _PORTS[parts.scheme]
        # Everybody asks for the address of localhost, or of an address, whatever listens there.
        is_address = ":" in self._name or self._name.replace(".", "").isdigit()
        self._is_its_own = self._name != "localhost" and not is_address

    def is_asked_for(self, host: object, port: object = None) -> bool:
        """Whether somebody who looks up that name, perhaps with a port, looks for the old endpoint."""
        if not port:
            return self._is_its_own and self.has_name(host)
        number = _PORTS.get(port, port) if isinstance(port, str) else port
        return str(number) == str(self._port) and self.has_name(host)

    def has_name(self, host: object) -> bool:
        """Whether that is how its URL, or another spelling of it, names the host."""
        if isinstance(host, bytes | bytearray):
            host = host.decode("latin-1")
        return isinstance(host, str) and _usual(host) == self._name


def _usual(host: str) -> str:
    host = host.strip("[]").rstrip(".").lower()
    if not host.isascii():
        return host.encode("idna").decode("ascii")
    if ":" in host:
        from ipaddress import ip_address

        return ip_address(host.partition("%")[0]).compressed
    return host


def _configured_host() -> LegacyHost | None:
    """The old endpoint's host, or None where no configuration names one; then nothing is told of."""
    global _host  # noqa: PLW0603 - as above
    if _host is None:
        try:
            _host = LegacyHost(_base_url())
        except Exception:  # noqa: BLE001 - what is wrong with a configuration is said where the shim needs it
            end()
    return _host


def _base_url() -> str:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    path = os.environ.get("EXAM_COMPAT_CONFIG")
    if not path:
        if os.name == "nt" or getattr(sys.flags, "safe_path", False):
            raise ValueError("no configuration is named")
        path = os.path.join(os.environ.get("EXAM_COMPAT_DIRECTORY", ""), "exam-compat.toml")
    # Opening a pipe would wait for whoever writes to it, and so would reading from one.
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), encoding="utf-8") as file:
        value = tomllib.loads(file.read(_LARGEST))["legacy"]["base_url"]
    return os.environ[value[4:]] if value.startswith("env:") else str(value)


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        address = arguments[1]
        wanted = address[:2] if isinstance(address, tuple) else ()
    else:
        wanted = arguments[:2]
    # A library that we have send may connect in a task of its own, where no frame is ours.
    host = _configured_host() if wanted and not exam_compat_libraries.PASSING_ON.get() else None
    if host is None or not host.is_asked_for(*wanted):
        return
    stack = list(_outwards(sys._getframe(3)))
    found = _Passed.of(stack)
    if found is not None and found.line is None:
        # A task of asyncio, or a thread. What a pool looks up for somebody does not tell for whom.
        by_nobody = _running_loop() is not None or (event in _RESOLVING and _is_lookup_alone(stack, found))
        found = _Passed.among(_waiting(), host) or (None if by_nobody else found)
    if found is not None:
        _tell(found)


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


class _Passed:
    """A way from a script to a socket that the shim has no part in.

    Attributes:
        line: the script's own, as path and number; None where no code of the script is on the way.
        library: what the script calls there.
    """

    def __init__(self, line: str | None, library: str) -> None:
        self.line = line
        self.library = library

    @classmethod
    def of(cls, frames: Iterable[FrameType], default: str = "socket") -> _Passed | None:
        """What frames show, the innermost first; None where one of them is ours, which passes a call on."""
        line: str | None = None
        known, installed = "", ""
        for frame in frames:
            name = frame.f_code.co_filename
            kind = kind_of(name)
            if kind == "ours":
                return None
            if line is not None:
                continue
            if kind == "user":
                line = f"{name}:{frame.f_lineno}"
                continue
            package, _, module = str(frame.f_globals.get("__name__", "")).partition(".")
            library = "http.client" if (package, module) == ("http", "client") else package
            known = library if library in _KNOWN else known
            installed = library if kind == "installed" else installed
        return cls(line, known or installed or default)

    @classmethod
    def among(cls, ways: Iterable[list[FrameType]], host: LegacyHost) -> _Passed | None:
        """The first way to that host that is not ours, of the ways of all tasks; None where there is none."""
        for way in ways:
            found = cls.of(way)
            if found is not None and found.line is not None and any(_names(frame, host) for frame in way):
                return found
        return None


def _names(frame: FrameType, host: LegacyHost) -> bool:
    return any(host.has_name(value) for value in list(frame.f_locals.values()) if type(value) in (str, bytes))


def _running_loop() -> Any:
    events = sys.modules.get("asyncio.events")
    return None if events is None else events._get_running_loop()


def _is_lookup_alone(stack: list[FrameType], found: _Passed) -> bool:
    connects = any(frame.f_code.co_name == "create_connection" for frame in stack)
    return not connects and (found.library == "socket" or found.library not in _KNOWN)


def _waiting() -> Iterator[list[FrameType]]:
    """The frames of each task of each loop, the innermost first.

    A task that waits has no stack: its coroutine tells what it waits for, and that one in turn. Of one that runs in
    another thread, and has just handed a pool what it will wait for, the thread tells.
    """
    running = _running_loop()
    for loop, stack in [(running, [])] if running is not None else list(_loops()):
        if stack:
            yield stack
        for task in sys.modules["asyncio.tasks"].all_tasks(loop):
            way: list[FrameType] = []
            waits: Any = task.get_coro()
            while (frame := getattr(waits, "cr_frame", None) or getattr(waits, "gi_frame", None)) is not None:
                way.insert(0, frame)
                waits = getattr(waits, "cr_await", None) or getattr(waits, "gi_yieldfrom", None)
            yield way


def _loops() -> Iterator[tuple[Any, list[FrameType]]]:
    """The loops of all threads, each with the frames of what it runs, the innermost first."""
    events = sys.modules.get("asyncio.events")
    if events is None:
        return
    for innermost in sys._current_frames().values():
        stack: list[FrameType] = []
        for frame in _outwards(innermost):
            loop = frame.f_locals.get("self") if frame.f_code.co_name == "run_forever" else None
            if isinstance(loop, events.AbstractEventLoop):
                yield loop, stack
                break
            stack.append(frame)


def _tell(passed: _Passed) -> None:
    line = passed.line or _thread_origin()
    mark = object()
    # Of two threads at the same line, one finds its own mark.
    if len(_told) >= _MOST or _told.setdefault(line or passed.library, mark) is not mark:
        return
    if passed.library in _CAUGHT:
        way = "in a way that is not caught (docs/run.md): let exam-compat migrate rewrite it,"
    else:
        way = f"which is not caught (docs/run.md): send it by {', '.join(_CAUGHT[:-1])} or {_CAUGHT[-1]},"
    say(
        f"{line or 'a thread'} reaches the old endpoint's host by {passed.library}, {way} or let the gateway answer it "
        "(exam-compat serve); deprecated calls go out as they were"
    )


def _thread_origin() -> str | None:
    """The line that handed a thread its work, where the shim has begun and notes such lines."""
    call_site = sys.modules.get("compat.call_site")
    origin = call_site.thread_origin(sys._getframe(1)) if call_site is not None else None
    return None if origin is None else f"{origin.filename}:{origin.line}"


def _stand_before_curl(module: Any) -> None:
    """Have handles of ``pycurl`` tell their URL: libcurl resolves and connects by itself."""

    class Curl(module.Curl):  # type: ignore[misc]  # known where it is imported
        def setopt(self, *arguments: Any) -> Any:
            if _watching and arguments[:1] == (module.URL,):
                _without_failing(_look_at_url, *arguments[1:])
            return super().setopt(*arguments)

    Curl.__module__, Curl.__qualname__, Curl.__doc__ = module.__name__, "Curl", module.Curl.__doc__
    module.Curl = Curl


def _look_at_url(url: str | bytes) -> None:
    from urllib.parse import urlsplit

    text = url.decode() if isinstance(url, bytes) else url
    parts = urlsplit(text if "://" in text else f"http://{text}")
    host = _configured_host()
    if host is not None and host.is_asked_for(parts.hostname or "", parts.port or _PORTS.get(parts.scheme)):
        found = _Passed.of(_outwards(sys._getframe(3)), "pycurl")
        if found is not None:
            _tell(found)


_BESIDE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_OURS = (f"{_BESIDE}compat{os.sep}", f"{_BESIDE}exam_compat_")
_EXAMPLE = os.path.join(_BESIDE, "compat", "cli", "legacy_report.py")
"""The one script that is shipped with the package: it is a user's in all but its place."""
_PACKAGES = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))
_folders: tuple[tuple[str, ...], tuple[str, ...]] | None = None


def kind_of(filename: str) -> str:
    """Whose code a file holds: ``ours``, an ``installed`` package's, the ``standard`` library's or the ``user``'s."""
    global _folders  # noqa: PLW0603 - found once, and not while Python starts
    if filename.startswith(_OURS):
        return "user" if filename == _EXAMPLE else "ours"
    _folders = _folders or _library_folders()
    installed, standard = _folders
    if filename.startswith(installed) or any(part in filename for part in _PACKAGES):
        return "installed"
    return "standard" if filename.startswith((*standard, "<frozen ")) else "user"


def _library_folders() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The folders of installed packages, where a script is the generated start of a command, and of the library."""
    from sysconfig import get_path

    installed, standard = (
        tuple({path.rstrip(os.sep) + os.sep for path in map(get_path, names) if path})
        for names in (("purelib", "platlib", "scripts"), ("stdlib", "platstdlib"))
    )
    return installed, standard
