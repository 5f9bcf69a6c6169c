"""Old scripts as they are: what answers in a process that was started with ``EXAM_COMPAT``, and never in its way.

The border (docs/run.md): an answer of the contract, an error of the contract included, is the script's. Whatever else
goes wrong is ours, and the call goes to the old endpoint as it was: a read always, since asking twice changes nothing;
a write only while nothing was sent, since it is never sent twice.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import requests
from requests.adapters import BaseAdapter

from compat.adapter import ExamStudentsAdapter
from compat.errors import ConfigurationError
from compat.install import install_at_first_call
from compat.legacy.answer import Answer
from compat.legacy.routes import LegacyCall
from compat.shim import Shim
from compat.upstream.transport import CallOptions
from exam_compat_startup import caught, say

__all__ = ["ForgivingAdapter", "begin"]

_READS = ("GET", "HEAD")
_PACKAGE = Path(__file__).parents[1]


def begin() -> None:
    """Let the deprecated calls of this process be answered as the configuration says."""
    install_at_first_call(_configured)


def _configured() -> ExamStudentsAdapter | None:
    try:
        from compat.migration.startup_configuration import startup_configuration

        configuration = startup_configuration()
        if configuration.legacy_base_url is None:
            raise ConfigurationError("[legacy] base_url: needed to know which calls are the old endpoint's")
        return ForgivingAdapter(configuration.legacy_base_url, configuration)
    except Exception as error:  # noqa: BLE001 - whatever it is, the script goes on without the shim
        say(f"{_told(error)}; calls go out as they were")
        return None


class ForgivingAdapter(ExamStudentsAdapter):
    """Answers as its parent does; a failure of ours lets the call go out as it was, and says so once."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._calls = threading.local()
        self._shim = _Noting(self._shim, self._calls)  # type: ignore[assignment]  # it is asked as a shim is

    def send_after(
        self,
        previous: BaseAdapter,
        request: requests.PreparedRequest,
        stream: bool,
        timeout: Any,
        verify: bool | str,
        cert: Any,
        proxies: Mapping[str, str] | None,
    ) -> requests.Response:
        """As the parent's.

        Raises:
            requests.RequestException: as the old call would have; and where a write failed of which something was sent.
            LegacyApiWarning: where a filter makes an error of it.
        """
        told = {"stream": stream, "timeout": timeout, "verify": verify, "cert": cert, "proxies": proxies}
        if not self.takes(request):
            return previous.send(request, **told)
        caught()
        watched = _Watched(previous)
        self._calls.asked = False
        try:
            return super().send_after(watched, request, **told)
        except (requests.RequestException, Warning):
            raise
        except Exception as error:
            if error is watched.raised:
                raise
            if watched.answered is not None:
                say(f"{_told(error)}; the old endpoint had answered, and its answer counts")
                return watched.answered
            if self._calls.asked and (request.method or "").upper() not in _READS:
                text = f"{_told(error)}; it may have been carried out, so it is not sent again"
                raise requests.ConnectionError(f"exam-compat: {text}", request=request) from None
            say(f"{_told(error)}; the call goes out as it was")
        return previous.send(request, **told)

    def takes(self, request: requests.PreparedRequest) -> bool:
        """As the parent's; where that fails, the call goes out as it was."""
        try:
            return super().takes(request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the script goes on without the shim
            say(f"{_told(error)}; the call goes out as it was")
            return False


class _Noting:
    """A shim that notes, for the thread that asks, whether anything was sent upstream for its call."""

    def __init__(self, shim: Shim, calls: threading.local) -> None:
        self._shim = shim
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._shim, name)

    def answer(self, call: LegacyCall, options: CallOptions) -> Answer:
        def attempted(status: int | None) -> None:
            # Writes are sent by the thread that asks.
            self._calls.asked = True
            if told is not None:
                told(status)

        told = options.attempted
        return self._shim.answer(call, replace(options, attempted=attempted))


class _Watched(BaseAdapter):
    """The adapter of the old endpoint, and what came of the call in the thread that waits for it."""

    def __init__(self, previous: BaseAdapter) -> None:
        super().__init__()
        self._previous = previous
        self._thread = threading.get_ident()
        self.answered: requests.Response | None = None
        self.raised: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._previous, name)

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        # A comparison may ask the old endpoint from a thread of its own; nobody waits for that answer.
        waited_for = threading.get_ident() == self._thread
        try:
            answered = self._previous.send(*arguments, **options)
        except Exception as error:
            if waited_for:
                self.raised = error
            raise
        if waited_for:
            self.answered = answered
        return answered

    def close(self) -> None:
        self._previous.close()


def _told(error: Exception) -> str:
    """What failed, in words that hold nobody's data: those of a configuration error, else the kind and the place."""
    if isinstance(error, ConfigurationError):
        return str(error)
    return f"{type(error).__name__}{_place(error.__traceback__)}"


def _place(trace: TracebackType | None) -> str:
    """The innermost line of ours, such as `` at compat/shim.py:120``."""
    found = ""
    while trace is not None:
        path = Path(trace.tb_frame.f_code.co_filename)
        if path.is_relative_to(_PACKAGE):
            found = f" at {path.relative_to(_PACKAGE.parent).as_posix()}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found
