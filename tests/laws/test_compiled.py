"""The clever forms beside the plain ones: times by the hour, sessions by the column, sort keys as bytes (law 5)."""

from __future__ import annotations

from datetime import timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from compat.core.index import sort_key
from compat.errors import MappingError
from compat.mapping import BulkLens, SessionLens
from compat.mapping.fast import REFUSED, LegacyPages, LegacyView, TimeColumns, Times
from compat.schemas import STUDENT_FIELDS
from compat.schemas.rules import legacy_id, legacy_ids
from compat.testing.strategies import instant_texts, json_values, legacy_records, sessions
from compat.text import instants
from compat.text.json import dumps, loads, same
from compat.upstream.base import LegacySettings
from compat.upstream.records import bare
from compat.upstream.session_codec import SessionCodec

pytestmark = pytest.mark.usefixtures("reader")

EXAMS = {17: "5b1f0c2e-3c1e-4c86-9d0e-0f6c3c1d2a11", 18: "0f0f0f0f-3c1e-4c86-9d0e-0f6c3c1d2a12"}
ZONES = st.sampled_from(
    ["UTC", "Europe/Amsterdam", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]
).map(ZoneInfo)
USUAL = st.builds(
    "{}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}{}".format,
    st.integers(1900, 2100),
    st.integers(1, 12),
    st.integers(1, 31),
    st.integers(0, 24),
    st.integers(0, 60),
    st.integers(0, 60),
    st.integers(0, 999),
    st.sampled_from(["Z", "Z", "+01:00", "+02:00", "-03:30", "+24:00", "+0100", ""]),
)
NONSENSE = st.sampled_from(
    ["", "Z", "2018", "2018-11-17", "2018-11-17T16:09:3Z", "2018-11-17T16:09:39.Z", "0" * 24, "x" * 29]
)
TEXTS = st.one_of(USUAL, instant_texts(), NONSENSE, st.text(max_size=30))
IN_UTC = st.datetimes(timezones=st.just(timezone.utc)).map(
    lambda moment: moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
)
COLUMNS_OF_TIMES = st.one_of(
    st.lists(st.one_of(st.none(), TEXTS), max_size=6),
    st.lists(IN_UTC, max_size=6),
    st.lists(st.one_of(st.none(), IN_UTC), max_size=6),
)
SHIFTED = ["2018-11-17T16:09:39.373Z2", "018-11-17T16:09:39.373Z"]
"""Together they look like two times."""


_FIELDS = set(STUDENT_FIELDS)
_BARE = dumps(
    [
        SessionLens(EXAMS)
        .to_legacy(
            {
                "id": "5",
                "applicationId": EXAMS[17],
                "startedAtTime": "2018-11-17T16:09:39.373Z",
                "endedAtTime": "2018-11-17T16:10:39.373Z",
            }
        )
        .record
    ]
).encode()


def outcome(act: Any, *given: Any) -> Any:
    try:
        return act(*given)
    except (ValueError, MappingError):
        return "refused"


@given(TEXTS, TEXTS, ZONES)
def test_times_by_the_hour_are_the_times(one: str, other: str, zone: ZoneInfo) -> None:
    times = Times(zone)
    for _ in range(2):  # the second time, from what is remembered
        assert outcome(times.instant, one) == outcome(instants.read, one, zone)
        assert outcome(times.write, one) == outcome(lambda: instants.write(instants.read(one, zone), zone))
        assert outcome(times.write_utc, one) == outcome(lambda: instants.write_utc(instants.read(one, zone)))
        assert outcome(times.same, one, other) == outcome(_plainly_same, one, other, zone)


def _plainly_same(one: str, other: str, zone: ZoneInfo) -> bool:
    instant = instants.read(other, zone)
    try:
        return instants.read(one, zone) == instant
    except ValueError:
        return False


