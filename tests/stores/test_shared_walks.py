"""Shared walks: any process goes on with what page 1 read, whichever process read it."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import KINDS, edited, read_page, rows_of, upstream_of

import compat
from compat.config.settings import CallerSettings
from compat.core.call import Shim
from compat.core.collected import Reading
from compat.core.walks import ProcessWalks, WalkKey
from compat.errors import StoreUnavailable
from compat.legacy.routes import INDEX_STUDENTS, LegacyCall
from compat.stores import Store, open_store
from compat.stores.base import StoredPage, WalkKeeper
from compat.stores.walks import SharedWalks, walks_of
from compat.testing.sandbox import Sandbox
from compat.testing.strategies import json_values
from compat.text.json import dumps

LARGEST = 2**20


class Replica:
    """A process as far as walks go: its own opening of the store, its own shim."""

    def __init__(self, sandbox: Sandbox, url: str, kind: str = "student_sessions", **more: Any) -> None:
        upstream = upstream_of(sandbox, kind, fan_out=more.pop("fan_out", False))
        self.store = open_store(url)
        configuration = compat.Configuration(upstream, **more)
        self.shim = Shim(upstream, walks=walks_of(configuration, self.store))

    def ids(self, page: int, limit: int = 5, exam: int = 17, **parameters: Any) -> list[int]:
        return [each["id"] for each in self.page(page, limit, exam, **parameters)["students"]]

    def page(self, page: int, limit: int = 5, exam: int = 17, **parameters: Any) -> Any:
        query = "&".join(f"{name}={value}" for name, value in {"limit": limit, "page": page, **parameters}.items())
        answer = self.shim.answer(LegacyCall(INDEX_STUDENTS, str(exam), query, authorization="Token token=t"))
        return json.loads(answer.body)


Replicas = Callable[..., Replica]


@pytest.fixture
def replica(sandbox: Sandbox, shared_url: str) -> Iterator[Replicas]:
    made: list[Store] = []

    def make(**more: Any) -> Replica:
        one = Replica(sandbox, shared_url, **more)
        made.append(one.store)
        return one

    yield make
    for store in made:
        store.close()


def reads(sandbox: Sandbox) -> int:
    return len([call for call in sandbox.calls if call.interface in KINDS])


@pytest.mark.parametrize(("kind", "fan_out"), [*[(kind, False) for kind in KINDS], ("paginated_sessions", True)])
def test_later_pages_at_another_replica(sandbox: Sandbox, replica: Replicas, kind: str, fan_out: bool) -> None:
    alone = Shim(upstream_of(sandbox, kind, fan_out=fan_out))
    first, second = replica(kind=kind, fan_out=fan_out), replica(kind=kind, fan_out=fan_out)
    whole = [
        alone.answer(LegacyCall(INDEX_STUDENTS, "17", f"limit=5&page={page}", authorization="Token token=t"))
        for page in range(1, 7)
    ]
    assert sum(len(json.loads(each.body)["students"]) for each in whole) > 15
    first.page(1)
    sandbox.clear_calls()
    for turn in range(2):
        for page in range(2, 7):
            one = (second, first)[(page + turn) % 2]
            answer = one.shim.answer(
                LegacyCall(INDEX_STUDENTS, "17", f"limit=5&page={page}", authorization="Token token=t")
            )
            assert (answer.body, answer.headers) == (whole[page - 1].body, whole[page - 1].headers)
    assert reads(sandbox) == 0


def test_the_newest_page_one_counts(sandbox: Sandbox, replica: Replicas) -> None:
    first, second, third = replica(), replica(), replica()
    before = [*first.ids(1), *first.ids(2)]
    assert sandbox.dataset.remove(before[0])
    after = [*second.ids(1), *second.ids(2)]
    assert before[1:6] == after[:5]
    sandbox.clear_calls()
    # The first one's own reading is not the one that counts any more.
    assert first.ids(2) == second.ids(2) == third.ids(2) == after[5:]
    assert reads(sandbox) == 0
    assert sandbox.dataset.remove(after[0])
    first.ids(1)
    sandbox.clear_calls()
    assert third.ids(2) == second.ids(2) == first.ids(2) != after[5:]
    assert reads(sandbox) == 0


def test_what_makes_another_walk(sandbox: Sandbox, replica: Replicas) -> None:
    first, second = replica(), replica()
    first.ids(1)
    others: list[dict[str, Any]] = [{"limit": 6}, {"exam": 18}, {"status": "exam_finished"}, {"sort": '[{"id":"asc"}]'}]
    for other in others:
        sandbox.clear_calls()
        second.ids(2, **other)
        assert reads(sandbox) >= 1, other
    settings_of_another = CallerSettings(compat.Caller("registrar", "another", "key"))
    sandbox.clear_calls()
    replica(callers=(settings_of_another,)).ids(2)
    assert reads(sandbox) >= 1


def test_a_walk_of_one_page(sandbox: Sandbox, replica: Replicas) -> None:
    first, second = replica(), replica()
    found = first.page(1, 300)
    sandbox.clear_calls()
    assert second.page(2, 300) == {"students": []}
    assert reads(sandbox) == 0
    assert second.page(1, 300) == found
    assert reads(sandbox) > 0


def test_too_large_to_share(
    sandbox: Sandbox, replica: Replicas, caplog: pytest.LogCaptureFixture, shared_url: str
) -> None:
    first, second = replica(), replica(max_walk=1000)
    first.ids(1)
    gone = second.ids(1)[0]
    # A new SQLite file says that it is one.
    found = [message for message in caplog.messages if "begins anew" not in message]
    assert found == ["a walk of 20 records is too large to share: max_walk is 1000"]
    assert sandbox.dataset.remove(gone)
    sandbox.clear_calls()
    kept = second.ids(2)
    assert reads(sandbox) == 0
    # What the first had shared is gone, so that nobody goes on with it.
    assert first.ids(2) != kept
    assert reads(sandbox) > 0


def test_the_store_is_down_for_walks(sandbox: Sandbox) -> None:
    keeper = Breaking()
    one, other = (
        Shim(upstream_of(sandbox, "student_sessions"), walks=SharedWalks(keeper, b"ours", LARGEST)) for _ in range(2)
    )

    def page(shim: Shim, number: int) -> bytes:
        return shim.answer(LegacyCall(INDEX_STUDENTS, "17", f"limit=5&page={number}")).body

    whole = [page(one, number) for number in (1, 2, 3)]
    keeper.down = True
    sandbox.clear_calls()
    # Its own reading where it has one, and one anew where it has none.
    assert page(one, 2) == whole[1]
    assert reads(sandbox) == 0
    assert page(other, 2) == whole[1]
    assert reads(sandbox) > 0
    assert [page(other, number) for number in (1, 2)] == whole[:2]
    keeper.down = False
    sandbox.clear_calls()
    # What was read while the store was down is newer than what it has.
    sandbox.dataset.remove(json.loads(whole[2])["students"][0]["id"])
    assert page(other, 3) == whole[2]
    assert page(one, 3) == whole[2]
    assert reads(sandbox) == 0
    # Pages that the store has lost, of a head that it has not: read anew.
    keeper.pages.clear()
    assert page(other, 1) == whole[0]
    keeper.pages.clear()
    assert page(one, 3) != whole[2]
    assert reads(sandbox) > 0


class Breaking(WalkKeeper):
    """A keeper that can be down, and lose what it has; no server does it at will."""

    def __init__(self) -> None:
        self.down = False
        self.heads: dict[str, bytes] = {}
        self.pages: dict[tuple[str, int], bytes] = {}

    def put(self, digest: str, head: bytes, pages: Any) -> None:
        made = dict(enumerate(pages, 2))
        if self.down:
            raise StoreUnavailable
        self.heads[digest] = head
        self.pages.update({(digest, number): page for number, page in made.items()})

    def get(self, digest: str, number: int, unless: bytes | None = None) -> StoredPage | None:
        if self.down:
            raise StoreUnavailable
        if digest not in self.heads:
            return None
        head = self.heads[digest]
        return StoredPage(head, None if head == unless else self.pages.get((digest, number)))

    def drop(self, digest: str) -> None:
        if self.down:
            raise StoreUnavailable
        self.heads.pop(digest, None)


class Listed(Reading):
    """A reading that is a list."""

    def __init__(self, records: list[tuple[bytes, int]], people: Sequence[Mapping[str, Any]], unsettled: bool) -> None:
        self.count, self.unsettled, self.people = len(records), unsettled, people
        self._records = records

    def records(self, start: int, limit: int) -> Sequence[tuple[bytes, int]]:
        return self._records[start : start + limit]


_KEPT = st.none() | st.text() | st.integers() | st.integers(2**63, 2**140) | json_values()
PEOPLE = st.lists(st.dictionaries(st.sampled_from(["email", "name", "student_id"]), _KEPT), min_size=1, max_size=4)


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_pages_out_of_the_store_are_the_readings(data: st.DataObject) -> None:
    people = data.draw(PEOPLE)
    records = data.draw(st.lists(st.tuples(st.binary(max_size=9), st.integers(0, len(people) - 1)), max_size=700))
    limit = data.draw(st.integers(1, 300))
    reading = Listed(records, people, data.draw(st.booleans()))
    keeper, key = Breaking(), WalkKey("c", 17, None, (), (), limit)

    def never() -> Reading:
        raise AssertionError("what is in the store is not read anew")

    read_page(SharedWalks(keeper, b"ours", LARGEST), key, 1, lambda: reading)
    for number in range(2, -(-len(records) // limit) + 3):
        page = read_page(SharedWalks(keeper, b"ours", LARGEST), key, number, never)
        start = (number - 1) * limit
        assert (page.count, page.unsettled) == (reading.count, reading.unsettled)
        assert [(text, dumps(person)) for text, person in zip(*page.page(start, limit), strict=True)] == [
            (text, dumps(person)) for text, person in zip(*reading.page(start, limit), strict=True)
        ]


def test_a_students_id_of_any_size_on_every_page(sandbox: Sandbox, shared_url: str, tmp_path: Path) -> None:
    source: Any = sandbox.settings("paginated_sessions", True)["upstream"]
    with open(source["roster"], encoding="utf-8", newline="") as file:
        rows = [{**row, "student_id": str(2**64 + at)} for at, row in enumerate(csv.DictReader(file))]
    roster = tmp_path / "roster.csv"
    with roster.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)

    def without_metadata(content: Any) -> None:
        for row in rows_of(content):
            row["metadata"] = None

    sandbox.intercept = lambda request, answer: edited(answer, without_metadata)
    found = []
    for page in (1, 2, 3):
        upstream = upstream_of(sandbox, "paginated_sessions", fan_out=True, roster=roster)
        store = open_store(shared_url)
        shim = Shim(upstream, walks=walks_of(compat.Configuration(upstream), store))
        call = LegacyCall(INDEX_STUDENTS, "17", f"limit=5&page={page}", authorization="Token token=t")
        found += json.loads(shim.answer(call).body)["students"]
        store.close()
    assert len(found) > 10
    assert all(each["student_id"] >= 2**64 for each in found)


def test_a_walk_of_another_version_is_read_anew(caplog: pytest.LogCaptureFixture) -> None:
    keeper, key = Breaking(), WalkKey("c", 17, None, (), (), 1)
    reading = Listed([(b"1", 0), (b"2", 0)], [{"name": "A"}], unsettled=False)
    read_page(SharedWalks(keeper, b"ours", LARGEST), key, 1, lambda: reading)
    keeper.pages = dict.fromkeys(keeper.pages, msgspec.msgpack.encode([[{"name": "A"}], [[b"2", 0]]]))
    again = read_page(SharedWalks(keeper, b"ours", LARGEST), key, 2, lambda: reading)
    assert again.records(1, 1) == [(b"2", 0)]
    assert "another version" in caplog.text


def test_nobody_finds_half_a_walk(shared_url: str) -> None:
    store, other = open_store(shared_url), open_store(shared_url)
    writer, reader = store.walks, other.walks
    assert writer is not None
    assert reader is not None
    seen = []

    def pages() -> Iterator[bytes]:
        for number in range(2, 6):
            seen.append(reader.get("d" * 64, number))
            yield b"%d" % number * 3_000_000

    writer.put("d" * 64, b"one", pages())
    assert seen == [None] * 4
    assert [reader.get("d" * 64, number) for number in (2, 5, 6)] == [
        StoredPage(b"one", b"2" * 3_000_000),
        StoredPage(b"one", b"5" * 3_000_000),
        StoredPage(b"one", None),
    ]
    assert reader.get("d" * 64, 2, unless=b"one") == StoredPage(b"one", None)
    seen.clear()
    writer.put("d" * 64, b"two", pages())
    assert [found and found.head for found in seen] == [b"one"] * 4

    def broken() -> Iterator[bytes]:
        yield b"x" * 5_000_000
        raise KeyError

    with pytest.raises(KeyError):
        writer.put("d" * 64, b"three", broken())
    found = reader.get("d" * 64, 3)
    assert found is not None
    assert found.head == b"two"
    reader.drop("d" * 64)
    assert writer.get("d" * 64, 2) is None
    store.close()
    other.close()


def test_walks_that_stay_in_the_process(sandbox: Sandbox, tmp_path: Path) -> None:
    upstream = upstream_of(sandbox, "student_sessions")
    store = open_store(f"sqlite:///{tmp_path}/calls.db")
    assert type(walks_of(compat.Configuration(upstream), open_store("memory://"))) is ProcessWalks
    assert type(walks_of(compat.Configuration(upstream, max_walk=0), store)) is ProcessWalks
    assert type(walks_of(compat.Configuration(upstream, max_walk=1), store)) is SharedWalks
    store.close()


def test_nothing_of_the_caller_or_the_filter_is_a_name(
    sandbox: Sandbox, replica: Replicas, caplog: pytest.LogCaptureFixture, shared_url: str
) -> None:
    caplog.set_level(logging.DEBUG)
    replica().ids(1, limit=300, filter='{"email":{"eq":"someone@example.com"}}')
    assert "someone" not in caplog.text
    key = WalkKey("registrar", 17, None, (), (), 5)
    names: list[str] = []

    class Watched(Breaking):
        def put(self, digest: str, head: bytes, pages: Any) -> None:
            names.append(digest)

    for ours in (b"ours", b"theirs"):
        read_page(SharedWalks(Watched(), ours, LARGEST), key, 1, lambda: Listed([], [{}], False))
    assert len(set(names)) == 2
    assert key.digest() not in names
