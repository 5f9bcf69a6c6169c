"""Add outcomes up, question by question, in memory that does not grow with their number."""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from compat.legacy.parameters import gather
from compat.legacy.query import LARGEST_LIMIT
from compat.legacy.routes import LegacyCall
from compat.regression.comparing.explain import Outcome
from compat.regression.comparing.known import KINDS, Difference, KnownDifferences, aspect_bits, field_bits
from compat.regression.comparing.pairs import Pair
from compat.regression.evidence.result import (
    MOST_SAMPLES,
    CheckResult,
    Count,
    DifferenceCount,
    Question,
    Questions,
    RecordingUse,
    RuleUse,
    Sample,
    ShownDifference,
    Times,
    smallest,
)
from compat.regression.evidence.statistics import add_time
from compat.schemas import COLUMNS
from compat.schemas.fields import json_type
from compat.text.json import Number, dumps, loads, loads_strictly

__all__ = ["Totals"]

_SHOWN = frozenset(("status", "page", "limit", "sort", "student_session_id"))
_DEFAULTS = {"page": "1", "limit": str(LARGEST_LIMIT)}
_WITHHELD = "…"
"""Stands where a filter compares with what may speak of a person."""
_LONGEST = 60
_SHOWN_OF_A_CALL = 10
_MOST_NAMES = 10_000
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}", re.ASCII)
_UNDECLARED = "(undeclared)"
_OTHERS = "(others)"
_OF_FIELDS = ("fields", "values")
_TABLES = ("routes", "callers", "exams", "days", "aspects", "fields")
"""What calls are counted by, as :class:`~compat.regression.evidence.result.CheckResult` names it."""

_Kind = tuple[str | None, str, str | None, str]
"""Field, kind of difference, what explains it, and the reason."""


