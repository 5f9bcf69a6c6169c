"""Law 5 on whole bodies: valid ones with bytes changed, cut, doubled, or with a value that no schema foresaw.

The fast readers look at as little of a body as they can. Whatever they take, the plain reader has to take for the same;
whatever it refuses, they have to refuse in its words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.errors import LegacyError, MappingError
from compat.mapping import BulkLens, SessionLens
from compat.testing.strategies import legacy_records, sessions
from compat.text.json import check_utf_8, dumps, loads, same
from compat.upstream import paginated_sessions as session_pages
from compat.upstream import student_sessions as student_pages
from compat.upstream.base import Chunk, LegacySettings
from compat.upstream.records import Codec
from compat.upstream.session_codec import SessionCodec
from compat.upstream.student_codec import StudentCodec
from compat.upstream.transport import Reply, json_object

pytestmark = pytest.mark.usefixtures("reader")

EXAM = 17
EXAMS = {EXAM: "5b1f0c2e-3c1e-4c86-9d0e-0f6c3c1d2a11", 18: "0f0f0f0f-3c1e-4c86-9d0e-0f6c3c1d2a12"}
HEADERS = {"X-Pagination-Item-Count": "0", "X-Pagination-Limit": "300"}
AWKWARD = [
    *(b"NaN", b"-Infinity", b"1.10", b"-0", b"1e400", b"01", b"9" * 400, b"9" * 5000, b"true", b"null", b"{}", b"[]"),
    *(b'"\\ud800"', b'"\\ud83c\\udf93"', b'"\\u0000"', b'"\x00"', b'"\xff"', b'["\xc3"]', b'["\xed\xa0\x80"]', b'""'),
    *(b'{"a":1,"a":2}', b'[{"a":[1.10,null]}]', b"[" * 2000 + b"]" * 2000, b'{"a":' * 2000 + b"1" + b"}" * 2000),
    b'"%s"' % (b"x" * 100_000),
]
_VALUE = re.compile(rb'(?<=":)(?:"[^"\\]*"|[^,"\]}]+)')
_MEMBER = re.compile(rb'"[a-z_A-Z]+":(?:"[^"\\]*"|[^,"\[{\]}]+),')


def _byte(draw: st.DrawFn, body: bytes) -> bytes:
    place = draw(st.integers(0, len(body) - 1))
    return body[:place] + bytes([draw(st.integers(0, 255))]) + body[place + 1 :]


def _cut(draw: st.DrawFn, body: bytes) -> bytes:
    return body[: draw(st.integers(0, len(body) - 1))]


def _gap(draw: st.DrawFn, body: bytes) -> bytes:
    place = draw(st.integers(0, len(body) - 1))
    return body[:place] + body[place + draw(st.integers(1, 40)) :]


def _awkward(draw: st.DrawFn, body: bytes) -> bytes:
    """A value in another's place."""
    places = [match.span() for match in _VALUE.finditer(body)]
    begin, end = draw(st.sampled_from(places)) if places else (0, 0)
    return body[:begin] + draw(st.sampled_from(AWKWARD)) + body[end:]


def _member(draw: st.DrawFn, body: bytes) -> bytes:
    """A key that stands twice, with another value or its own, or one that nobody knows."""
    members = list(_MEMBER.finditer(body))
    if not members:
        return body
    found, other = draw(st.sampled_from(members)), draw(st.sampled_from(AWKWARD))
    name = draw(st.sampled_from([found[0].partition(b":")[0], b'"unknown"', b'"\xff"', b'"na\\u006de"']))
    place = draw(st.sampled_from([found.start(), found.end()]))
    return body[:place] + name + b":" + draw(st.sampled_from([b'"x"', b"5", other])) + b"," + body[place:]


@st.composite
def mutated(draw: st.DrawFn, bodies: st.SearchStrategy[bytes]) -> bytes:
    """A body with up to three changes."""
    body = draw(bodies)
    for change in draw(st.lists(st.sampled_from([_byte, _cut, _gap, _awkward, _awkward, _member]), max_size=3)):
        body = change(draw, body) if body else body
    return body


def _written(value: Any) -> st.SearchStrategy[bytes]:
    """A value's JSON, its texts escaped or not."""
    return st.booleans().map(lambda escaped: json.dumps(value).encode() if escaped else dumps(value).encode())


STUDENT_PAGES = st.lists(legacy_records([EXAM], complete=True), min_size=1, max_size=2).flatmap(
    lambda records: _written({"students": records})
)
SESSION_PAGES = st.lists(
    st.one_of(sessions(EXAMS), legacy_records([EXAM]).map(SessionLens(EXAMS).to_session)), min_size=1, max_size=2
).flatmap(lambda page: _written({"limit": 100, "offset": 0, "total": len(page), "sessions": page}))
LEGACY_BODIES = st.lists(legacy_records([EXAM, 18]), min_size=1, max_size=2).flatmap(
    lambda records: _written([{name: value for name, value in each.items() if "." not in name} for each in records])
)
SHOWN = st.sampled_from([LegacySettings(), LegacySettings(extra_fields=("unknown",))])


