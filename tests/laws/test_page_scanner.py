"""The extension in C beside the schemas: whatever it takes, they take for the same (law 5).

What it does not take is theirs to decide. Its bodies are foreign: valid ones changed at random, cut at every byte, with
every escape and every form of UTF-8. ``tox -e sanitize`` runs this file with the extension built for the sanitizers.
"""

from __future__ import annotations

import gc
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_mutated_bodies import AWKWARD, HEADERS, STUDENT_PAGES, agrees, mutated

from compat.drift import DRIFT
from compat.mapping.fast.scanner import ANY, CHECKED, REQUIRED, PageScanner, Within, extension
from compat.schemas import STUDENT_FIELDS
from compat.testing.sandbox import generate
from compat.testing.strategies import json_values
from compat.text.json import loads
from compat.upstream import student_sessions
from compat.upstream.base import LegacySettings
from compat.upstream.page_scanners import ShownPage, StudentScanner
from compat.upstream.student_codec import StudentCodec
from compat.upstream.transport import Reply

pytestmark = pytest.mark.skipif(extension() is None, reason="the extension in C is not built, or is switched off")

INPUTS = int(os.environ.get("EXAM_COMPAT_INPUTS", "1000000"))
SEED = int(os.environ.get("EXAM_COMPAT_SEED", "2018"))
"""How many bodies the soak tries."""

SETTINGS = (
    LegacySettings(),
    LegacySettings(extra_fields=("unknown", "pod_names", "pin_code")),
    LegacySettings(extra_fields="all"),
)
CODECS = [StudentCodec(settings) for settings in SETTINGS]
SHORT = b'{"students":[{"id":1,"exam_id":17,"name":"%b","unknown":[1,{"a":"%b"}]}]}'


def real_pages() -> list[bytes]:
    """Pages as the sandbox writes them: fields in any order, some absent, some texts escaped; and with blanks."""
    texts = [entry.student_session_text for entry in generate(40, 1, 2018).entries()]
    pages = [b'{"students":[' + b",".join(texts[at : at + 2]) + b"]}" for at in range(0, len(texts), 2)]
    spaced = [json.dumps(json.loads(page), indent=1).encode() for page in pages[:5]]
    return [*pages, *spaced, b'{"meta":{"a":[1]},"students":[],"next":null}']


PAGES = real_pages()


def shown(codec: StudentCodec, body: bytes) -> bytes | None:
    page = codec._scanner.shown(body, "students")
    return None if page is None else page.body


def held_against_the_schemas(codec: StudentCodec, body: bytes) -> bool:
    """Whether the extension takes a body, which the schemas then have to take for the same."""
    taken = shown(codec, body)
    if taken is not None:
        agrees(codec, lambda reply: student_sessions.read_chunk(reply, 0), lambda: taken, body)
    return taken is not None


@pytest.mark.parametrize("codec", CODECS, ids=["57 fields", "some more", "all"])
def test_real_pages_are_taken(codec: StudentCodec) -> None:
    """Otherwise every comparison here would hold for nothing."""
    assert all(held_against_the_schemas(codec, body) for body in PAGES)


@given(mutated(STUDENT_PAGES), st.sampled_from(CODECS))
def test_changed_pages(body: bytes, codec: StudentCodec) -> None:
    held_against_the_schemas(codec, body)


@pytest.mark.parametrize("codec", CODECS, ids=["57 fields", "some more", "all"])
@pytest.mark.parametrize("value", AWKWARD)
@pytest.mark.parametrize("name", ["id", "exam_id", "name", "incidents", "attempt", "unknown", "na\\u006de", "\xff"])
def test_awkward_members(name: str, value: bytes, codec: StudentCodec) -> None:
    for others in (b"", b',"name":"N"', b',"unknown":1'):
        body = b'{"students":[{"id":1,"exam_id":17,"%b":%b%b}]}' % (name.encode("latin-1"), value, others)
        held_against_the_schemas(codec, body)


