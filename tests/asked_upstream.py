"""Student sessions, and the old list, in a process of their own: their records say what was asked.

Run as a script, it prints its port and serves until its input ends.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["LIMIT", "asked_upstream", "names_of"]

LIMIT = 20
"""Records a page of student sessions at most."""

_LIST = re.compile(r"/api/v3/exams/(\d+)/student_sessions")
_OLD = re.compile(r"/api/v3/exams/(\d+)/index_students")
_ONE = re.compile(r"/api/v3/student_sessions/(\d+)")


def names_of(exam: int, status: str) -> list[str]:
    """The names of an exam's records, in order: some exams have several pages."""
    return [f"{exam} {status} {place}" for place in range(45 if exam % 10 == 0 else 3)]


def _record(exam: int, status: str, name: str, number: int) -> dict[str, Any]:
    return {"id": number, "exam_id": exam, "name": name, "status": status}


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 0

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = {name: texts[0] for name, texts in parse_qs(parts.query).items()}
        headers: dict[str, int] = {}
        old = _OLD.fullmatch(parts.path)
        if found := old or _LIST.fullmatch(parts.path):
            exam, status = int(found[1]), asked.get("status", "registered")
            names = names_of(exam, status)
            limit = min(int(asked.get("limit", "300")), 300 if old else LIMIT)
            begin = (int(asked.get("page", "1")) - 1) * limit
            rows = [_record(exam, status, name, place + 1) for place, name in enumerate(names)]
            headers = {"X-Pagination-Item-Count": len(names), "X-Pagination-Limit": limit}
            content: Any = {"students": rows[begin : begin + limit]}
        else:
            one = _ONE.fullmatch(parts.path)
            number = int(one[1]) if one else 0
            content = {"student": _record(17, "registered", f"session {number}", number)}
        self._send(json.dumps(content).encode(), headers)

    def _send(self, body: bytes, headers: dict[str, int]) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": "application/json", "Content-Length": len(body), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        # In pieces and with pauses, so that answers on one connection would get mixed up.
        half = len(body) // 2
        self.wfile.write(body[:half])
        time.sleep(random.random() / 500)
        self.wfile.write(body[half:])

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is none of its business."""


@contextmanager
def asked_upstream() -> Iterator[str]:
    """The base URL of one that serves while the context lasts."""
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()
            process.wait(20)


def _serve() -> None:
    server = _Server(("127.0.0.1", 0), _Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    _serve()
