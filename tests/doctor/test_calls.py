"""A call as people paste it, read as the program that it is pasted from sends it."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
from urllib.parse import parse_qsl

import pytest
from support import RawServer, http, program

from compat.doctor import CLUED, SeenRequest, UnreadableCall, diagnose_entry, read_curl, read_entry
from compat.doctor.calls import legacy_call, masked
from compat.legacy.verifier import AMBIGUOUS, BAD_NAME, MARKED, STRANGER, Verifier

LINES = [
    "curl {url}",
    "curl -sS '{url}?page=1&limit=30' -H 'Authorization: Token token=t0ken'",
    'curl -G {url} -d page=1 --data-urlencode \'filter={{"name":{{"eq":"a b+c/é"}}}}\'',
    "curl -sG '{url}?id=17' --data-urlencode '=a b' --data-urlencode 'a b'",
    "curl -d name=Ada -d 'email=a%40b' {url}",
    "curl -XDELETE {url} --data-raw '@not a file'",
    "curl --request GET --url {url} --json '{{\"page\":1}}'",
    "curl --json '{{\"a\":' --json '1}}' {url}",
    "curl -X GET {url} -H 'Content-Type: application/json' --data-binary '{{\"id\": 17}}' -m 5 -o /dev/null",
    "curl -sSLkv --compressed -A agent -u user:pass -e http://x {url}#fragment",
    "curl \\\n  -H 'X-One: a' \\\n  '{url}?q=%C3%A9&x=a+b'",
]


@pytest.mark.parametrize("line", LINES)
def test_a_curl_line_is_read_as_curl_sends_it(line: str) -> None:
    curl = program("curl")
    with RawServer(lambda number, received, connection: http(200)) as server:
        text = line.format(url=f"{server.base_url}/api/v3/exams/17/index_students")
        subprocess.run(
            [curl, *shlex.split(text.replace("\\\n", " "))[1:], "-s"], check=True, timeout=30, capture_output=True
        )
        read = read_curl(text)
        (received,) = server.received
    start, *headers = received.head.split("\r\n")
    sent = {name.lower(): value for name, _, value in (line.partition(": ") for line in headers)}
    method, target, _ = start.split(" ")
    path, _, query = target.partition("?")
    assert (method, path) == (read.method, read.path)
    # The encoding of -G is another one in every few versions of curl.
    assert parse_qsl(query, keep_blank_values=True) == parse_qsl(read.query, keep_blank_values=True)
    assert received.body == read.body
    assert read.headers is not None
    assert sent.get("content-type") == read.headers.get("content-type")
    assert sent.get("authorization", "").startswith("Basic") or sent.get("authorization") == read.headers.get(
        "authorization"
    )


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("curl -H 'x", "cannot be split into words"),
        ("curl --no-such-option http://x", "--no-such-option"),
        ("curl -sS", "names no URL"),
        ("curl -d @secret.json http://x", "from a file"),
        ("curl --data-urlencode name@file http://x", "from a file"),
    ],
)
def test_a_curl_line_that_does_not_tell_what_it_sends(line: str, why: str) -> None:
    with pytest.raises(UnreadableCall, match=why):
        read_curl(line)


@pytest.mark.parametrize(
    ("method", "url", "action", "fits"),
    [
        ("GET", "https://acme.proctorexam.com/api/v3/exams/17/index_students/?a=1", "index_students", True),
        ("GET", "/api/v3/exams/17/show_student", "show_student", True),
        ("GET", "http://h:1/behind/a/proxy/api/v3/exams/17/index_students", "index_students", True),
        ("POST", "/api/v3/exams/17/index_students", "index_students", False),
        ("GET", "/api/v3/student_sessions", None, False),
        ("GET", "http://host", None, False),
        ("GET", "http://host/elsewhere?x=/api/v3/exams/17/index_students", None, False),
    ],
)
def test_which_deprecated_call_a_request_is(method: str, url: str, action: str | None, fits: bool) -> None:
    found = legacy_call(SeenRequest(method, url))
    if action is None:
        assert found is None
    else:
        assert found is not None
        assert (found[0].route.action, found[0].exam_id, found[1]) == (action, "17", fits)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("page", "12", "12"),
        ("skip_requirements", "True", "True"),
        ("page", "zoe@example.org", "xxx@xxxxxxx.xxx"),
        ("email", "zoe+1@example.org", "xxx+0@xxxxxxx.xxx"),
        ("name", "Zo%C3%A9%20B", "xx%00%00%20x"),
        ("name", "status", "xxxxxx"),
        ("filter", '{"name": {"eq": "Zo\\u00e9 B2"}}', '{"name": {"eq": "xx\\u0000 x0"}}'),
        ("filter", "%7B%22name%22%3A1%7D", "%7B%22name%22%3A0%7D"),
        ("sort", '[{"email":"desc"}]', '[{"email":"desc"}]'),
    ],
)
def test_what_a_report_shows_of_a_value(name: str, value: str, shown: str) -> None:
    assert masked(name, value) == shown


ENTRY = '{"event":"call","status":403,"refusal":"%s","details":%s}'


@pytest.mark.parametrize(
    ("reason", "details", "names", "explained"),
    [
        ("wrong signature", '{"signed_as":["id-left-out"],"skew":5}', ["id-left-out"], True),
        ("wrong signature", '{"skew":5}', ["signature-unexplained"], False),
        ("wrong signature", "null", ["signature-unexplained"], False),
        ("timestamp outside five minutes", '{"skew":-700000}', ["clock-skew"], True),
        ("timestamp outside five minutes", '{"skew":-1699999999000}', ["timestamp-in-seconds"], True),
        ("timestamp outside five minutes", "null", ["clock-skew"], True),
        ("unknown token", "null", ["unknown-token"], True),
        ("nonce or signature used before", "null", ["used-before"], True),
        ("something newer", "null", ["other-reason"], False),
    ],
)
def test_a_line_of_the_log(reason: str, details: str, names: list[str], explained: bool) -> None:
    diagnosis = diagnose_entry(read_entry(ENTRY % (reason, details)))
    assert [finding.name for finding in diagnosis.findings] == names
    assert (diagnosis.explained, diagnosis.accepted) == (explained, False)


REASONS = re.findall(r'^ +return (?:[\w.]+ or )?"(.+)"$', inspect.getsource(Verifier._refusal), flags=re.MULTILINE)


def test_every_reason_of_the_verifier_is_known() -> None:
    assert {"wrong signature", "no timestamp", "no nonce"} <= set(REASONS)
    assert set(CLUED) <= set(REASONS)
    for reason in (*REASONS, STRANGER, AMBIGUOUS, BAD_NAME, MARKED):
        diagnosis = diagnose_entry({"refusal": reason})
        assert diagnosis.findings[0].name != "other-reason", reason


@pytest.mark.parametrize("lines", ["{}", '{"status":200}', "{", f"{ENTRY % ('a', 'null')}\n{ENTRY % ('b', 'null')}"])
def test_lines_that_hold_no_one_refused_call(lines: str) -> None:
    with pytest.raises(UnreadableCall):
        read_entry(lines)
