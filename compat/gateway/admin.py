"""What operators ask the gateway, on an address of its own: health, readiness, numbers, the interface, and a report."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from http import HTTPStatus
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import msgspec

from compat.config.settings import Configuration
from compat.errors import CompatError
from compat.gateway.metrics import UpstreamSeen
from compat.gateway.passing import environment_of
from compat.gateway.workers import ANSWERING, OK
from compat.processes import renew_after_fork
from compat.stores import Store
from compat.upstream.failures import address_of, certificate_at, connection_failure, renewal_due

if TYPE_CHECKING:
    from compat.regression.evidence.headline import CallerLeft
    from compat.regression.evidence.verdict import Judgement

__all__ = ["AdminApplication", "LiveReport", "NoReport", "Readiness", "ReadinessCheck", "serving_admin"]

_log = logging.getLogger("compat.gateway.admin")

_RECENT = 30.0  # seconds for which what calls heard of the upstream counts
_WAIT = 2.0  # seconds to wait for a connection, and for the workers to answer


@dataclass(frozen=True)
class Readiness:
    """Whether calls should come; nothing in it is secret."""

    ready: bool
    checks: Mapping[str, str]  # each thing that was checked, with ``ok`` or what is wrong with it
    warnings: Mapping[str, str] = field(default_factory=dict)  # what is to be seen to, and keeps no call away


@dataclass(frozen=True)
class ReadinessCheck:
    """Looks at everything that a call needs.

    The upstream counts by what calls heard of it within the last 30 seconds: one answer of use is enough, and only
    failures are too little. Where no call was made, it is enough that it, or the proxy before it, takes a connection.
    """

    asked: Callable[[str, float], Mapping[str, str | None]]  # what workers answer to a question, within seconds
    upstream: str
    seen: Callable[[], UpstreamSeen]
    store: Store
    stopping: threading.Event
    # Where the gateway shows its certificate, if it does. Clients may well not look at it, so that an expired one keeps
    # no call away.
    served: tuple[str, int] | None = None

    def __call__(self) -> Readiness:
        if self.stopping.is_set():
            return Readiness(False, {"gateway": "it is stopping"})
        # Without a configuration that can be used the gateway would not run; it is shown for whoever looks for it.
        answers = self.asked(ANSWERING, _WAIT)
        found = {"configuration": OK, "workers": _workers(answers), "store": OK, "upstream": self._reached()}
        try:
            self.store.ping()
        except CompatError as error:
            found["store"] = str(error)
        warnings = {}
        # Before a worker answers none is shown, and that would be kept as the answer for a while.
        if self.served is not None and OK in answers.values():
            due = renewal_due(certificate_at(*self.served, _WAIT))
            warnings = {} if due is None else {"certificate": due}
        return Readiness(all(each == OK for each in found.values()), found, warnings)

    def _reached(self) -> str:
        seen, since = self.seen(), time.time() - _RECENT
        if seen.success > since:
            return OK
        if seen.failure > since:
            return f"every request of the last {_RECENT:g} seconds failed"
        proxy, _ = environment_of(self.upstream)
        stop = proxy or self.upstream
        try:
            socket.create_connection(address_of(stop), timeout=_WAIT).close()
        except OSError as error:
            name = "proxy before the upstream" if proxy else "upstream"
            return connection_failure(error, stop, seconds=_WAIT).told(name)
        return OK


def _workers(answers: Mapping[str, str | None]) -> str:
    if not answers:
        return "no worker has started"
    none = f"no answer within {_WAIT:g} seconds; it hangs, is stopped, or all of its threads are taken"
    wrong = [f"{name}: {none if answer is None else answer}" for name, answer in answers.items() if answer != OK]
    return "; ".join(wrong) or OK


class NoReport(CompatError):
    """There is no report, or none yet; the text says why, and the HTTP status says so."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class _Made:
    at: float
    html: bytes
    json: bytes


