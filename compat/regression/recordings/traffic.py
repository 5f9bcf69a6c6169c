"""Records the pairs that shadow and canary make."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from compat.config.settings import Configuration
from compat.processes import renew_after_fork
from compat.regression.comparing.pairs import Pair
from compat.regression.recordings.format import RecordingError, SecretFound
from compat.regression.recordings.pseudonyms import key_of
from compat.regression.recordings.reader import SUFFIX
from compat.regression.recordings.writer import Recorder

__all__ = ["TrafficRecorder"]

_log = logging.getLogger("compat.regression")
_ROOM = 1 << 30
"""Bytes that the folder may take where the configuration does not say."""
_BETWEEN_LOOKS = 64
"""Pairs that are written before the folder is looked at again."""
_LONGEST_WAIT = 2.0
"""Seconds after which a pair is in the file, also where no other follows, so that a live report shows it."""
_LONGEST_FILE = 24 * 3600.0
"""Seconds after which a new file is begun, so that old ones can be checked and deleted."""


class TrafficRecorder:
    """Writes pairs into the folder of a configuration, a file for each process; from the first pair on.

    Each day has a file of its own. What cannot be written, since the disk or the folder's share of it is full, is
    counted in the file, where that still can be, and said in the log once in a row.

    Args:
        later: does a job after some seconds in the background; false where the process ends.
        dropped: comparisons that were not made so far, in this process. The end of a file counts them as lost.

    Raises:
        ConfigurationError: there is no key, and none can be made.
    """

    def __init__(
        self,
        configuration: Configuration,
        later: Callable[[Callable[[], object], float], bool],
        dropped: Callable[[], int],
    ) -> None:
        self._configuration = configuration
        self._later = later
        self._dropped = dropped
        self._folder = Path(configuration.regression["record"])
        self._room = configuration.regression.get("record_max", _ROOM)
        # Made now, so that processes which begin later have the same one.
        self._key = key_of(configuration)
        self.renew()
        renew_after_fork(self.renew)
        self._begun = 0.0
        self._taken = 0
        self._full = self._failing = False

    def renew(self) -> None:
        """Begin a file of one's own with the next pair, in a process that was forked."""
        self._lock = threading.Lock()
        self._recorder: Recorder | None = None
        self._flushing = False
        self._dropped_told = 0

    def __call__(self, pair: Pair) -> None:
        """Record a pair; never raises what a disk or a secret is the reason of."""
        if "GET" not in pair.call.route.methods:
            return
        self._do(lambda: self._keep(pair))

    def close(self) -> None:
        """Write what waits, and the end."""
        with self._lock:
            self._end()

    def _do(self, work: Callable[[], object]) -> None:
        try:
            with self._lock:
                work()
            self._failing = False
        except SecretFound as error:
            _log.error("%s", error)
        except RecordingError as error:
            if not self._failing:
                _log.error("%s; until it can be written again, no more is said", error)
            self._failing = True

    def _flush(self) -> None:
        self._flushing = False
        if self._recorder is not None:
            self._recorder.flush()

    def _end(self) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            dropped = self._dropped()
            recorder.lose(dropped - self._dropped_told)
            self._dropped_told = dropped
            with suppress(RecordingError):
                recorder.close()

    def _keep(self, pair: Pair) -> None:
        recorder = self._opened()
        if self._taken % _BETWEEN_LOOKS == 0:
            self._full = _bytes_in(self._folder) >= self._room
        self._taken += 1
        if self._full:
            recorder.lose()
            raise RecordingError(f"{self._folder}: holds the {self._room} bytes that record_max lets it")
        recorder.keep_pair(pair)
        if not self._flushing:
            self._flushing = self._later(lambda: self._do(self._flush), _LONGEST_WAIT)

    def _opened(self) -> Recorder:
        """The recorder of today."""
        if self._recorder is not None and time.monotonic() - self._begun >= _LONGEST_FILE:
            self._end()
        if self._recorder is None:
            self._recorder = Recorder(
                self._folder,
                self._key,
                zone=self._configuration.settings.zone,
                upstream=self._configuration.upstream.kind,
                sought=self._configuration.secrets,
            )
            self._begun = time.monotonic()
        return self._recorder


def _bytes_in(folder: Path) -> int:
    size = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            # One may be deleted meanwhile, which is how room is made.
            with suppress(OSError):
                size += entry.stat().st_size if entry.name.endswith(SUFFIX) else 0
    return size
