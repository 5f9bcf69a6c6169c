"""A page of 300 records with values of another type than declared, against the usual page; bytes to bytes."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

from benchmarks.data import EXAM, RECORDS, student_sessions_page
from benchmarks.harness import ROUNDS, Report, Way, command_line, compare, timed
from compat.upstream.base import LegacySettings
from compat.upstream.student_codec import StudentCodec
from compat.upstream.student_sessions import read_chunk
from compat.upstream.transport import Reply

_HEADERS = {"X-Pagination-Item-Count": str(RECORDS), "X-Pagination-Limit": str(RECORDS)}
_Read = Callable[[StudentCodec, bytes], bytes]


def direct(codec: StudentCodec, body: bytes) -> bytes:
    """A page that an upstream selected, as a whole where it may be."""
    chunk = read_chunk(Reply(200, _HEADERS, body), 0, codec.page)
    return codec.whole_page(chunk.rows, {}) or codec.body(chunk.rows, [{}] * len(chunk.rows))


def walked(codec: StudentCodec, body: bytes) -> bytes:
    """A page of a walk: its ids and a column are looked at, its texts kept, and rendered."""
    rows = read_chunk(Reply(200, _HEADERS, body), 0).rows
    codec.columns(rows, EXAM, ("id",), {})
    return codec.body([bytes(row) for row in rows], [{}] * len(rows))


def _odd(body: bytes, name: str, text: bytes, every: int) -> bytes:
    """The page with another value of a field in every so manieth record, the last one first."""
    places = [found.span(1) for found in re.finditer(rb'"%s":("[^"]*"|[^,{}\[\]]+|\[\])' % name.encode(), body)]
    for begin, end in places[::-1][::every]:
        body = body[:begin] + text + body[end:]
    return body


def bodies() -> dict[str, bytes]:
    """Pages by what is odd in them; every record is of one exam."""
    usual = re.sub(rb'"exam_id":\d+', b'"exam_id":%d' % EXAM, student_sessions_page())
    several = usual
    for name, text in (("attempt", b'"two"'), ("browser", b"5"), ("archived", b"0"), ("incidents", b"{}")):
        several = _odd(several, name, text, 100)
    return {
        "usual page": usual,
        "one odd value": _odd(usual, "attempt", b'"two"', RECORDS),
        "one in every record": _odd(usual, "attempt", b"1.0", 1),
        "four odd fields": several,
        "a lone surrogate": _odd(usual, "name", rb'"\ud800"', RECORDS),
    }


def anew(read: _Read, body: bytes) -> Way:
    """Each time by a codec that has never seen an odd value."""
    return timed(lambda: read(StudentCodec(LegacySettings()), body))


def check(pages: dict[str, bytes]) -> None:
    """Refuse to measure what does not pass the values on."""
    usual, one = pages["usual page"], pages["one odd value"]
    codec = StudentCodec(LegacySettings())
    for read in (direct, walked):
        assert read(codec, usual).count(b'"attempt":"two"') == 0
        for _ in range(2):
            assert read(codec, one).count(b'"attempt":"two"') == 1
        assert read(codec, pages["one in every record"]).count(b'"attempt":1.0') == RECORDS
        assert read(codec, pages["a lone surrogate"]).count(rb'"name":"\ud800"') == 1


def main(rounds: int = ROUNDS) -> Report:
    """Measure."""
    logging.getLogger("compat.drift").setLevel(logging.ERROR)
    pages = bodies()
    check(pages)
    ways, targets = {}, {}
    for label, read in (("direct", direct), ("walk", walked)):
        for name, body in pages.items():
            codec = StudentCodec(LegacySettings())
            ways[f"{name}, {label}"] = timed(lambda read=read, codec=codec, body=body: read(codec, body))  # type: ignore[misc]
            ways[f"{name}, {label}, first time"] = anew(read, body)
            usual = f"usual page, {label}"
            if name != "usual page":
                targets[f"{name}, {label}", usual] = "" if "surrogate" in name else "at most 1.5"
                targets[f"{name}, {label}, first time", usual] = "" if "surrogate" in name else "at most 3"
    return compare(
        "Odd values, a page of 300 student sessions, bytes to bytes",
        "Some values of the page have another type than declared; they are passed on as they are. "
        '"First time" is a codec that has not seen one before.',
        ways,
        targets,
        rounds,
    )


if __name__ == "__main__":
    command_line(main)
