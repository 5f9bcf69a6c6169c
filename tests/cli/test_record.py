"""``exam-compat record``: what is asked for is recorded, and nobody is named in it."""

from __future__ import annotations

import base64
import gzip
import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from compat.regression.recordings.format import RecordedCall
from compat.regression.recordings.reader import open_recording
from compat.testing import Sandbox

from .conftest import COMMAND, Invoke

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

QUERIES = """\
# Monday's calls
17?status=exam_finished&limit=5

{"exam": 18, "filter": {"name": {"gt": "M"}}, "sort": [{"name": "desc"}], "limit": 20}
17?page=0
https://acme.example/api/v3/exams/17/index_students?page=1&limit=3&timestamp=1&nonce=2&signature=abc
/api/v3/exams/17/show_student?student_session_id=1
"""


def read(place: Path) -> list[RecordedCall]:
    return list(open_recording(place))


def test_exams_are_listed_to_their_last_page(invoke: Invoke, config: Path, tmp_path: Path) -> None:
    result = invoke("record", "--exam", 17, "--exam", 18, "--limit", 20, "--ask", "both", "--config", config)
    assert result.exit_code == 0, result.output
    calls = read(tmp_path / "recordings")
    assert f"Recorded {len(calls)} calls in recordings/" in result.output
    for exam in ("17", "18"):
        asked = [call for call in calls if call.exam_id == exam]
        assert all(call.old and call.new and call.old.status == 200 for call in asked)
        first = asked[0].old
        assert first is not None
        assert len(asked) == int(first.headers["x-pagination-page-count"]) > 1
        assert [call.parameters.get("page") for call in asked[:2]] == [None, "2"]
        assert all(call.new is not None and call.new.headers["x-compat-answered-by"] == "new" for call in asked)


def test_what_both_answer_alike_is_recorded_alike(invoke: Invoke, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "exam-compat.toml").write_text(sandbox.toml("student_sessions"), encoding="utf-8")
    assert invoke("record", "pairs.ndjson.gz", "--exam", 17, "--ask", "both").exit_code == 0
    (call,) = read(tmp_path / "pairs.ndjson.gz")
    assert call.old is not None
    assert call.new is not None
    assert bytes(call.old.body) == bytes(call.new.body)
    assert len(bytes(call.old.body)) > 10_000


def test_a_list_of_queries(invoke: Invoke, paginated: Path, tmp_path: Path) -> None:
    (tmp_path / "calls.txt").write_text(QUERIES, encoding="utf-8")
    result = invoke("record", "calls", "--queries", "calls.txt", "--as", "sandbox", "--config", paginated)
    assert result.exit_code == 0, result.output
    calls = read(tmp_path / "calls")
    finished = [call for call in calls if call.parameters.get("status")]
    filtered = [call for call in calls if call.exam_id == "18"]
    assert [call.parameters["limit"] for call in finished[:2]] == ["5", "5"]
    assert not any(call.exact for call in filtered)
    assert json.loads(filtered[0].parameters["filter"])["name"]["gt"].startswith("-")
    refused, named, shown = calls[-3:]
    assert refused.old is not None
    assert (refused.old.status, refused.parameters) == (422, {"page": "0"})
    assert named.parameters == {"page": "1", "limit": "3"}
    assert shown.old is not None
    assert (shown.route, shown.old.status) == ("show_student", 404)
    assert all(call.caller == "sandbox" and call.new is None for call in calls)


def test_the_key_is_made_once_and_read_by_its_owner_alone(invoke: Invoke, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "exam-compat.toml").write_text(sandbox.toml("student_sessions"), encoding="utf-8")
    key = tmp_path / "exam-compat-recording.key"
    for name in ("one", "two", "three"):
        if name == "three":
            key.unlink()
        assert invoke("record", name, "--exam", 17).exit_code == 0
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    one, two, three = (open_recording(tmp_path / name).heads()[0].key_id for name in ("one", "two", "three"))
    assert one == two != three


