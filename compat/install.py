"""Entrance: every ``requests`` call of the process, a bare ``requests.get`` among them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import requests
from requests.adapters import BaseAdapter

from compat.adapter import ExamStudentsAdapter
from compat.config import Configuration
from compat.errors import ConfigurationError
from compat.upstream.interface import Upstream

__all__ = ["install", "uninstall"]

_GetAdapter = Callable[[requests.Session, str], BaseAdapter]
_lock = threading.Lock()
_installed: ExamStudentsAdapter | None = None
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
    global _installed, _ours, _before  # noqa: PLW0603 - what is installed is the process's own state
    given = _configured() if upstream is None else upstream
    if legacy_base_url is None and isinstance(given, Configuration):
        legacy_base_url = given.legacy_base_url
    if legacy_base_url is None:
        raise ConfigurationError("[legacy] base_url: needed to know which calls are the old endpoint's")
    adapter = ExamStudentsAdapter(legacy_base_url, given)
    with _lock:
        _installed = adapter
        if requests.Session.get_adapter is not _ours:
            _before = requests.Session.get_adapter
            requests.Session.get_adapter = _ours = _asking_first(_before)  # type: ignore[method-assign,assignment]
    return adapter


def uninstall() -> None:
    """Undo :func:`install`; nothing happens where nothing is installed.

    Another tool may have wrapped ``requests`` since: it keeps working, and ours then only passes calls on.
    """
    global _installed, _ours, _before  # noqa: PLW0603 - what is installed is the process's own state
    with _lock:
        _installed = None
        if _before is not None and requests.Session.get_adapter is _ours:
            requests.Session.get_adapter = _before  # type: ignore[method-assign,assignment]
            _ours = _before = None


def _configured() -> Configuration:
    # Imported here: whoever passes an upstream reads no file.
    from compat.config_file import load_config

    return load_config()


def _asking_first(before: _GetAdapter) -> _GetAdapter:
    """A ``Session.get_adapter`` that has what is installed asked before what another would have given."""

    def get_adapter(self: requests.Session, url: str) -> BaseAdapter:
        found, installed = before(self, url), _installed
        if installed is None or isinstance(found, ExamStudentsAdapter | _Installed) or not installed.covers(url):
            return found
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

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        return self._installed.send_after(self._previous, request, stream, timeout, verify, cert, proxies)

    def close(self) -> None:
        self._previous.close()
