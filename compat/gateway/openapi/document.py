"""The legacy interface as an OpenAPI document: put together, with each route's parameters (contract, section 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compat._version import __version__
from compat.config.settings import Configuration
from compat.gateway.openapi.answers import TYPES, answer_headers, answers_of, error_answers, error_schema, record_schema
from compat.legacy.parameters import FLAGS
from compat.legacy.query import LARGEST_LIMIT, OPERATORS, STATUSES
from compat.legacy.routes import ADD_STUDENT, DELETE_STUDENT, INDEX_STUDENTS, ROUTES, SHOW_STUDENT, Route
from compat.schemas import COLUMNS
from compat.schemas.fields import Boolean, Integer, String, Time, Typed
from compat.upstream import PaginatedSessions

__all__ = [
    "body_schema",
    "comparison_schemas",
    "document",
    "parameters_of",
    "path_id",
]

_DIGITS = {"type": "string", "pattern": "^[0-9]+$"}
_SIGNED: Mapping[str, dict[str, Any]] = {
    "timestamp": {**_DIGITS, "maxLength": 15, "description": "Milliseconds since 1970; it counts for five minutes."},
    "nonce": {**_DIGITS, "description": "A random number, new within 24 hours."},
    "signature": {
        "type": "string",
        "pattern": "^[0-9a-f]{64}$",
        "description": "Hex HMAC-SHA256, keyed by the secret key, over all other parameters, the id of the path among "
        "them, as name=value, sorted by name, joined by ?, the values not encoded.",
    },
}
_VALUES: dict[type[Typed], list[dict[str, Any]]] = {
    Integer: [{"type": "integer"}, {"type": "string", "pattern": "^-?[0-9]+$"}],
    Boolean: [{"type": "boolean"}, {"enum": [0, 1, *FLAGS]}],
    String: [{"type": "string"}, {"type": "number"}],
    Time: [
        TYPES[Time],
        {"type": "string", "format": "date"},
        {"type": "integer", "description": "Epoch milliseconds."},
    ],
}
"""What a filter may compare a column of each type with, null aside."""

_ORDER = {"type": "string", "pattern": "^([aA][sS][cC]|[dD][eE][sS][cC])$"}


def path_id() -> dict[str, Any]:
    """The exam of the path."""
    return {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "The exam. It counts before an id of query or body, and is signed.",
        "schema": {"type": "integer", "minimum": 0},
    }


def parameters_of(route: Route) -> list[dict[str, Any]]:
    """The parameters of a route's query, the signed three among them; none where they are sent in a body."""
    if route is ADD_STUDENT:
        return []
    own = _of_list() if route is INDEX_STUDENTS else [_required_number(name) for name in route.required]
    return [*own, *(_in_query(name, schema, required=True) for name, schema in _SIGNED.items())]


def body_schema(route: Route) -> dict[str, Any] | None:
    """The JSON or form body of a route whose parameters are documented there."""
    if route is not ADD_STUDENT:
        return None
    properties: dict[str, Any] = {name: {"type": "string", "minLength": 1} for name in route.required}
    properties |= {name: {"type": "string", "enum": list(FLAGS)} for name in route.flags}
    properties["individual_info"] = {"type": "string", "minLength": 1}
    properties["open_time"] = {**_DIGITS, "description": "Seconds or milliseconds since 1970."}
    properties |= _SIGNED
    return {"type": "object", "properties": properties, "required": [*route.required, *_SIGNED]}


def _required_number(name: str) -> dict[str, Any]:
    return _in_query(name, {"type": "integer", "minimum": 0}, required=True)


def _of_list() -> list[dict[str, Any]]:
    whole = {"type": "integer", "minimum": 1}
    return [
        _in_query("status", {"type": "string", "enum": list(STATUSES)}),
        _in_query("page", {**whole, "default": 1}),
        _in_query(
            "limit",
            {
                **whole,
                "default": LARGEST_LIMIT,
                "description": f"Above {LARGEST_LIMIT} it is served as {LARGEST_LIMIT}.",
            },
        ),
        _in_json("sort", _sort_schema(), "Columns to sort by, the first counts most. Nulls last ascending."),
        _in_json("filter", _filter_schema(), "Column to operator to value; all must hold. Null compares as in SQL."),
    ]


def _in_query(name: str, schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    plain = {key: value for key, value in schema.items() if key != "description"}
    told = {"description": schema["description"]} if "description" in schema else {}
    return {"name": name, "in": "query", "required": required, **told, "schema": plain}


def _in_json(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    return {"name": name, "in": "query", "required": False, "description": description, "content": content}


def _sort_schema() -> dict[str, Any]:
    columns = {name: _ORDER for name, column in COLUMNS.items() if column.comparable}
    return {"type": "array", "items": {"type": "object", "properties": columns, "additionalProperties": False}}


def _filter_schema() -> dict[str, Any]:
    columns = {name: _comparisons(column) for name, column in COLUMNS.items() if column.comparable}
    return {"type": "object", "properties": columns, "additionalProperties": False}


def _comparisons(column: Typed) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{type(column).__name__}Comparisons"}


def comparison_schemas() -> dict[str, Any]:
    """What each type of column may be compared with, by the name that the filter refers to."""
    schemas = {}
    for kind, values in _VALUES.items():
        value = {"anyOf": [*values, {"type": "null"}]}
        several = {"type": "array", "items": value}
        operators = {name: several if name in ("in", "nin") else value for name in OPERATORS}
        schemas[f"{kind.__name__}Comparisons"] = {
            "type": "object",
            "properties": operators,
            "additionalProperties": False,
        }
    return schemas


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
