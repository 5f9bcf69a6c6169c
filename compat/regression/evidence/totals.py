"""Add outcomes up, question by question, in memory that does not grow with their number."""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, TypeVar

from compat.legacy.parameters import gather
from compat.legacy.query import LARGEST_LIMIT
from compat.legacy.routes import LegacyCall
from compat.regression.comparing.explain import By, Explained, Outcome
from compat.regression.comparing.known import KINDS, KnownDifferences
from compat.regression.comparing.values import shown
from compat.regression.evidence.compared import Question, Questions, aspect_bits, field_bits
from compat.regression.evidence.result import (
    MOST_SAMPLES,
    CheckResult,
    Count,
    DifferenceCount,
    RecordingUse,
    RuleUse,
    Sample,
    ShownDifference,
    Times,
    add_time,
    smallest,
)
from compat.schemas import COLUMNS
from compat.text.json import Number, dumps, loads_strictly

__all__ = [
    "WITHHELD",
    "Asked",
    "Tally",
]

_SIGNED = frozenset(("id", "timestamp", "nonce", "signature"))
_SHOWN = frozenset(("status", "page", "limit", "sort", "student_session_id"))
_DEFAULTS = {"page": "1", "limit": str(LARGEST_LIMIT)}
WITHHELD = "…"
"""Stands where a filter compares with what may speak of a person."""


class Asked:
    """A call's question.

    Args:
        call: the call, as it came.
        caller: whose it is, or None.
    """

    def __init__(self, call: LegacyCall, caller: str | None) -> None:
        self._call = call
        self._caller = caller
        values = gather(call).values if call.query or call.body else {}
        self._parameters = {name: text for name, text in values.items() if name not in _SIGNED}

    @property
    def digest(self) -> int:
        """What two calls have in common that ask the same, 52 bits.

        A parameter that the old interface ignores, such as a number against caches, asks for nothing; neither does a
        default that is written out.
        """
        counted = {name: text for name, text in self._parameters.items() if name in _SHOWN or name == "filter"}
        stated = sorted(each for each in counted.items() if _DEFAULTS.get(each[0]) != each[1])
        asked = [self._call.route.action, self._call.exam_id, self._caller, stated]
        digested = hashlib.blake2b(json.dumps(asked).encode(), digest_size=8).digest()
        return int.from_bytes(digested, "big") >> 12

    def shown(self, pseudonymised: bool) -> Mapping[str, str]:
        """The parameters, without what a filter compares personal fields with."""
        shown = {name: text for name, text in self._parameters.items() if name in _SHOWN}
        if "filter" in self._parameters:
            text = self._parameters["filter"]
            shown["filter"] = text if pseudonymised else _without_values(text)
        return shown


def _without_values(text: str) -> str:
    try:
        content = loads_strictly(text)
    except ValueError:
        return WITHHELD
    if not isinstance(content, dict):
        return WITHHELD
    return dumps({name: _operators(name, operators) for name, operators in content.items() if name in COLUMNS})


def _operators(name: str, operators: Any) -> Any:
    if not isinstance(operators, dict):
        return WITHHELD
    return {operator: _operand(name, value) for operator, value in operators.items()}


def _operand(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_operand(name, each) for each in value]
    if value is None or isinstance(value, bool):
        return value
    kept = COLUMNS[name].kept
    if kept is True and isinstance(value, str | Number):
        return value
    return value if isinstance(kept, tuple) and value in kept else WITHHELD


_SHOWN_OF_A_CALL = 10
_MOST_NAMES = 10_000
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.ASCII)
_UNDECLARED = "(undeclared)"
_OTHERS = "(others)"
_DAY = 86400
_OF_FIELDS = ("fields", "values")

_Kind = tuple[str | None, str, By | None, str]
"""Field, kind of difference, what explains it, and the reason."""

_Name = TypeVar("_Name", str, str | None)


