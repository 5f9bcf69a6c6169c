"""What a recording keeps of an answer: its status, some headers, and its body with pseudonyms in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from compat.json_text import loads
from compat.legacy.answer import ANSWERED_BY, READING
from compat.regression.pairs import Answered
from compat.regression.pseudonyms import PseudonymKey
from compat.regression.recorded import RecordedAnswer
from compat.regression.redaction import Redaction
from compat.schemas import COLUMNS

__all__ = ["KEPT_HEADERS", "ReadAnswer"]

_NUMBER = r"[0-9]{1,20}"
KEPT_HEADERS: Mapping[str, re.Pattern[str]] = {
    name.lower(): re.compile(pattern, re.ASCII)
    for name, pattern in {
        "Content-Type": r"(application|text)/(json|html|plain)(; ?charset=(utf|UTF)-8)?",
        "X-Pagination-Item-Count": _NUMBER,
        "X-Pagination-Page-Count": _NUMBER,
        "X-Pagination-Page": _NUMBER,
        "X-Pagination-Limit": _NUMBER,
        "Retry-After": r"[0-9]{1,6}",
        READING: "unsettled",
        ANSWERED_BY: "legacy|new|gateway",
    }.items()
}
"""Header, in lower case, to what its value has to be; another value becomes a digest."""

_PARAMETERS = frozenset(("id", "status", "page", "limit", "sort", "filter", "student_session_id", "body", "query"))
_FAILURE = re.compile(r"[A-Za-z][A-Za-z_ ]{0,39}", re.ASCII)


class ReadAnswer:
    """An answer, its body read.

    Args:
        answered: the answer, as it came.
    """

    def __init__(self, answered: Answered) -> None:
        self._answered = answered
        self._content: Any = None
        try:
            self._content = loads(answered.body) if answered.body else None
            self._readable = bool(answered.body)
        except ValueError:
            self._readable = False

    @property
    def records(self) -> list[Any]:
        """The records of a list, or the one of a single student."""
        if not isinstance(self._content, dict):
            return []
        listed = self._content.get("students")
        return listed if isinstance(listed, list) else [self._content["student"]] if "student" in self._content else []

    def kept(self, redaction: Redaction, key: PseudonymKey) -> RecordedAnswer:
        """What is kept of it, once its records were noted."""
        given = self._answered
        failure = given.failure
        if failure is not None and not _FAILURE.fullmatch(failure):
            failure = f"withheld-{key.digest('failure', failure).hex()}"
        return RecordedAnswer(
            given.status,
            _headers(given.headers, key),
            msgspec.Raw(msgspec.json.encode(self._body(redaction, key))),
            round(given.seconds, 6),
            failure,
        )

    def _body(self, redaction: Redaction, key: PseudonymKey) -> Any:
        if not self._readable or not isinstance(self._content, dict):
            body = self._answered.body
            return {"unreadable": key.digest("body", body.decode("latin-1")).hex()} if body else None
        return dict(self._member(name, value, redaction) for name, value in self._content.items())

    def _member(self, name: str, value: Any, redaction: Redaction) -> tuple[str, Any]:
        """A member of the body, by the forms that the old interface has."""
        if name == "students" and isinstance(value, list):
            return name, [redaction.record(record) for record in value]
        if name == "student":
            return name, redaction.record(value)
        if name == "error":
            return name, redaction.digest("message", value)
        if name == "errors" and isinstance(value, dict):
            return name, {
                known if known in _PARAMETERS or known in COLUMNS else redaction.name(known): _messages(
                    texts, redaction
                )
                for known, texts in value.items()
            }
        return redaction.name(name), redaction.digest("undeclared", value)


def _messages(texts: Any, redaction: Redaction) -> Any:
    if isinstance(texts, list):
        return [redaction.digest("message", text) for text in texts]
    return redaction.digest("message", texts)


def _headers(headers: Mapping[str, str], key: PseudonymKey) -> dict[str, str]:
    kept = {}
    for name, value in headers.items():
        lower = name.lower()
        if lower in KEPT_HEADERS:
            known = KEPT_HEADERS[lower].fullmatch(value)
            kept[lower] = value if known else f"withheld-{key.digest(lower, value).hex()}"
    return kept
