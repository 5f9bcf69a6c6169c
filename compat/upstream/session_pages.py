"""What paginated sessions answer: pages by limit and offset, with their totals in the body (seed 000)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from compat.errors import UpstreamError
from compat.json_text import check_utf_8, dumps
from compat.mapping.compiled import REFUSED
from compat.schemas import PaginatedSessionsOutputSchema
from compat.surrogates import decode_masked, unmasked
from compat.upstream.records import Chunk
from compat.upstream.transport import Reply, Unreadable, json_object, refused_parameters, unexpected

__all__ = ["TokenRefused", "raw_page", "read_chunk"]

_SCHEMA = PaginatedSessionsOutputSchema()


class _Page(msgspec.Struct):
    limit: int
    offset: int
    sessions: list[msgspec.Raw]
    total: int


_decoder = msgspec.json.Decoder(_Page)


class TokenRefused(UpstreamError):
    """The token was refused; another one may do."""


def raw_page(body: bytes) -> Any:
    """A page with each session as its text."""
    page, hidden = decode_masked(_decoder.decode, body)
    if hidden:
        page.sessions = [unmasked(bytes(row)) for row in page.sessions]  # type: ignore[misc]
    return page


def read_chunk(reply: Reply, offset: int, decode: Callable[[bytes], Any] = raw_page) -> Chunk:
    """A page of a list.

    Args:
        reply: the answer.
        offset: how many sessions lie before the page.
        decode: reads the page's body.

    Raises:
        TokenRefused: the upstream refused the token.
        Unreadable: it is no page.
        LegacyError: the upstream refused otherwise, as contract 2 says.
    """
    if reply.status == 401:
        raise TokenRefused("The upstream refused the token.")
    if reply.status == 422:
        raise refused_parameters(reply)
    if reply.status != 200:
        raise unexpected(reply)
    page = _page(reply, decode)
    reply.limits.check_records(len(page.sessions))
    if page.offset != offset:
        raise Unreadable(f"The upstream's page begins at {page.offset}, though it was asked from {offset}.")
    if page.limit < 1 or page.total < 0:
        raise Unreadable("The upstream's answer is not a page: its limit or total makes no sense.")
    if not page.sessions and page.total > offset:
        raise Unreadable(f"The upstream's page at {offset} has no sessions, though it counts {page.total}.")
    return Chunk(offset, page.sessions, page.total, page.limit)


def _page(reply: Reply, decode: Callable[[bytes], Any]) -> Any:
    try:
        # What is skipped over is not looked at: that it is UTF-8 is seen to here.
        check_utf_8(reply.body)
        return decode(reply.body)
    except REFUSED:
        if decode is not raw_page:
            return _page(reply, raw_page)
        content = json_object(reply)
    problems = _SCHEMA.validate(content)
    if problems:
        name, messages = next(iter(problems.items()))
        raise Unreadable(f"The upstream's answer is not a page: {name}: {messages[0]}")
    rows: Sequence[Any] = [dumps(row).encode() for row in content["sessions"]]
    return _Page(int(content["limit"]), int(content["offset"]), list(rows), int(content["total"]))