@pytest.mark.parametrize("page", [PAGES[0], PAGES[-2], PAGES[-1]], ids=["as it comes", "with blanks", "more members"])
def test_a_page_cut_at_every_byte_is_no_page(page: bytes) -> None:
    for end in range(len(page)):
        assert shown(CODECS[0], page[:end]) is None
        assert shown(CODECS[0], page[end + 1 :]) is None
        assert shown(CODECS[0], page + page[end:]) is None


def test_a_byte_of_each_value_at_every_place() -> None:
    page = SHORT % (b"N", b"x")
    for place, byte in product(range(len(page)), range(256)):
        held_against_the_schemas(CODECS[0], page[:place] + bytes([byte]) + page[place + 1 :])


def readable(text: bytes) -> bool:
    try:
        loads(b'"%b"' % text)
    except ValueError:
        return False
    return True


def accepted(text: bytes) -> set[bool]:
    """Whether the extension takes a text, at any distance from the end of eight bytes, looked at or not."""
    bodies = [
        SHORT % pair for before in range(9) for pair in ((b"x" * before + text, b""), (b"", b"x" * before + text))
    ]
    return {shown(CODECS[0], body) is not None for body in bodies}


def test_every_escape() -> None:
    escapes = [bytes([byte]) for byte in range(256)]
    for place in range(4):
        escapes += [b"u" + b"d83c"[:place] + bytes([byte]) + b"d83c"[place + 1 :] for byte in range(256)]
    for text in (b"\\" + escape for escape in escapes):
        if text != b'\\"':  # which would leave the string open
            assert accepted(text) == {readable(text)}


def test_every_form_of_utf_8_of_two_bytes() -> None:
    for pair in product(range(256), repeat=2):
        text = bytes(pair)
        if not {*b'"\\'} & {*pair}:
            assert (shown(CODECS[0], SHORT % (text, b"")) is not None) == readable(text)
            assert (shown(CODECS[0], SHORT % (b"", text)) is not None) == readable(text)


def test_the_edges_of_longer_forms_of_utf_8() -> None:
    edges = [0x00, 0x1F, 0x20, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF]
    for first, *others in product(range(0xDF, 0xF8), edges, edges, edges):
        for length in (3, 4):
            text = bytes([first, *others[: length - 1]])
            assert (shown(CODECS[0], SHORT % (text, b"")) is not None) == readable(text)


@pytest.mark.parametrize("opened", [b"[", b'{"a":', b'[{"a":['])
def test_depth_is_bounded(opened: bytes) -> None:
    for depth in (50, 10_000, 1_000_000):
        body = b'{"students":[{"id":1,"exam_id":17,"name":%b' % (opened * depth)
        assert shown(CODECS[0], body) is None
    assert shown(CODECS[0], b"[" * 1_000_000) is None


def test_a_page_that_would_grow_without_measure_is_left_to_the_plain_way() -> None:
    small = b'{"id":1,"exam_id":17}'
    assert shown(CODECS[0], b'{"students":[%b]}' % b",".join([small] * 20)) is not None
    assert shown(CODECS[0], b'{"students":[%b]}' % b",".join([small] * 100_000)) is None


def test_what_is_not_declared_is_bounded_too() -> None:
    for count, taken in ((64, True), (65, False)):
        more = b",".join(b'"more_%d":%d' % (number, number) for number in range(count))
        assert held_against_the_schemas(CODECS[2], b'{"students":[{"id":1,"exam_id":17,%b}]}' % more) is taken
    for again in (b'"a":3', b'"a" : 3', b'"a"\n:{}', b'"":1,"":2'):
        assert shown(CODECS[2], b'{"students":[{"id":1,"exam_id":17,"a": 1,"b":2,%b}]}' % again) is None


def test_more_extra_fields_than_the_extension_takes() -> None:
    for names in ((f"field_{number}" for number in range(200)), ["x" * 200], ['a"b']):
        assert StudentScanner(tuple(names)).shown(PAGES[0], "students") is None


def test_drift_is_told_by_its_first_type() -> None:
    body = b'{"students":[{"id":1,"exam_id":17,"name":5},{"id":2,"exam_id":17,"name":[],"attempt":1.0}]}'
    assert shown(CODECS[0], body) is not None
    assert DRIFT.seen() == {"name": "a number", "attempt": "a number"}


