"""HAR files as the world writes them: every call that can be read is, and every entry is counted by reason."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from har_files import OLD, STARTED_AT, TEXT, URL, counted, entry, har_of, mutated, only, pairs, read
from hypothesis import HealthCheck, given, settings

from compat.legacy.parameters import gather
from compat.regression.recordings.har import HarCalls

OCTETS = TEXT.encode()


def without(*path: str) -> dict[str, Any]:
    whole = part = entry()
    for name in path[:-1]:
        part = part[name]
    del part[path[-1]]
    return whole


LEFT_OUT: list[tuple[Any, str]] = [
    *((each, "an entry that is no JSON object") for each in (None, [], "entry", 7, True)),
    *((each, "a request without an address") for each in ({}, without("request"), without("request", "url"))),
    *((entry(request={"url": url}), "a request without an address") for url in (None, "", 7, ["x"])),
    (entry() | {"request": None}, "a request without an address"),
    (entry(request={"method": None}), "a request without a method"),
    (entry(request={"method": ["GET"]}), "a request without a method"),
    (entry(request={"url": "http://acme.example:port/api/v3/exams/17/index_students"}),
     "a request whose address cannot be read"),
    (entry(request={"url": "/api/v3/exams/17/index_students"}), "a request whose address cannot be read"),
    (entry(request={"url": f"{URL}?name=\ud800"}), "a request with characters that are none"),
    (entry(request={"bodySize": 20}), "a call with a body that the file does not have"),
    (entry(request={"bodySize": 20, "postData": {"mimeType": "application/json"}}),
     "a call with a body that the file does not have"),
    (entry(request={"headers": pairs([("content-length", "20")])}), "a call with a body that the file does not have"),
]  # fmt: skip


@pytest.mark.parametrize(("odd", "reason"), LEFT_OUT)
def test_one_odd_entry_stops_nothing_and_is_counted(tmp_path: Path, odd: Any, reason: str) -> None:
    calls, found = read(tmp_path / "seen.har", har_of(entry(), odd, entry()))
    assert [call.answered.body for call in calls] == [OCTETS, OCTETS]
    assert found.left_out == {reason: 1}
    assert (found.entries, counted(found)) == (3, 1)


def test_an_entry_that_is_no_unicode_is_counted(tmp_path: Path) -> None:
    whole = json.dumps(har_of(entry(), "ODD", entry())).encode()
    calls, found = read(tmp_path / "seen.har", whole.replace(b'"ODD"', b'{"request":{"url":"\xff\xfe"}}'))
    assert (len(calls), found.left_out) == (2, {"an entry that is no JSON": 1})


def test_texts_that_only_python_reads(tmp_path: Path) -> None:
    odd = json.dumps(har_of(entry(time=float("nan")), entry(content={"text": "{\ud800"}))).encode()
    (first, second), found = read(tmp_path / "seen.har", odd)
    assert first.odd == ("no duration that can be read",)
    assert second.answered.body == "{\ud800".encode(errors="surrogatepass")
    assert counted(found) == 0


OTHERS: list[tuple[dict[str, Any], str]] = [
    ({"url": "https://fonts.example/a.woff2"}, "no call of the old interface"),
    ({"url": "data:text/plain,17"}, "no call of the old interface"),
    ({"url": "about:blank"}, "no call of the old interface"),
    ({"url": f"{OLD}/api/v3/student_sessions?page=2"}, "no call of the old interface"),
    ({"url": f"{OLD}/api/v3/exams/17/add_student", "method": "POST"}, "a write, which is never recorded"),
    ({"url": f"{OLD}/api/v3/exams/17/delete_student", "method": "DELETE"}, "a write, which is never recorded"),
    ({"method": "OPTIONS"}, "a method that is not the route's, such as OPTIONS"),
]


@pytest.mark.parametrize(("request_", "kind"), OTHERS)
def test_other_requests_are_counted_apart(tmp_path: Path, request_: dict[str, Any], kind: str) -> None:
    calls, found = read(tmp_path / "seen.har", har_of(entry(request=request_)))
    assert (calls, found.others, counted(found)) == ([], {kind: 1}, 1)


@pytest.mark.parametrize(
    "url",
    ["https://ACME.example:443/api/v3/exams/17/index_students", "https://user:pass@acme.example./api/v3/exams/17/"
     "index_students/?limit=5#top", " https://acme.example/api/v3/exams/17/index_students "],
)  # fmt: skip
def test_one_address_in_other_words(tmp_path: Path, url: str) -> None:
    assert only(tmp_path, entry(request={"url": url})).call.exam_id == "17"


def test_calls_of_other_addresses_are_counted_by_host(tmp_path: Path) -> None:
    path = "/api/v3/exams/17/index_students?signature=5e5e"
    hosts = ["http://acme.example", "https://user:word@staging.example:8443", "https://staging.example:8443",
             "https://acme.example/mirror", "http://[::1]:9300"]  # fmt: skip
    har = har_of(*(entry(request={"url": host + path}) for host in hosts))
    calls, found = read(tmp_path / "seen.har", har)
    assert calls == []
    assert found.elsewhere == {"http://acme.example": 1, "https://staging.example:8443": 2,
                               "https://acme.example/…": 1, "http://[::1]:9300": 1}  # fmt: skip
    calls, _ = read(tmp_path / "seen.har", har, OLD + "/mirror/", "http://[::1]:9300")
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("started", "at"),
    [
        ("2026-11-17T10:00:00.000Z", STARTED_AT),
        ("2026-11-17T11:00:00.000+01:00", STARTED_AT),
        ("2026-11-17T11:00:00+0100", STARTED_AT),
        ("2026-11-17T10:00:00", STARTED_AT),
        ("2026-11-17 10:00:00.25", STARTED_AT + 0.25),
        ("2026-11-17t10:00:00.250000000z", STARTED_AT + 0.25),
        ("2026-11-17T11:00:00.2500000+01:00", STARTED_AT + 0.25),
        ("2026-11-17", STARTED_AT - 36000),
        ("Tue, 17 Nov 2026 10:00:00 GMT", STARTED_AT),
        (STARTED_AT, STARTED_AT),
        (STARTED_AT * 1000, STARTED_AT),
        (int(STARTED_AT) * 10**9, STARTED_AT),
        (f"{STARTED_AT:.0f}", STARTED_AT),
        *(
            (each, None)
            for each in (None, "", "yesterday", [], True, -5, 0, "2026-13-45T99:00:00Z", "0000-01-01", 1e300)
        ),
    ],
)
def test_dates(tmp_path: Path, started: Any, at: float | None) -> None:
    seen = only(tmp_path, entry(startedDateTime=started))
    assert (seen.at, seen.odd) == (at or 0.0, () if at else ("no date and time that can be read",))


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        *((81.5, 0.0815), (81, 0.081), ("81.5", 0.0815), (0, 0.0)),
        *((each, None) for each in (None, -1, "", "x", [], True, 1e300)),
    ],
)
def test_durations(tmp_path: Path, time: Any, seconds: float | None) -> None:
    seen = only(tmp_path, entry(time=time))
    odd = () if seconds is not None else ("no duration that can be read",)
    assert (seen.answered.seconds, seen.odd) == (seconds or 0.0, odd)


QUOTED = "%7B%22name%22%3A%7B%22eq%22%3A%22Jos%C3%A9+%26+50%25%20%2B1%22%7D%7D"
FILTER = '{"name":{"eq":"José & 50% +1"}}'
POSTED = {"mimeType": "application/json", "text": json.dumps({"limit": 5, "filter": FILTER})}
ASKED = pairs([("limit", "5"), ("filter", FILTER)])
QUESTIONS: dict[str, dict[str, Any]] = {
    "the list of the query alone": {"url": URL, "queryString": ASKED},
    "that list as a URL has it": {
        "url": URL,
        "queryString": pairs([("limit", "5"), ("filter", QUOTED)]),
    },
    "a body of JSON": {"url": URL, "queryString": [], "postData": POSTED, "bodySize": 70},
    "its type in a header": {
        "url": URL,
        "headers": pairs([("content-type", "application/json"), ("content-encoding", "gzip")]),
        "postData": {"text": POSTED["text"]},
    },
    "a form": {
        "url": URL,
        "postData": {"mimeType": "application/x-www-form-urlencoded", "params": ASKED},
    },
    "a form of many parts": {
        "url": URL,
        "headers": pairs([("content-type", "multipart/form-data; boundary=x")]),
        "postData": {"text": "", "params": ASKED},
    },
    "pseudo headers alone": {
        "url": None,
        "headers": pairs([
            (":method", "GET"), (":authority", "acme.example"), (":scheme", "https"),
            (":path", "/api/v3/exams/17/index_students"),
        ]),
        "queryString": ASKED,
    },
    "a path and a Host": {
        "url": "/api/v3/exams/17/index_students",
        "headers": pairs([("host", "acme.example")]),
        "queryString": [None, {"name": 7}, *ASKED],
    },
}  # fmt: skip


@pytest.mark.parametrize("asked", [pytest.param(asked, id=name) for name, asked in QUESTIONS.items()])
def test_a_question_is_the_same_wherever_it_stands(tmp_path: Path, asked: dict[str, Any]) -> None:
    call = only(tmp_path, entry(request=asked)).call
    found = gather(call)
    assert (dict(found.values), dict(found.problems)) == ({"id": "17", "limit": "5", "filter": FILTER}, {})


@pytest.mark.parametrize("status", [None, 0, -1, "", "x", True, [], 7, 1e9, "200.0"])
def test_an_answer_that_never_came_is_a_call_all_the_same(tmp_path: Path, status: Any) -> None:
    for response in ({"status": status}, None):
        given = entry(response=response) if response else entry() | {"response": response}
        seen = only(tmp_path, given)
        assert (seen.answered.status, seen.answered.failure, seen.odd) == (0, "no answer", ("no answer",))


@pytest.mark.parametrize("status", [200, "200", 200.0, " 200 "])
def test_a_status_of_another_type(tmp_path: Path, status: Any) -> None:
    assert only(tmp_path, entry(response={"status": status})).answered.status == 200


def test_headers_in_lower_case_and_more_than_once(tmp_path: Path) -> None:
    listed = [("X-Pagination-Limit", "5"), ("x-pagination-limit", "6"), ("Set-Cookie", "a\nb"), (":status", "200")]
    headers = [*pairs(listed), None, {"name": None}, {"name": "x", "value": 7}]
    answered = only(tmp_path, entry(response={"headers": headers})).answered
    assert answered.headers == {"x-pagination-limit": "5, 6", "set-cookie": "a, b", ":status": "200"}


@pytest.mark.parametrize(
    ("answered_by", "by_shim"), [(None, False), ("legacy", False), ("new", True), ("gateway", True)]
)
def test_whose_answer_it_is(tmp_path: Path, answered_by: str | None, by_shim: bool) -> None:
    headers = pairs([] if answered_by is None else [("X-Compat-Answered-By", answered_by)])
    assert only(tmp_path, entry(response={"headers": headers})).by_shim is by_shim


def test_two_answers_of_one_question_are_two_calls(tmp_path: Path) -> None:
    moved = entry(response={"status": 302, "content": {"size": 0}})
    failed = entry(response={"status": 503, "content": {"size": 0, "text": ""}})
    cached = entry(_fromCache="disk")
    of_safari = entry(_fetchType="Memory Cache")
    calls, found = read(
        tmp_path / "seen.har", har_of(moved, failed, entry(_fetchType="Network Load"), cached, of_safari)
    )
    assert [call.answered.status for call in calls] == [302, 503, 200, 200, 200]
    assert found.odd == {"an answer out of a browser's cache": 2}


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(odd=mutated())
def test_no_mutation_of_an_entry_raises_or_goes_uncounted(tmp_path: Path, odd: dict[str, Any]) -> None:
    calls, found = read(tmp_path / "seen.har", har_of(entry(), odd, entry()))
    assert found.entries == 3 == len(calls) + counted(found)
    assert [call.answered.body for call in (calls[0], calls[-1])] == [OCTETS, OCTETS]


def test_a_file_takes_little_more_than_its_size(tmp_path: Path) -> None:
    path = tmp_path / "large.har"
    image = entry(request={"url": "https://cdn.example/a.png"}, content={"text": "A" * 1_000_000, "encoding": "base64"})
    path.write_text(json.dumps(har_of(*[image] * 40, entry())), encoding="utf-8")
    size = path.stat().st_size
    tracemalloc.start()
    try:
        assert len(list(HarCalls(path, [OLD]))) == 1
        assert tracemalloc.get_traced_memory()[1] < 1.5 * size
    finally:
        tracemalloc.stop()
