"""An answer in which nothing can be compared says nothing for the new endpoint, whatever is odd about it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from answers_of import Page, body_of, call_of, pair_of
from faults import WHOLE, refused
from hypothesis import given
from hypothesis import strategies as st

from compat.legacy.routes import SHOW_STUDENT, LegacyCall
from compat.regression.check import check_pairs
from compat.regression.comparing.pairs import Answered, examine
from compat.regression.evidence.headline import REMEDIES, headline, next_step, remedy
from compat.regression.evidence.verdict import judge

LIMIT = 10


def page(**changes: Any) -> Answered:
    """Page 2 of 3 of the old endpoint, with something odd about it."""
    return replace(Page.of(WHOLE, 2, LIMIT).answered(), **changes)


def with_headers(**changes: str) -> Answered:
    """The same, with other headers; an empty one is left out."""
    given = {**page().headers, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return page(headers={name: value for name, value in given.items() if value})


LOGIN = b"<!doctype html><html><title>Sign in</title></html>"
ODD: dict[str, tuple[Answered, str]] = {
    "no body, as browsers drop large ones": (page(body=b""), "an answer without a body"),
    "a login page": (page(body=LOGIN), "a body that is not a JSON object"),
    "a login page that says what it is": (
        page(body=LOGIN, headers={"Content-Type": "text/html"}),
        "a body that is not a JSON object",
    ),
    "a login wall in JSON": (page(body=b'{"login": "/sso"}'), "a body that is no page of students"),
    "an array": (page(body=b"[]"), "a body that is not a JSON object"),
    "null": (page(body=b"null"), "a body that is not a JSON object"),
    "a body cut off": (page(body=body_of(WHOLE[10:20])[:-9]), "a body that is not a JSON object"),
    "a text that is no UTF-8": (page(body=b'{"students": ["\xff"]}'), "a record without an id"),
    "students that are an object": (page(body=b'{"students": {}}'), "a body that is no page of students"),
    "records without ids": (page(body=b'{"students": [{"name": "Ann"}]}'), "a record without an id"),
    "an empty list where the headers count thirty": (
        page(body=b'{"students": []}'),
        "headers that contradict the body: not as many records as x-pagination-item-count, x-pagination-page and "
        "x-pagination-limit say",
    ),
    "a page cut short": (
        page(body=body_of(WHOLE[10:17])),
        "headers that contradict the body: not as many records as x-pagination-item-count, x-pagination-page and "
        "x-pagination-limit say",
    ),
    "304": (page(status=304, body=b""), "status 304, which is no answer of the old interface"),
    "304 with a body": (page(status=304), "status 304, which is no answer of the old interface"),
    "a redirect": (page(status=302, body=b""), "status 302, which is no answer of the old interface"),
    "204": (page(status=204, body=b""), "status 204, which is no answer of the old interface"),
    "206": (page(status=206), "status 206, which is no answer of the old interface"),
    "an error of a proxy": (page(status=502, body=LOGIN), "the old endpoint failed (status 502)"),
    "throttled": (page(status=429), "the old endpoint failed (status 429)"),
    "timed out": (Answered(0, failure="timeout"), "the old endpoint failed (timeout)"),
    "a content type of pages": (
        with_headers(Content_Type="text/html; charset=utf-8"),
        "headers that contradict the body: a content type of text/html",
    ),
    "a count that is no number": (
        with_headers(X_Pagination_Item_Count="many"),
        "headers that contradict the body: x-pagination-item-count is no number",
    ),
    "another limit": (
        with_headers(X_Pagination_Limit="5", X_Pagination_Page_Count=""),
        "headers that contradict the body: more records than x-pagination-limit",
    ),
    "pages that do not add up": (
        with_headers(X_Pagination_Page_Count="7"),
        "headers that contradict the body: x-pagination-page-count is not x-pagination-item-count by "
        "x-pagination-limit",
    ),
    "another page": (
        with_headers(X_Pagination_Page="1"),
        "headers that contradict the question: x-pagination-page is not the page that was asked for",
    ),
    "another limit than asked for": (
        page(headers={"X-Pagination-Limit": "20"}),
        "headers that contradict the question: x-pagination-limit is not the limit that was asked for",
    ),
}


@pytest.mark.parametrize(("odd", "reason"), ODD.values(), ids=ODD)
def test_a_recording_of_odd_answers_is_not_enough_evidence(odd: Answered, reason: str) -> None:
    same = [pair_of(call_of({"page": 2, "limit": LIMIT, "status": f"s{number}"}), odd, odd) for number in range(600)]
    other = [replace(pair, new=page()) for pair in same]
    for pairs in (same, other):
        judged = judge(check_pairs(pairs))
        assert judged.verdict == "not enough evidence"
        assert headline(judged) == (
            f"Not yet: nothing could be compared in 600 of 600 calls ({reason}); at most 5 % may be such."
        )
        assert judged.not_comparable == {reason: 600}
        assert next_step(judged) == f"{remedy(reason)} This would mend 600 of 600 calls."
        assert any(reason.startswith(begins) for begins in REMEDIES)


@pytest.mark.parametrize(("share", "verdict"), [(0.04, "ready"), (0.06, "not enough evidence")])
def test_a_few_odd_answers_do_no_harm(share: float, verdict: str) -> None:
    calls = [call_of({"page": 2, "limit": LIMIT, "status": f"s{number}"}) for number in range(1000)]
    pairs = [
        pair_of(call, page(body=b"") if place < 1000 * share else page(), page()) for place, call in enumerate(calls)
    ]
    assert judge(check_pairs(pairs)).verdict == verdict


def test_an_odd_answer_of_the_new_endpoint_is_a_difference() -> None:
    for odd, _ in ODD.values():
        if odd.headers != page().headers or odd.body != page().body or odd.status != 200:
            result = check_pairs([pair_of(call_of({"page": 2, "limit": LIMIT}), page(), odd)])
            assert result.all.unexplained == 1, odd


@pytest.mark.parametrize("body", [b"", LOGIN, b'{"error": "No."}'])
@pytest.mark.parametrize("status", [401, 403])
def test_who_was_kept_out_and_is_let_in_now_is_a_difference_whatever_the_body(status: int, body: bytes) -> None:
    [found] = check_pairs(
        [pair_of(call_of({"page": 2, "limit": LIMIT}), Answered(status, body=body), page())]
    ).differences
    assert (found.kind, found.by) == ("access", None)


@pytest.mark.parametrize(
    ("answered", "call"),
    [
        (refused(), call_of({"page": "x"})),
        (Answered(404, {}, b'{"error": "Gone."}'), LegacyCall(SHOW_STUDENT, "17", "student_session_id=5")),
        (Answered(200, {}, b'{"student": {"id": 5}}'), LegacyCall(SHOW_STUDENT, "17", "student_session_id=5")),
        (Answered(200, page().headers), call_of({"page": 2, "limit": LIMIT}, method="HEAD")),
        (page(headers={}), call_of({"page": 2, "limit": LIMIT})),
        (Page.of([]).answered(), call_of({"limit": LIMIT})),
        (Page.of(WHOLE, 9).answered(), call_of({"page": 9, "limit": LIMIT})),
        # Above 300 no document says how the old endpoint cuts.
        (replace(Page.of(WHOLE, 1, 300).answered()), call_of({"limit": 500})),
        (replace(Page.of(WHOLE, 1, 100).answered()), call_of({"limit": 500})),
    ],
)
def test_an_answer_of_the_old_interface_is_evidence(answered: Answered, call: LegacyCall) -> None:
    assert examine(call, answered).why_not is None


@given(st.integers(0, 40), st.integers(1, 12), st.integers(1, 12))
def test_every_page_of_every_list_is_evidence(total: int, limit: int, number: int) -> None:
    answered = Page.of((WHOLE * 2)[:total], number, limit).answered()
    call = call_of({"page": number, "limit": limit})
    assert examine(call, answered).why_not is None


@given(
    st.binary(max_size=60) | st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5).map(json.dumps)
)
def test_whatever_comes_is_told_without_its_content(body: bytes | str) -> None:
    content = body if isinstance(body, bytes) else body.encode()
    why_not = examine(call_of({"page": 2, "limit": LIMIT}), page(body=content)).why_not
    assert why_not is not None
    assert why_not.startswith(("a body that", "an answer without", "a record without", "headers that"))