def test_a_page_is_shown_whole_only_where_all_of_it_is_wanted() -> None:
    def page(*members: bytes) -> ShownPage:
        found = CODECS[0]._scanner.shown(
            b'{"students":[%b]}' % b",".join(b"{%b}" % each for each in members), "students"
        )
        assert found is not None
        return found

    one, two = b'"id":1,"exam_id":17,"status":"in_setup"', b'"id":2,"exam_id":17,"status":"in_setup"'
    having = {"exam_id": 17, "status": "in_setup"}
    assert page(one, two).whole(having) == page(one, two).body
    assert list(loads(page(one, two)[1])) == list(STUDENT_FIELDS)
    for other in (
        one,
        two.replace(b"17", b"18"),
        two.replace(b"in_setup", b"registered"),
        two.replace(b'"in_setup"', b"null"),
        two.replace(b"17", b"1" * 30),
        two.replace(b"in_setup", b"in\\u005fsetup"),
        b'"id":2,"exam_id":17',
    ):
        assert page(one, other).whole(having) is None
    assert page(one, two.replace(b'"in_setup"', b"5")).whole({"exam_id": 17}) is not None


FIELDS = [
    Within("a", ANY, REQUIRED | CHECKED, "a"),
    Within("b", 4 | 32, CHECKED, "b"),
    Within(
        "c",
        16 | 32,
        CHECKED,
        "c",
        [Within("d", ANY, 0, "c.d"), Within("e", 16, CHECKED, "c.e", [Within("f", ANY, 0, "f")])],
    ),
]
NESTED = st.recursive(
    json_values(2),
    lambda inner: st.dictionaries(st.sampled_from("abcdefg"), inner, max_size=4),
    max_leaves=12,
)


def at(record: Any, *names: str) -> Any:
    for name in names:
        if not isinstance(record, dict) or name not in record:
            return "absent"
        record = record[name]
    return record


@given(st.lists(st.fixed_dictionaries({"a": NESTED}, optional={"b": NESTED, "c": NESTED, "g": NESTED}), max_size=4))
def test_columns_are_the_values_at_their_places(records: list[dict[str, Any]]) -> None:
    module = extension()
    assert module is not None
    body = json.dumps({"total": 5, "list": records}, ensure_ascii=False).encode(errors="surrogatepass")
    found = PageScanner(module, FIELDS).scan(body, "list")
    if found is None:
        fits = [
            isinstance(at(each, "b"), str | None)
            and (at(each, "c") in ("absent", None) or isinstance(each["c"], dict))
            and (at(each, "c", "e") == "absent" or isinstance(each["c"]["e"], dict))
            for each in records
        ]
        assert not all(fits) or "\\" in body.decode(errors="replace") or b"\xed" in body
        return
    assert found.rest == {"total": b"5"}
    assert [loads(text) for text in found.rows] == loads(json.dumps(records))
    assert [loads(text) for text in found.rows[1:]] == loads(json.dumps(records))[1:]
    places = {"a": ["a"], "b": ["b"], "c.d": ["c", "d"], "f": ["c", "e", "f"]}
    for column, names in places.items():
        values = found.rows.values_by_column[column]
        assert [_read(value) for value in values] == [at(each, *names) for each in loads(json.dumps(records))]
    there = found.rows.values_by_column["c.e"]
    assert [value is True for value in there] == [isinstance(at(each, "c", "e"), dict) for each in records]


def _read(value: Any) -> Any:
    if isinstance(value, bytes):
        return loads(value)
    return value if isinstance(value, str | int | None) else "absent"


def test_no_format_is_read_otherwise_by_another_python() -> None:
    """Python 3.13 and older ones call different functions for formats with ``#``: one wheel would not do for both."""
    [path] = Path(__file__).parents[2].glob("compat/mapping/*/_pagescan.c")
    source = path.read_text(encoding="utf-8")
    formats = re.findall(r'(?:ParseTuple|BuildValue)\([^"]*"([^"]*)"', source)
    assert len(formats) > 5
    assert not [each for each in formats if "#" in each]