class LiveReport:
    """Checks the recordings of the gateway's own traffic when somebody looks.

    One check runs at a time, in a thread of its own, and whoever asks meanwhile gets the report before. A recording
    that has not grown since is not read again. A report is shown again for ``fresh`` seconds; for the first one a
    request waits ``first_wait`` seconds.
    """

    def __init__(self, configuration: Configuration, *, fresh: float = 30.0, first_wait: float = 5.0) -> None:
        self._configuration = configuration
        self._fresh = fresh
        self._first_wait = first_wait
        self._made: _Made | None = None
        self.renew()
        renew_after_fork(self.renew)
        self._failed: NoReport | None = None
        self._read: dict[Path, tuple[int, Any]] = {}

    def renew(self) -> None:
        """Forget the report that the parent is making, in a process that was forked."""
        self._lock = threading.Lock()
        self._making: threading.Event | None = None

    def html(self) -> bytes:
        """The page; NoReport where there is none, or none yet."""
        return self._current().html

    def json(self) -> bytes:
        """The same as ``exam-compat check --json`` writes."""
        return self._current().json

    def _current(self) -> _Made:
        if "record" not in self._configuration.regression:
            raise NoReport(HTTPStatus.NOT_FOUND, "[regression] record names no folder: there is nothing to check.")
        with self._lock:
            due = self._made is None or time.monotonic() - self._made.at > self._fresh
            if due and self._making is None:
                self._making = threading.Event()
                # It may end with the process: it writes nothing.
                threading.Thread(target=self._make, args=(self._making,), name="report", daemon=True).start()
            making = self._making
        if making is not None and self._made is None and not making.wait(self._first_wait):
            raise NoReport(HTTPStatus.SERVICE_UNAVAILABLE, "The report is being made; ask again in a moment.")
        if self._made is None:
            # A report of before would hide that what came since cannot be read.
            raise self._failed or NoReport(HTTPStatus.INTERNAL_SERVER_ERROR, "The report could not be made.")
        return self._made

    def _make(self, done: threading.Event) -> None:
        made = failed = None
        try:
            made = self._checked()
        except CompatError as error:
            failed = NoReport(HTTPStatus.NOT_FOUND, str(error))
        except ModuleNotFoundError as error:
            told = f"A report needs {error.name}; get it with: pip install 'exam-students-compat[regression]'"
            failed = NoReport(HTTPStatus.NOT_FOUND, told)
        except Exception:  # noqa: BLE001 - it is reported, and the next one may be well
            _log.exception("the report of what was recorded could not be made")
        with self._lock:
            self._made, self._failed, self._making = made, failed, None
        done.set()

    def _checked(self) -> _Made:
        # Imported here: whoever never looks does not load what compares.
        from compat.regression.check import RecordingCheck
        from compat.regression.comparing.known import KnownDifferences, load_known
        from compat.regression.evidence.headline import told_as_json
        from compat.regression.evidence.result import CheckResult
        from compat.regression.evidence.verdict import Thresholds, judge
        from compat.regression.recordings.reader import open_recording
        from compat.regression.report.content import content_of
        from compat.regression.report.forms import as_html

        settings: Mapping[str, Any] = self._configuration.regression
        known = load_known(Path(settings["known"])) if "known" in settings else KnownDifferences()
        check = RecordingCheck(known=known, upstream=self._configuration.upstream.kind, unfinished="accept")
        paths = open_recording(settings["record"]).paths
        result = reduce(CheckResult.merge, (self._result_of(path, check) for path in paths), CheckResult())
        judged = judge(result, Thresholds.of(settings))
        page = as_html(content_of(result, judged, self._left(judged))).encode()
        return _Made(time.monotonic(), page, msgspec.json.encode(told_as_json(result, judged)))

    def _left(self, judged: Judgement) -> list[CallerLeft]:
        from compat.migration.inventory.report import caller_report
        from compat.regression.evidence.headline import callers_left
        from compat.stores.ledger import open_ledger

        given = self._configuration
        if given.store.startswith("memory:"):
            # The workers count, each for itself, and this process answers no call.
            return []
        with open_ledger(given.store) as ledger:
            usages = ledger.counted().usages
        names = [each.caller.name for each in given.callers]
        return callers_left([each for each in caller_report(usages, names, time.time()) if each.left], judged)

    def _result_of(self, path: Path, check: Callable[[Path], Any]) -> Any:
        size = path.stat().st_size
        known = self._read.get(path)
        if known is None or known[0] != size:
            known = self._read[path] = (size, check(path))
        return known[1]


