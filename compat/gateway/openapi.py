"""The legacy interface as an OpenAPI 3.1 document, read off the declarations that answer it (contract, 1, 2 and 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from compat._version import __version__
from compat.config.settings import Configuration
from compat.legacy.parameters import FLAGS
from compat.legacy.query import LARGEST_LIMIT, STATUSES, operators_of
from compat.legacy.routes import ANSWERED_BY, READING, ROUTES, Route
from compat.schemas import COLUMNS
from compat.schemas.fields import Array, Boolean, Integer, Record, String, Time, Typed
from compat.upstream.kinds import maps_records

__all__ = ["document"]

_Schema = dict[str, Any]

_TYPES: dict[type[Typed], _Schema] = {
    Integer: {"type": "integer"},
    Boolean: {"type": "boolean"},
    String: {"type": "string"},
    Time: {"type": "string", "format": "date-time"},
    Array: {"type": "array", "items": {}},
    Record: {"type": "object"},
}
"""A field's class to its JSON type."""

_DIGITS = {"type": "string", "pattern": "^[0-9]+$"}
_WHOLE = {"type": "integer", "minimum": 0}
_SIGNED: Mapping[str, _Schema] = {
    "timestamp": {**_DIGITS, "maxLength": 15, "description": "Milliseconds since 1970; it counts for five minutes."},
    "nonce": {**_DIGITS, "description": "A random number, new within 24 hours."},
    "signature": {
        "type": "string",
        "pattern": "^[0-9a-f]{64}$",
        "description": "Hex HMAC-SHA256, keyed by the secret key, over all other parameters, the id of the path among "
        "them, as name=value, sorted by name, joined by ?, the values not encoded.",
    },
}
_VALUES: dict[type[Typed], list[_Schema]] = {
    Integer: [{"type": "integer"}, {"type": "string", "pattern": "^-?[0-9]+$"}],
    Boolean: [{"type": "boolean"}, {"enum": [0, 1, *FLAGS]}],
    String: [{"type": "string"}, {"type": "number"}],
    Time: [
        _TYPES[Time],
        {"type": "string", "format": "date"},
        {"type": "integer", "description": "Epoch milliseconds."},
    ],
}
"""What a filter may compare a column of each type with, null aside."""

_EXAM = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "The exam. It counts before an id of query or body, and is signed.",
    "schema": _WHOLE,
}
_FROM_ONE = {"type": "integer", "minimum": 1}
_CLAMPED = f"Above {LARGEST_LIMIT} it is served as {LARGEST_LIMIT}."
_TOLD: Mapping[str, _Schema] = {
    "status": {"type": "string", "enum": list(STATUSES)},
    "page": {**_FROM_ONE, "default": 1},
    "limit": {**_FROM_ONE, "default": LARGEST_LIMIT, "description": _CLAMPED},
    "open_time": {**_DIGITS, "description": "Seconds or milliseconds since 1970."},
}
"""Parameters of which there is more to say than their kind."""


def _object(properties: _Schema, required: Sequence[str] = (), *, more: bool | _Schema = False) -> _Schema:
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "properties": properties, **needed, "additionalProperties": more}


def _schema(route: Route, name: str) -> _Schema:
    """A parameter that is no JSON text, by its kind."""
    if name in _TOLD:
        return _TOLD[name]
    if name in route.flags:
        return {"type": "string", "enum": list(FLAGS)}
    return _WHOLE if name in route.numbers else {"type": "string", "minLength": 1}


def _parameters(route: Route) -> list[_Schema]:
    """The parameters of a route's query, the signed three among them; none where they are sent in a body."""
    if route.in_body:
        return []
    plain = [name for name in route.own if name not in route.json]
    return [
        *(_in_query(name, _schema(route, name), required=name in route.required) for name in plain),
        *({"name": name, "in": "query", "required": False, **_json_content(name)} for name in route.json),
        *(_in_query(name, schema, required=True) for name, schema in _SIGNED.items()),
    ]


def _in_query(name: str, schema: _Schema, *, required: bool) -> _Schema:
    plain = {key: value for key, value in schema.items() if key != "description"}
    told = {"description": schema["description"]} if "description" in schema else {}
    return {"name": name, "in": "query", "required": required, **told, "schema": plain}


def _json_content(name: str) -> _Schema:
    """What the JSON text of a parameter means, and may hold."""
    columns = {name: column for name, column in COLUMNS.items() if column.comparable}
    if name == "sort":
        order = {"type": "string", "pattern": "^([aA][sS][cC]|[dD][eE][sS][cC])$"}
        schema: _Schema = {"type": "array", "items": _object(dict.fromkeys(columns, order))}
        told = "Columns to sort by, the first counts most. Nulls last ascending."
    elif name == "filter":
        schema = _object({each: {"$ref": f"#/components/schemas/{_comparisons(of)}"} for each, of in columns.items()})
        told = "Column to operator to value; all must hold. Null compares as in SQL."
    else:
        raise TypeError(f"nothing says what the JSON of {name!r} may hold")
    return {"description": told, "content": {"application/json": {"schema": schema}}}