def test_threads_read_at_once() -> None:
    wanted = [shown(CODECS[0], page) for page in PAGES]
    found: list[list[bytes | None]] = []

    def read() -> None:
        found.extend([shown(CODECS[0], page) for page in PAGES] for _ in range(20))

    threads = [Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 80


def _count_what_stays() -> None:
    """Write how many references to None, and how many objects, are there more after many pages."""

    def read() -> None:
        for page in [*PAGES, *(page[: len(page) // 2] for page in PAGES)]:
            codec = StudentScanner("all")
            codec.shown(page, "students")
            codec.columns(
                codec.reader(("name", "status"))(page).students if page in PAGES else [], ("id", "exam_id", "name")
            )  # type: ignore[misc]

    for _ in range(3):
        read()
    gc.collect()
    before = sys.getrefcount(None), len(gc.get_objects())
    for _ in range(20):
        read()
    gc.collect()
    sys.stdout.write(f"{sys.getrefcount(None) - before[0]} {len(gc.get_objects()) - before[1]}")


def test_nothing_is_kept_and_nothing_let_go_twice() -> None:
    # In a process of its own: what other tests left may go at any time.
    found = subprocess.run(
        [sys.executable, __file__],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    references, objects = map(int, found.split())
    assert abs(references) < 100
    assert abs(objects) < 100


def test_a_sub_interpreter_reads_pages_or_works_without() -> None:
    interpreters = pytest.importorskip("_xxsubinterpreters" if sys.version_info < (3, 13) else "_interpreters")
    # From 3.12 on the usual one has an interpreter lock of its own, in which msgspec does not load.
    made = "i.create('legacy')" if sys.version_info >= (3, 13) else "i.create(isolated=False)"
    program = "import sys; sys.path[:] = {!r}\nfrom compat.mapping.fast.scanner import extension\nextension()"
    code = (
        f"import {interpreters.__name__} as i; n = {made}; found = i.run_string(n, {program.format(sys.path)!r})\n"
        "assert not found, found; i.destroy(n)"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def changed(page: bytes, chance: random.Random) -> Iterator[bytes]:
    """A page with ever more changes: bytes, gaps, cuts, awkward values, doubled pieces."""
    while page:
        place, kind = chance.randrange(len(page)), chance.randrange(8)
        end = min(len(page), place + chance.randrange(1, 12))
        if kind < 3:
            page = (
                page[:place]
                + bytes([chance.choice([*b'{}[]",:\\u0-e.tfn \x00\x7f\x80\xc2\xe0\xed\xf0\xff'])])
                + page[place + 1 :]
            )
        elif kind == 3:
            page = page[:place] + page[end:]
        elif kind == 4:
            page = page[:end] + page[place:]
        elif kind == 5:
            value = chance.choice(AWKWARD[:22])
            colon = page.find(b":", place)
            page = page[: colon + 1] + value + page[colon + 1 + chance.randrange(3) :]
        elif kind == 6:
            other = chance.randrange(len(page))
            page = page[:place] + page[other : other + 60] + page[place:]
        else:
            page = page[:end]
        yield page


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_a_million_changed_pages() -> None:
    chance, tried, taken = random.Random(SEED), 0, 0
    while tried < INPUTS:
        for body in changed(chance.choice(PAGES), chance):
            tried += 1
            taken += held_against_the_schemas(chance.choice(CODECS), body)
            if chance.random() < 0.3:
                break
    assert taken > tried / 50, "hardly any was taken: the test shows less than it says"


def test_the_law_reads_what_callers_are_shown() -> None:
    """The comparisons above take the extension's page, which is what a caller gets."""
    codec = CODECS[0]
    for page in PAGES[:-1]:
        chunk = student_sessions.read_chunk(Reply(200, HEADERS, page), 0, codec.page)
        assert isinstance(chunk.rows, ShownPage)
        assert chunk.rows.body == codec.body([*chunk.rows], [{}] * len(chunk.rows))


if __name__ == "__main__":
    _count_what_stays()