def test_keys_come_from_where_they_are_named(
    invoke: Invoke, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key_id(*options: Any) -> str:
        result = invoke("record", "out.ndjson.gz", "--exam", 17, *options)
        assert result.exit_code == 0, result.output
        head = open_recording(tmp_path / "out.ndjson.gz").heads()[0]
        (tmp_path / "out.ndjson.gz").unlink()
        return head.key_id

    toml = tmp_path / "exam-compat.toml"
    toml.write_text(sandbox.toml("student_sessions"), encoding="utf-8")
    (tmp_path / "named.key").write_text("the key of the file that is named\n", encoding="utf-8")
    by_file = key_id("--key-file", "named.key")
    monkeypatch.setenv("EXAM_COMPAT_RECORDING_KEY", "the key of the environment")
    by_environment = key_id()
    toml.write_text(
        toml.read_text(encoding="utf-8") + '\n[regression]\nkey = "the key of the configuration"\n', "utf-8"
    )
    by_configuration = key_id()
    assert len({by_file, by_environment, by_configuration}) == 3
    assert key_id("--key-file", "named.key") == by_file
    assert not (tmp_path / "exam-compat-recording.key").exists()
    monkeypatch.setenv("EXAM_COMPAT_RECORDING_KEY", "short")
    toml.write_text(sandbox.toml("student_sessions"), encoding="utf-8")
    result = invoke("record", "--exam", 17)
    assert result.exit_code == 2
    assert result.stderr == "Error: EXAM_COMPAT_RECORDING_KEY: a key of pseudonyms has 16 bytes at least\n"


def har(sandbox: Sandbox, records: list[dict[str, Any]]) -> dict[str, Any]:
    """What a browser saves of three requests: one deprecated read, one packed in base64, and another."""
    query = urlencode({**sandbox.signed({"limit": "2", "filter": json.dumps({"name": {"eq": records[0]["name"]}})})})
    url = f"https://acme.example/api/v3/exams/17/index_students?{query}"
    body = json.dumps({"students": records}, ensure_ascii=False)
    request = {
        "method": "GET",
        "url": url,
        "headers": [{"name": "Authorization", "value": f"Token token={sandbox.api_token}"}],
    }
    response = {
        "status": 200,
        "headers": [{"name": "Content-Type", "value": "application/json"}],
        "content": {"text": body, "mimeType": "application/json"},
    }
    packed = {"text": base64.b64encode(body.encode()).decode(), "encoding": "base64"}
    entry = {"startedDateTime": "2026-11-17T10:00:00.000+01:00", "time": 81.5, "request": request, "response": response}
    shim = {"status": 200, "headers": [{"name": "x-compat-answered-by", "value": "new"}], "content": packed}
    lost = {"status": 0, "headers": [], "content": {}}
    other = {**entry, "request": {**request, "url": "https://acme.example/", "method": "GET"}}
    return {"log": {"entries": [entry, {**entry, "response": shim}, other, {**entry, "response": lost}]}}


def test_a_har_file(invoke: Invoke, sandbox: Sandbox, paginated: Path, tmp_path: Path) -> None:
    records = sandbox.dataset.students[:4]
    (tmp_path / "saved.har").write_text(json.dumps(har(sandbox, records)), encoding="utf-8")
    elsewhere = ("--base-url", "https://acme.example")
    assert invoke("record", "seen.ndjson.gz", "--har", "saved.har", *elsewhere, "--config", paginated).exit_code == 0
    old, new, lost = read(tmp_path / "seen.ndjson.gz")
    assert (old.at, old.new, new.old) == (1794906000.0, None, None)
    assert old.old is not None
    assert new.new is not None
    assert lost.old is not None
    assert old.old.seconds == 0.0815
    assert bytes(old.old.body) == bytes(new.new.body)
    assert (lost.old.status, lost.old.failure) == (0, "no answer")
    raw = (tmp_path / "seen.ndjson.gz").read_bytes()
    text = gzip.decompress(raw)
    for secret in (sandbox.api_token, sandbox.secret_key, sandbox.client_secret, *(each["name"] for each in records)):
        assert secret.encode() not in raw + text
        assert json.dumps(secret)[1:-1].encode() not in text


def test_a_canary_is_left_out_and_said(invoke: Invoke, sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "exam-compat.toml").write_text(sandbox.toml("student_sessions"), encoding="utf-8")
    options = ("--exam", 17, "--exam", 18, "--status", "exam_finished", "--canary", '"exam_id":"18"')
    result = invoke("record", "out.ndjson.gz", *options)
    assert result.exit_code == 1
    assert "a secret stood in a call to be recorded; it was left out" in result.stderr
    assert "1 left out" in result.stderr
    assert '"exam_id":"18"' not in result.stderr
    recording = open_recording(tmp_path / "out.ndjson.gz")
    assert [call.exam_id for call in recording] == ["17"]
    assert recording.files[0].lost == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Say what to record: --exam or --queries, or else --har."),
        (("--exam", 17, "--har", "exam-compat.toml"), "Say what to record: --exam or --queries, or else --har."),
        (("--exam", 17, "--base-url", "https://acme.example"), "--base-url goes with --har."),
        (
            ("--har", "exam-compat.toml", "--base-url", "acme.example"),
            "--base-url 'acme.example': no http or https URL",
        ),
        (("--har", "exam-compat.toml", "--as", "nobody"), "--as 'nobody': [[callers]] has no such name"),
        (("--limit", 5), "--status, --filter, --sort and --limit go with --exam."),
        (("--exam", 17, "--as", "nobody"), "--as 'nobody': [[callers]] has no such name"),
        (("--har", "absent.har"), "absent.har: no such file in "),
        (("--har", "exam-compat.toml"), "exam-compat.toml: no HAR file: "),
        (("--queries", "exam-compat.toml"), "exam-compat.toml, line 1: no call: write 17?status=exam_finished"),
        (("there.ndjson.gz", "--exam", 17), "there.ndjson.gz: File exists"),
    ],
)
def test_what_cannot_be_done_is_said(
    invoke: Invoke, sandbox: Sandbox, tmp_path: Path, arguments: tuple[Any, ...], message: str
) -> None:
    (tmp_path / "exam-compat.toml").write_text(sandbox.toml("student_sessions"), encoding="utf-8")
    (tmp_path / "there.ndjson.gz").touch()
    result = invoke("record", *arguments)
    assert result.exit_code in (1, 2)
    assert message in result.stderr