class Tally:
    """Counts outcomes and makes a result of them.

    Args:
        known: the rules whose use is counted.
        pseudonymised: whether what is personal in the answers is a pseudonym.
    """

    def __init__(self, known: KnownDifferences | None = None, *, pseudonymised: bool = False) -> None:
        self._known = known or KnownDifferences()
        self._pseudonymised = pseudonymised
        self._began, self._ended = math.inf, -math.inf
        self._all = _Counting()
        self._identical = self._reread = self._not_reread = 0
        self._not_comparable: Counter[str] = Counter()
        self._questions = Questions()
        self._routes: dict[str, _Counting] = {}
        self._callers: dict[str, _Counting] = {}
        self._exams: dict[str, _Counting] = {}
        self._days: dict[str, _Counting] = {}
        self._aspects: dict[str, _Counting] = {}
        self._fields: dict[str, _Counting] = {}
        self._times: dict[str, tuple[dict[int, int], dict[int, int]]] = {}
        self._differences: dict[tuple[str, str | None], dict[_Kind, _Row]] = {}
        self._rows = 0
        self._samples: list[Sample] = []
        self._rules: Counter[str] = Counter()
        self._recordings: dict[tuple[str, float], list[int]] = {}

    def skip(self, why: str, calls: int = 1, of: LegacyCall | None = None, caller: str | None = None) -> None:
        """Count calls with which nothing can be compared.

        Args:
            why: the reason, the same for all of one kind.
            calls: how many.
            of: one of them; None where nothing is known of them.
            caller: whose it is.
        """
        if not calls:
            return
        self._not_comparable[why] += calls
        self._all.not_comparable += calls
        if of is not None:
            for counting in self._countings(of, caller):
                counting.not_comparable += calls

    def note_recording(self, name: str, made_at: float, *, compared: bool | None) -> None:
        """Count a call of a recording; None for the recording itself."""
        counts = self._recordings.setdefault((name, made_at), [0, 0])
        if compared is not None:
            counts[0] += 1
            counts[1] += compared

    def add(self, outcome: Outcome, *, repeatable: bool = True, withheld: bool = False) -> None:
        """Count what came of a pair.

        Args:
            outcome: what came of it.
            repeatable: whether its parameters, as they are shown, ask what it asked.
            withheld: whether it was not to be made again, since enough others were in vain.
        """
        pair = outcome.pair
        route, caller = pair.call.route.action, pair.caller
        if outcome.not_comparable is not None:
            self.skip(outcome.not_comparable, of=pair.call, caller=caller)
            return
        left = outcome.unexplained
        explained = bool(outcome.differences) and not left
        for counting in (self._all, *self._countings(pair.call, caller), _of(self._days, _day(pair.at))):
            counting.add(bool(left), explained)
        self._began, self._ended = min(self._began, pair.at), max(self._ended, pair.at)
        self._identical += not outcome.differences
        self._reread += outcome.reread
        self._not_reread += withheld and bool(left)
        asked = Asked(pair.call, caller)
        evidence = outcome.evidence
        wrong = wrong_fields = 0
        if left:
            wrong = aspect_bits([each.aspect for each in left])
            wrong_fields = field_bits([each.field for each in left if each.field and each.aspect in _OF_FIELDS])
        self._questions.add(
            asked.digest,
            Question(
                route,
                caller or "",
                bool(left),
                bool(left) and not outcome.once,
                evidence.aspects | wrong,
                evidence.fields | wrong_fields,
                wrong,
                wrong_fields,
            ),
        )
        self._add_times(route, outcome)
        if outcome.differences:
            self._add_differences(route, caller, outcome)
        if left:
            self._add_sample(outcome, asked, repeatable)

    def _countings(self, call: LegacyCall, caller: str | None) -> tuple[_Counting, ...]:
        return _of(self._routes, call.route.action), _of(self._callers, caller or ""), _of(self._exams, call.exam_id)

    def _add_times(self, route: str, outcome: Outcome) -> None:
        old, new = outcome.pair.old, outcome.pair.new
        # A timeout says how long somebody waited, and not how long an answer takes.
        if old.seconds > 0 and new.seconds > 0 and new.failure is None:
            times = self._times.setdefault(route, ({}, {}))
            add_time(times[0], old.seconds)
            add_time(times[1], new.seconds)

    def _add_differences(self, route: str, caller: str | None, outcome: Outcome) -> None:
        found: dict[_Kind, int] = {}
        for each in outcome.differences:
            difference = each.difference
            kind = difference.field, difference.kind, each.by, each.reason
            found[kind] = found.get(kind, 0) + difference.records
        rows = self._differences.setdefault((route, caller), {})
        unexplained: list[_Row] = []
        explained: list[_Row] = []
        for kind, count in found.items():
            row = rows.get(kind) or self._row(rows, kind)
            row.differences += count
            row.calls += 1
            (explained if row.by else unexplained).append(row)
            if row.by == "known":
                self._rules[row.reason] += count
        _note_parts(self._aspects, {row.aspect for row in unexplained}, {row.aspect for row in explained})
        _note_parts(self._fields, {row.part for row in unexplained}, {row.part for row in explained})

    def _row(self, rows: dict[_Kind, _Row], kind: _Kind) -> _Row:
        """A row for differences that are new here; beyond the most that are told apart, one for all others."""
        if self._rows >= _MOST_NAMES:
            kind = (_OTHERS, kind[1], kind[2], "")
        if kind not in rows:
            self._rows += 1
            rows[kind] = _Row(kind)
        return rows[kind]

    def _add_sample(self, outcome: Outcome, asked: Asked, repeatable: bool) -> None:
        pair, left = outcome.pair, [each for each in outcome.differences if each.by is None]
        if len(self._samples) == MOST_SAMPLES and pair.at > self._samples[-1].at:
            return
        parameters = asked.shown(self._pseudonymised)
        sample = Sample(
            pair.at,
            asked.digest,
            pair.call.route.action,
            pair.caller,
            pair.call.exam_id,
            parameters,
            tuple(self._shown(each) for each in left[:_SHOWN_OF_A_CALL]),
            max(0, len(left) - _SHOWN_OF_A_CALL),
            repeatable and WITHHELD not in parameters.get("filter", ""),
        )
        self._samples = list(smallest([*self._samples, sample]))

    def _shown(self, unexplained: Explained) -> ShownDifference:
        difference = unexplained.difference
        old, new = (shown(difference, value, self._pseudonymised) for value in (difference.old, difference.new))
        if difference.old is None and difference.new is None:
            old = new = ""
        name = _named(difference.field, difference.aspect)
        return ShownDifference(difference.kind, difference.record, name, old, new, unexplained.once)

    def result(self) -> CheckResult:
        """What was counted so far."""
        known = self._known
        rules = [RuleUse(rule.name, f"{rule.expires}", differences=self._rules[rule.name]) for rule in known.rules]
        rules += [RuleUse(rule.name, f"{rule.expires}", expired=True) for rule in known.expired]
        counted = CheckResult(
            checked_at=time.time(),
            began_at=self._began if self._all.calls else None,
            ended_at=self._ended if self._all.calls else None,
            all=self._all.count(),
            identical=self._identical,
            reread=self._reread,
            not_reread=self._not_reread,
            not_comparable=dict(self._not_comparable),
            questions=self._questions.kept,
            routes=_counts(self._routes),
            callers=_counts(self._callers),
            exams=_counts(self._exams),
            aspects=_counts(self._aspects),
            fields=_counts(self._fields),
            days=_counts(self._days),
            times={route: Times(*times) for route, times in self._times.items()},
            differences=tuple(row.count(*call) for call, rows in self._differences.items() for row in rows.values()),
            samples=tuple(self._samples),
            known=tuple(rules),
            recordings=tuple(RecordingUse(*key, *counts) for key, counts in self._recordings.items()),
        )
        # Merged with nothing, it is in the order in which merged ones are.
        return CheckResult().merge(counted)


