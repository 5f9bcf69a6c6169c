"""Choices about which parameters are signed, and under which name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from compat.doctor.choices import Choice, Deviation
from compat.doctor.drafts import Draft, Evidence

__all__ = ["COVERAGE", "IDS"]

_Apply = Callable[[Draft, Evidence], Draft]


def _without(drop: Callable[[str, str, Evidence], bool]) -> _Apply:
    """Without some of the parameters."""
    return lambda draft, evidence: replace(
        draft, values={name: value for name, value in draft.values.items() if not drop(name, value, evidence)}
    )


def _with(**more: str) -> _Apply:
    return lambda draft, evidence: replace(draft, values={**draft.values, **more})


def _id_as_exam_id(draft: Draft, evidence: Evidence) -> Draft:
    if "exam_id" in draft.values:
        return draft
    return replace(draft, values={("exam_id" if name == "id" else name): value for name, value in draft.values.items()})


def _other_id(draft: Draft, evidence: Evidence) -> Draft:
    return draft if evidence.other_id is None else replace(draft, values={**draft.values, "id": evidence.other_id})


IDS = Choice(
    "the id of the path",
    (
        Deviation(
            "id-left-out",
            "left the id of the path out of the signed text.",
            "Sign the path's id too, as the parameter id.",
            _without(lambda name, value, evidence: name == "id"),
        ),
        Deviation(
            "id-as-exam-id",
            "signed the path's id under the name exam_id, as student sessions want it.",
            "Sign it under the name id on the deprecated routes.",
            _id_as_exam_id,
        ),
        Deviation(
            "id-stale",
            "signed the id of the query or body, which is not the id of the path.",
            "Write the id that is signed into the path, and sign anew for every exam.",
            _other_id,
        ),
    ),
)

_NEEDED = ("id", "nonce", "timestamp")
_SIGN_ALL = "Sign every parameter but the signature, wherever it is sent: path, query, JSON or form body."
COVERAGE = Choice(
    "which parameters are signed",
    (
        Deviation(
            "body-left-out",
            "left the parameters of the body out of the signed text.",
            _SIGN_ALL,
            _without(lambda name, value, evidence: name in evidence.body_names),
        ),
        Deviation(
            "query-left-out",
            "left the parameters of the query out of the signed text.",
            _SIGN_ALL,
            _without(lambda name, value, evidence: name in evidence.query_names),
        ),
        Deviation(
            "only-the-required",
            "signed no parameter beside id, nonce and timestamp.",
            _SIGN_ALL,
            _without(lambda name, value, evidence: name not in _NEEDED),
        ),
        Deviation(
            "timestamp-left-out",
            "left the timestamp out of the signed text.",
            _SIGN_ALL,
            _without(lambda name, value, evidence: name == "timestamp"),
        ),
        Deviation(
            "nonce-left-out",
            "left the nonce out of the signed text.",
            _SIGN_ALL,
            _without(lambda name, value, evidence: name == "nonce"),
        ),
        Deviation(
            "time-and-nonce-left-out",
            "left timestamp and nonce out of the signed text.",
            _SIGN_ALL,
            _without(lambda name, value, evidence: name in ("timestamp", "nonce")),
        ),
        Deviation(
            "signature-included",
            "signed an empty signature= too.",
            "Leave the signature itself out of the signed text.",
            _with(signature=""),
        ),
        Deviation(
            "signature-included-as-none",
            "signed signature=None too.",
            "Leave the signature itself out of the signed text.",
            _with(signature="None"),
        ),
        Deviation(
            "token-included",
            "signed the API token too, as the parameter api_token.",
            "Leave the token out of the signed text: it is a header, no parameter.",
            lambda draft, evidence: (
                replace(draft, values={**draft.values, "api_token": evidence.api_token})
                if evidence.api_token
                else draft
            ),
        ),
    ),
)