class Totals:
    """Counts outcomes, and the use of known rules, and makes a result of them.

    Of answers that are pseudonymised everything is shown.
    """

    def __init__(self, known: KnownDifferences, *, pseudonymised: bool) -> None:
        self._known = known
        self._pseudonymised = pseudonymised
        self._began, self._ended = math.inf, -math.inf
        # Numbers in the order of Count.
        self._all = [0, 0, 0, 0]
        self._tables: dict[str, dict[str, list[int]]] = {name: {} for name in _TABLES}
        self._identical = self._reread = self._not_reread = 0
        self._not_comparable: Counter[str] = Counter()
        self._questions = Questions()
        self._times: dict[str, tuple[dict[int, int], dict[int, int]]] = {}
        # Differences and calls, by route and caller first.
        self._differences: dict[tuple[str, str | None], dict[_Kind, list[int]]] = {}
        self._kinds = 0
        self._samples: list[Sample] = []
        self._rules: Counter[str] = Counter()

    def skip(self, why: str, calls: int = 1, of: LegacyCall | None = None, caller: str | None = None) -> None:
        """Count calls with which nothing can be compared for a reason, in the same words for all of one kind.

        Where something is known of the calls, ``of`` is one of them.
        """
        if calls:
            self._not_comparable[why] += calls
            for counts in (self._all, *(self._counts_of(of, caller) if of is not None else ())):
                counts[3] += calls

    def add(self, outcome: Outcome, *, repeatable: bool = True, withheld: bool = False, place: str = "") -> None:
        """Count what came of a pair.

        Args:
            repeatable: whether its parameters, as they are shown, ask what it asked.
            withheld: whether it was not to be made again, since enough others were in vain.
            place: file and line of its recording.
        """
        pair, left = outcome.pair, outcome.unexplained
        if outcome.not_comparable is not None:
            self.skip(outcome.not_comparable, of=pair.call, caller=pair.caller)
            return
        day = time.strftime("%Y-%m-%d", time.gmtime(pair.at))
        for counts in (self._all, *self._counts_of(pair.call, pair.caller), self._counts("days", day)):
            _add(counts, bool(left), bool(outcome.differences) and not left)
        self._began, self._ended = min(self._began, pair.at), max(self._ended, pair.at)
        self._identical += not outcome.differences
        self._reread += outcome.reread
        self._not_reread += withheld and bool(left)
        parameters = gather(pair.call).values if pair.call.query or pair.call.body else {}
        digest = _digest(pair, parameters)
        self._questions.add(digest, _question(outcome, left))
        old, new = pair.old, pair.new
        # A timeout says how long somebody waited, and not how long an answer takes.
        if old.seconds > 0 and new.seconds > 0 and new.failure is None:
            times = self._times.setdefault(pair.call.route.action, ({}, {}))
            add_time(times[0], old.seconds)
            add_time(times[1], new.seconds)
        if outcome.differences:
            self._add_differences(outcome)
        if left and (len(self._samples) < MOST_SAMPLES or pair.at <= self._samples[-1].at):
            shown = _shown_parameters(parameters, self._pseudonymised)
            repeatable = repeatable and _WITHHELD not in shown.get("filter", "")
            differences = tuple(map(self._shown, left[:_SHOWN_OF_A_CALL]))
            more = max(0, len(left) - _SHOWN_OF_A_CALL)
            asked = (pair.call.route.action, pair.caller, pair.call.exam_id, shown)
            sample = Sample(pair.at, digest, *asked, differences, more, repeatable, place)
            self._samples = list(smallest([*self._samples, sample]))

    def _counts_of(self, call: LegacyCall, caller: str | None) -> tuple[list[int], ...]:
        names = {"routes": call.route.action, "callers": caller or "", "exams": call.exam_id}
        return tuple(self._counts(table, name) for table, name in names.items())

    def _counts(self, table: str, name: str) -> list[int]:
        counts = self._tables[table]
        found = counts.get(name)
        if found is None:
            found = counts.setdefault(name if len(counts) < _MOST_NAMES else _OTHERS, [0, 0, 0, 0])
        return found

    def _add_differences(self, outcome: Outcome) -> None:
        found: Counter[_Kind] = Counter()
        for each in outcome.differences:
            found[each.field, each.kind, each.by, each.reason] += each.records
        rows = self._differences.setdefault((outcome.pair.call.route.action, outcome.pair.caller), {})
        explained: set[tuple[str, str]] = set()
        unexplained: set[tuple[str, str]] = set()
        for kind, number in found.items():
            row = rows.get(kind) or self._row(rows, kind)
            row[0] += number
            row[1] += 1
            field, name, by, reason = kind
            (explained if by else unexplained).update(_parts(field, name))
            if by == "known":
                self._rules[reason] += number
        # One unexplained difference outweighs those that are explained.
        for part in explained | unexplained:
            _add(self._counts(*part), part in unexplained, part not in unexplained)

    def _row(self, rows: dict[_Kind, list[int]], kind: _Kind) -> list[int]:
        """Counts of differences that are new here; beyond the most that are told apart, of all others together."""
        if self._kinds >= _MOST_NAMES:
            kind = (_OTHERS, kind[1], kind[2], "")
        self._kinds += kind not in rows
        return rows.setdefault(kind, [0, 0])

    def _shown(self, difference: Difference) -> ShownDifference:
        values = difference.old, difference.new
        old, new = ("", "") if values == (None, None) else (self._value(difference, value) for value in values)
        name = _named(difference.field, difference.aspect)
        return ShownDifference(difference.kind, difference.record, name, old, new, difference.once)

    def _value(self, difference: Difference, value: Any) -> str:
        """The old or new value of a difference, for people; personal ones only where they are pseudonyms already."""
        if value is None:
            return "absent"
        if isinstance(value, str):
            # What the two sides are called, a status or a header.
            return _short(value)
        text = bytes(value)
        try:
            read = loads(text) if text else None
        except ValueError:
            return f"{len(text)} bytes that are no JSON"
        # Outside records it is the text of an error, in which a value may stand.
        harmless = difference.field and difference.record and _is_harmless(difference.field, read)
        return _short(dumps(read)) if harmless or self._pseudonymised else _shape(read)

    def result(self, recordings: tuple[RecordingUse, ...] = ()) -> CheckResult:
        """What was counted so far, of these recordings."""
        known = self._known
        rules = [RuleUse(rule.name, f"{rule.expires}", differences=self._rules[rule.name]) for rule in known.rules]
        rules += [RuleUse(rule.name, f"{rule.expires}", expired=True) for rule in known.expired]
        tables: dict[str, Any] = {
            table: {name: Count(*numbers) for name, numbers in counts.items()} for table, counts in self._tables.items()
        }
        counted = CheckResult(
            checked_at=time.time(),
            began_at=self._began if self._all[0] else None,
            ended_at=self._ended if self._all[0] else None,
            all=Count(*self._all),
            identical=self._identical,
            reread=self._reread,
            not_reread=self._not_reread,
            not_comparable=dict(self._not_comparable),
            questions=self._questions.kept,
            times={route: Times(*times) for route, times in self._times.items()},
            differences=tuple(self._difference_counts()),
            samples=tuple(self._samples),
            known=tuple(rules),
            recordings=recordings,
            **tables,
        )
        # Merged with nothing, it is in the order in which merged ones are.
        return CheckResult().merge(counted)

    def _difference_counts(self) -> Iterable[DifferenceCount]:
        for call, rows in self._differences.items():
            for (field, kind, by, reason), numbers in rows.items():
                aspect = KINDS[kind]
                yield DifferenceCount(*call, _named(field, aspect), kind, aspect, by, reason, *numbers)


