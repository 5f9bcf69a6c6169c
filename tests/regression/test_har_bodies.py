"""Bodies of HAR files, and the files themselves, in whatever they are packed."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import sys
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brotli
import pytest
import urllib3
from har_files import TEXT, based, entry, har_of, only, pairs, read

from compat.regression.recordings.format import RecordingError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

OCTETS = TEXT.encode()
DROPPED = "an answer whose body the file does not have"
NOT_BASE64 = "a body that is not the base64 that it is said to be"


def coded(coding: str, **changes: Any) -> dict[str, Any]:
    return {"headers": pairs([("content-encoding", coding)]), **changes}


def lines_of(octets: bytes) -> dict[str, str]:
    return {"text": base64.encodebytes(octets).decode(), "encoding": "base64"}


BODIES: dict[str, dict[str, Any]] = {
    "text": {},
    "base64": {"content": based(OCTETS)},
    "base64 in capitals": {"content": {**based(OCTETS), "encoding": " BASE64"}},
    "base64 in lines": {"content": lines_of(OCTETS)},
    "base64 without its end": {"content": {**based(OCTETS), "text": based(OCTETS)["text"].rstrip("=")}},
    "base64 for URLs": {"content": {**based(OCTETS), "text": base64.urlsafe_b64encode(OCTETS).decode()}},
    "another encoding": {"content": {"text": TEXT, "encoding": "utf-8"}},
    "an encoding of another type": {"content": {"text": TEXT, "encoding": 8}},
    "gzip, said": {"content": based(gzip.compress(OCTETS)), "response": coded("gzip")},
    "gzip, unsaid": {"content": based(gzip.compress(OCTETS))},
    "gzip, said to be brotli": {"content": based(gzip.compress(OCTETS)), "response": coded("br")},
    "brotli, said": {"content": based(brotli.compress(OCTETS)), "response": coded("br")},
    "brotli, unsaid": {"content": based(brotli.compress(OCTETS))},
    "zstandard, said": {"content": based(zstd.compress(OCTETS)), "response": coded("zstd")},
    "zstandard, unsaid": {"content": based(zstd.compress(OCTETS))},
    "deflate": {"content": based(zlib.compress(OCTETS)), "response": coded("deflate")},
    "gzip in brotli": {"content": based(brotli.compress(gzip.compress(OCTETS))), "response": coded("gzip, br")},
    "unpacked, said to be gzip": {"response": coded("gzip")},
    "unpacked base64, said to be brotli": {"content": based(OCTETS), "response": coded("br")},
    "gzip as characters": {"content": {"text": gzip.compress(OCTETS).decode("latin-1")}},
    "brotli as characters": {
        "content": {"text": brotli.compress(OCTETS).decode("latin-1")},
        "response": coded("br"),
    },
}


@pytest.mark.parametrize("given", [pytest.param(given, id=name) for name, given in BODIES.items()])
def test_a_body_is_the_same_whatever_it_is_packed_in(tmp_path: Path, given: dict[str, Any]) -> None:
    given = copy.deepcopy(given)
    response, content = given.get("response", {}), given.get("content")
    seen = only(tmp_path, entry(response=response, content=content))
    assert (seen.answered.status, seen.answered.body, seen.odd) == (200, OCTETS, ())


@pytest.mark.parametrize("said", [True, False], ids=["said", "unsaid"])
@pytest.mark.parametrize("pack", [brotli.compress, gzip.compress, zlib.compress, zstd.compress])
@pytest.mark.parametrize("students", [0, 1, 30, 300, 3000])
def test_a_packed_page_of_any_size_is_unpacked(
    tmp_path: Path, students: int, pack: Callable[[bytes], bytes], said: bool
) -> None:
    """Brotli's first octet says how long its text is; from 64 KiB on it is a bracket, as JSON may begin with."""
    coding = {brotli.compress: "br", gzip.compress: "gzip", zlib.compress: "deflate"}.get(pack, "zstd")
    body = json.dumps({"students": [{"id": number, "name": "é" * 99} for number in range(students)]}).encode()
    seen = only(tmp_path, entry(response=coded(coding) if said else {}, content=based(pack(body))))
    assert (seen.answered.body, seen.odd) == (body, ())


@pytest.mark.parametrize("content", [{"text": TEXT, "encoding": "base64"}, {"text": "é" + TEXT, "encoding": "base64"}])
def test_what_is_no_base64_is_taken_as_it_stands(tmp_path: Path, content: dict[str, Any]) -> None:
    seen = only(tmp_path, entry(content=content))
    assert (seen.answered.body, seen.odd) == (content["text"].encode(), (NOT_BASE64,))


