"""A mitmproxy addon in reverse mode, which translates with the shim's own compiled schemas.

The proxy is the peer here, not its translation. It runs from mitmproxy's own environment if that has no ``compat``.
"""

from __future__ import annotations

from mitmproxy import http

from benchmarks.gateway_peers.signing import TOKEN, accepted, upstream_parameters
from compat.upstream.base import LegacySettings
from compat.upstream.student_codec import StudentCodec

__all__ = ["addons"]


class _Translate:
    def __init__(self) -> None:
        self._codec = StudentCodec(LegacySettings())

    def request(self, flow: http.HTTPFlow) -> None:
        """Verify the old call, and make the new one of it."""
        path = flow.request.path_components
        if len(path) != 5 or path[4] != "index_students":
            return
        query, exam = dict(flow.request.query), path[3]
        if not accepted(flow.request.headers.get("Authorization", ""), query, exam):
            flow.response = http.Response.make(403, b'{"error":"You are not authorized to access this page."}')
            return
        flow.request.path = f"/api/v3/exams/{exam}/student_sessions"
        flow.request.query = tuple(upstream_parameters(query, exam).items())
        flow.request.headers["Authorization"] = f"Token token={TOKEN}"
        flow.metadata["translate"] = True

    def response(self, flow: http.HTTPFlow) -> None:
        """Translate the page."""
        if flow.metadata.get("translate") and flow.response is not None:
            body = flow.response.content or b""
            rows = self._codec.page(body).students
            flow.response.content = self._codec.body(rows, [{}] * len(rows))


addons = [_Translate()]
