"""What shadow and canary have shown so far, for operators: checked behind the requests that ask for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from compat.config.settings import Configuration
from compat.errors import CompatError
from compat.processes import renew_after_fork

if TYPE_CHECKING:
    from compat.regression.evidence.callers_left import CallerLeft
    from compat.regression.evidence.verdict import Judgement

__all__ = ["LiveReport", "NoReport"]

_FRESH = 30.0
_FIRST_WAIT = 5.0

_log = logging.getLogger("compat.gateway.admin")


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
    that has not grown since is not read again.

    Args:
        configuration: its ``[regression]`` table says where recordings are, and what is asked of them.
        fresh: seconds for which a report is shown again as it is.
        first_wait: seconds that a request waits for the first one.
    """

    def __init__(self, configuration: Configuration, *, fresh: float = _FRESH, first_wait: float = _FIRST_WAIT) -> None:
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
        """The same as ``exam-compat check --json`` writes; NoReport where there is none, or none yet."""
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
            failed = NoReport(
                HTTPStatus.NOT_FOUND,
                f"A report needs {error.name}; get it with: pip install 'exam-students-compat[regression]'",
            )
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
        from compat.regression.evidence.callers_left import callers_left
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