class _Counting:
    """A count that goes on."""

    __slots__ = ("calls", "explained", "not_comparable", "unexplained")

    def __init__(self) -> None:
        self.calls = self.unexplained = self.explained = self.not_comparable = 0

    def add(self, unexplained: bool, explained: bool) -> None:
        self.calls += 1
        self.unexplained += unexplained
        self.explained += explained

    def count(self) -> Count:
        return Count(self.calls, self.unexplained, self.explained, self.not_comparable)


class _Row:
    """Differences of one kind, at one field, with one explanation, in calls of one route and caller."""

    __slots__ = ("aspect", "by", "calls", "differences", "kind", "name", "part", "reason")

    def __init__(self, kind: _Kind) -> None:
        field, self.kind, self.by, self.reason = kind
        self.aspect = KINDS[self.kind]
        self.name = _named(field, self.aspect)
        self.part = self.name if self.aspect in _OF_FIELDS else None
        self.differences = self.calls = 0

    def count(self, route: str, caller: str | None) -> DifferenceCount:
        return DifferenceCount(
            route, caller, self.name, self.kind, self.aspect, self.by, self.reason, self.differences, self.calls
        )


def _note_parts(countings: dict[str, _Counting], unexplained: set[_Name], explained: set[_Name]) -> None:
    """Count a call at each part where it differed; one unexplained difference outweighs those that are explained."""
    for name in unexplained | explained:
        if name is not None:
            _of(countings, name).add(name in unexplained, name not in unexplained)


def _of(countings: dict[str, _Counting], name: str) -> _Counting:
    found = countings.get(name)
    if found is None:
        if len(countings) >= _MOST_NAMES:
            name = _OTHERS
        found = countings.setdefault(name, _Counting())
    return found


def _counts(countings: Mapping[str, _Counting]) -> dict[str, Count]:
    return {name: counting.count() for name, counting in countings.items()}


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at // _DAY * _DAY))


def _named(field: str | None, aspect: str) -> str | None:
    """The name of a field; one that nobody declared may be anything, also somebody's address."""
    if field is None or field in COLUMNS or aspect == "headers":
        return field
    return field if _NAME.fullmatch(field) else _UNDECLARED
