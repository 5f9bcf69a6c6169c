"""What student sessions answer: pages with their totals in headers, and single records (seed 002)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from compat.errors import LegacyError, NotAuthorized
from compat.json_text import check_utf_8, dumps
from compat.mapping.compiled.refused import REFUSED
from compat.surrogates import decode_masked, unmasked
from compat.upstream.interface import Codec
from compat.upstream.records import Chunk, Row
from compat.upstream.transport import Reply, Unreadable, json_object, refused_parameters, unexpected

__all__ = ["PageRows", "raw_rows", "read_chunk", "read_row", "refused"]

_NOBODY: Mapping[str, Any] = {}
PageRows = Callable[[bytes], Sequence[Any]]


class _Page(msgspec.Struct):
    students: list[msgspec.Raw]


class _One(msgspec.Struct):
    student: msgspec.Raw = msgspec.Raw()
    student_session: msgspec.Raw = msgspec.Raw()


_pages = msgspec.json.Decoder(_Page)
_ones = msgspec.json.Decoder(_One)


def read_chunk(reply: Reply, start: int, page_rows: PageRows) -> Chunk:
    """A page of the list.

    Args:
        reply: the answer.
        start: how many records lie before the page.
        page_rows: decodes the page's records.

    Raises:
        Unreadable: it is no page.
        LegacyError: the upstream refused, as contract 2 says.
    """
    if reply.status != 200:
        raise refused(reply)
    rows = _rows(reply, page_rows)
    reply.limits.check_records(len(rows))
    total = _stated(reply, "X-Pagination-Item-Count", least=0)
    limit = _stated(reply, "X-Pagination-Limit", least=1)
    if not rows and total > start:
        raise Unreadable(f"The upstream's page from record {start} on has no records, though it counts {total}.")
    return Chunk(start, rows, total, limit)


def raw_rows(body: bytes) -> Sequence[Any]:
    """A page's records, each as its text."""
    page, masked = decode_masked(_pages.decode, body)
    return [unmasked(bytes(row)) for row in page.students] if masked else page.students


def _rows(reply: Reply, page_rows: PageRows) -> Sequence[Any]:
    """The page's records: as wanted, else as their texts, else as the plain reader has them."""
    try:
        # What is skipped over is not looked at: that it is UTF-8 is seen to here.
        check_utf_8(reply.body)
        return page_rows(reply.body)
    except REFUSED:
        return _rows_by_hand(reply) if page_rows is raw_rows else _rows(reply, raw_rows)


def _rows_by_hand(reply: Reply) -> Sequence[Any]:
    """What the fast reader would not take: the plain one decides whether it is a page."""
    rows = json_object(reply).get("students")
    if not isinstance(rows, list):
        raise Unreadable("The upstream's answer is not a page: it has no list of students.")
    return [dumps(row).encode() for row in rows]


def _stated(reply: Reply, name: str, least: int) -> int:
    text = reply.headers.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 16) or int(text) < least:
        raise Unreadable(f"The upstream's answer is not a page: it states no {name}.")
    return int(text)


def read_row(reply: Reply, codec: Codec) -> Row:
    """One record, in either of the two envelopes that are known.

    Raises:
        Unreadable: it holds none.
        LegacyError: the upstream refused, as contract 2 says.
    """
    if reply.status not in (200, 201):
        raise refused(reply)
    try:
        check_utf_8(reply.body)
        found, masked = decode_masked(_ones.decode, reply.body)
    except REFUSED:
        return codec.scan([_one_by_hand(reply)], -1, (), _NOBODY)[0]
    text = bytes(found.student) or bytes(found.student_session)
    if not text:
        raise _no_student()
    return codec.scan([unmasked(text) if masked else text], -1, (), _NOBODY)[0]


def _one_by_hand(reply: Reply) -> bytes:
    """What the fast reader would not take: the plain one decides whether it holds a record."""
    content = json_object(reply)
    for name in ("student", "student_session"):
        if name in content:
            return dumps(content[name]).encode()
    raise _no_student()


def _no_student() -> Unreadable:
    return Unreadable("The upstream's answer holds no student.")


def refused(reply: Reply) -> LegacyError:
    """The error that another status than success stands for."""
    if reply.status in (401, 403):
        return NotAuthorized()
    return refused_parameters(reply) if reply.status == 422 else unexpected(reply)
