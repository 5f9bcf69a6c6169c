"""The document, put together."""

from __future__ import annotations

from typing import Any

from compat._version import __version__
from compat.config import Configuration
from compat.gateway.openapi.answers import answer_headers, answers_of, error_answers, error_schema
from compat.gateway.openapi.parameters import body_schema, comparison_schemas, parameters_of, path_id
from compat.gateway.openapi.record import record_schema
from compat.legacy.routes import ADD_STUDENT, DELETE_STUDENT, INDEX_STUDENTS, ROUTES, SHOW_STUDENT, Route
from compat.upstream import PaginatedSessions

__all__ = ["document"]

_ABOUT = (
    "The deprecated exam students of ProctorExam's API v3, answered from their successors. A trailing slash makes no "
    "difference. Parameters are taken from the path, the query and a JSON or form body, on a GET too; one that is "
    "given twice, is empty, or differs between query and body is a 422. Parameters that are not listed are ignored, "
    "but signed. Values beyond the declared JSON types are passed on as the upstream wrote them."
)
_SUMMARIES = {
    INDEX_STUDENTS: "List the students of an exam",
    SHOW_STUDENT: "Show a student of an exam",
    ADD_STUDENT: "Add a student to an exam",
    DELETE_STUDENT: "Delete a student of an exam",
}
_FORMS = ("application/json", "application/x-www-form-urlencoded")


def document(configuration: Configuration) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the legacy interface as a gateway of that configuration answers it.

    Args:
        configuration: its upstream says whether records are mapped and whether there are writes; its extra fields
            and dates say the rest. Nothing secret of it is in the document.
    """
    upstream, settings = configuration.upstream, configuration.settings
    mapped = isinstance(upstream, PaginatedSessions)
    reads_only = upstream.reads_only is not None
    return {
        "openapi": "3.1.0",
        "info": {"title": "Exam students (deprecated)", "version": __version__, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": {f"/api/v3/exams/{{id}}/{route.action}": _path_item(route, reads_only=reads_only) for route in ROUTES},
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "Token token=<the API token>",
                }
            },
            "headers": answer_headers(configuration),
            "responses": error_answers(),
            "schemas": {
                "Student": record_schema(settings.extra_fields, mapped=mapped),
                "Error": error_schema(),
                **comparison_schemas(),
            },
        },
    }


def _path_item(route: Route, *, reads_only: bool) -> dict[str, Any]:
    operations = {method.lower(): _operation(route, method, reads_only=reads_only) for method in route.methods}
    return {"parameters": [path_id()], **operations}


def _operation(route: Route, method: str, *, reads_only: bool) -> dict[str, Any]:
    head = method == "HEAD"
    operation: dict[str, Any] = {
        "operationId": f"{route.action}_headers" if head else route.action,
        "summary": f"{_SUMMARIES[route]}, without the body" if head else _SUMMARIES[route],
        "deprecated": True,
        "parameters": parameters_of(route),
        "responses": answers_of(route, reads_only=reads_only, head=head),
    }
    schema = body_schema(route)
    if schema is not None:
        operation["requestBody"] = {"required": True, "content": {form: {"schema": schema} for form in _FORMS}}
    return operation
