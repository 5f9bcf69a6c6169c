"""An upstream that costs next to nothing, in a process of its own: what is measured is the caller.

It serves student sessions by page and sessions by offset, as many as it is told, from one page of records whose ids are
counted on. It checks no signature, and tells at :data:`ASKED` how often each page was asked for since it last told.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["ASKED", "serving"]

ASKED = "/asked"
_LARGEST = 300


@contextmanager
def serving(records: Sequence[dict[str, Any]], total: int, latency: float = 0.0) -> Iterator[str]:
    """Serve so many records while the block runs.

    Args:
        records: what each of them looks like, one after the other and from the beginning again.
        total: how many there are.
        latency: seconds before an answer.

    Yields:
        the base URL.
    """
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(theirs, list(records), total, latency), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def _serve(ready: Connection, records: list[dict[str, Any]], total: int, latency: float) -> None:
    asyncio.run(_main(ready, records, total, latency))


async def _main(ready: Connection, records: list[dict[str, Any]], total: int, latency: float) -> None:
    pages = _Pages(records, total)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(pages, latency), "127.0.0.1", 0)
    ready.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


class _Pages:
    """Page bodies; a record's text is made once, but for its id."""

    def __init__(self, records: list[dict[str, Any]], total: int) -> None:
        self._texts = [self._text(record) for record in records]
        self._total = total
        self._asked: Counter[str] = Counter()

    @staticmethod
    def _text(record: dict[str, Any]) -> tuple[bytes, bytes]:
        others = {name: value for name, value in record.items() if name != "id"}
        text = json.dumps(others, ensure_ascii=False, separators=(",", ":")).encode()
        return (b'{"id":"' if isinstance(record["id"], str) else b'{"id":'), text[1:]

    def answer(self, target: str) -> bytes:
        if target == ASKED:
            told, self._asked = json.dumps(self._asked).encode(), Counter()
            return self._http(told, _LARGEST)
        given = {
            name: int(values[0]) for name, values in parse_qs(urlsplit(target).query).items() if values[0].isdigit()
        }
        limit = min(given.get("limit", _LARGEST), _LARGEST)
        self._asked[f"{given.get('offset', '')} {given.get('page', '')}"] += 1
        if "offset" in given:
            start = given["offset"]
            head = b'{"limit":%d,"offset":%d,"total":%d,"sessions":[' % (limit, start, self._total)
            return self._http(head + self._rows(start, limit) + b"]}", limit)
        return self._http(b'{"students":[' + self._rows((given.get("page", 1) - 1) * limit, limit) + b"]}", limit)

    def _rows(self, start: int, limit: int) -> bytes:
        numbers = range(start, min(start + limit, self._total))
        return b",".join([self._row(number) for number in numbers])

    def _row(self, number: int) -> bytes:
        head, tail = self._texts[number % len(self._texts)]
        end = b'",' if head.endswith(b'"') else b","
        return b"%s%d%s%s" % (head, number + 1, end, tail)

    def _http(self, body: bytes, limit: int) -> bytes:
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"X-Pagination-Item-Count: {self._total}\r\nX-Pagination-Limit: {limit}\r\n\r\n"
        )
        return head.encode() + body


class _Connection(asyncio.Protocol):
    def __init__(self, pages: _Pages, latency: float) -> None:
        self._pages = pages
        self._latency = latency
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            request, _, self._received = self._received.partition(b"\r\n\r\n")
            body = self._pages.answer(request.split(b" ", 2)[1].decode())
            if self._latency:
                asyncio.get_running_loop().call_later(self._latency, self._transport.write, body)
            else:
                self._transport.write(body)
