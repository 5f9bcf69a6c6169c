"""HAR files of deprecated calls, with whatever is odd about them."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import brotli
from hypothesis import strategies as st

from compat.regression.recordings.har import HarCalls, SeenCall

OLD = "https://acme.example"
URL = f"{OLD}/api/v3/exams/17/index_students"
TEXT = '{"students":[{"id":1,"name":"José Ümlaut","email":"jose@example.com"}]}'
STARTED = "2026-11-17T10:00:00.000Z"
STARTED_AT = 1794909600.0


def pairs(given: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in given]


def entry(
    *,
    request: dict[str, Any] | None = None,
    response: dict[str, Any] | None = None,
    content: Any = None,
    **changes: Any,
) -> dict[str, Any]:
    """A call as the specification has it, with other parts where those are given."""
    asked = {
        "method": "GET",
        "url": f"{URL}?limit=5",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": pairs([("Accept", "application/json")]),
        "queryString": pairs([("limit", "5")]),
        "headersSize": -1,
        "bodySize": 0,
    }
    answered = {
        "status": 200,
        "statusText": "OK",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": pairs([("Content-Type", "application/json"), ("X-Pagination-Limit", "5")]),
        "content": {"size": len(TEXT.encode()), "mimeType": "application/json", "text": TEXT},
        "redirectURL": "",
        "headersSize": -1,
        "bodySize": -1,
    }
    if content is not None:
        answered["content"] = content
    return {
        "startedDateTime": STARTED,
        "time": 81.5,
        "request": {**asked, **(request or {})},
        "response": {**answered, **(response or {})},
        "cache": {},
        "timings": {"send": 0, "wait": 81.5, "receive": 0},
        **changes,
    }


def har_of(*entries: Any) -> dict[str, Any]:
    return {"log": {"version": "1.2", "creator": {"name": "tests", "version": "1"}, "entries": list(entries)}}


def read(path: Path, content: bytes | dict[str, Any], *base_urls: str) -> tuple[list[SeenCall], HarCalls]:
    """The calls of such a file, and what was counted."""
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    found = HarCalls(path, base_urls or (OLD,))
    return list(found), found


def counted(found: HarCalls) -> int:
    """The entries that were passed over."""
    return sum(sum(each.values()) for each in (found.others, found.elsewhere, found.left_out))


def based(octets: bytes) -> dict[str, str]:
    """How binary bodies stand in such a file."""
    return {"text": base64.b64encode(octets).decode(), "encoding": "base64"}


def only(tmp_path: Path, given: Any) -> SeenCall:
    """The call that an entry is, where it is one."""
    (seen,), found = read(tmp_path / "seen.har", har_of(given))
    assert counted(found) == 0
    return seen


def _nodes(whole: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = (
        list(whole.items()) if isinstance(whole, dict) else list(enumerate(whole)) if isinstance(whole, list) else []
    )
    return [*([path] if path else []), *(each for name, part in inner for each in _nodes(part, (*path, name)))]


_ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["\ud800", TEXT, URL]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "text", "size"]), inner, max_size=2)
    ),
    max_leaves=4,
)
_WHOLE = entry(
    request={
        "headers": pairs([("Authorization", "Token token=5e5e"), ("Content-Type", "application/json")]),
        "postData": {"mimeType": "application/json", "text": "{}", "params": pairs([("page", "1")])},
    },
    response={"headers": pairs([("Content-Type", "application/json"), ("Content-Encoding", "br")])},
    content={"size": 9, "encoding": "base64", **based(brotli.compress(TEXT.encode()))},
)


@st.composite
def mutated(draw: st.DrawFn) -> dict[str, Any]:
    """A call of which up to three nodes are missing, or are anything else."""
    entry_drawn = copy.deepcopy(_WHOLE)
    for _ in range(draw(st.integers(1, 3))):
        places = _nodes(entry_drawn)
        if not places:
            break
        *way, last = draw(st.sampled_from(places))
        part: Any = entry_drawn
        for step in way:
            part = part[step]
        if draw(st.booleans()):
            del part[last]
        else:
            part[last] = draw(_ODD)
    return entry_drawn