@pytest.mark.parametrize(
    "octets",
    [gzip.compress(OCTETS)[:3] + b"\xff\xff\xff", b"\x00\xff\xfe\xfd", b"\x28\xb5\x2f\xfd" + b"\xff" * 40],
    ids=["gzip", "octets", "zstandard"],
)
def test_what_cannot_be_unpacked_is_said(tmp_path: Path, octets: bytes) -> None:
    seen = only(tmp_path, entry(content=based(octets), response=coded("gzip")))
    assert seen.odd == ("a packed body that could not be unpacked",)
    assert seen.answered.body == octets


def test_what_has_to_be_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib3.HTTPResponse, "CONTENT_DECODERS", ["gzip", "deflate"])
    for packed, name in ((brotli.compress(OCTETS), "br"), (zstd.compress(OCTETS), "zstd")):
        seen = only(tmp_path, entry(content=based(packed), response=coded(name)))
        reason = f"a body packed by {name}, for which exam-students-compat[regression] has to be installed"
        assert (seen.answered.body, seen.odd) == (packed, (reason,))


def test_what_unpacks_to_more_than_an_answer_can_be_stays_packed(tmp_path: Path) -> None:
    bomb = gzip.compress(b" " * (64 << 20))
    tracemalloc.start()
    try:
        seen = only(tmp_path, entry(content=based(bomb)))
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert (seen.answered.body, seen.odd) == (bomb, ("a packed body that could not be unpacked",))


@pytest.mark.parametrize(
    "content",
    [
        {"size": 9000},
        {"size": 9000, "text": None},
        {"size": 9000, "text": ""},
        {"size": "9000", "text": ""},
        {"size": 9000, "text": {"students": []}},
        {"size": -1},
        {},
        [],
        "text",
        {"size": 9000, "_file": "../seen.har"},
        {"size": 9000, "_file": "absent.json"},
    ],
    ids=str,
)
@pytest.mark.parametrize("status", [200, 404])
def test_a_dropped_body_is_no_empty_one(tmp_path: Path, content: Any, status: int) -> None:
    seen = only(tmp_path, entry(response={"content": content, "status": status}))
    assert (seen.answered.status, seen.answered.body, seen.odd) == (status, b"", (DROPPED,))


@pytest.mark.parametrize(
    ("method", "status", "content"),
    [("GET", 200, {"size": 0}), ("GET", 200, {"size": 0, "text": ""}), ("HEAD", 200, {}), ("GET", 304, {}),
     ("GET", 204, {"size": -1})],
)  # fmt: skip
def test_an_answer_that_has_no_body_dropped_none(tmp_path: Path, method: str, status: int, content: Any) -> None:
    seen = only(tmp_path, entry(request={"method": method}, response={"content": content, "status": status}))
    assert (seen.call.method, seen.answered.status, seen.answered.body, seen.odd) == (method, status, b"", ())


HAR = har_of(entry())


def zipped(har: dict[str, Any], path: Path) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("har.har", json.dumps(har))
        archive.writestr("aa.json", TEXT)
    return path.read_bytes()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_files_of_any_encoding(tmp_path: Path, encoding: str, pack: Callable[[bytes], bytes]) -> None:
    for name in ("seen.har", "seen.har.gz", "seen"):
        text = json.dumps(HAR, ensure_ascii=False)
        (seen,), found = read(tmp_path / name, pack(text.encode(encoding)))
        assert (seen.answered.body, found.entries) == (OCTETS, 1)


def test_bodies_in_files_of_their_own(tmp_path: Path) -> None:
    named = entry(content={"size": len(OCTETS), "_file": "aa.json"})
    archived = zipped(har_of(named), tmp_path / "made.zip")
    (tmp_path / "aa.json").write_bytes(OCTETS)
    for content in (archived, har_of(named)):
        (seen,), _ = read(tmp_path / "seen.har", content)
        assert (seen.answered.body, seen.odd) == (OCTETS, ())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"\xef\xbb\xbf", "JSON is malformed|truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "missing required field `log`"),
        (b'{"log":null}', "Expected `object`, got `null`"),
        (b'{"log":{"entries":{}}}', "Expected `array`, got `object`"),
        (b'{"log":{"entries":[NaN}}', "JSON is malformed"),
        (json.dumps(HAR).encode()[:-9], "truncated"),
        (gzip.compress(json.dumps(HAR).encode())[:-9], "packed, and damaged"),
        (b"PK\x03\x04 and no more", "packed, and damaged"),
        (b"\xff\xfe\x00", "neither UTF-8 nor UTF-16|malformed|truncated"),
        (b"<html>", "malformed"),
        (b'{"log":{"entries":' + b"[" * 1_000_000, "nested too deeply"),
    ],
)
def test_what_is_no_har_file_is_refused_without_its_content(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(RecordingError, match=message) as refused:
        read(tmp_path / "seen.har", content)
    assert str(refused.value).startswith(f"{tmp_path / 'seen.har'}: no HAR file: ")
    assert "jose" not in str(refused.value)
