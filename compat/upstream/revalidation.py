"""Conditional requests: a page that is kept is asked for by what the upstream named it with (RFC 9110, section 13).

A 304 means that the kept answer still holds, with the headers that the 304 brings in place of its own.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from requests.structures import CaseInsensitiveDict

from compat.upstream.transport import Reply

__all__ = ["AskedPage", "PageReader", "asked_page", "condition_for", "may_be_kept", "renewed"]

_NO_CONDITION: Mapping[str, str] = MappingProxyType({})
_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e]{0,256}"')
_A_SECOND = timedelta(seconds=1)


class AskedPage:
    """One page of an upstream that is asked for, its attempts one after another.

    Args:
        decode: decodes the page's body; None leaves that to the upstream.

    Attributes:
        condition: headers that the next attempt is sent with.
    """

    def __init__(self, decode: Callable[[bytes], Any] | None) -> None:
        self.decode = decode
        self.condition = _NO_CONDITION

    def answer(self, reply: Reply) -> Reply:
        """The answer that a reply stands for."""
        return reply


class PageReader(ABC):
    """Decodes pages, and may know what the upstream said to the same request before."""

    @abstractmethod
    def __call__(self, body: bytes) -> Any:
        """Decode a page that is asked for without a condition."""

    @abstractmethod
    def asked(self, request: Hashable) -> AskedPage:
        """The page of one request.

        Args:
            request: tells apart the requests of one query: the path and the parameters, without a signature.
        """


def asked_page(decode: Callable[[bytes], Any] | None, path: str, parameters: Mapping[str, str]) -> AskedPage:
    """The page that a request asks for, on its condition where one is known."""
    if isinstance(decode, PageReader):
        return decode.asked((path, *parameters.items()))
    return AskedPage(decode)


def may_be_kept(reply: Reply) -> bool:
    """Whether the upstream lets an answer be kept."""
    return reply.status == HTTPStatus.OK and "no-store" not in reply.headers.get("Cache-Control", "").lower()


def condition_for(reply: Reply) -> Mapping[str, str]:
    """The headers that ask whether an answer still holds; none where the upstream gave nothing to ask by.

    A time of change names an answer only if that was made a second or more after it: before, the answer may have
    changed again within the same second (RFC 9110, section 8.8.2.2).
    """
    tag = reply.headers.get("ETag", "").strip()
    if _ETAG.fullmatch(tag):
        return {"If-None-Match": tag}
    changed = reply.headers.get("Last-Modified", "").strip()
    if not changed:
        return _NO_CONDITION
    try:
        settled = parsedate_to_datetime(reply.headers.get("Date", "")) - parsedate_to_datetime(changed) >= _A_SECOND
    except (TypeError, ValueError, OverflowError):
        return _NO_CONDITION
    return {"If-Modified-Since": changed} if settled else _NO_CONDITION


def renewed(kept: Reply, unchanged: Reply) -> Reply:
    """A kept answer after a 304, whose headers count before its own."""
    headers: CaseInsensitiveDict[str] = CaseInsensitiveDict(kept.headers)
    headers.update(unchanged.headers)
    return Reply(kept.status, headers, kept.body, unchanged.limits)
