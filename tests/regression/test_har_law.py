"""What is recorded of a HAR file is what is recorded of the same calls directly; no entry ever stops a recording."""

from __future__ import annotations

import base64
import gzip
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import brotli
import msgspec
from har_files import STARTED, STARTED_AT, URL, entry, har_of, mutated, pairs, read
from hypothesis import given, settings
from hypothesis import strategies as st

from compat.legacy.routes import INDEX_STUDENTS, LegacyCall
from compat.legacy.signature import Caller
from compat.regression.comparing.pairs import Answered
from compat.regression.recordings.call_lists import Accounts
from compat.regression.recordings.pseudonyms import PseudonymKey
from compat.regression.recordings.reader import open_recording
from compat.regression.recordings.writer import Recorder
from compat.testing.strategies import legacy_records

KEY = PseudonymKey(b"a key of tests alone")
ACCOUNTS = Accounts([Caller("nightly", "token-of-nightly", "secret-of-nightly")])
PACKS: dict[str | None, Callable[[bytes], bytes]] = {None: bytes, "gzip": gzip.compress, "br": brotli.compress}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
QUESTIONS = st.dictionaries(
    st.sampled_from(["limit", "page", "status", "filter", "sort", "name"]),
    st.sampled_from(["5", "0", "exam_finished", '{"name":{"gt":"M"}}', '[{"name":"desc"}]']) | TEXTS,
    max_size=4,
)
BODIES = st.one_of(
    st.lists(legacy_records([17]), max_size=3).map(
        lambda records: json.dumps({"students": records}, ensure_ascii=False)
    ),
    st.sampled_from(['{"error":"x","errors":{"page":["x"]}}', "{}", "[]", "<html></html>", "", "\ufeff{}", "é"]),
    TEXTS,
)
HEADERS = st.dictionaries(
    st.sampled_from(["Content-Type", "X-Pagination-Limit", "x-pagination-page", "Retry-After", "Set-Cookie"]),
    st.sampled_from(["application/json", "5", "text/html; charset=utf-8", "a=b"]),
    max_size=3,
)


def recorded(*calls: tuple[LegacyCall, Answered, float]) -> list[bytes]:
    """The line of each call."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "calls.ndjson.gz"
        with Recorder(path, KEY) as recorder:
            for call, answered, at in calls:
                recorder.keep(call, old=answered, at=at)
        return [msgspec.json.encode(call) for call in open_recording(path)]


@settings(max_examples=150, deadline=None)
@given(data=st.data(), question=QUESTIONS, text=BODIES, headers=HEADERS, status=st.sampled_from([200, 404, 422, 503]))
def test_a_har_is_recorded_as_its_calls_are(
    data: st.DataObject, question: dict[str, str], text: str, headers: dict[str, str], status: int
) -> None:
    body, query = text.encode(), urlencode(question)
    # Nothing in brotli is a semicolon, which may be one.
    coding = data.draw(st.sampled_from(list(PACKS) if body else [None, "gzip"]))
    content: dict[str, Any] = {"size": len(body), "text": text}
    if coding is not None or data.draw(st.booleans()):
        content |= {"text": base64.b64encode(PACKS[coding](body)).decode(), "encoding": "base64"}
    asked = {"url": URL, "queryString": pairs(question.items())}
    if data.draw(st.booleans()):
        asked = {"url": f"{URL}?{query}" if query else URL, "queryString": []}
    sent = pairs([*headers.items(), *([("Content-Encoding", coding)] if coding else [])])
    given_ = entry(
        request=asked, response={"headers": sent, "status": status}, content=content, startedDateTime=STARTED
    )
    with tempfile.TemporaryDirectory() as folder:
        (seen,), _ = read(Path(folder) / "seen.har", har_of(given_))
    direct = (LegacyCall(INDEX_STUDENTS, "17", query), Answered(status, headers, body, 0.0815), STARTED_AT)
    assert recorded((seen.call, seen.answered, seen.at)) == recorded(direct)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_whatever_is_read_of_a_mutated_entry_can_be_recorded(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        calls, _ = read(Path(folder) / "seen.har", har_of(entry(), data.draw(mutated())))
    assert {ACCOUNTS.owner(each.call) for each in calls} == {None}
    assert len(recorded(*((each.call, each.answered, each.at) for each in calls))) == len(calls) >= 1
