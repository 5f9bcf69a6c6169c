"""At most one set of parameters passes under one signature, and no call that people make is refused (contract 6)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timezone
from itertools import combinations, pairwise, product
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from support import OLD, mounted, upstream_of

import compat
from compat.errors import InvalidParameter
from compat.legacy.parameters import Parameters, check
from compat.legacy.query import parse_query
from compat.legacy.routes import ADD_STUDENT, INDEX_STUDENTS, ROUTES, SHOW_STUDENT, Route
from compat.legacy.signature import base_string
from compat.legacy.verifier import AMBIGUOUS, BAD_NAME, MARKED, unreadable
from compat.testing.sandbox import Sandbox

SIGNED = {"id": "17", "timestamp": "1527500365052", "nonce": "1527500365"}
ADDED = {**SIGNED, "name": "Ann", "email": "ann@example.org"}
LINKS = [
    "https://moodle.example.org/mod/quiz/view.php?id=123",
    "https://exam.example.org/start?lang=nl",
    "https://x.example.org/a?key=1&b=2",
    "see http://h.example.org/?name=b",
    "https://h.example.org/?email=a@b&name=c?d=e",
    "https://h.example.org/list?limit=5",
    "https://h.example.org/list?page=2?limit=5?sort=[]",
    "first https://h.example.org/?lang=nl, then https://h.example.org/?locale=en",
    "https://h.example.org/?",
    "what? = why?=",
    "https://h.example.org/?nonce=5?timestamp=7",
    "?" * 500,
    '<a href="https://h.example.org/?m=1&id=2">here</a>',
]


@pytest.mark.parametrize("link", LINKS)
def test_a_text_with_links_stays_whole(link: str) -> None:
    for more in ({}, {"is_individual_info_html": "True"}, {"skip_requirements": "1", "open_time": "1527500365"}):
        assert unreadable(ADD_STUDENT, {**ADDED, "individual_info": link, **more}) is None
    for column in ("individual_info", "name"):
        for text in (json.dumps({column: {"eq": link}}), f' {{"{column}": {{"in": [{json.dumps(link)}, "b"]}}}} '):
            given = {**SIGNED, "filter": text, "limit": "5", "sort": '[{"name":"asc"}]'}
            assert unreadable(INDEX_STUDENTS, given) is None


@pytest.mark.parametrize(
    ("route", "more", "expected"),
    [
        (INDEX_STUDENTS, {}, None),
        (INDEX_STUDENTS, {"lang": "nl", "locale": "en", "_": "1"}, None),
        (INDEX_STUDENTS, {"other": "what?"}, None),
        (INDEX_STUDENTS, {"other": "x?abc=2"}, None),
        (INDEX_STUDENTS, {"other": "x?page=2"}, AMBIGUOUS),
        (INDEX_STUDENTS, {"other": "x?page=all"}, None),
        (INDEX_STUDENTS, {"other": "x?sort=[{"}, None),
        (INDEX_STUDENTS, {"other": "x?status=registered"}, AMBIGUOUS),
        # Who sent them apart is told what is wrong.
        (INDEX_STUDENTS, {"other": "x", "page": "all"}, None),
        (INDEX_STUDENTS, {"other": "x", "sort": "[{"}, None),
        (INDEX_STUDENTS, {"nonce": "1527500365?page=2"}, AMBIGUOUS),
        (INDEX_STUDENTS, {"id": "17?limit=5"}, AMBIGUOUS),
        (INDEX_STUDENTS, {"other": "x?sort=[]"}, AMBIGUOUS),
        (INDEX_STUDENTS, {"other": "x?z=1"}, None),
        (INDEX_STUDENTS, {"nothing": "x?other=1"}, AMBIGUOUS),
        (INDEX_STUDENTS, {"filter": '{"name":{"eq":"a', "g": 'b"}}'}, AMBIGUOUS),
        (INDEX_STUDENTS, {"filter": "{", "page": "x"}, None),
        (INDEX_STUDENTS, {"filter": "[" * 5000}, None),
        (INDEX_STUDENTS, {"page": "1?"}, None),
        (INDEX_STUDENTS, {"a=b": "c"}, BAD_NAME),
        (INDEX_STUDENTS, {"a?b": "c"}, BAD_NAME),
        (INDEX_STUDENTS, {"": "c"}, BAD_NAME),
        (SHOW_STUDENT, {}, None),
        (SHOW_STUDENT, {"a": "1?student_session_id=5"}, None),
        (SHOW_STUDENT, {"other": "1?student_session_id=5"}, AMBIGUOUS),
        # A list with a student's name in it could be the student who is added.
        (INDEX_STUDENTS, {"name": "A", "email": "a@b", "individual_info": "x", "limit": "5"}, AMBIGUOUS),
        (INDEX_STUDENTS, {"name": "A", "email": "a@b", "limit": "5"}, None),
    ],
)
def test_a_reading_that_counts(route: Route, more: Mapping[str, str], expected: str | None) -> None:
    assert unreadable(route, {**SIGNED, **more}) == expected


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"name": "Who?"}, MARKED),
        ({"email": "a?b@example.org"}, MARKED),
        ({"individual_info": "x", "is_individual_info_html": "true"}, None),
        ({"individual_info": "x?is_individual_info_html=true"}, AMBIGUOUS),
        ({"individual_info": "x", "lang": "nl"}, AMBIGUOUS),
        ({"individual_info": "x", "a": "1", "zone": "2"}, None),
        ({"individual_info": "x", "is_individual_info_html": "true", "lang": "nl"}, None),
    ],
)
def test_a_student_who_is_added(more: Mapping[str, str], expected: str | None) -> None:
    assert unreadable(ADD_STUDENT, {**ADDED, **more}) == expected


def every_set(text: str) -> Iterator[dict[str, str]]:
    """Every set of parameters whose base string is that text: cut at any question mark, parted at any equals sign."""
    marks = [place for place, character in enumerate(text) if character == "?"]
    for count in range(len(marks) + 1):
        for cuts in combinations(marks, count):
            edges = [-1, *cuts, len(text)]
            parts = [text[begin + 1 : end] for begin, end in pairwise(edges)]
            ways = [[(part[:at], part[at + 1 :]) for at, sign in enumerate(part) if sign == "="] for part in parts]
            for pairs in product(*ways):
                found = dict(pairs)
                if len(found) == len(pairs) and base_string(found) == text:
                    yield found


def taken(route: Route, values: Mapping[str, str]) -> bool:
    """Whether the route's own rules take the set."""
    if not {*SIGNED} <= {*values} or not all(values.values()):
        return False
    if not (values["nonce"].isdigit() and values["timestamp"].isdigit()):
        return False
    try:
        if route is INDEX_STUDENTS:
            parse_query(Parameters(values, {}), timezone.utc)
        check(route, Parameters(values, {}))
    except InvalidParameter:
        return False
    return True