def _comparisons(column: Typed) -> str:
    return f"{type(column).__name__}Comparisons"


def _comparison_schemas() -> _Schema:
    """What each type of column may be compared with, by the name that the filter refers to."""
    schemas = {}
    for column in COLUMNS.values():
        if column.comparable and _comparisons(column) not in schemas:
            value = {"anyOf": [*_VALUES[type(column)], {"type": "null"}]}
            several = {"type": "array", "items": value}
            operators = {each.name: several if each.many else value for each in operators_of(column)}
            schemas[_comparisons(column)] = _object(operators)
    return schemas


def _record_schema(extra_fields: Literal["all"] | Sequence[str], *, mapped: bool) -> _Schema:
    """The student; where its record is made of a session, each field says where it comes from."""
    properties = {name: _field_schema(column, mapped=mapped) for name, column in COLUMNS.items()}
    if extra_fields != "all":
        properties |= {name: {} for name in extra_fields if name not in properties}
    told = "A student of an exam. A field that nothing is known of is null."
    return {"type": "object", "description": told} | _object(properties, list(COLUMNS), more=extra_fields == "all")


def _field_schema(column: Typed, *, mapped: bool) -> _Schema:
    schema = dict(_TYPES[type(column)])
    if column.allow_none:
        schema["type"] = [schema["type"], "null"]
    if mapped and column.rule is not None:
        schema["description"] = f"{column.rule.category.capitalize()}: {column.rule.derived_from}."
    return schema


_ERROR = _object(
    {
        "error": {"type": "string", "description": "The first message."},
        "errors": {
            "type": "object",
            "description": "Parameter to messages.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        },
    },
    ["error", "errors"],
)
"""The body of every error."""

_PAGES: Mapping[str, str] = {
    "X-Pagination-Item-Count": "How many students match in all.",
    "X-Pagination-Page-Count": "How many pages they fill; 0 for none.",
    "X-Pagination-Page": "This page.",
    "X-Pagination-Limit": "Students a page.",
}
_TEXT = {"type": "string"}
_HEADERS: Mapping[str, tuple[str, _Schema]] = {
    **{name: (description, _WHOLE) for name, description in _PAGES.items()},
    "X-Request-Id": ("The call's own where it is sane, else a fresh one; it is in the log.", {**_TEXT, "minLength": 1}),
    ANSWERED_BY: ("Which endpoint answered.", {"type": "string", "enum": ["new", "legacy"]}),
    READING: ("The upstream's list kept changing while it was read.", {"type": "string", "enum": ["unsettled"]}),
    "Retry-After": ("Seconds, or a date, after which to try again.", _TEXT),
    "Link": ("The successor, and what says more of the deprecation.", _TEXT),
    "Deprecation": ("Since when the route is deprecated (RFC 9745).", {**_TEXT, "pattern": "^@-?[0-9]+$"}),
    "Sunset": ("When the route ends (RFC 8594).", _TEXT),
}
_WIRE = ("X-Request-Id", ANSWERED_BY, "Link", "Deprecation", "Sunset")
"""The headers of every answer, where the configuration has the dates."""


def _answer_headers(configuration: Configuration) -> _Schema:
    dates = {"Deprecation": configuration.deprecated, "Sunset": configuration.sunset}
    optional = [READING, "Retry-After", *(name for name, day in dates.items() if day is None)]
    return {
        name: {"description": description, "required": name not in optional, "schema": schema}
        for name, (description, schema) in _HEADERS.items()
    }


_ERRORS: Mapping[int, tuple[str, str]] = {
    403: ("NotAuthorized", "The token, the signature, the time or the nonce does not hold; always the same body."),
    404: ("NotFound", "No such student session in that exam."),
    405: ("MethodNotAllowed", "The path is deprecated, and the method is none of its own; on paginated sessions."),
    408: ("RequestTooSlow", "The rest of the head or body did not come in time."),
    410: ("Brownout", "The route is switched off for a while; the text says until when, and what to call instead."),
    413: ("BodyTooLarge", "The body is longer than the gateway takes."),
    414: ("UrlTooLong", "Path and query are longer than the gateway takes."),
    422: ("InvalidParameter", "A parameter breaks a rule; errors names it and the rule."),
    429: ("TooManyCalls", "Too many calls of this caller at once."),
    431: ("HeadersTooLarge", "The headers are larger than the gateway takes."),
    501: ("TransferCodingUnknown", "The body comes in a transfer coding that the gateway does not read."),
    502: ("UpstreamFailed", "The upstream cannot be reached, failed, or gave what cannot be read."),
    503: ("UpstreamThrottled", "The upstream, or the store of nonces, asks to come back later."),
    504: ("UpstreamTooSlow", "The upstream took longer than a limit, which the text names."),
    505: ("HttpVersionUnknown", "The call is of an HTTP version that the gateway does not speak."),
}
"""Status to name and meaning."""

_WITH_RETRY = (410, 429, 503)
_OF_ANY = tuple(status for status in _ERRORS if status not in (404, 405))


def _error_answers() -> _Schema:
    """The errors of the document's components, by their names."""
    error = {"$ref": "#/components/schemas/Error"}
    return {
        name: _answer(description, error, *(("Retry-After",) if status in _WITH_RETRY else ()))
        for status, (name, description) in _ERRORS.items()
    }


def _answer(description: str, schema: _Schema, *further: str) -> _Schema:
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in (*_WIRE, *further)}
    return {"description": description, "headers": headers, "content": {"application/json": {"schema": schema}}}


