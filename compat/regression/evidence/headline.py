"""The verdict in plain words: yes, no or not yet, why, what to do next, and who still calls the old interface."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from compat.call_site import same_file
from compat.regression.evidence.result import CheckResult
from compat.regression.evidence.statistics import in_so_many, percent, share
from compat.regression.evidence.verdict import Judgement, Score, seen_once_often, too_few_comparable
from compat.text.json import several

if TYPE_CHECKING:
    # They lie above this, and the scan needs packages of its own.
    from compat.migration.inventory.report import CallerUsage
    from compat.migration.scan.rules import Find

__all__ = [
    "DIFFERENCES",
    "NOT_COMPARABLE",
    "REMEDIES",
    "SCORES",
    "CallerLeft",
    "callers_left",
    "explained",
    "grounds",
    "headline",
    "next_step",
    "remedy",
    "sentence",
    "told_as_json",
    "what_to_do",
]

_ASK = "let exam-compat record ask the old endpoint itself"
_CHANGED = f"Something changed the answer on its way. Record nearer to the old endpoint, or {_ASK}."
_LOGIN = f"A login page or a proxy answered. Record while signed in, or {_ASK}."
REMEDIES: Mapping[str, str] = {
    "the old endpoint failed": "Record again while the old endpoint answers.",
    "status ": f"Record while signed in and without a cache, or {_ASK}.",
    "a HEAD without": "Record calls with GET too.",
    "an answer without a body": "Record with a tool that keeps every body, such as mitmproxy (browsers leave out "
    f"large ones), or {_ASK}.",
    "a body that is not a JSON object": _LOGIN,
    "a refusal that is not a JSON object": _LOGIN,
    "a body that is no ": f"Something else answered than the old endpoint. Record nearer to it, or {_ASK}.",
    "a record without an id": _CHANGED,
    "headers that contradict the body": _CHANGED,
    "headers that contradict the question": f"These answers belong to other calls. Record without a cache, or {_ASK}.",
    "the other endpoint was not asked": "Check with a configuration and the recordings' key, and without --offline; or "
    "record both answers (record --ask both).",
    "they were dropped": "Give the process that records time and disk; its log says what failed.",
    "the recording was made with another key": "Check with the key of that recording (--key-file).",
    "nobody has the value any more": "Record both answers at once: record --ask both, or the modes shadow and canary.",
}
"""How a reason begins, and what helps."""


def remedy(reason: str) -> str:
    """What to do so that calls can be compared that could not for a reason of ``CheckResult.not_comparable``."""
    found = next((text for begins, text in REMEDIES.items() if reason.startswith(begins)), None)
    return found or f"Record these calls anew, or {_ASK}."


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


_TO_DO: Mapping[str, str] = {
    "access": "Find out first whether the new endpoint shows somebody what is not theirs, or hides what is.",
    "status": "Make such a call again, and read what the new endpoint answers.",
    "error": "Where a script reads this text, let the new endpoint say the same; else write a rule (--known).",
    "body": "Make such a call again, and look at the body: something else may have answered.",
    "headers": "Scripts that read page by page need these headers: let the new endpoint send the same.",
    "membership": "Look for such a record at both endpoints: its exam, its status or a filter tells them apart.",
    "page boundary": "Let the new endpoint sort as the old one does; else scripts have to read all pages.",
    "order": "Let the new endpoint sort as the old one does; where no script minds, write a rule (--known).",
    "fields": "Let the new endpoint send the same fields in the same order; see extra_fields.",
    "values": "Compare both values. Mend what is wrong, or write a rule for this field (--known).",
}
"""By aspect, where nothing explains a difference."""
_EXPLAINED_BY: Mapping[str, str] = {
    "loss": "Nothing, if no script needs this value: the mapping declares that it is lost.",
    "known": "Nothing, until its rule expires.",
    "drift": "Nothing: the data moved between two readings.",
}


def what_to_do(aspect: str, by: str | None) -> str:
    """What to do about a difference of an aspect, explained by something or by nothing."""
    return _TO_DO[aspect] if by is None else _EXPLAINED_BY[by]


def headline(judged: Judgement) -> str:
    """One sentence: may the old endpoint be turned off for these calls?"""
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
    return _mend(judged) if judged.verdict == "not ready" else _gather(judged)


def told_as_json(result: CheckResult, judged: Judgement) -> dict[str, Any]:
    """What programs are told of a check; what each single question showed is for adding results up alone."""
    told = msgspec.to_builtins(msgspec.structs.replace(result, questions={}))
    for sample in told["samples"]:
        # For people at a terminal, who have the file.
        del sample["place"]
    return {"headline": headline(judged), "next_step": next_step(judged), "judgement": judged, "result": told}


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
    said = []
    if judged.all.unexplained:
        fields = sum(each.unexplained > 0 for each in judged.fields)
        parts = [several(fields, "field")] if fields else []
        # Where fields are counted, their aspects say nothing more.
        told = {"fields", "values"} if fields else set()
        parts += [_ASPECT_WORDS[each.name] for each in judged.aspects if each.unexplained and each.name not in told]
        parts = parts or ["something"]
        are = "are" if fields > 1 or len(parts) > 1 else "is"
        calls = several(judged.all.calls, "call")
        said.append(f"{_listed(parts)} {are} wrong in {judged.all.unexplained:,} of {calls}")
    if slow := _slow(judged):
        said.append(f"{_listed(slow)} {'is' if len(slow) == 1 else 'are'} too slow")
    return "; ".join(said)


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
    odd_first = too_few_comparable(whole, judged.thresholds)
    return "; ".join([*judged.gaps, *said] if odd_first else [*said, *judged.gaps]) or "there is no call to compare"


def _mend(judged: Judgement) -> str:
    said = []
    if judged.all.unexplained:
        said.append("Mend what differs below, or write down why it may, in a file of known differences (--known).")
    slow, allowed = _slow(judged), judged.thresholds.max_slowdown
    if slow and allowed is not None:
        said.append(
            f"Let the new endpoint answer {_listed(slow)} sooner: its median may take {allowed:g} times as long as the "
            "old one's (max_slowdown)."
        )
    return " ".join(said)


def _gather(judged: Judgement) -> str:
    whole, thresholds = judged.all, judged.thresholds
    parts = (whole, *judged.routes, *judged.callers)
    if not whole.calls and not whole.not_comparable:
        return "Give it recordings that have calls: exam-compat record makes them, and so do shadow and canary."
    if any(too_few_comparable(each, thresholds) for each in parts):
        reason, calls = next(iter(judged.not_comparable.items()), ("", 0))
        return f"{remedy(reason)} This would mend {calls:,} of {several(whole.not_comparable, 'call')}."
    if any(seen_once_often(each, thresholds) for each in parts):
        return "What differed was gone when it was asked again: record anew, and check at once, while the data rests."
    if judged.unchecked:
        others = len(judged.unchecked) - 1
        whose = judged.unchecked[0] + (f" and of {several(others, 'more caller')}" if others else "")
        return f"Record calls of {whose}, such as by the mode shadow, and check these too."
    if any(each.name == "values" and each.missing > whole.missing for each in judged.aspects):
        return "Record more calls whose answers have students: other exams, filters and pages."
    short = [each for each in judged.fields if each.questions and each.missing > whole.missing]
    if short:
        rarest = min(short, key=lambda each: each.questions)
        return f"Record more calls whose answers have all fields, {rarest.name} above all."
    return "Record more of what the callers ask: other exams, filters, pages and students, of a week or a month."


SCORES: Mapping[str, str] = {
    "Verdict": "ready, not ready, seen once (a difference that was gone when asked again), no difference seen (too few "
    "questions for a verdict of its own), or not compared",
    "Calls": "that were compared",
    "Explained": "calls whose differences all have an explanation",
    "Unexplained": "calls with a difference that has none",
    "Questions": "different questions that these calls asked",
    "At most": "the share of such questions that may differ, at most",
}
DIFFERENCES: Mapping[str, str] = {
    "Differences": "how many",
    "Calls": "in how many calls",
    "Kind": "what differs",
    "Field": "of the record, or the header",
    "Why": "what explains them, or UNEXPLAINED",
}
NOT_COMPARABLE: Mapping[str, str] = {
    "Calls": "with which nothing could be compared, so that they count for nothing",
    "Reason": "what is odd about the old endpoint's answer",
    "What to do": "so that such calls can be compared",
}


def explained(columns: Mapping[str, str], *shown: str) -> str:
    """What columns say, those that are shown or all, in a line below or above their table."""
    return "; ".join(f"{name}: {says}" for name, says in columns.items() if not shown or name in shown) + "."


@dataclass(frozen=True)
class CallerLeft:
    """A caller of the old interface.

    Attributes:
        name: the caller or call site.
        last_seen: seconds since the epoch.
        rewritable: "rewritable", or what is left to do by hand.
        evidence: what the comparison says of it, such as ``0 unexplained in 1,900``.
    """

    name: str
    calls_a_day: float
    last_seen: float | None
    rewritable: str
    evidence: str


def callers_left(callers: Iterable[CallerUsage], judgement: Judgement, finds: Sequence[Find] = ()) -> list[CallerLeft]:
    """The inventory, the verdict and what can be rewritten, caller by caller, the busiest first.

    A caller that no call of the check came from has not been checked; of a file that is not among the finds, nothing is
    known.
    """
    scores = {score.name: score for score in judgement.callers}
    found = [
        CallerLeft(
            each.name, each.a_day, each.last, _rewritable(each.call_sites, finds), _evidence(scores.get(each.name))
        )
        for each in callers
    ]
    return sorted(found, key=lambda each: (-each.calls_a_day, each.name))


def sentence(caller: CallerLeft) -> str:
    """The score in words, such as "214 calls a day, rewritable, 0 unexplained in 1,900"."""
    number = caller.calls_a_day
    often = f"{number:,.0f}" if number >= 10 or number == round(number) else f"{number:.2g}"
    return f"{often} call{'' if often == '1' else 's'} a day, {caller.rewritable}, {caller.evidence}"


def _evidence(score: Score | None) -> str:
    if score is None or not (score.calls or score.not_comparable):
        return "not checked"
    if not score.calls:
        return f"nothing could be compared in {several(score.not_comparable, 'call')}"
    return f"{score.unexplained:,} unexplained in {score.calls:,}"


def _rewritable(call_sites: Iterable[str], finds: Sequence[Find]) -> str:
    files = [site.rpartition(":")[0] for site in call_sites]
    theirs = [find for find in finds if any(same_file(file, find.path) for file in files)]
    if not theirs:
        return "script not seen"
    by_hand = sum(not find.rewritable for find in theirs)
    return f"{by_hand} of {several(len(theirs), 'place')} by hand" if by_hand else "rewritable"