def test_without_an_old_endpoint_the_new_one_can_be_asked(invoke: Invoke, sandbox: Sandbox, tmp_path: Path) -> None:
    content = sandbox.toml("student_sessions").partition("[legacy]")[0]
    (tmp_path / "exam-compat.toml").write_text(content, encoding="utf-8")
    result = invoke("record", "--exam", 17)
    assert result.exit_code == 2
    assert "[legacy] has no base_url" in result.stderr
    assert invoke("record", "new", "--exam", 17, "--ask", "new").exit_code == 0
    (call,) = read(tmp_path / "new")
    assert call.old is None


def test_what_does_not_answer_is_recorded_as_such(invoke: Invoke, sandbox: Sandbox, tmp_path: Path) -> None:
    content = sandbox.toml("student_sessions")
    base = sandbox.base_url
    head, _, legacy = content.rpartition(base)
    (tmp_path / "exam-compat.toml").write_text(f"{head}http://127.0.0.1:9{legacy}", encoding="utf-8")
    result = invoke("record", "out", "--exam", 17)
    # Nothing was learnt of the old endpoint, which is no success.
    assert result.exit_code == 1
    assert "Recorded all the same: 1 × no answer of the old endpoint: unreachable." in result.stderr
    (call,) = read(tmp_path / "out")
    assert call.old is not None
    assert (call.old.status, call.old.failure) == (0, "unreachable")


def test_an_account_that_is_refused_is_said(invoke: Invoke, sandbox: Sandbox, tmp_path: Path) -> None:
    content = sandbox.toml("student_sessions").replace("[legacy]", '[legacy]\napi_token = "x"\nsecret_key = "y"')
    (tmp_path / "exam-compat.toml").write_text(content, encoding="utf-8")
    result = invoke("record", "out", "--exam", 17, "--ask", "both")
    assert result.exit_code == 0, result.output
    assert "Recorded all the same: 1 × status 403 of the old endpoint." in result.stderr
    assert invoke("record", "more", "--exam", 17).exit_code == 1


def test_a_command_asks_the_old_endpoint_itself_where_scripts_are_answered_by_the_shim(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Otherwise the shim would be recorded in the place of what it is compared with."""
    (tmp_path / "exam-compat.toml").write_text(sandbox.toml("paginated_sessions"), encoding="utf-8")
    sandbox.clear_calls()
    done = subprocess.run(
        [*COMMAND, "record", "old.ndjson.gz", "--exam", "18", "--limit", "20"],
        cwd=tmp_path,
        env={**os.environ, "EXAM_COMPAT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert {call.interface for call in sandbox.calls} == {"legacy"}


def test_a_script_that_is_not_there_leaves_the_environment_as_it_was(invoke: Invoke) -> None:
    assert invoke("run", "nowhere.py").exit_code == 2
    assert "EXAM_COMPAT" not in os.environ
