"""The legacy answer: a page with its headers, a record of its own, or an error (contract, section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from compat.errors import LegacyError
from compat.text.json import dumps

__all__ = ["ANSWERED_BY", "READING", "Answer", "empty", "failure", "page", "pagination_of", "single", "students"]

ANSWERED_BY = "X-Compat-Answered-By"
READING = "X-Compat-Reading"
_JSON = MappingProxyType({"Content-Type": "application/json", ANSWERED_BY: "new"})


@dataclass(frozen=True)
class Answer:
    """An HTTP answer in the old interface's terms.

    Attributes:
        headers: name to value, the content type among them.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def without_body(self) -> Answer:
        """The answer to HEAD: the same headers, no body."""
        return replace(self, headers={**self.headers, "Content-Length": str(len(self.body))}, body=b"")


def students(records: bytes) -> bytes:
    """The body of a page of the list, around a JSON array of its records."""
    return b'{"students":%b}' % records


def page(body: bytes, *, matches: int, number: int, limit: int, unsettled: bool = False) -> Answer:
    """A page of the list.

    Args:
        body: the JSON text, as :func:`students` makes it.
        matches: how many records match in all.
        number: the page, from 1.
        limit: records a page.
        unsettled: the upstream's list kept changing while it was read.
    """
    headers = {
        **_JSON,
        "X-Pagination-Item-Count": str(matches),
        "X-Pagination-Page-Count": str(-(-matches // limit)),
        "X-Pagination-Page": str(number),
        "X-Pagination-Limit": str(limit),
    }
    if unsettled:
        headers[READING] = "unsettled"
    return Answer(200, headers, body)


def pagination_of(answer: Answer) -> dict[str, Any]:
    """What the headers of a page say, by the names that pages have for it everywhere."""
    return {
        "item_count": int(answer.headers["X-Pagination-Item-Count"]),
        "page_count": int(answer.headers["X-Pagination-Page-Count"]),
        "page": int(answer.headers["X-Pagination-Page"]),
        "limit": int(answer.headers["X-Pagination-Limit"]),
        "unsettled": READING in answer.headers,
    }


def single(record: bytes, status: int = 200, *, unsettled: bool = False) -> Answer:
    """One student, as the sibling routes answer (contract, section 3)."""
    headers = {**_JSON, READING: "unsettled"} if unsettled else dict(_JSON)
    return Answer(status, headers, b'{"student":' + record + b"}")


def empty() -> Answer:
    """The answer to a deletion."""
    return Answer(200, dict(_JSON), b"{}")


def failure(error: LegacyError) -> Answer:
    """The answer that an error stands for."""
    errors = {name: list(texts) for name, texts in error.errors.items()}
    body = dumps({"error": error.message, "errors": errors}).encode()
    return Answer(error.status, {**_JSON, **error.headers}, body)
