"""What to do about answers with which nothing can be compared, by the reason that a check gives."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["REMEDIES", "remedy"]

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
    "the recorder could not write them": "Give the process that records time and disk; its log says what failed.",
    "the recording was made with another key": "Check with the key of that recording (--key-file).",
    "nobody has the value any more": "Record both answers at once: record --ask both, or the modes shadow and canary.",
}
"""How a reason begins, and what helps."""


def remedy(reason: str) -> str:
    """What to do so that such calls can be compared.

    Args:
        reason: one of ``CheckResult.not_comparable``.
    """
    found = next((text for begins, text in REMEDIES.items() if reason.startswith(begins)), None)
    return found or f"Record these calls anew, or {_ASK}."
