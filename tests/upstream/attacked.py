"""A gateway in processes of its own, before an upstream that is hostile about some exams."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from gateways import written
from hostile import HOSTILE, prepare
from serving import Gateway, serving
from wires import Sent, Wire, whole

__all__ = ["COUNTS", "HONEST", "MIB", "attacked_gateway", "exam_of", "resident"]

MIB = 1 << 20
COUNTS = ("X-Pagination-Item-Count: 1", "X-Pagination-Limit: 300")
HONEST = json.dumps({"students": [{"id": 1, "exam_id": 18, "name": "Ada"}]}).encode()
_FIRST = 100


def exam_of(name: str) -> int:
    """The exam whose list is an attack."""
    return _FIRST + list(HOSTILE).index(name)


@contextmanager
def attacked_gateway(folder: Path, **settings: float) -> Iterator[Gateway]:
    """A gateway whose upstream answers exam 18 honestly; keys are those of ``[upstream]``."""
    attacks = list(HOSTILE.values())
    prepare()

    def answer(sent: Sent, connection: socket.socket) -> None:
        exam = int(sent.line.partition("/exams/")[2].partition("/")[0])
        if exam == 18:
            connection.sendall(whole("200 OK", HONEST, *COUNTS))
            return
        attacks[exam - _FIRST](wire, connection)
        connection.shutdown(socket.SHUT_RDWR)

    with Wire(answer) as wire:
        upstream = {"kind": "student_sessions", "base_url": wire.base_url, "api_token": "a", "secret_key": "b"}
        tables = {"upstream": {**upstream, "scope": "exam", **settings}, "store": {"url": "memory://"}}
        with serving(written(folder, tables)) as gateway:
            yield gateway


def resident(gateway: Gateway) -> int:
    """Bytes of memory that the gateway's processes have."""
    family = [psutil.Process(gateway.process.pid)]
    family += family[0].children(recursive=True)
    return sum(each.memory_info().rss for each in family)
