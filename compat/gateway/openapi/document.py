"""The legacy interface as an OpenAPI document: put together, with each route's parameters (contract, section 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compat._version import __version__
from compat.config.settings import Configuration
from compat.gateway.openapi.answers import TYPES, answer_headers, answers_of, error_answers, error_schema, record_schema
from compat.legacy.parameters import FLAGS
from compat.legacy.query import LARGEST_LIMIT, STATUSES, operators_of
from compat.legacy.routes import ROUTES, Route
from compat.schemas import COLUMNS
from compat.schemas.fields import Boolean, Integer, String, Time, Typed
from compat.upstream.kinds import maps_records

__all__ = ["document"]

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


_EXAM = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The exam. It counts before an id of query or body, and is signed.",
    "schema": {"type": "integer", "minimum": 0},
}
_TOLD: Mapping[str, dict[str, Any]] = {
    "status": {"type": "string", "enum": list(STATUSES)},
    "page": {"type": "integer", "minimum": 1, "default": 1},
    "limit": {
        "type": "integer",
        "minimum": 1,
        "default": LARGEST_LIMIT,
        "description": f"Above {LARGEST_LIMIT} it is served as {LARGEST_LIMIT}.",
    },
    "open_time": {**_DIGITS, "description": "Seconds or milliseconds since 1970."},
}
"""Parameters of which there is more to say than their kind."""


def _schema(route: Route, name: str) -> dict[str, Any]:
    """A parameter that is no JSON text, by its kind."""
    if name in _TOLD:
        return _TOLD[name]
    if name in route.flags:
        return {"type": "string", "enum": list(FLAGS)}
    return {"type": "integer", "minimum": 0} if name in route.numbers else {"type": "string", "minLength": 1}


def _parameters(route: Route) -> list[dict[str, Any]]:
    """The parameters of a route's query, the signed three among them; none where they are sent in a body."""
    if route.in_body:
        return []
    plain = [name for name in route.own if name not in route.json]
    return [
        *(_in_query(name, _schema(route, name), required=name in route.required) for name in plain),
        *(_in_json(name, *_json_schema(name)) for name in route.json),
        *(_in_query(name, schema, required=True) for name, schema in _SIGNED.items()),
    ]


def _body(route: Route) -> dict[str, Any]:
    """The JSON or form body of a route whose parameters are documented there."""
    properties = {**{name: _schema(route, name) for name in route.own}, **_SIGNED}
    return {"type": "object", "properties": properties, "required": [*route.required, *_SIGNED]}


def _in_query(name: str, schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    plain = {key: value for key, value in schema.items() if key != "description"}
    told = {"description": schema["description"]} if "description" in schema else {}
    return {"name": name, "in": "query", "required": required, **told, "schema": plain}


def _in_json(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    content = {"application/json": {"schema": schema}}
    return {"name": name, "in": "query", "required": False, "description": description, "content": content}


def _json_schema(name: str) -> tuple[dict[str, Any], str]:
    """What the JSON text of a parameter may hold, and what that means."""
    columns = {name: column for name, column in COLUMNS.items() if column.comparable}
    if name == "sort":
        orders = {"type": "object", "properties": dict.fromkeys(columns, _ORDER), "additionalProperties": False}
        return {"type": "array", "items": orders}, "Columns to sort by, the first counts most. Nulls last ascending."
    if name != "filter":
        raise TypeError(f"nothing says what the JSON of {name!r} may hold")
    compared = {name: {"$ref": f"#/components/schemas/{_comparisons(column)}"} for name, column in columns.items()}
    told = "Column to operator to value; all must hold. Null compares as in SQL."
    return {"type": "object", "properties": compared, "additionalProperties": False}, told


def _comparisons(column: Typed) -> str:
    return f"{type(column).__name__}Comparisons"


def _comparison_schemas() -> dict[str, Any]:
    """What each type of column may be compared with, by the name that the filter refers to."""
    schemas = {}
    for column in COLUMNS.values():
        if column.comparable and _comparisons(column) not in schemas:
            value = {"anyOf": [*_VALUES[type(column)], {"type": "null"}]}
            several = {"type": "array", "items": value}
            schemas[_comparisons(column)] = {
                "type": "object",
                "properties": {each.name: several if each.many else value for each in operators_of(column)},
                "additionalProperties": False,
            }
    return schemas


_ABOUT = (
    "The deprecated exam students of ProctorExam's API v3, answered from their successors. A trailing slash makes no "
    "difference. Parameters are taken from the path, the query and a JSON or form body, on a GET too; one that is "
    "given twice, is empty, or differs between query and body is a 422. Parameters that are not listed are ignored, "
    "but signed. Values beyond the declared JSON types are passed on as the upstream wrote them."
)
_FORMS = ("application/json", "application/x-www-form-urlencoded")


def document(configuration: Configuration) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the legacy interface as a gateway of that configuration answers it.

    Args:
        configuration: its upstream says whether records are mapped and whether there are writes; its extra fields
            and dates say the rest. Nothing secret of it is in the document.
    """
    upstream, settings = configuration.upstream, configuration.settings
    mapped = maps_records(upstream.kind)
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
                **_comparison_schemas(),
            },
        },
    }


def _path_item(route: Route, *, reads_only: bool) -> dict[str, Any]:
    operations = {method.lower(): _operation(route, method, reads_only=reads_only) for method in route.methods}
    return {"parameters": [_EXAM], **operations}


def _operation(route: Route, method: str, *, reads_only: bool) -> dict[str, Any]:
    head = method == "HEAD"
    operation: dict[str, Any] = {
        "operationId": f"{route.action}_headers" if head else route.action,
        "summary": f"{route.summary}, without the body" if head else route.summary,
        "deprecated": True,
        "parameters": _parameters(route),
        "responses": answers_of(route, reads_only=reads_only, head=head),
    }
    if route.in_body:
        operation["requestBody"] = {"required": True, "content": {form: {"schema": _body(route)} for form in _FORMS}}
    return operation