_STUDENT = {"$ref": "#/components/schemas/Student"}
_STUDENTS = {"type": "array", "items": _STUDENT}
_GIVEN = {
    "page": _answer("A page of students.", _object({"students": _STUDENTS}, ["students"]), *_PAGES, READING),
    "student": _answer("The student.", _object({"student": _STUDENT}, ["student"]), READING),
    "nothing": _answer("It is deleted.", {"type": "object", "additionalProperties": False}),
}
"""The answer of a route by what it gives."""


def _answers_of(route: Route, *, reads_only: bool, head: bool) -> _Schema:
    """Status to answer of a route; of one that writes only refusals, where the upstream takes no writes."""
    answers: _Schema = {}
    statuses = list(_OF_ANY)
    if not (reads_only and route.writes):
        answers[str(route.status)] = _GIVEN[route.gives]
        if route.finds_one:
            statuses.append(404)
    errors = {str(each): _ERRORS[each][0] for each in sorted(statuses)}
    if not head:
        return answers | {status: {"$ref": f"#/components/responses/{name}"} for status, name in errors.items()}
    # A component has a body, so the answers to HEAD are written out.
    answers |= {status: _error_answers()[name] for status, name in errors.items()}
    return {
        status: {name: value for name, value in answer.items() if name != "content"}
        for status, answer in answers.items()
    }


def _operation(route: Route, method: str, *, reads_only: bool) -> _Schema:
    head = method == "HEAD"
    operation: _Schema = {
        "operationId": f"{route.action}_headers" if head else route.action,
        "summary": f"{route.summary}, without the body" if head else route.summary,
        "deprecated": True,
        "parameters": _parameters(route),
        "responses": _answers_of(route, reads_only=reads_only, head=head),
    }
    if route.in_body:
        properties = {**{name: _schema(route, name) for name in route.own}, **_SIGNED}
        body = {"type": "object", "properties": properties, "required": [*route.required, *_SIGNED]}
        operation["requestBody"] = {"required": True, "content": {form: {"schema": body} for form in _FORMS}}
    return operation


_FORMS = ("application/json", "application/x-www-form-urlencoded")
_ABOUT = (
    "The deprecated exam students of ProctorExam's API v3, answered from their successors. A trailing slash makes no "
    "difference. Parameters are taken from the path, the query and a JSON or form body, on a GET too; one that is "
    "given twice, is empty, or differs between query and body is a 422. Parameters that are not listed are ignored, "
    "but signed. Values beyond the declared JSON types are passed on as the upstream wrote them."
)


def document(configuration: Configuration) -> _Schema:
    """The OpenAPI 3.1 document of the legacy interface as a gateway of that configuration answers it.

    Args:
        configuration: its upstream says whether records are mapped and whether there are writes; its extra fields
            and dates say the rest. Nothing secret of it is in the document.
    """
    upstream = configuration.upstream
    reads_only = upstream.reads_only is not None
    paths = {
        f"/api/v3/exams/{{id}}/{route.action}": {
            "parameters": [_EXAM],
            **{method.lower(): _operation(route, method, reads_only=reads_only) for method in route.methods},
        }
        for route in ROUTES
    }
    token = {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Token token=<the API token>"}
    student = _record_schema(configuration.settings.extra_fields, mapped=maps_records(upstream.kind))
    return {
        "openapi": "3.1.0",
        "info": {"title": "Exam students (deprecated)", "version": __version__, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": token},
            "headers": _answer_headers(configuration),
            "responses": _error_answers(),
            "schemas": {"Student": student, "Error": _ERROR, **_comparison_schemas()},
        },
    }
