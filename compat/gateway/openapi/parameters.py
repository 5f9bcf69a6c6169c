"""The parameters of each deprecated route, by the rules that read them (contract, section 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compat.gateway.openapi.record import TYPES
from compat.legacy.parameters import FLAGS
from compat.legacy.query import LARGEST_LIMIT, OPERATORS, STATUSES
from compat.legacy.routes import ADD_STUDENT, INDEX_STUDENTS, Route
from compat.schemas import COLUMNS
from compat.schemas.fields import Boolean, Integer, String, Time, Typed

__all__ = ["body_schema", "comparison_schemas", "parameters_of", "path_id"]

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