def outcome(act: Callable[[], bytes]) -> Any:
    """The JSON that came, or the words of the refusal."""
    try:
        return loads(act())
    except (LegacyError, MappingError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def refusals(codec: Codec, read: Callable[[Reply], Chunk], body: bytes) -> set[Any]:
    """What the plain way says of a page: of the whole, or of each record that it refuses."""
    reply = Reply(200, HEADERS, body)
    whole = outcome(lambda: dumps([bytes(row).decode() for row in read(_normal(reply)).rows]).encode())
    if isinstance(whole, str):
        return {whole}
    each = [outcome(lambda row=row: codec.plain(row.encode(), {})) for row in whole]  # type: ignore[misc]
    return {one for one in each if isinstance(one, str)}


def _normal(reply: Reply) -> Reply:
    """A page as the plain reader has it: every key once, no blanks."""
    return Reply(reply.status, reply.headers, dumps(json_object(reply)).encode())


def agrees(codec: Codec, read: Callable[[Reply], Chunk], fast: Callable[[], bytes], body: bytes) -> None:
    """Hold the fast way against the plain one."""
    found, refused = outcome(fast), refusals(codec, read, body)
    if isinstance(found, str):
        assert found in refused
        return
    assert not refused
    rows = read(_normal(Reply(200, HEADERS, body))).rows
    assert same(found["students"], [loads(codec.plain(bytes(row), {})) for row in rows])


@given(st.integers(-4, 4), st.sampled_from(["é", "学", "🎓"]), st.integers(0, 3), st.booleans())
def test_utf_8_is_told_across_the_pieces_that_it_is_looked_at_by(near: int, text: str, gone: int, more: bool) -> None:
    body = b"x" * ((1 << 15) + near) + text.encode()[gone:] + b"x" * (40_000 * more)
    for each in (body, body[:-1], b"x" * (1 << 15) + body):
        assert (outcome(lambda each=each: check_utf_8(each) or b"1") == 1) == _is_utf_8(each)  # type: ignore[misc]


def _is_utf_8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def shown_as_columns(codec: Codec, chunk: Chunk) -> bytes:
    """The page whose ids were looked at, as a list without filter and sort is."""
    codec.columns(chunk.rows, EXAM, (), {})
    return codec.body(chunk.rows, [{}] * len(chunk.rows))


@given(mutated(STUDENT_PAGES), SHOWN)
def test_law_5_for_pages_of_student_sessions(body: bytes, shown: LegacySettings) -> None:
    codec = StudentCodec(shown)

    def fast() -> bytes:
        chunk = student_pages.read_chunk(Reply(200, HEADERS, body), 0, codec.page)
        at_once = codec.whole_page(chunk.rows, {"exam_id": EXAM})
        return at_once or shown_as_columns(codec, chunk)

    agrees(codec, lambda reply: student_pages.read_chunk(reply, 0), fast, body)


@given(mutated(SESSION_PAGES), SHOWN)
def test_law_5_for_pages_of_paginated_sessions(body: bytes, shown: LegacySettings) -> None:
    codec = SessionCodec(EXAMS, shown)

    def fast() -> bytes:
        chunk = session_pages.read_chunk(Reply(200, HEADERS, body), 0)
        return shown_as_columns(codec, chunk)

    agrees(codec, lambda reply: session_pages.read_chunk(reply, 0), fast, body)


@given(mutated(LEGACY_BODIES))
def test_law_5_for_bodies_of_legacy_records(body: bytes) -> None:
    bulk = BulkLens(EXAMS)
    found, plain = outcome(lambda: bulk.to_sessions(body)), outcome(lambda: bulk.plain(body))
    assert found == plain if isinstance(plain, str) else same(found, plain)


@pytest.mark.parametrize("value", AWKWARD)
@pytest.mark.parametrize("name", ["name", "incidents", "rtc_session_ids", "student_id", "unknown", "updated_at"])
def test_law_5_for_awkward_values_of_legacy_bodies(name: str, value: bytes) -> None:
    record = SessionLens(EXAMS).to_legacy(
        {
            "id": "5",
            "applicationId": EXAMS[EXAM],
            "startedAtTime": "2018-11-17T16:09:39.373Z",
            "endedAtTime": "2018-11-17T16:10:39.373Z",
        }
    )
    members = {key: dumps(each).encode() for key, each in record.record.items()} | {name: value}
    text = b",".join(b'"%s":%s' % (key.encode(), each) for key, each in members.items())
    bulk, body = BulkLens(EXAMS), b"[{" + text + b"}]"
    found, plain = outcome(lambda: bulk.to_sessions(body)), outcome(lambda: bulk.plain(body))
    assert found == plain if isinstance(plain, str) else same(found, plain)