_HTML = "text/html; charset=utf-8"
_JSON = "application/json"
_NUMBERS = "text/plain; version=1.0.0; charset=utf-8"

_Page = tuple[HTTPStatus, str, bytes]


class AdminApplication:
    """The pages for operators, a WSGI application.

    ``/healthz`` says that the process runs, ``/readyz`` whether calls should come, ``/metrics`` the numbers in
    Prometheus's text format, ``/openapi.json`` what the deprecated interface is, ``/report`` and ``/report.json``
    whether the new endpoint answered what the old one did. There are no pages of what is None.
    """

    def __init__(
        self,
        readiness: Callable[[], Readiness],
        exposition: Callable[[], bytes],
        description: Callable[[], bytes] | None = None,
        report: LiveReport | None = None,
    ) -> None:
        self._pages: dict[str, Callable[[], _Page]] = {
            "/healthz": lambda: _json(HTTPStatus.OK, {"alive": True}),
            "/readyz": lambda: _readiness(readiness()),
            "/metrics": lambda: (HTTPStatus.OK, _NUMBERS, exposition()),
        }
        if description is not None:
            self._pages["/openapi.json"] = lambda: (HTTPStatus.OK, _JSON, description())
        if report is not None:
            self._pages["/report"] = lambda: (HTTPStatus.OK, _HTML, report.html())
            self._pages["/report.json"] = lambda: (HTTPStatus.OK, _JSON, report.json())

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
        allow: list[tuple[str, str]] = []
        found = self._pages.get(environ.get("PATH_INFO", ""))
        if found is None:
            status, kind, body = _error(HTTPStatus.NOT_FOUND, f"Here are {', '.join(self._pages)}.")
        elif environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            allow.append(("Allow", "GET, HEAD"))
            status, kind, body = _error(HTTPStatus.METHOD_NOT_ALLOWED, "This page is only read.")
        else:
            status, kind, body = _made(found)
        headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store"), *allow]
        start_response(f"{status.value} {status.phrase}", headers)
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]


def _made(page: Callable[[], _Page]) -> _Page:
    try:
        return page()
    except NoReport as error:
        return _error(error.status, str(error))
    except Exception:  # noqa: BLE001  # it is reported, and the next page may be well
        # The server would print the error's own text, which may be anything.
        _log.exception("a page for operators could not be made")
        return _error(HTTPStatus.INTERNAL_SERVER_ERROR, "This page could not be made; the log says where it failed.")


def _readiness(found: Readiness) -> _Page:
    status = HTTPStatus.OK if found.ready else HTTPStatus.SERVICE_UNAVAILABLE
    told = {"ready": found.ready, "checks": found.checks}
    return _json(status, told | ({"warnings": found.warnings} if found.warnings else {}))


def _error(status: HTTPStatus, message: str) -> _Page:
    return _json(status, {"error": message, "errors": {}})


def _json(status: HTTPStatus, content: Any) -> _Page:
    return status, _JSON, msgspec.json.encode(content)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = 10.0
    """Seconds that a client of the admin address may take to send its request."""

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: a probe every second is no news."""


@contextmanager
def serving_admin(application: AdminApplication, host: str, port: int) -> Iterator[int]:
    """Serve the pages in a thread, and give the port."""
    with make_server(host, port, application, _Server, _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="admin", daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