def _add(counts: list[int], unexplained: bool, explained: bool) -> None:
    counts[0] += 1
    counts[1] += unexplained
    counts[2] += explained


def _digest(pair: Pair, parameters: Mapping[str, str]) -> int:
    """What two calls have in common that ask the same, 52 bits.

    A parameter that the old interface ignores, such as a number against caches, asks for nothing; neither does a
    default that is written out.
    """
    counted = {name: text for name, text in parameters.items() if name in _SHOWN or name == "filter"}
    stated = sorted(each for each in counted.items() if _DEFAULTS.get(each[0]) != each[1])
    label = [pair.call.route.action, pair.call.exam_id, pair.caller, stated]
    digested = hashlib.blake2b(json.dumps(label).encode(), digest_size=8).digest()
    return int.from_bytes(digested, "big") >> 12


def _question(outcome: Outcome, left: list[Difference]) -> Question:
    evidence, pair = outcome.evidence, outcome.pair
    aspects = aspect_bits([each.aspect for each in left]) if left else 0
    fields = field_bits([each.field for each in left if each.field and each.aspect in _OF_FIELDS]) if left else 0
    return Question(
        pair.call.route.action,
        pair.caller or "",
        bool(left),
        not all(each.once for each in left),
        evidence.aspects | aspects,
        evidence.fields | fields,
        aspects,
        fields,
    )


@lru_cache(maxsize=4096)
def _parts(field: str | None, kind: str) -> tuple[tuple[str, str], ...]:
    """The tables that a call with such a difference counts in, and its names there."""
    aspect = KINDS[kind]
    name = _named(field, aspect) if aspect in _OF_FIELDS else None
    return (("aspects", aspect),) if name is None else (("aspects", aspect), ("fields", name))


def _named(field: str | None, aspect: str) -> str | None:
    """The name of a field; one that nobody declared may be anything, also somebody's address."""
    if field is None or field in COLUMNS or aspect == "headers":
        return field
    return field if _NAME.fullmatch(field) else _UNDECLARED


def _shown_parameters(parameters: Mapping[str, str], pseudonymised: bool) -> Mapping[str, str]:
    """The parameters for people, without what a filter compares personal fields with."""
    shown = {name: text for name, text in parameters.items() if name in _SHOWN}
    if "filter" in parameters:
        shown["filter"] = parameters["filter"] if pseudonymised else _without_values(parameters["filter"])
    return shown


def _without_values(text: str) -> str:
    try:
        content = loads_strictly(text)
    except ValueError:
        return _WITHHELD
    if not isinstance(content, dict):
        return _WITHHELD
    return dumps(
        {
            name: {operator: _operand(name, value) for operator, value in operators.items()}
            if isinstance(operators, dict)
            else _WITHHELD
            for name, operators in content.items()
            if name in COLUMNS
        }
    )


def _operand(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_operand(name, each) for each in value]
    if value == "":
        return value if COLUMNS[name].kept is True else _WITHHELD
    plain = value is None or isinstance(value, bool | str | Number)
    return value if plain and _is_harmless(name, value) else _WITHHELD


def _is_harmless(field: str, value: Any) -> bool:
    """Whether a value of a field can speak of nobody."""
    if value is None or value in ("", [], {}) or isinstance(value, bool):
        return True
    kept = COLUMNS[field].kept if field in COLUMNS else False
    return kept is True or (isinstance(kept, tuple) and value in kept)


def _shape(value: Any) -> str:
    """What a value is, without what it says."""
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    if isinstance(value, list | dict):
        return f"{json_type(value)} of {len(value)}"
    if value is None or isinstance(value, bool):
        return dumps(value)
    return f"a number of {len(dumps(value).lstrip('-'))} digits"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
