"""What the benchmarks of walks share: a list of sessions, the ways to read it, and the old calls that walk it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import requests

import compat
from benchmarks.data import EXAM, EXAMS, SETTINGS, sessions
from benchmarks.upstream import ASKED
from compat.upstream.transport import CallOptions

__all__ = [
    "FILTER",
    "PATH",
    "SINCE",
    "SORT",
    "asked",
    "read",
    "read_as_the_walk_does",
    "session_list",
    "walk",
    "walker",
]

PATH = "/sessions"
SINCE = "2018-06-01T00:00:00.000Z"
FILTER = {"start_time": {"gte": SINCE}}
SORT = [{"end_time": "desc"}, {"name": "asc"}]

_DISTINCT = 1500
_LARGEST = 300


@lru_cache
def session_list() -> list[dict[str, Any]]:
    """Sessions to serve one after the other: every other one carries a legacy record."""
    old, new = sessions(True, _DISTINCT), sessions(False, _DISTINCT)
    return [session for pair in zip(old[::2], new[1::2], strict=True) for session in pair]


def walker(base_url: str) -> tuple[requests.Session, str]:
    """A session with the adapter mounted, and the old URL."""
    upstream = compat.PaginatedSessions(base_url, path=PATH, exams=EXAMS, bearer_token="benchmark")
    session, legacy = requests.Session(), "http://legacy.invalid"
    compat.mount(session, legacy, compat.Configuration(upstream, settings=SETTINGS))
    return session, f"{legacy}/api/v3/exams/{EXAM}/index_students"


def walk(base_url: str) -> Iterator[requests.Response]:
    """Every legacy page of the query, read as an old script does."""
    session, url = walker(base_url)
    parameters = {"filter": json.dumps(FILTER), "sort": json.dumps(SORT)}
    with warnings.catch_warnings(), session:
        warnings.simplefilter("ignore", compat.LegacyApiWarning)
        page, matches = 1, 1
        while (page - 1) * _LARGEST < matches:
            answer = session.get(url, params={**parameters, "page": page})
            answer.raise_for_status()
            matches = int(answer.headers["X-Pagination-Item-Count"])
            yield answer
            page += 1


def read(base_url: str, total: int, *, parsed: bool) -> int:
    """Read the new endpoint's pages one by one, as a plain script does; gives the bytes read."""
    size = 0
    with requests.Session() as session:
        session.headers["Authorization"] = "Bearer benchmark"
        for offset in range(0, total, _LARGEST):
            answer = session.get(base_url + PATH, params={"limit": _LARGEST, "offset": offset})
            size += len(answer.content)
            if parsed:
                assert answer.json()["sessions"]
    return size


def read_as_the_walk_does(base_url: str, total: int) -> None:
    """Read the pages as the walk reads them, and do nothing with them."""
    upstream = compat.PaginatedSessions(base_url, path=PATH, exams=EXAMS, bearer_token="benchmark")
    [pages] = upstream.lists(CallOptions())
    for offset in range(0, total, _LARGEST):
        assert pages.fetch(offset, _LARGEST, _LARGEST, None).rows


def asked(base_url: str) -> dict[str, int]:
    """How often each page was asked for since this was last asked."""
    counts: dict[str, int] = requests.get(base_url + ASKED, timeout=30).json()
    return counts
