"""``exam-compat record --har``: whose calls are recorded, and what is said of every other entry."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests

from compat.legacy.signature import signed
from compat.regression.recordings.format import RecordedCall
from compat.regression.recordings.reader import open_recording
from compat.testing import Sandbox

from .conftest import Invoke

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

NIGHTLY = ("token-of-the-nightly-job", "secret-of-the-nightly-job")
CALLERS = f"""
[[callers]]
name = "nightly"
api_token = "{NIGHTLY[0]}"
secret_key = "{NIGHTLY[1]}"
"""
ASKED: list[dict[str, str]] = [
    {"limit": "20"},
    {"limit": "20", "page": "2"},
    {"status": "exam_finished", "sort": '[{"name":"desc"}]'},
    {"filter": '{"email":{"eq":"student1@example.com"}}'},
    {"page": "0"},
    {"page": "999"},
]


def read(place: Path) -> list[RecordedCall]:
    return list(open_recording(place))


def listed(given: Any) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in given.items()]


def entry_of(response: requests.Response) -> dict[str, Any]:
    """What a tool saves that sees what ``requests`` does."""
    asked = response.request
    return {
        "startedDateTime": "2026-11-27T19:00:00.000Z",
        "time": 12.5,
        "request": {"method": asked.method, "url": asked.url, "headers": listed(asked.headers)},
        "response": {
            "status": response.status_code,
            "headers": listed(response.headers),
            "content": {"size": len(response.content), "text": response.text},
        },
    }


def asked_of(base_url: str, parameters: dict[str, str], token: str, key: str) -> requests.Response:
    sent = signed(parameters, key, {"id": "17"})
    headers = {"Authorization": f"Token token={token}"}
    return requests.get(f"{base_url}/api/v3/exams/17/index_students", params=sent, headers=headers, timeout=30)


@pytest.fixture
def place(sandbox: Sandbox, tmp_path: Path) -> Path:
    """A folder with a configuration that knows one caller beside the account of [legacy]."""
    content = sandbox.toml("student_sessions") + CALLERS
    (tmp_path / "exam-compat.toml").write_text(content, encoding="utf-8")
    return tmp_path


def saved(place: Path, *entries: Any) -> Path:
    path = place / "seen.har"
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": list(entries)}}), encoding="utf-8")
    return path


def kept(call: RecordedCall) -> Any:
    """All that a recording says of a call but when it was, how long it took and which pseudonyms sort where."""
    old = call.old
    assert old is not None
    return call.route, call.exam_id, call.method, call.exact, old.status, old.headers, old.failure


def test_what_is_recorded_of_a_har_equals_what_is_recorded_directly(
    invoke: Invoke, sandbox: Sandbox, place: Path
) -> None:
    answers = [asked_of(sandbox.base_url, each, sandbox.api_token, sandbox.secret_key) for each in ASKED]
    saved(place, *map(entry_of, answers))
    # Each names its page, so that it is asked alone.
    asked = [each if "page" in each else each | {"page": "1"} for each in ASKED]
    (place / "calls.txt").write_text("".join(f"17?{urlencode(each)}\n" for each in asked), encoding="utf-8")
    assert invoke("record", "seen.ndjson.gz", "--har", "seen.har").exit_code == 0
    assert invoke("record", "asked.ndjson.gz", "--queries", "calls.txt").exit_code == 0
    seen, direct = read(place / "seen.ndjson.gz"), read(place / "asked.ndjson.gz")
    assert [kept(call) for call in seen] == [kept(call) for call in direct]
    assert [call.parameters | {"page": "1"} for call in seen[:4] if "page" not in call.parameters] == [
        call.parameters for call in (direct[0], *direct[2:4])
    ]
    for ours, theirs in zip(seen, direct, strict=True):
        assert ours.old
        assert theirs.old
        assert bytes(ours.old.body) == bytes(theirs.old.body)
    assert {call.caller for call in seen} == {"sandbox"}


def seen_by_nobody(base_url: str, token: str | None = None, key: str | None = None, **parts: Any) -> dict[str, Any]:
    """An entry of a call that was never sent."""
    parameters = {"limit": "5"}
    query = urlencode(signed(parameters, key, {"id": "17"}) if key else parameters)
    headers = {} if token is None else {"authorization": f"Token token={token}"}
    url = f"{base_url}/api/v3/exams/17/index_students?{query}"
    return {
        "startedDateTime": "2026-11-27T19:00:00.000Z",
        "time": 12.5,
        "request": {"method": "GET", "url": url, "headers": listed(headers)},
        "response": {"status": 200, "headers": [], "content": {"text": '{"students":[]}'}},
        **parts,
    }


def test_whose_calls_they_are(invoke: Invoke, sandbox: Sandbox, place: Path) -> None:
    base = sandbox.base_url
    tokens = ["a-token-of-nobody", "«redacted»"]
    saved(
        place,
        seen_by_nobody(base, NIGHTLY[0]),
        seen_by_nobody(base, None, NIGHTLY[1]),
        seen_by_nobody(base, tokens[1], NIGHTLY[1]),
        seen_by_nobody(base, sandbox.api_token),
        seen_by_nobody(base, tokens[0], "a-key-of-nobody"),
        seen_by_nobody(base),
    )
    alone = invoke("record", "alone.ndjson.gz", "--har", "seen.har")
    told = invoke("record", "told.ndjson.gz", "--har", "seen.har", "--as", "nightly")
    known = ["nightly", "nightly", "nightly", "sandbox", None]
    assert [call.caller for call in read(place / "alone.ndjson.gz")] == [*known, None]
    assert [call.caller for call in read(place / "told.ndjson.gz")] == [*known, "nightly"]
    assert "2 calls by nobody whose token or signature is known" in alone.stderr
    assert "1 call by nobody whose token or signature is known" in told.stderr
    assert (alone.exit_code, told.exit_code) == (0, 0)
    written = gzip.decompress((place / "told.ndjson.gz").read_bytes()).decode()
    for secret in (*NIGHTLY, sandbox.api_token, sandbox.secret_key, *tokens):
        assert secret not in written + alone.output + told.output


def test_every_entry_is_accounted_for(invoke: Invoke, sandbox: Sandbox, place: Path) -> None:
    base = sandbox.base_url
    other = {"request": {"method": "GET", "url": "https://fonts.example/a.woff2"}}
    elsewhere = ["https://staging.example", "https://staging.example", "https://acme.example:8443"]
    dropped = {"response": {"status": 200, "headers": [], "content": {"size": 9000}}}
    odd_text = {"response": {"status": 200, "content": {"text": '{"students":[]}', "encoding": "base64"}}}
    saved(
        place,
        seen_by_nobody(base, NIGHTLY[0]),
        seen_by_nobody(base, NIGHTLY[0], **dropped),
        seen_by_nobody(base, NIGHTLY[0], response=None, startedDateTime=""),
        seen_by_nobody(base, NIGHTLY[0], **odd_text),
        *(seen_by_nobody(each, NIGHTLY[0]) for each in elsewhere),
        *(None, [], {"request": None}, other, other, {**other, "response": None}),
    )
    result = invoke("record", "seen.ndjson.gz", "--har", "seen.har")
    assert result.exit_code == 1
    assert result.stdout.startswith("Recorded 4 calls in seen.ndjson.gz; pseudonyms by the key ")
    assert result.stderr.splitlines() == [
        "seen.har: 13 entries.",
        "Not recorded: 3 × no call of the old interface.",
        "Left out: 2 × an entry that is no JSON object; 1 × a request without an address.",
        f"Left out, calls of another address than {base}: https://staging.example (2 calls), "
        "https://acme.example:8443 (1 call).",
        "Take them by --base-url, which may be given again, if they are of the old endpoint or its gateway.",
        "Recorded all the same: 1 × an answer whose body the file does not have; "
        "1 × no date and time that can be read; 1 × no answer; "
        "1 × a body that is not the base64 that it is said to be.",
    ]
    options = [option for each in (base, *elsewhere[1:]) for option in ("--base-url", each)]
    assert invoke("record", "all.ndjson.gz", "--har", "seen.har", *options).exit_code == 1
    assert len(read(place / "all.ndjson.gz")) == 7


@pytest.mark.parametrize(
    ("entries", "status"),
    [
        (["ours"], 0),
        (["ours", "other"], 0),
        (["ours", "write"], 0),
        (["other"], 1),
        ([], 1),
        (["ours", None], 1),
        (["ours", "elsewhere"], 1),
        (["ours", "secret"], 1),
    ],
)
def test_the_exit_status_says_whether_a_call_is_missing(
    invoke: Invoke, sandbox: Sandbox, place: Path, entries: list[str | None], status: int
) -> None:
    ours = seen_by_nobody(sandbox.base_url, NIGHTLY[0])
    write = {"method": "POST", "url": f"{sandbox.base_url}/api/v3/exams/17/add_student"}
    kinds: dict[str | None, Any] = {
        "ours": ours,
        "other": {"request": {"method": "GET", "url": "https://fonts.example/"}},
        "write": {**ours, "request": write},
        "elsewhere": seen_by_nobody("https://staging.example", NIGHTLY[0]),
        "secret": json.loads(json.dumps(ours).replace("exams/17/", "exams/99/")),
        None: None,
    }
    saved(place, *(kinds[each] for each in entries))
    result = invoke("record", "seen.ndjson.gz", "--har", "seen.har", "--canary", '"exam_id":"99"')
    assert result.exit_code == status, result.output
    assert ("1 × a secret in what would have been written" in result.stderr) is ("secret" in entries)


def test_without_an_address_nothing_is_taken_for_the_old_endpoint(
    invoke: Invoke, sandbox: Sandbox, place: Path
) -> None:
    (place / "exam-compat.toml").write_text(sandbox.toml("student_sessions").partition("[legacy]")[0], encoding="utf-8")
    saved(place, seen_by_nobody("https://acme.example", NIGHTLY[0]))
    result = invoke("record", "seen.ndjson.gz", "--har", "seen.har")
    assert result.exit_code == 2
    assert "say by --base-url where the calls of the HAR file went" in result.stderr
    assert not (place / "seen.ndjson.gz").exists()
    assert invoke("record", "seen.ndjson.gz", "--har", "seen.har", "--base-url", "https://acme.example").exit_code == 0
    # As scripts write it.
    scripts = invoke("record", "more.ndjson.gz", "--har", "seen.har", "--base-url", "https://acme.example/api/v3/")
    assert scripts.exit_code == 0, scripts.output


def test_what_is_no_har_file_leaves_no_recording(invoke: Invoke, place: Path) -> None:
    (place / "seen.har").write_text("<html>", encoding="utf-8")
    result = invoke("record", "seen.ndjson.gz", "--har", "seen.har")
    assert result.exit_code in (1, 2)
    assert result.stderr == "Error: seen.har: no HAR file: JSON is malformed: invalid character (byte 0)\n"
    assert not (place / "seen.ndjson.gz").exists()