NAMES = (
    "a",
    "email",
    "filter",
    "individual_info",
    "is_individual_info_html",
    "lang",
    "limit",
    "name",
    "o",
    "page",
    "sort",
    "status",
    "student_session_id",
    "z",
)
VALUES = (
    "1",
    "x",
    "true",
    "[]",
    "{}",
    '{"name":{"eq":"a',
    'b"}}',
    '{"name":{"eq":"a=b"}}',
    "exam_started",
    "a=b",
    "",
    "=",
)
PIECES = st.builds("{}={}".format, st.sampled_from(NAMES), st.sampled_from(VALUES)) | st.sampled_from(["q", ""])


@settings(deadline=None, max_examples=300)
@given(st.lists(PIECES, max_size=5), st.sets(st.sampled_from(ROUTES), max_size=1))
@example(["o=x", "page=2"], set())
@example(['filter={"name":{"eq":"a=b"}}'], set())
@example(['filter={"name":{"eq":"a', 'g=b"}}'], set())
@example(["individual_info=x", "lang=nl"], {ADD_STUDENT})
@example(["individual_info=x", "limit=5"], {ADD_STUDENT})
@example(["a=1", "limit=x", "student_session_id=5"], set())
def test_no_two_sets_pass_under_one_signature(extra: list[str], whole: set[Route]) -> None:
    given = ["id=17", "nonce=5", "timestamp=7", *extra]
    given += [f"{name}=1" for route in whole for name in route.required]
    text = "?".join(sorted(given, key=lambda piece: piece.partition("=")[0]))
    sets = list(every_set(text))
    passed = [(route, values) for route in ROUTES for values in sets if unreadable(route, values) is None]
    accepted = [(route, values) for route, values in passed if taken(route, values)]
    event(f"{len(accepted)} accepted")
    assert all(values == accepted[0][1] for _, values in accepted)


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
LINKED = st.lists(
    st.sampled_from([*LINKS[:7], "see", "?lang=nl", "?m=", "?key=1", "?", "=", "?name=b"]) | TEXTS,
    min_size=1,
    max_size=4,
)
FLAGS = st.sampled_from(["true", "False", "1", "0", "True"])
PLAIN = TEXTS.filter(lambda text: "?" not in text)


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {"name": PLAIN, "email": PLAIN},
        optional={
            "individual_info": LINKED.map(" ".join),
            "is_individual_info_html": FLAGS,
            "skip_requirements": FLAGS,
            "open_time": st.just("1527500365"),
            "zone": st.just("2"),
        },
    )
)
def test_no_student_is_refused(given: dict[str, str]) -> None:
    assert unreadable(ADD_STUDENT, {**SIGNED, **given}) is None


