"""Recordings: what is written is read again, nothing of a person or a secret is in it, and a missing end is said."""

from __future__ import annotations

import gzip
import json
import os
import re
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

import compat
from compat.legacy.routes import ADD_STUDENT, INDEX_STUDENTS, SHOW_STUDENT, LegacyCall
from compat.regression.comparing.pairs import Answered, Pair
from compat.regression.recordings.format import (
    DamagedRecording,
    RecordedCall,
    RecordingError,
    SecretFound,
    UnfinishedRecording,
)
from compat.regression.recordings.pseudonyms import PseudonymKey
from compat.regression.recordings.reader import open_recording
from compat.regression.recordings.redact import KEPT_HEADERS
from compat.regression.recordings.writer import Recorder, Sought
from compat.schemas import STUDENT_FIELDS
from compat.testing import Sandbox

KEY = PseudonymKey(b"sixteen bytes or more")


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    """Two hundred records of the sandbox's people."""
    return Sandbox(students=200, seed=3).dataset.students


def listing(**parameters: str) -> LegacyCall:
    return LegacyCall(INDEX_STUDENTS, "17", urlencode(parameters), authorization="Token token=t0ken-of-a-caller")


def page(records: list[Any], **headers: str) -> Answered:
    body = json.dumps({"students": records}, ensure_ascii=False).encode()
    return Answered(200, {"Content-Type": "application/json", **headers}, body, 0.125)


def recorded(tmp_path: Path, *calls: LegacyCall, answer: Answered) -> list[RecordedCall]:
    with Recorder(tmp_path, KEY) as recorder:
        for call in calls:
            recorder.keep(call, old=answer)
    return list(open_recording(tmp_path))


def students(call: RecordedCall) -> list[dict[str, Any]]:
    assert call.old is not None
    listed: list[dict[str, Any]] = json.loads(bytes(call.old.body))["students"]
    return listed


