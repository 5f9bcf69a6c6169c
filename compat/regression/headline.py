"""The verdict in plain words: yes, no or not yet, why, and what to do next."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from compat.plural import several
from compat.regression.result import CheckResult
from compat.regression.verdict import Judgement, percent

__all__ = ["headline", "in_so_many", "next_step", "told_as_json"]

_OF_FIELDS = ("fields", "values")
_ASPECT_WORDS = {
    "access": "who may see what",
    "status": "the status",
    "error": "the text of an error",
    "body": "the body",
    "headers": "a header",
    "membership": "which records a list has",
    "page boundary": "where a page ends",
    "order": "the order",
}


def headline(judged: Judgement) -> str:
    """One sentence: may the old endpoint be turned off for these calls?

    Such as "Yes: of 511 calls compared, of 480 different questions, none differed; at most 6 in 1,000 may."
    """
    if judged.verdict == "ready":
        return f"Yes: {_compared(judged)}, {_differed(judged)}; at most {in_so_many(judged.all.at_most)} may."
    if judged.verdict == "not ready":
        return f"No: {_wrong(judged)}."
    return f"Not yet: {_missing(judged)}."


def next_step(judged: Judgement) -> str:
    """What to do next, in a sentence."""
    if judged.verdict == "ready":
        return "The old endpoint may be turned off for these calls; see first who still calls it (--callers)."
    if judged.verdict == "not ready":
        if judged.all.unexplained:
            return "Mend what differs below, or write down why it may, in a file of known differences (--known)."
        return "See below what takes too long."
    if judged.all.not_comparable > judged.all.calls or (judged.gaps and not judged.all.missing):
        return "Record calls whose answers have whole bodies, of every route and caller, and check these too."
    return "Record more of what the callers ask: other exams, filters, pages and students, of a week or a month."


def in_so_many(rate: float) -> str:
    """A bound as so many in a hundred, thousand, or more, never less than it is: 0.0059 is "6 in 1,000"."""
    if rate >= 1:
        return "100 in 100"
    out_of = 100
    while rate * out_of < 1 and out_of < 1_000_000:
        out_of *= 10
    return f"{math.ceil(rate * out_of - 1e-9):,} in {out_of:,}"


def told_as_json(result: CheckResult, judged: Judgement) -> dict[str, Any]:
    """What programs are told of a check; what each single question showed is for adding results up alone."""
    return {
        "headline": headline(judged),
        "judgement": judged,
        "result": msgspec.structs.replace(result, questions={}),
    }


def _compared(judged: Judgement) -> str:
    return f"of {several(judged.all.calls, 'call')} compared, of {several(judged.all.questions, 'different question')}"


def _differed(judged: Judgement) -> str:
    wrong, once = judged.all.wrong, judged.all.once
    if wrong:
        return f"{wrong:,} differed" + (f" ({once:,} once, and not when asked again)" if once else "")
    return "none differed without an explanation" if judged.all.explained else "none differed"


def _wrong(judged: Judgement) -> str:
    if not judged.all.unexplained:
        slow = [each.route for each in judged.latency if each.too_slow]
        return f"{', '.join(slow)} {'is' if len(slow) == 1 else 'are'} too slow"
    fields = sum(each.unexplained > 0 for each in judged.fields)
    parts = [several(fields, "field")] if fields else []
    parts += [_ASPECT_WORDS[each.name] for each in judged.aspects if each.unexplained and each.name not in _OF_FIELDS]
    listed = parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
    are = "are" if fields > 1 or len(parts) > 1 else "is"
    return f"{listed} {are} wrong in {judged.all.unexplained:,} of {several(judged.all.calls, 'call')}"


def _missing(judged: Judgement) -> str:
    whole, sure = judged.all, judged.thresholds
    said = []
    if whole.missing and whole.calls:
        said.append(
            f"{several(whole.missing, 'more call')} that ask something new; "
            f"{_compared(judged)}, {_differed(judged)}, and at most {percent(whole.at_most)} may, "
            f"where {100 * sure.max_unexplained:g} % is asked for"
        )
    return "; ".join([*said, *judged.gaps]) or "there is no call to compare"
