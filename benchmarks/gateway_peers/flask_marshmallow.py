"""Flask, ``requests`` and a marshmallow schema: what most people would write first."""

from __future__ import annotations

import requests
from flask import Flask, Response, jsonify, request

from benchmarks.gateway_peers.signing import TOKEN, UPSTREAM, accepted, upstream_parameters
from compat.schemas import StudentSchema

__all__ = ["application"]

application = Flask(__name__)
_schema = StudentSchema(many=True)
_session = requests.Session()
_session.headers["Authorization"] = f"Token token={TOKEN}"
_COUNTS = ("Item-Count", "Page-Count", "Page", "Limit")


@application.get("/api/v3/exams/<exam>/index_students")
def index_students(exam: str) -> Response | tuple[Response, int]:
    """The deprecated list."""
    query = request.args.to_dict()
    if not accepted(request.headers.get("Authorization", ""), query, exam):
        return jsonify(error="You are not authorized to access this page."), 403
    answer = _session.get(
        f"{UPSTREAM}/api/v3/exams/{exam}/student_sessions", params=upstream_parameters(query, exam), timeout=30
    )
    answer.raise_for_status()
    students = _schema.dump(_schema.load(answer.json()["students"]))
    made = jsonify(students=students)
    for name in _COUNTS:
        made.headers[f"X-Pagination-{name}"] = answer.headers[f"X-Pagination-{name}"]
    return made
