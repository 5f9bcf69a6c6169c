"""Lists that one page holds: their records stay as they were decoded."""

from __future__ import annotations

from typing import Any

import pytest
from support import edited, listed, mounted, rows_of, upstream_of

from compat.core.call import Shim
from compat.core.collected import Collected, OnePage, Reading
from compat.core.plan import make_plan
from compat.errors import UpstreamError
from compat.legacy.query import Query
from compat.testing.sandbox import Sandbox
from compat.text.json import loads
from compat.upstream.base import LegacySettings
from compat.upstream.transport import CallOptions

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")


def reading_of(sandbox: Sandbox, shown: LegacySettings = LegacySettings()) -> Reading:
    """A list of an exam as the shim reads it."""
    shim = Shim(upstream_of(sandbox, "paginated_sessions"), shown)
    return shim._walk(make_plan(Query(17), frozenset()), "a caller", CallOptions(), lambda: False)


def test_a_page_that_is_the_list_is_a_reading() -> None:
    with Sandbox(students=20, exams=2) as sandbox:
        reading = reading_of(sandbox)
        mine = sandbox.settings("paginated_sessions", False)["exams"]["17"]
        wanted = [each["id"] for each in sandbox.dataset.sessions if each["applicationId"] == mine]
    assert isinstance(reading, OnePage)
    assert (reading.count, reading.unsettled) == (len(wanted), False)
    assert 2 < len(wanted) < 20
    assert [loads(text)["id"] for text, _ in reading.records(0, 300)] == wanted
    assert [loads(bytes(each))["id"] for each in reading.page(2, 300)[0]] == wanted[2:]
    assert reading.page(10**30, 300) == ([], [])
    [(_, place)] = reading.records(1, 1)
    assert reading.people[place] == {}


def test_what_is_no_list_of_one_page() -> None:
    with Sandbox(students=360, exams=1) as sandbox:
        assert type(reading_of(sandbox)) is Collected, "there is more"
    with Sandbox(students=20, exams=1) as sandbox:
        shown = LegacySettings(extra_fields="all")
        assert type(reading_of(sandbox, shown)) is Collected, "its records are texts"


def test_an_id_that_comes_twice_is_told_by_a_whole_reading() -> None:
    def change(content: dict[str, Any]) -> None:
        rows_of(content)[1] = rows_of(content)[0]

    with Sandbox(students=20, exams=1) as sandbox:
        sandbox.intercept = lambda request, answer: edited(answer, change)
        with pytest.raises(UpstreamError, match="twice"):
            reading_of(sandbox)
        assert len([call for call in sandbox.calls if call.interface == "paginated_sessions"]) == 3


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
