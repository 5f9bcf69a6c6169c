"""Entrance: every call of the process by an HTTP library that the shim knows, a bare ``requests.get`` among them.

``exam_compat_libraries`` puts a function of ours before the calls of each library; that of ``requests`` is here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
from requests.adapters import BaseAdapter

import exam_compat_libraries
import exam_compat_uncaught
from compat.config.settings import Configuration, thread_origins_of
from compat.entrances.adapter import ExamStudentsAdapter
from compat.processes import ForkLock
from compat.upstream.base import Upstream
from compat.upstream.connections import leave_in_children
from compat.upstream.responses import begun_mockers
from compat.upstream.senders import SendOptions

__all__ = ["Before", "answering", "get_adapter", "install", "install_at_first_call", "uninstall"]

_GetAdapter = Callable[[requests.Session, str], BaseAdapter]
_MakeAdapter = Callable[[], ExamStudentsAdapter | None]
_lock = ForkLock(threading.RLock)
_installed: ExamStudentsAdapter | None = None
_awaited: _MakeAdapter | None = None


def install(
    legacy_base_url: str | None = None, upstream: Upstream | Configuration | None = None
) -> ExamStudentsAdapter:
    """Let the deprecated calls of every HTTP library of ``exam_compat_libraries`` be answered from an upstream.

    Only a deprecated route of the old endpoint is taken: sessions and clients keep their adapters and transports.
    Libraries that are imported later are covered too. Installing again replaces what was installed before.

    Args:
        legacy_base_url: the old endpoint's base; None to take the configuration's.
        upstream: an upstream or a configuration; None to read the configuration file.

    Returns:
        the adapter that answers.

    Raises:
        ConfigurationError: nothing says which upstream, or which old endpoint.
    """
    if upstream is None:
        # Imported here: whoever passes an upstream reads no file.
        from compat.config.file import load_config

        upstream = load_config()
    adapter = ExamStudentsAdapter(legacy_base_url, upstream)
    _put(adapter, None)
    if thread_origins_of(upstream):
        # Imported here: it brings the pools of threads, which few scripts that import this package need.
        from compat.call_site import note_thread_origins

        note_thread_origins()
    return adapter


def install_at_first_call(make: _MakeAdapter) -> None:
    """As :func:`install`, but what answers is made at the first call of a library.

    Other tools find the libraries wrapped from here on, in the order in which they come; a process that calls nobody
    reads no configuration.

    Args:
        make: gives the adapter, or None where every call is to go out as it was; it raises nothing.
    """
    _put(None, make)


def _put(installed: ExamStudentsAdapter | None, awaited: _MakeAdapter | None) -> None:
    global _installed, _awaited
    with _lock, _followed_by_mockers():
        _installed, _awaited = installed, awaited
        exam_compat_libraries.cover()


def uninstall() -> None:
    """Undo :func:`install`; nothing happens where nothing is installed.

    Another tool may have wrapped a library since: it keeps working, and ours then only passes calls on.
    """
    global _installed, _awaited  # noqa: PLW0603 - what is installed is the process's own state
    with _lock, _followed_by_mockers():
        _installed = _awaited = None
        exam_compat_libraries.uncover()
    from compat.call_site import forget_thread_origins

    forget_thread_origins()
    exam_compat_uncaught.end()


@contextmanager
def _followed_by_mockers() -> Iterator[None]:
    """A mock of ``requests-mock`` that was begun before puts back what it found: let it find the new one."""
    old: Any = requests.Session.get_adapter
    yield
    new: Any = requests.Session.get_adapter
    for mocker in begun_mockers() if new is not old else ():
        if mocker._last_get_adapter is old:
            mocker._last_get_adapter = new


def answering() -> ExamStudentsAdapter | None:
    """What is installed, made now where it was awaited."""
    global _installed, _awaited  # noqa: PLW0603 - what is installed is the process's own state
    if _awaited is not None:
        with _lock:
            if _awaited is not None:
                # In this order: whoever asks meanwhile without the lock finds it awaited, and waits.
                _installed = _awaited()
                _awaited = None
    return _installed


def get_adapter(original: _GetAdapter, self: requests.Session, url: str) -> BaseAdapter:
    """``Session.get_adapter``, which has what is installed asked before what another would have given."""
    found, installed = original(self, url), answering()
    if installed is None or isinstance(found, ExamStudentsAdapter | _Installed) or not installed.covers(url):
        return found
    leave_in_children(found)
    return _Installed(installed, found)


class Before(BaseAdapter):
    """An adapter that stands before another one: what a script reads of it is the other one's."""

    def __init__(self, previous: BaseAdapter) -> None:
        super().__init__()
        self._previous = previous

    def __getattr__(self, name: str) -> Any:
        return getattr(self._previous, name)

    def close(self) -> None:
        """Close the other one."""
        self._previous.close()


class _Installed(Before):
    def __init__(self, installed: ExamStudentsAdapter, previous: BaseAdapter) -> None:
        super().__init__(previous)
        self._installed = installed

    def __setattr__(self, name: str, value: Any) -> None:
        # What a script sets of an adapter has to be there at its next call, when another one of these is made.
        super().__setattr__(name, value) if name.startswith("_") else setattr(self._previous, name, value)

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        return self._installed.send_behind_mocks(self._previous, request, SendOptions(*arguments, **options))
