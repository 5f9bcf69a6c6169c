"""Records the pairs that shadow and canary make: what ``record`` of ``[regression]`` asks for."""

from __future__ import annotations

import atexit
import logging
import threading
from contextlib import suppress
from pathlib import Path

from compat.config import Configuration
from compat.regression.errors import RecordingError, SecretFound
from compat.regression.keys import key_of
from compat.regression.pairs import Pair
from compat.regression.recording import Recorder

__all__ = ["TrafficRecorder"]

_log = logging.getLogger("compat.regression")


class TrafficRecorder:
    """Writes pairs into a folder, a file for each process; from the first pair on.

    What cannot be written is counted in the file, where that still can be, and said in the log once in a row.

    Args:
        configuration: says where, by which key, and which secrets must not get there.

    Raises:
        ConfigurationError: there is no key, and none can be made.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._folder = Path(configuration.regression["record"])
        # Made now, so that processes which begin later have the same one.
        self._key = key_of(configuration)
        self._lock = threading.Lock()
        self._recorder: Recorder | None = None
        self._failing = False

    def __call__(self, pair: Pair) -> None:
        """Record a pair; never raises what a disk or a secret is the reason of."""
        if "GET" not in pair.call.route.methods:
            return
        try:
            self._opened().keep_pair(pair)
            self._failing = False
        except SecretFound as error:
            _log.error("%s", error)
        except RecordingError as error:
            if not self._failing:
                _log.error("%s; until it can be written again, no more is said", error)
            self._failing = True

    def close(self) -> None:
        """Write what waits, and the end."""
        with self._lock:
            recorder, self._recorder = self._recorder, None
        if recorder is not None:
            with suppress(RecordingError):
                recorder.close()

    def _opened(self) -> Recorder:
        with self._lock:
            if self._recorder is None:
                self._recorder = Recorder(
                    self._folder,
                    self._key,
                    zone=self._configuration.settings.zone,
                    upstream=self._configuration.upstream.kind,
                    sought=self._configuration.secrets,
                )
                atexit.register(self.close)
            return self._recorder
