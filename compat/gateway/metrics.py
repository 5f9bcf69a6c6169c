"""The gateway's metrics for Prometheus, summed over worker processes.

Where ``PROMETHEUS_MULTIPROC_DIR`` names a directory before this module is imported, every process keeps its numbers in
files there, and :class:`MetricsReader` adds them up. Labels are bounded: routes, statuses, the callers of the
configuration, the reasons of refusals and the declared fields.
"""

from __future__ import annotations

import collections
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from compat.gateway.request import OTHER_ROUTE, Exchange

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 900.0)
_SUCCESS = "exam_compat_upstream_last_success_timestamp_seconds"
_FAILURE = "exam_compat_upstream_last_failure_timestamp_seconds"
_STRANGER = "unknown"  # label for calls without a known token
_OUTCOMES = ("2xx", "3xx", "4xx", "5xx", "none")
_PAIRS = ("done", "dropped")
_FAILURES: Mapping[int | None, str] = {None: "no answer", 401: "refused", 403: "refused", 429: "throttled"}
"""What a status says of the upstream; from 500 on it is a server error."""


class Metrics:
    """The numbers of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        self._calls = counter("exam_compat_calls", "Calls answered.", ("route", "status", "caller"))
        self._seconds = Histogram(
            "exam_compat_call_seconds", "Seconds a call took.", ("route",), buckets=_BUCKETS, registry=self.registry
        )
        self._attempts = counter(
            "exam_compat_upstream_calls", "Requests sent upstream, by what came back.", ("outcome",)
        )
        self._failures = counter("exam_compat_upstream_failures", "Requests upstream that gave no use.", ("kind",))
        self._refusals = counter("exam_compat_refusals", "Calls refused.", ("reason",))
        self._nonces = counter("exam_compat_nonces_spent", "Calls whose nonce was recorded.")
        self._walks = gauge("exam_compat_walks_kept", "Walks kept for later pages.", multiprocess_mode="livesum")
        self._drift = counter("exam_compat_drift", "Processes that saw a field of an undeclared type.", ("field",))
        self._pairs = counter("exam_compat_comparisons", "Calls that both endpoints were to answer.", ("outcome",))
        self._success = _LastTime(gauge(_SUCCESS, "Last use.", multiprocess_mode="max"))
        self._failure = _LastTime(gauge(_FAILURE, "Last failure.", multiprocess_mode="max"))
        # There from the start: what rises from nothing to 1 is no rise to Prometheus.
        for each, values in (
            (self._attempts, _OUTCOMES),
            (self._failures, (*_FAILURES.values(), "server error")),
            (self._pairs, _PAIRS),
        ):
            for value in values:
                each.labels(value)
        # Looking a label set up costs more than counting it. Labels are bounded, and so is what is kept.
        self._calls_of = cache(self._calls.labels)
        self._seconds_of = cache(self._seconds.labels)
        self._attempts_of = cache(self._attempts.labels)

    def count(self, ended: Sequence[Exchange]) -> None:
        """Count requests whose answers have ended; what is alike is counted at once."""
        calls = [(each.route, each.status, each.caller or _STRANGER) for each in ended]
        for key, number in collections.Counter(calls).items():
            self._calls_of(*key).inc(number)
        for each in ended:
            self._seconds_of(each.route).observe(each.seconds)
        refusals = [each.refusal for each in ended if each.refusal is not None]
        for reason, number in collections.Counter(refusals).items():
            self._refusals.labels(reason).inc(number)
        # Admitted, and the last thing that takes is that the store records the nonce.
        admitted = [each for each in ended if each.refusal is None and each.caller is not None]
        if admitted:
            self._nonces.inc(len(admitted))
        attempts = [(status, each.route != OTHER_ROUTE) for each in ended for status in each.attempts]
        for (status, own), number in collections.Counter(attempts).items():
            self._attempted(status, number, own=own)

    def walks_kept(self, number: int) -> None:
        self._walks.set(number)

    def drifted(self, field: str) -> None:
        """A field came in an undeclared type, for the first time in this process."""
        self._drift.labels(field).inc()

    def compared(self, outcome: str) -> None:
        """A call was answered by both endpoints ("done"), or was to be and there was too much to do ("dropped")."""
        self._pairs.labels(outcome).inc()

    def _attempted(self, status: int | None, number: int, *, own: bool) -> None:
        self._attempts_of("none" if status is None else f"{status // 100}xx").inc(number)
        kind = _FAILURES.get(status, "server error" if status is not None and status >= 500 else None)
        if kind is not None:
            self._failures.labels(kind).inc(number)
        if kind == "refused" and not own:
            # It was the caller who was refused, with credentials of its own: that says nothing of the upstream.
            return
        (self._failure if kind is not None else self._success).note()


class _LastTime:
    """A gauge of the time at which something last happened, written at most once a second."""

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._noted = 0.0

    def note(self) -> None:
        now = time.time()
        if now - self._noted > 1.0:
            self._noted = now
            self._gauge.set(now)


class UpstreamSeen(NamedTuple):
    """When calls last had an answer of use from the upstream, and none, in seconds since the epoch; 0 for never."""

    success: float = 0.0
    failure: float = 0.0


class MetricsReader:
    """The numbers of every process that writes to a directory, or those of one registry."""

    def __init__(self, source: Path | CollectorRegistry) -> None:
        self._directory = source if isinstance(source, Path) else None
        self._registry = CollectorRegistry() if isinstance(source, Path) else source
        if self._directory is not None:
            _NonEmptyFiles(self._registry, path=str(self._directory))

    def exposition(self) -> bytes:
        """All numbers, in Prometheus's text format."""
        if self._directory is not None:
            _drop_dead_gauges(self._directory)
        return generate_latest(self._registry)

    def upstream_seen(self) -> UpstreamSeen:
        found = {sample.name: sample.value for metric in self._registry.collect() for sample in metric.samples}
        return UpstreamSeen(found.get(_SUCCESS, 0.0), found.get(_FAILURE, 0.0))


class _NonEmptyFiles(MultiProcessCollector):
    """Reads the files that have been begun.

    A process makes a file empty, and gives it its length a moment later; if it is killed in between, never. The
    library reads the length at once, and fails over such a file.
    """

    def __init__(self, registry: CollectorRegistry, path: str) -> None:
        super().__init__(registry, path=path)  # type: ignore[no-untyped-call]
        self._directory = Path(path)

    def collect(self) -> Iterable[Metric]:
        begun = [str(path) for path in self._directory.glob("*.db") if _length_of(path)]
        merged: Iterable[Metric] = self.merge(begun, accumulate=True)  # type: ignore[no-untyped-call]
        return merged


def _length_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _drop_dead_gauges(directory: Path) -> None:
    """Drop the gauges of processes that have ended; their counters stay."""
    for path in directory.glob("gauge_live*.db"):
        number = int(path.stem.rpartition("_")[2])
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            mark_process_dead(number, str(directory))  # type: ignore[no-untyped-call]
