"""A report's content that has all of its parts."""

from __future__ import annotations

from compat.regression.evidence.headline import CallerLeft
from compat.regression.evidence.verdict import Latency, PartVerdict, Quantiles, Score
from compat.regression.report.content import Bound, Bucket, Content, DifferenceShown, Group, Largest

NASTY = '</pre><script>document.title = "taken"</script><b onclick="x()">&"\''
_BEGAN = 1_790_000_000.0
_KINDS = [
    ("field value", "unexplained", "start_time", ""),
    ("order", "explained", "", "known.toml: ties may come in any order"),
    ("membership", "drift", "", "the old endpoint answered otherwise a moment later"),
    ("field value", "explained", "email", NASTY),
]


def score(
    name: str, verdict: PartVerdict, calls: int, explained: int, unexplained: int, at_most: float, questions: int
) -> Score:
    return Score(name, calls, unexplained, explained, 0, questions, unexplained, 0, at_most, verdict, 0)


_FIELDS = [
    score("start_time", "not ready", 5000, 12, 4, 0.0018, 4100),
    score("status", "seen once", 5000, 0, 1, 0.00094, 4990),
    score("name", "ready", 5000, 0, 0, 0.0006, 4990),
    score("browser", "ready", 4000, 0, 0, 0.00075, 3990),
    score("email", "not compared", 0, 0, 0, 1.0, 0),
]
_CALLERS = [score(NASTY, "no difference seen", 9, 0, 0, 0.3, 9)]


def content(differences: int = 40, *, verdict: str = "not ready") -> Content:
    """A content; of its differences every fourth is unexplained."""
    quantiles = [0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
    return Content(
        verdict=verdict,
        sentence="No: 1 field is wrong in 4 of 5,000 calls.",
        next_step="Mend what differs below.",
        bound=Bound(0.0018, 0.006, "4,100 different questions: at most 0.18 % may differ."),
        made_at=_BEGAN + 90_000,
        version="0.1.0",
        sources=["exam 17.ndjson"],
        began_at=_BEGAN,
        ended_at=_BEGAN + 80_000,
        totals=[("Calls compared", "calls", 38_000), ("Equal", "equal", 37_484), ("Unexplained", "unexplained", 4)],
        reasons=["start_time: 4 unexplained"],
        groups=[
            Group("By field", "Calls whose answers showed the field", "Field", _FIELDS, folds=True),
            Group("By route", "Calls of the route", "Route", []),
            Group("By caller", "Calls of the caller", "Caller", _CALLERS),
        ],
        buckets=[Bucket(_BEGAN + 3600 * hour, 900 + hour, hour % 7, int(hour == 8)) for hour in range(24)],
        confidence=0.95,
        latency=[
            Latency(
                "index_students",
                38_000,
                tuple(Quantiles(each, _around(20 + 200 * each**3), _around(15 + 300 * each**4)) for each in quantiles),
                "no difference seen",
                too_slow=False,
            )
        ],
        callers_left=[
            CallerLeft("registrar", 214.3, _BEGAN, "rewritable", "0 unexplained in 1,900"),
            CallerLeft("/srv/export.py:12", 3.2, None, "2 places by hand", "none compared"),
        ],
        largest=[
            Largest("field value in start_time", "unexplained", 14, 4, "", "Compare both values."),
            Largest("field value in email", "explained", 3_000, 1_500, NASTY, "Nothing, until its rule expires."),
            Largest("order", "explained", 900, 450, "ties may come in any order", "Nothing, until its rule expires."),
            Largest("membership", "drift", 98, 7, "the old answers differ", "Nothing: the data moved."),
        ],
        differences=[_difference(number) for number in range(differences)],
        differences_in_all=4012,
        notices=["rule 3 of known.toml explained nothing"],
        not_comparable=[("an answer without a body", 12, "Record with a tool that keeps every body."), (NASTY, 1, "")],
    )


def _difference(number: int) -> DifferenceShown:
    kind, state, field, reason = _KINDS[number % 4]
    place = f"exam 17, record {number}"
    return DifferenceShown(kind, state, "index_students", "registrar", field, "values", place, NASTY, "b", reason)


def _around(milliseconds: float) -> tuple[float, float, float]:
    return milliseconds / 1000, milliseconds / 1000 * 0.9, milliseconds / 1000 * 1.2