@given(COLUMNS_OF_TIMES, ZONES)
@example(SHIFTED, ZoneInfo("UTC"))
def test_a_column_of_times_is_its_times(texts: list[str | None], zone: ZoneInfo) -> None:
    times, plain = Times(zone), Times(zone)
    columns = TimeColumns(times)

    def each(write: Any) -> Any:
        return outcome(lambda: [None if text is None else write(text) for text in texts])

    for _ in range(2):
        assert outcome(lambda: columns.write(texts).texts()) == each(plain.write)
        if outcome(columns.write, texts) != "refused":
            assert list(columns.write(texts).in_utc) == each(plain.write_utc)


def _plainly_latest(one: str | None, other: str | None, zone: ZoneInfo) -> str | None:
    if one is None or other is None:
        return one if other is None else other
    return other if instants.read(other, zone) > instants.read(one, zone) else one


@given(st.one_of(st.lists(st.tuples(TEXTS, TEXTS), max_size=4), st.lists(st.tuples(IN_UTC, IN_UTC), max_size=4)), ZONES)
@example([("2018-11-17T16:09:39.373Z", "2018-11-17T16:09:39.374Z")], ZoneInfo("UTC"))
def test_a_column_of_later_times_is_its_times(pairs: list[tuple[str, str]], zone: ZoneInfo) -> None:
    columns = TimeColumns(Times(zone))
    readable = [pair for pair in pairs if "refused" not in [outcome(columns.write, [text]) for text in pair]]
    ones, others = [one for one, _ in readable], [other for _, other in readable]
    nothing = [None] * len(readable)
    for first, second in ((ones, others), (ones, nothing), (nothing, others), ([*nothing, *ones], [*others, *others])):
        latest = columns.write(first).latest(columns.write(second))
        assert latest.live == [_plainly_latest(*pair, zone) for pair in zip(first, second, strict=True)]
        assert latest.texts() == columns.write(latest.live).texts()
        assert latest.latest(columns.write(second)).live == latest.live


def _in_zone(pair: tuple[str, ZoneInfo]) -> tuple[str, str]:
    text, zone = pair
    return outcome(Times(zone).write, text), text


PAIRS = st.tuples(st.one_of(st.none(), TEXTS), st.one_of(st.none(), TEXTS))
KEPT = st.tuples(IN_UTC, ZONES).map(_in_zone)


@given(st.one_of(st.lists(PAIRS, max_size=6), st.lists(KEPT, max_size=6), st.lists(PAIRS | KEPT, max_size=6)), ZONES)
@example(list(zip(SHIFTED, SHIFTED, strict=True)), ZoneInfo("UTC"))
@example([("2018-11-17T17:09:39.373+01:00", "2018-11-17T17:09:39.373Z")], ZoneInfo("UTC"))
def test_carried_times_are_kept_where_they_name_the_instant(
    pairs: list[tuple[str | None, str | None]], zone: ZoneInfo
) -> None:
    columns, plain = TimeColumns(Times(zone)), Times(zone)

    def kept(carried: str | None, live: str | None) -> str | None:
        if live is None:
            return None
        return carried if carried is not None and plain.same(carried, live) else plain.write(live)

    carried, live = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    for _ in range(2):
        found = outcome(lambda: list(columns.keep(carried, live)))
        assert found == outcome(lambda: [kept(*pair) for pair in pairs])


IDS = st.one_of(
    st.integers(1, 2**53).map(str),
    st.sampled_from(["", "0", "-1", "007", "+5", " 5", "5,6", "1e3", "5.0", "٣"]),
    st.text(),
)


@given(st.one_of(st.lists(st.integers(1, 2**53).map(str)), st.lists(IDS, max_size=4)))
def test_a_column_of_ids_is_its_ids(texts: list[str]) -> None:
    assert legacy_ids(texts) == [legacy_id(text) for text in texts]


@given(st.lists(sessions(EXAMS), max_size=5), ZONES)
def test_a_page_of_sessions_is_its_sessions(page: list[dict[str, Any]], zone: ZoneInfo) -> None:
    codec = SessionCodec(EXAMS, LegacySettings(zone))
    texts = [dumps(session).encode() for session in page]
    whole = codec.render(texts, [{}] * len(texts))
    assert same(loads(whole), [loads(codec.plain(text)) for text in texts])


