"""Entrance: every ``requests`` call of the process, a bare ``requests.get`` among them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import BaseAdapter

from compat.config.settings import Configuration, thread_origins_of
from compat.entrances.adapter import ExamStudentsAdapter
from compat.errors import ConfigurationError
from compat.processes import ForkLock
from compat.upstream.base import Upstream
from compat.upstream.connections import leave_in_children
from compat.upstream.responses import begun_mockers
from compat.upstream.senders import SendOptions

__all__ = ["install", "install_at_first_call", "uninstall"]

_GetAdapter = Callable[[requests.Session, str], BaseAdapter]
_MakeAdapter = Callable[[], ExamStudentsAdapter | None]
_lock = ForkLock(threading.RLock)
_installed: ExamStudentsAdapter | None = None
_awaited: _MakeAdapter | None = None
_ours: _GetAdapter | None = None
_before: _GetAdapter | None = None


def install(
    legacy_base_url: str | None = None, upstream: Upstream | Configuration | None = None
) -> ExamStudentsAdapter:
    """Let the deprecated calls of every ``requests`` session be answered from an upstream.

    Sessions keep their adapters: only a deprecated route of the old endpoint is taken from them. Installing again
    replaces what was installed before.

    Args:
        legacy_base_url: the old endpoint's base; None to take the configuration's.
        upstream: an upstream or a configuration; None to read the configuration file.

    Returns:
        the adapter that answers.

    Raises:
        ConfigurationError: nothing says which upstream, or which old endpoint.
    """
    global _installed, _awaited
    given = _configured() if upstream is None else upstream
    if legacy_base_url is None and isinstance(given, Configuration):
        legacy_base_url = given.legacy_base_url
    if legacy_base_url is None:
        raise ConfigurationError("[legacy] base_url: needed to know which calls are the old endpoint's")
    adapter = ExamStudentsAdapter(legacy_base_url, given)
    with _lock:
        _installed, _awaited = adapter, None
        _be_asked_first()
    if thread_origins_of(given):
        # Imported here: it brings the pools of threads, which few scripts that import this package need.
        from compat.call_site import note_thread_origins

        note_thread_origins()
    return adapter


def install_at_first_call(make: _MakeAdapter) -> None:
    """As :func:`install`, but what answers is made when a session is first asked for an adapter.

    Other tools find ``requests`` wrapped from here on, in the order in which they come; a process that calls nobody
    reads no configuration.

    Args:
        make: gives the adapter, or None where every call is to go out as it was; it raises nothing.
    """
    global _installed, _awaited
    with _lock:
        _installed, _awaited = None, make
        _be_asked_first()


def uninstall() -> None:
    """Undo :func:`install`; nothing happens where nothing is installed.

    Another tool may have wrapped ``requests`` since: it keeps working, and ours then only passes calls on.
    """
    global _installed, _awaited, _ours, _before  # noqa: PLW0603 - what is installed is the process's own state
    with _lock:
        _installed = _awaited = None
        if _before is not None and requests.Session.get_adapter is _ours:
            requests.Session.get_adapter = _before  # type: ignore[method-assign,assignment]
            _hand_to_mockers(_ours, _before)
            _ours = _before = None
    from compat.call_site import forget_thread_origins
    from compat.deprecation import notices

    forget_thread_origins()
    if notices.ended is not None:
        notices.ended()


def _configured() -> Configuration:
    # Imported here: whoever passes an upstream reads no file.
    from compat.config.file import load_config

    return load_config()


def _be_asked_first() -> None:
    global _ours, _before  # noqa: PLW0603 - what is installed is the process's own state
    if requests.Session.get_adapter is not _ours:
        _before = requests.Session.get_adapter
        requests.Session.get_adapter = _ours = _asking_first(_before)  # type: ignore[method-assign,assignment]
        _hand_to_mockers(_before, _ours)


def _hand_to_mockers(old: _GetAdapter, new: _GetAdapter) -> None:
    """A mock of ``requests-mock`` that was begun before puts back what it found: let it find the new one."""
    for mocker in begun_mockers():
        if mocker._last_get_adapter is old:
            mocker._last_get_adapter = new


def _answering() -> ExamStudentsAdapter | None:
    """What is installed, made now where it was awaited."""
    global _installed, _awaited  # noqa: PLW0603 - what is installed is the process's own state
    if _awaited is not None:
        with _lock:
            if _awaited is not None:
                # In this order: whoever asks meanwhile without the lock finds it awaited, and waits.
                _installed = _awaited()
                _awaited = None
    return _installed


def _asking_first(before: _GetAdapter) -> _GetAdapter:
    """A ``Session.get_adapter`` that has what is installed asked before what another would have given."""

    def get_adapter(self: requests.Session, url: str) -> BaseAdapter:
        found, installed = before(self, url), _answering()
        if installed is None or isinstance(found, ExamStudentsAdapter | _Installed) or not installed.covers(url):
            return found
        leave_in_children(found)
        return _Installed(installed, found)

    return get_adapter


class _Installed(BaseAdapter):
    """The installed adapter before the one that a session would have used."""

    def __init__(self, installed: ExamStudentsAdapter, previous: BaseAdapter) -> None:
        super().__init__()
        self._installed = installed
        self._previous = previous

    def __getattr__(self, name: str) -> Any:
        return getattr(self._previous, name)

    def __setattr__(self, name: str, value: Any) -> None:
        # What a script sets of an adapter has to be there at its next call, when another one of these is made.
        super().__setattr__(name, value) if name.startswith("_") else setattr(self._previous, name, value)

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        return self._installed.send_behind_mocks(self._previous, request, SendOptions(*arguments, **options))

    def close(self) -> None:
        self._previous.close()