def test_what_is_written_is_read_again(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    headers = {"X-Pagination-Item-Count": "200", "Set-Cookie": "session=1", "X-Compat-Reading": "Ann de Vries"}
    call = listing(page="2", sort='[ {"name":"DESC"} ]', timestamp="1700000000000", nonce="5", signature="5e" * 32)
    (found,) = recorded(tmp_path, call, answer=page(records, **headers))
    assert (found.route, found.exam_id, found.exact, found.method) == ("index_students", "17", True, "GET")
    assert found.parameters == {"page": "2", "sort": '[{"name":"DESC"}]'}
    assert found.old is not None
    assert (found.old.status, found.old.seconds, found.new, found.served) == (200, 0.125, None, None)
    assert found.pair() is None
    kept = dict(found.old.headers)
    assert kept.pop("x-compat-reading").startswith("withheld-")
    assert kept == {"content-type": "application/json", "x-pagination-item-count": "200"}
    assert abs(found.at - time.time()) < 600
    assert found.call().query == urlencode(found.parameters)
    for hidden, record in zip(students(found), records, strict=True):
        assert tuple(hidden) == STUDENT_FIELDS
        for name in ("id", "exam_id", "status", "start_time", "attempt", "archived", "rtc_session_ids", "webcam_check"):
            assert hidden[name] == record[name]


def test_a_pair_keeps_both_answers(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    old, new = page(records[:3]), page(records[1:3])
    pair = Pair(listing(), "registrar", 1_700_000_000.5, old, new, "new")
    with Recorder(tmp_path / "pairs.ndjson.gz", KEY) as recorder:
        recorder.keep_pair(pair)
    (found,) = open_recording(tmp_path / "pairs.ndjson.gz")
    again = found.pair()
    assert again is not None
    assert (again.caller, again.at, again.served) == ("registrar", 1_700_000_000.5, "new")
    one, other = (json.loads(answered.body)["students"] for answered in (again.old, again.new))
    assert one[1:] == other
    assert one[0] != one[1]


SEARCHED = ("name", "email", "external_id", "token", "individual_info", "session_id")


def test_nothing_of_a_person_stands_in_any_byte(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    secrets = ("t0ken-of-a-caller", "5e" * 32, KEY.secret.decode(), KEY.secret.hex())
    values = {str(record[name]) for record in records for name in SEARCHED if len(str(record[name] or "")) > 3}
    values |= {str(record["student_id"]) for record in records if record["student_id"] is not None}
    values |= {incident["comment"] for record in records for incident in record["incidents"]}
    wanted = {"name": {"in": [record["name"] for record in records[:9]]}, "email": {"ne": records[0]["email"]}}
    call = listing(filter=json.dumps(wanted), nonce="51", signature="5e" * 32)
    odd = [
        {**record, "guardian": record["name"], record["email"]: 1, "open_time": record["name"]} for record in records
    ]
    refusal = {"error": records[0]["name"], "errors": {records[1]["name"]: [records[2]["name"]]}, "who": values.pop()}
    with Recorder(tmp_path, KEY, sought=secrets) as recorder:
        recorder.keep(call, old=page(records), new=page(odd))
        recorder.keep(listing(status=records[0]["name"], page="Ann", wish=records[0]["name"]), old=page([]))
        recorder.keep(call, old=Answered(422, {"Retry-After": "Ann Vries"}, json.dumps(refusal).encode()))
        recorder.keep(
            call, old=Answered(502, {}, records[0]["name"].encode(), failure=f"no {records[0]['name']} there")
        )
        recorder.keep(LegacyCall(SHOW_STUDENT, records[0]["name"]), old=page([records[0]["name"]]))
    (file,) = tmp_path.iterdir()
    raw = file.read_bytes()
    text = gzip.decompress(raw)
    assert text.count(b"\n") == 7
    numbers = set(re.findall(rb"(?<![0-9A-V])[0-9]+(?![0-9A-V])", text))
    for value in sorted(values | {*secrets}):
        for form in (value.encode(), json.dumps(value)[1:-1].encode(), value[::-1].encode()):
            assert form not in raw
            # Six digits stand by chance within the 49 of a pseudonym.
            assert form not in (numbers if form.isdigit() else text), value
    (filtered, *_, shown) = open_recording(tmp_path)
    assert not filtered.exact
    assert not shown.exact


CANARY = "canary Ann de Vries <ann@example.com>"


def test_a_canary_put_everywhere_leaves_no_trace_even_where_nobody_looks_for_it(tmp_path: Path) -> None:
    """The rules alone keep it out; that secrets are looked for comes on top."""
    everywhere: list[Any] = [{name: CANARY} for name in STUDENT_FIELDS]
    everywhere += [{name: [CANARY, {CANARY: CANARY}]} for name in STUDENT_FIELDS]
    everywhere += [{CANARY: CANARY, "note": {"more": CANARY}}, CANARY, [CANARY]]
    named = ("status", "page", "limit", "sort", "filter", "id", "student_session_id", "timestamp", "nonce", CANARY)
    filters = [json.dumps({name: {"eq": CANARY, "in": [CANARY]}}) for name in (*STUDENT_FIELDS, CANARY)]
    calls = [
        *(listing(**{name: CANARY}) for name in named),
        *(listing(filter=text) for text in filters),
        listing(sort=json.dumps([{"name": CANARY}, {CANARY: "asc"}])),
        LegacyCall(INDEX_STUDENTS, CANARY, CANARY, "application/json", json.dumps({"page": CANARY}).encode(), CANARY),
    ]
    headers = dict.fromkeys((*KEPT_HEADERS, "X-Pagination-Page", "Server", CANARY), CANARY)
    answers = [
        page(everywhere, **headers),
        Answered(422, headers, json.dumps({"error": CANARY, "errors": {CANARY: [CANARY], "page": CANARY}}).encode()),
        Answered(200, headers, json.dumps({"student": {"name": CANARY}, "students": CANARY, CANARY: 1}).encode()),
        Answered(200, {}, json.dumps(CANARY).encode()),
        Answered(502, {}, CANARY.encode()),
        Answered(0, failure=CANARY),
    ]
    with Recorder(tmp_path, KEY) as recorder:
        for call in calls:
            recorder.keep(call, old=answers[0])
        for answer in answers:
            recorder.keep(listing(), old=answer, new=answer)
    (file,) = tmp_path.iterdir()
    raw = file.read_bytes()
    for part in (CANARY, "canary", "Ann de", "de Vries", "ann@example"):
        assert not Sought([part]).stands_in(raw)
        assert not Sought([part]).stands_in(gzip.decompress(raw))
    found = list(open_recording(tmp_path))
    assert len(found) == len(calls) + len(answers)


@pytest.mark.parametrize(
    "place",
    [
        {"status": "secret-canary"},
        {"browser": "x", "created_at": "2018-11-17T17:09:39.123456789123456+01:00"},
    ],
)
def test_a_secret_in_a_kept_place_is_refused(tmp_path: Path, place: dict[str, str]) -> None:
    """No kept place can hold one, unless it is made of digits or is a word that is kept."""
    with Recorder(tmp_path, KEY, sought=["123456789123456", "exam_finished"]) as recorder:
        if "created_at" in place:
            with pytest.raises(SecretFound, match="a secret stood in a call to be recorded; it was left out"):
                recorder.keep(listing(), old=page([place]))
        else:
            recorder.keep(listing(), old=page([place]))
        with pytest.raises(SecretFound):
            recorder.keep(listing(status="exam_finished"), old=page([]))
    recording = open_recording(tmp_path)
    assert len(list(recording)) == ("created_at" not in place)
    assert recording.files[0].lost == 2 - ("created_at" not in place)


def test_the_token_and_the_signature_of_a_call_are_sought_without_being_named(tmp_path: Path) -> None:
    with Recorder(tmp_path, KEY) as recorder:
        for call in (
            LegacyCall(INDEX_STUDENTS, "17", "page=12345678", authorization="Token token=12345678"),
            LegacyCall(INDEX_STUDENTS, "17", "page=12345678&signature=12345678"),
        ):
            with pytest.raises(SecretFound):
                recorder.keep(call, old=page([]))


def test_what_is_closed_takes_nothing_more(tmp_path: Path) -> None:
    with Recorder(tmp_path, KEY) as recorder:
        recorder.keep(listing(), old=page([]))
        recorder.close()
        closed = recorder.path.read_bytes()
        recorder.close()
        recorder.flush()
        assert recorder.path.read_bytes() == closed
        with pytest.raises(RecordingError, match="was closed"):
            recorder.keep(listing(), old=page([]))
    assert len(list(open_recording(tmp_path))) == 1


def test_a_failure_between_leaves_no_end(tmp_path: Path) -> None:
    def interrupted() -> None:
        with Recorder(tmp_path, KEY) as recorder:
            recorder.keep(listing(), old=page([]))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(UnfinishedRecording, match="behind 1 whole call;"):
        list(open_recording(tmp_path))


def test_writes_are_not_recorded(tmp_path: Path) -> None:
    with Recorder(tmp_path, KEY) as recorder, pytest.raises(ValueError, match="only reads"):
        recorder.keep(LegacyCall(ADD_STUDENT, "17", method="POST"), old=page([]))


@pytest.mark.parametrize("name", ["calls.ndjson.gz", ""])
def test_only_its_owner_may_read_it(tmp_path: Path, name: str) -> None:
    recorder = Recorder(tmp_path / name, KEY)
    recorder.close()
    file = recorder.path
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    if name:
        with pytest.raises(RecordingError, match="File exists"):
            Recorder(tmp_path / name, KEY)


class TestTheEnd:
    """Of a file; every way in which it can be missing."""

    @pytest.fixture
    def file(self, tmp_path: Path, records: list[dict[str, Any]]) -> Path:
        with Recorder(tmp_path, KEY) as recorder:
            for start in range(150):
                recorder.keep(listing(page=str(start + 1)), old=page(records[start : start + 2]))
        return next(tmp_path.iterdir())

    @pytest.fixture
    def frames(self, file: Path) -> list[bytes]:
        parts = file.read_bytes().split(b"\x1f\x8b\x08\x00\x00\x00\x00\x00")[1:]
        return [b"\x1f\x8b\x08\x00\x00\x00\x00\x00" + part for part in parts]

    def read(self, file: Path) -> int:
        return sum(1 for _ in open_recording(file))

    def test_is_there(self, file: Path, frames: list[bytes]) -> None:
        assert self.read(file) == 150
        assert len(frames) == 5

    def test_cut_anywhere(self, file: Path, frames: list[bytes]) -> None:
        whole = b"".join(frames)
        for calls, count in ((0, 1), (64, 2), (128, 3), (150, 4)):
            for more in (0, 1, 9, 30):
                file.write_bytes(whole[: len(b"".join(frames[:count])) + more])
                with pytest.raises(UnfinishedRecording, match=f"behind {calls} whole calls; its writer") as raised:
                    self.read(file)
                assert raised.value.calls == calls
                assert len(list(open_recording(file, unfinished="accept"))) == calls

    def test_a_frame_is_missing(self, file: Path, frames: list[bytes]) -> None:
        file.write_bytes(b"".join(frames[:2] + frames[3:]))
        with pytest.raises(DamagedRecording, match="behind 86 whole calls: it had 150 whole calls"):
            self.read(file)

    def test_an_octet_is_another(self, file: Path, frames: list[bytes]) -> None:
        whole = bytearray(b"".join(frames))
        whole[len(frames[0]) + len(frames[1]) + 300] ^= 1
        file.write_bytes(whole)
        with pytest.raises(DamagedRecording, match="behind 64 whole calls"):
            self.read(file)

    def test_something_stands_behind_it(self, file: Path, frames: list[bytes]) -> None:
        file.write_bytes(b"".join([*frames, frames[1]]))
        with pytest.raises(DamagedRecording, match="something stands behind its end"):
            self.read(file)


def test_what_is_no_recording_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no such file"):
        open_recording(tmp_path / "absent")
    with pytest.raises(RecordingError, match="no recording in this folder"):
        open_recording(tmp_path)
    file = tmp_path / "x.ndjson.gz"
    for content, message in (
        (b"", "no recording"),
        (b"text", "no recording"),
        (gzip.compress(b'{"line":"end","calls":0}\n'), "no recording"),
        (
            gzip.compress(b'{"line":"head","format":2,"made_at":1,"made_by":"9","key_id":"k"}\n'),
            "format 2 of recordings, and this version reads format 1",
        ),
    ):
        file.write_bytes(content)
        with pytest.raises(RecordingError, match=f"x.ndjson.gz: {message}$"):
            list(open_recording(file))


def test_a_head_tells_age_key_and_version(tmp_path: Path) -> None:
    before = time.time()
    Recorder(tmp_path, KEY, upstream="student_sessions", source="har").close()
    recording = open_recording(tmp_path)
    (head,) = recording.heads()
    assert (head.made_by, head.key_id, head.zone) == (compat.__version__, KEY.id, "UTC")
    assert (head.upstream, head.source) == ("student_sessions", "har")
    assert before <= head.made_at <= time.time()
    assert recording.age(head.made_at + 60) == 60


def test_threads_share_a_recorder(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    with Recorder(tmp_path, KEY) as recorder:

        def work(number: int) -> None:
            for start in range(20):
                recorder.keep(listing(page=str(number * 20 + start + 1)), old=page(records[start : start + 3]))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(int(call.parameters["page"]) for call in open_recording(tmp_path)) == list(range(1, 81))


FORKING = """
import os, sys
from tests_of_recording import KEY, listing, page
from compat.regression.recordings.writer import Recorder
recorder = Recorder(sys.argv[1], KEY)
recorder.keep(listing(page="1"), old=page([]))
child = os.fork()
recorder.keep(listing(page="2" if child else "3"), old=page([]))
recorder.close()
if child:
    assert os.waitpid(child, 0)[1] == 0
"""
LIMITED = """
import sys
from tests_of_recording import KEY, listing, page
from compat.regression.recordings.redact import KEPT_HEADERS
from compat.regression.recordings.format import RecordingError
from compat.regression.recordings.writer import Recorder
recorder = Recorder(sys.argv[1], KEY)
failures = 0
for number in range(1, 1001):
    try:
        recorder.keep(listing(page=str(number)), old=page([{"id": number, "name": f"Ann {number * 7919}"}]))
    except RecordingError as error:
        failures += 1
        assert "File too large; 64 calls were lost" in str(error), error
assert failures
try:
    recorder.close()
except RecordingError:
    sys.exit(3)
"""


def run(code: str, folder: Path, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a program that has this file's functions at hand."""
    (folder.parent / "tests_of_recording.py").write_bytes(Path(__file__).read_bytes())
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, str(folder)],
        check=False,
        cwd=folder.parent,
        env={**os.environ, "PYTHONPATH": str(folder.parent)},
        timeout=120,
        **options,
    )


def test_a_process_that_was_forked_writes_a_file_of_its_own(tmp_path: Path) -> None:
    assert run(FORKING, tmp_path / "calls").returncode == 0
    assert len(list((tmp_path / "calls").iterdir())) == 2
    assert sorted(call.parameters["page"] for call in open_recording(tmp_path / "calls")) == ["1", "2", "3"]


def test_a_full_disk_leaves_whole_frames_and_says_what_is_missing(tmp_path: Path) -> None:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000))

    assert run(LIMITED, tmp_path / "calls", preexec_fn=limit).returncode in (0, 3)
    recording = open_recording(tmp_path / "calls", unfinished="accept")
    found = list(recording)
    assert 64 <= len(found) < 1000
    (file,) = recording.files
    # Either the end still had room and says how many were lost, or it is missing and that is said.
    assert file.lost == 1000 - len(found) if file.finished else not file.lost


def test_new_places_are_given_where_there_are_none_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("compat.regression.recordings.writer._MOST_VALUES", 10)
    with Recorder(tmp_path, KEY) as recorder:
        for number in range(40):
            recorder.keep(listing(page=str(number + 1)), old=page([{"id": number, "name": f"Ann {number}"}]))
    (file,) = tmp_path.iterdir()
    assert gzip.decompress(file.read_bytes()).count(b'{"line":"order"}') == 3
    assert [call.parameters["page"] for call in open_recording(file)] == [str(number + 1) for number in range(40)]