@settings(deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "filter": st.builds(lambda words: json.dumps({"name": {"eq": "?".join(words)}}), LINKED),
            "sort": st.just('[{"name":"asc"}]'),
            "status": st.just("exam_started"),
            "page": st.just("2"),
            "limit": st.just("5"),
            "lang": PLAIN,
            "locale": PLAIN,
        },
    )
)
def test_no_list_is_refused(given: dict[str, str]) -> None:
    assert unreadable(INDEX_STUDENTS, {**SIGNED, **given}) is None


@pytest.mark.parametrize(
    "values",
    [
        {**ADDED, "individual_info": "?lang=nl" * 50_000},
        {**ADDED, "individual_info": "?name=b" * 50_000},
        {**SIGNED, "other": "?z=1?a=1" * 50_000},
        {**SIGNED, "filter": json.dumps({"name": {"eq": '?filter={"name":{"eq":"' * 20_000}})},
        {**SIGNED, "a": '?filter={"name":{"eq":"' * 20_000},
        {**SIGNED, "filter": "?filter=[[" * 50_000},
        {f"n{number}": "?" for number in range(50_000)} | SIGNED,
    ],
)
def test_the_cost_grows_with_the_length_alone(values: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A walk looks at each place once for each of few kinds of open parameters: counted, not timed."""
    from compat.legacy import verifier

    walks: list[Any] = []

    class Counted(verifier._Walk):
        def __init__(self, route: Route) -> None:
            super().__init__(route)
            self.steps = self.widest = 0
            walks.append(self)

        def beginning(self, number: int, name: str, sent: bool) -> Any:
            self.steps += 1 + len(self.ended.get(number, ()))
            self.widest = max(self.widest, len(self.opened))
            return super().beginning(number, name, sent)

    monkeypatch.setattr(verifier, "_Walk", Counted)
    unreadable(ADD_STUDENT if "name" in values else INDEX_STUDENTS, values)
    assert walks
    assert all(walk.steps <= 2 * (base_string(values).count("?") + 1) and walk.widest <= 48 for walk in walks)


@pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")
@pytest.mark.parametrize("link", LINKS)
def test_links_through_the_adapter(sandbox: Sandbox, link: str) -> None:
    caller = compat.Caller("script", sandbox.api_token, sandbox.secret_key)
    upstream = upstream_of(sandbox, "student_sessions")
    session = mounted(upstream, verifier=compat.Verifier([caller]))
    asked = {
        "name": "Ann",
        "email": f"{quote(link, safe='')[:20]}.{abs(hash(link))}@example.org",
        "individual_info": link,
    }
    signed = sandbox.signed(asked, {"id": "17"})
    answer = session.post(f"{OLD}/api/v3/exams/17/add_student", json=signed, headers=sandbox.headers, timeout=10)
    assert answer.status_code == 201
    assert answer.json()["student"]["individual_info"] == link
    other = compat.ExamStudentsClient(upstream).add_student(17, "Bo", f"bo.{asked['email']}", individual_info=link)
    assert other["individual_info"] == link
