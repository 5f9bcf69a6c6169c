"""Lists that one page holds: their records stay as they were decoded."""

from __future__ import annotations

from typing import Any

import pytest
from support import edited, listed, mounted, rows_of, upstream_of

from compat.core.collected import short_list
from compat.testing.sandbox import Sandbox
from compat.text.json import dumps, loads
from compat.upstream.base import Chunk, LegacySettings
from compat.upstream.paginated_sessions import raw_page
from compat.upstream.session_codec import SessionCodec

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")
EXAMS = {17: "5b1f0c2e-3c1e-4c86-9d0e-0f6c3c1d2a11", 18: "0f0f0f0f-3c1e-4c86-9d0e-0f6c3c1d2a12"}
PLAIN = {
    "id": "5",
    "applicationId": EXAMS[17],
    "startedAtTime": "2018-11-17T16:09:39.373Z",
    "endedAtTime": "2018-11-17T16:10:39.373Z",
}


def page_of(*made: dict[str, Any], total: int | None = None) -> bytes:
    count = len(made) if total is None else total
    return dumps({"limit": 300, "offset": 0, "sessions": list(made), "total": count}).encode()


def reading_of(codec: SessionCodec, page: Any) -> Any:
    chunk = Chunk(0, page.sessions, page.total, page.limit)
    return short_list(codec, chunk, {}, 17, lambda row: row.exam_id == 17)


def test_a_page_that_is_the_list_is_a_reading() -> None:
    codec = SessionCodec(EXAMS, LegacySettings())
    made = [PLAIN | {"id": str(number), "applicationId": EXAMS[17 + number % 2]} for number in range(1, 7)]
    reading = reading_of(codec, codec.page(page_of(*made)))
    assert (reading.count, reading.unsettled) == (3, False)
    assert [row.id for row in reading.rows(1, 300)] == [4, 6]
    assert reading.rows(10**30, 300) == []
    [(text, place)] = reading.records(2, 1)
    assert (loads(text)["id"], reading.people[place]) == ("6", {})


@pytest.mark.parametrize(
    "body",
    [page_of(PLAIN, total=2), page_of(PLAIN, PLAIN)],
    ids=["there is more", "an id comes twice"],
)
def test_what_is_no_short_list(body: bytes) -> None:
    codec = SessionCodec(EXAMS, LegacySettings())
    assert reading_of(codec, codec.page(body)) is None


def test_texts_are_no_short_list() -> None:
    assert reading_of(SessionCodec(EXAMS, LegacySettings()), raw_page(page_of(PLAIN))) is None


def test_later_pages_come_from_the_one_that_was_read() -> None:
    with Sandbox(students=20, exams=1) as sandbox:
        session = mounted(upstream_of(sandbox, "paginated_sessions"))
        whole = listed(session).json()["students"]
        sandbox.clear_calls()
        pages = [listed(session, limit=8, page=page).json()["students"] for page in (1, 2, 3, 4)]
        assert [record for page in pages for record in page] == whole
        assert list(map(len, pages)) == [8, 8, 4, 0]
        assert len(sandbox.calls) == 1


def test_a_page_that_cannot_be_decoded_whole_is_read_as_texts() -> None:
    def change(content: dict[str, Any]) -> None:
        rows_of(content)[3].update(metadata={"name": 5})

    with Sandbox(students=20, exams=1) as sandbox:
        sandbox.intercept = lambda request, answer: edited(answer, change)
        found = listed(mounted(upstream_of(sandbox, "paginated_sessions"))).json()["students"]
        number = sandbox.dataset.sessions[3]["id"]
        assert [each["name"] for each in found if each["session_id"] == number] == [5]
