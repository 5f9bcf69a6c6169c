"""A report's content that has all of its parts."""

from __future__ import annotations

from compat.regression.report.content import (
    Bound,
    Bucket,
    CallerLeft,
    Content,
    DifferenceShown,
    Group,
    Interval,
    LatencyShown,
    QuantileShown,
    Row,
)

NASTY = '</pre><script>document.title = "taken"</script><b onclick="x()">&"\''
_BEGAN = 1_790_000_000.0
_KINDS = [
    ("field value", "unexplained", "start_time", ""),
    ("order", "explained", "", "known.toml: ties may come in any order"),
    ("membership", "drift", "", "the old endpoint answered otherwise a moment later"),
    ("field value", "explained", "email", NASTY),
]
_ROWS = [
    Row("start_time", "not ready", 5000, 12, 4, 0.0018, 4100),
    Row("status", "seen once", 5000, 0, 1, 0.00094, 4990),
]
_ALIKE = [Row("name", "ready", 5000, 0, 0, 0.0006, 4990), Row("browser", "ready", 4000, 0, 0, 0.00075, 3990)]
_NOT_COMPARED = [Row("email", "not compared", 0, 0, 0, 1.0, 0)]


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
            Group("By field", "Calls whose answers showed the field", "Field", _ROWS, _ALIKE, _NOT_COMPARED),
            Group("By route", "Calls of the route", "Route", []),
            Group("By caller", "Calls of the caller", "Caller", [Row(NASTY, "no difference seen", 9, 0, 0, 0.3, 9)]),
        ],
        buckets=[Bucket(_BEGAN + 3600 * hour, 900 + hour, hour % 7, int(hour == 8)) for hour in range(24)],
        confidence=0.95,
        latency=[
            LatencyShown(
                "index_students",
                "no difference seen",
                [QuantileShown(each, _around(20 + 200 * each**3), _around(15 + 300 * each**4)) for each in quantiles],
            )
        ],
        callers_left=[
            CallerLeft("registrar", 214.3, _BEGAN, "rewritable", "0 unexplained in 1,900"),
            CallerLeft("/srv/export.py:12", 3.2, None, "2 places by hand", "none compared"),
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


def _around(value: float) -> Interval:
    return Interval(value, value * 0.9, value * 1.2)
