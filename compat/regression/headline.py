"""The verdict in plain words: yes, no or not yet, why, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from compat.plural import several
from compat.regression.rates import in_so_many, percent, share
from compat.regression.remedies import remedy
from compat.regression.result import CheckResult, Count
from compat.regression.verdict import Judgement, Score, seen_once_often

__all__ = ["grounds", "headline", "next_step", "told_as_json"]

_ASPECT_WORDS = {
    "access": "who may see what",
    "status": "the status",
    "error": "the text of an error",
    "body": "the body",
    "headers": "a header",
    "membership": "which records a list has",
    "page boundary": "where a page ends",
    "order": "the order",
    "fields": "the order of fields",
    "values": "a value",
}


def headline(judged: Judgement) -> str:
    """One sentence: may the old endpoint be turned off for these calls?

    Such as "Yes: of 511 calls compared, of 480 different questions, none differed; at most 6 in 1,000 may.", "No: 3
    fields are wrong in 12 of 511 calls." or "Not yet: 495 more calls that ask something new are needed; …".
    """
    if judged.verdict == "ready":
        return f"Yes: {_compared(judged)}, {_differed(judged)}; at most {_in_so_many(judged)} may."
    if judged.verdict == "not ready":
        return f"No: {_wrong(judged)}."
    return f"Not yet: {_missing(judged)}."


def grounds(judged: Judgement) -> str:
    """What the verdict rests on: how many questions there were, and the bound beside what is asked for."""
    whole, sure = judged.all, judged.thresholds
    if not whole.calls:
        return "No call was compared, so nothing is known of the new endpoint."
    weight = "each counted by how often its caller calls" if judged.weighted else "each counted once"
    at_most = f"{percent(whole.at_most, sure.max_unexplained)} of such may differ ({_in_so_many(judged)})"
    return (
        f"{several(whole.questions, 'different question')}, {weight}: at most {at_most}, as sure as "
        f"{share(sure.confidence)}; {share(sure.max_unexplained)} is allowed."
    )


def next_step(judged: Judgement) -> str:
    """What to do next, in a sentence or two."""
    if judged.verdict == "ready":
        if judged.weighted:
            return "The old endpoint may be turned off for the callers whose calls these are."
        return "The old endpoint may be turned off for these calls; see first who still calls it (--callers)."
    if judged.verdict == "not ready":
        return " ".join([*_mend(judged), *_quicken(judged)])
    return _gather(judged)


def told_as_json(result: CheckResult, judged: Judgement) -> dict[str, Any]:
    """What programs are told of a check; what each single question showed is for adding results up alone."""
    return {
        "headline": headline(judged),
        "next_step": next_step(judged),
        "judgement": judged,
        "result": msgspec.structs.replace(result, questions={}),
    }


def _in_so_many(judged: Judgement) -> str:
    return in_so_many(judged.all.at_most, judged.thresholds.max_unexplained)


def _compared(judged: Judgement) -> str:
    return f"of {several(judged.all.calls, 'call')} compared, of {several(judged.all.questions, 'different question')}"


def _differed(judged: Judgement) -> str:
    wrong, once = judged.all.wrong, judged.all.once
    if wrong:
        return f"{wrong:,} differed" + (f" ({once:,} once, and not when asked again)" if once else "")
    return "none differed without an explanation" if judged.all.explained else "none differed"


def _wrong(judged: Judgement) -> str:
    slow = _slow(judged)
    said = []
    if judged.all.unexplained:
        fields = sum(each.unexplained > 0 for each in judged.fields)
        parts = [several(fields, "field")] if fields else []
        parts += [_ASPECT_WORDS[each.name] for each in judged.aspects if each.unexplained and _apart(each, fields)]
        parts = parts or ["something"]
        are = "are" if fields > 1 or len(parts) > 1 else "is"
        calls = several(judged.all.calls, "call")
        said.append(f"{_listed(parts)} {are} wrong in {judged.all.unexplained:,} of {calls}")
    if slow:
        said.append(f"{_listed(slow)} {'is' if len(slow) == 1 else 'are'} too slow")
    return "; ".join(said)


def _apart(aspect: Score, fields: int) -> bool:
    """Whether an aspect is named beside the number of fields that are wrong."""
    return not (fields and aspect.name in {"fields", "values"})


def _slow(judged: Judgement) -> list[str]:
    return [each.route for each in judged.latency if each.too_slow]


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _missing(judged: Judgement) -> str:
    whole = judged.all
    said = []
    if whole.missing and whole.calls:
        needed = f"{several(whole.missing, 'more call')} that {'asks' if whole.missing == 1 else 'ask'} something new"
        said.append(
            f"{needed} {'is' if whole.missing == 1 else 'are'} needed; {_compared(judged)}, {_differed(judged)}"
        )
    odd_first = _odd(judged, whole)
    return "; ".join([*judged.gaps, *said] if odd_first else [*said, *judged.gaps]) or "there is no call to compare"


def _mend(judged: Judgement) -> list[str]:
    if not judged.all.unexplained:
        return []
    return ["Mend what differs below, or write down why it may, in a file of known differences (--known)."]


def _quicken(judged: Judgement) -> list[str]:
    slow, allowed = _slow(judged), judged.thresholds.max_slowdown
    if not slow or allowed is None:
        return []
    return [
        f"Let the new endpoint answer {_listed(slow)} sooner: its median may take {allowed:g} times as long as the old "
        "one's (max_slowdown)."
    ]


def _gather(judged: Judgement) -> str:
    whole = judged.all
    if not whole.calls and not whole.not_comparable:
        return "Give it recordings that have calls: exam-compat record makes them, and so do shadow and canary."
    if any(_odd(judged, each) for each in (whole, *judged.routes, *judged.callers)):
        reason, calls = next(iter(judged.not_comparable.items()), ("", 0))
        return f"{remedy(reason)} This would mend {calls:,} of {several(whole.not_comparable, 'call')}."
    if any(seen_once_often(each, judged.thresholds) for each in (whole, *judged.routes, *judged.callers)):
        return "What differed was gone when it was asked again: record anew, and check at once, while the data rests."
    if judged.unchecked:
        others = len(judged.unchecked) - 1
        whose = judged.unchecked[0] + (f" and of {several(others, 'more caller')}" if others else "")
        return f"Record calls of {whose}, such as by the mode shadow, and check these too."
    records = next((each for each in judged.aspects if each.name == "values"), None)
    if records is not None and records.missing > whole.missing:
        return "Record more calls whose answers have students: other exams, filters and pages."
    short = [each for each in judged.fields if each.questions and each.missing > whole.missing]
    if short:
        rarest = min(short, key=lambda each: each.questions)
        return f"Record more calls whose answers have all fields, {rarest.name} above all."
    return "Record more of what the callers ask: other exams, filters, pages and students, of a week or a month."


def _odd(judged: Judgement, part: Score) -> bool:
    """Whether nothing could be compared with too many of the answers."""
    count = Count(part.calls, not_comparable=part.not_comparable)
    return count.not_comparable_share > judged.thresholds.max_not_comparable