@given(st.lists(sessions(EXAMS), min_size=1, max_size=4))
def test_a_decoded_session_says_what_its_text_said(made: list[dict[str, Any]]) -> None:
    codec = SessionCodec(EXAMS, LegacySettings())
    texts = [dumps(session).encode() for session in made]
    body = b'{"limit":300,"offset":0,"total":0,"sessions":[' + b",".join(texts) + b"]}"
    try:
        page = codec.page(body)
    except REFUSED:
        assume(False)
    wanted = [loads(codec.plain(text)) for text in texts]
    people: list[dict[str, Any]] = [{}] * len(texts)
    copies = [bytes(record) for record in page.sessions]
    for _ in range(2):  # what is filled in the first time changes nothing
        assert same(loads(codec.render(page.sessions, people)), wanted)
        assert same([loads(codec.plain(bytes(record))) for record in page.sessions], wanted)
    assert same([loads(codec.plain(copy)) for copy in copies], wanted)
    assert same(loads(codec.render(copies, people)), wanted)


@given(st.lists(legacy_records([17, 18]), max_size=4), ZONES, st.booleans())
def test_records_at_once_are_records_one_by_one(
    records: list[dict[str, Any]], zone: ZoneInfo, without_extras: bool
) -> None:
    if without_extras:
        records = [{name: value for name, value in record.items() if name in _FIELDS} for record in records]
    bulk, body = BulkLens(EXAMS, zone), dumps(records).encode()
    assert same(loads(bulk.to_sessions(body)), loads(bulk.plain(body)))


@given(
    legacy_records([17]),
    st.sampled_from(["id", "exam_id", "start_time", "end_time", "name", "archived"]),
    json_values(),
)
def test_records_at_once_are_refused_as_records_one_by_one(record: dict[str, Any], name: str, value: Any) -> None:
    bulk, body = BulkLens(EXAMS), dumps([record | {name: value}]).encode()
    assert _said(bulk.to_sessions, body) == _said(bulk.plain, body)


def _said(act: Any, body: bytes) -> str:
    try:
        return dumps(sorted(loads(act(body))[0]))
    except MappingError as error:
        return str(error)


def test_a_record_that_a_session_says_by_itself_carries_nothing() -> None:
    bulk = BulkLens(EXAMS)
    [made] = loads(bulk.to_sessions(_BARE))
    assert made["metadata"] is None
    assert same([made], loads(bulk.plain(_BARE)))


def test_the_compiled_form_is_used_where_it_can_be() -> None:
    """Otherwise every comparison above would hold for nothing."""
    times = Times(timezone.utc)
    view = LegacyView(EXAMS, times)
    session = {"id": "5", "applicationId": EXAMS[17], "startedAtTime": "2018-11-17T16:09:39.373Z"}
    session |= {"endedAtTime": "2018-11-17T16:10:39.373Z"}
    assert (
        LegacyPages(view, TimeColumns(times))
        .render(view.decode_all(dumps([session]).encode()), [{}])
        .startswith(b'{"students":[{"id":5,')
    )


COMPARABLES = [
    st.one_of(st.integers(), st.integers(-(2**600), 2**600)),
    st.booleans(),
    st.text(),
    st.tuples(st.integers(-(10**12), 10**12), st.text("0123456789", max_size=5).map(lambda digits: digits.rstrip("0"))),
]


@pytest.mark.parametrize("values", COMPARABLES, ids=["integers", "booleans", "texts", "times"])
def test_sort_keys_sort_as_the_values_do(values: st.SearchStrategy[Any]) -> None:
    @given(values, values)
    def compare(one: Any, other: Any) -> None:
        first, second = sort_key(bare(one)), sort_key(bare(other))
        assert first is not None
        assert second is not None
        assert (first < second) == (one < other)
        assert (first == second) == (one == other)

    compare()
    assert sort_key(None) is None
