"""A page of student sessions, as the new face gives it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from compat.legacy.answer import READING, Answer

__all__ = ["SessionsPage", "page_of"]


@dataclass(frozen=True)
class SessionsPage:
    """One page of an exam's student sessions.

    Attributes:
        sessions: the records, each with the 57 documented fields; None in one that the endpoint left out.
        item_count: how many match in all.
        page_count: how many pages that makes.
        page: this one, from 1.
        limit: records a page.
        unsettled: the endpoint's list kept changing while it was read.
    """

    sessions: list[dict[str, Any]] = field(repr=False)
    item_count: int
    page_count: int
    page: int
    limit: int
    unsettled: bool = False


def page_of(answer: Answer) -> SessionsPage:
    """The page that an answer of the list holds."""
    return SessionsPage(
        sessions=json.loads(answer.body)["students"],
        item_count=int(answer.headers["X-Pagination-Item-Count"]),
        page_count=int(answer.headers["X-Pagination-Page-Count"]),
        page=int(answer.headers["X-Pagination-Page"]),
        limit=int(answer.headers["X-Pagination-Limit"]),
        unsettled=READING in answer.headers,
    )
