"""Faults that the newer interfaces can be told to have."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from compat.testing.sandbox.messages import SandboxAnswer, json_answer, text_answer

KINDS = ("cut", "cut-chunked", "truncated", "html", "reset", "slow")
HALVED = ("cut", "cut-chunked", "truncated")
SLOW_SECONDS = 0.2
HTML_PAGE = b"<!doctype html><title>Maintenance</title><h1>We will be back soon.</h1>\n"


@dataclass(frozen=True)
class Fault:
    """A kind of fault and how often it happens, as a share of the requests from 0 to 1.

    Kinds: a status from 400 to 599; ``cut`` (the announced length is never reached), ``cut-chunked`` (the
    last chunk never comes), ``truncated`` (complete as HTTP, half as JSON), ``html``, ``reset``, ``slow``.
    """

    kind: str
    probability: float

    def __post_init__(self) -> None:
        """Refuse what cannot happen."""
        if self.kind not in KINDS and not re.fullmatch("[45][0-9]{2}", self.kind):
            raise ValueError(f"{self.kind!r} is not a fault: use a status from 400 to 599 or {', '.join(KINDS)}.")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"{self.probability!r} is not a probability from 0 to 1.")

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read ``KIND:PROBABILITY``, such as ``503:0.05``."""
        kind, colon, probability = text.partition(":")
        try:
            share = float(probability)
        except ValueError:
            share = -1.0
        if not colon or not 0 <= share <= 1:
            raise ValueError(f"{text!r} is not a fault: write KIND:PROBABILITY, such as 503:0.05.")
        return cls(kind, share)


class FaultSource:
    """Draws faults; a limit on how many the same request meets in a row lets a test end for certain."""

    def __init__(self, faults: Sequence[Fault], seed: int, most_in_a_row: int | None) -> None:
        """A source of these faults, drawn by that seed."""
        if sum(fault.probability for fault in faults) > 1:
            raise ValueError("The probabilities of all faults add up to more than 1.")
        self._faults = tuple(faults)
        self._random = Random(seed)
        self._most_in_a_row = most_in_a_row
        self._in_a_row: dict[tuple[str, ...], int] = {}
        self._lock = threading.Lock()

    def draw(self, key: tuple[str, ...]) -> str | None:
        """The kind of fault that the next request of that key meets, or None."""
        with self._lock:
            kind = self._draw()
            met = self._in_a_row.get(key, 0)
            if kind is None or (self._most_in_a_row is not None and met >= self._most_in_a_row):
                self._in_a_row.pop(key, None)
                return None
            self._in_a_row[key] = met + 1
            return kind

    def _draw(self) -> str | None:
        drawn = self._random.random()
        for fault in self._faults:
            if drawn < fault.probability:
                return fault.kind
            drawn -= fault.probability
        return None


def damaged(kind: str, answer: SandboxAnswer) -> SandboxAnswer:
    """What a fault of that kind makes of an answer; what happens on the wire is left to the server."""
    if kind == "html":
        return text_answer(200, HTML_PAGE, {"Content-Type": "text/html; charset=utf-8"})
    if kind == "reset":
        return SandboxAnswer(0, {}, b"")
    if kind == "truncated":
        return SandboxAnswer(answer.status, answer.headers, answer.body[: len(answer.body) // 2])
    if kind.isdigit():
        return _status_answer(int(kind))
    return answer


def _status_answer(status: int) -> SandboxAnswer:
    headers = {"Retry-After": "0"} if status in (429, 503) else {}
    return json_answer(status, {"error": f"The sandbox was told to fail with {status}.", "errors": {}}, headers)
