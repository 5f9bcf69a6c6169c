"""Every answer that the gateway gives on a deprecated route, as schemas (contract, sections 2 and 7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from compat.config.settings import Configuration
from compat.gateway.refusals import DOCUMENTED, METHOD_NOT_ALLOWED
from compat.legacy.routes import ANSWERED_BY, READING, Route
from compat.schemas import COLUMNS
from compat.schemas.fields import Array, Boolean, Integer, Record, String, Time, Typed

__all__ = [
    "TYPES",
    "answer_headers",
    "answers_of",
    "error_answers",
    "error_schema",
    "record_schema",
    "wrapped",
]

TYPES: dict[type[Typed], dict[str, Any]] = {
    Integer: {"type": "integer"},
    Boolean: {"type": "boolean"},
    String: {"type": "string"},
    Time: {"type": "string", "format": "date-time"},
    Array: {"type": "array", "items": {}},
    Record: {"type": "object"},
}
"""A field's class to its JSON type."""


def record_schema(extra_fields: Literal["all"] | Sequence[str], *, mapped: bool) -> dict[str, Any]:
    """The student, with the 57 fields of the declaration.

    Args:
        extra_fields: fields beyond them that are let through: "all" or their names.
        mapped: the record is made of a session, so each field says where it comes from.
    """
    properties = {name: _field_schema(column, mapped=mapped) for name, column in COLUMNS.items()}
    if extra_fields != "all":
        properties |= {name: {} for name in extra_fields if name not in properties}
    return {
        "type": "object",
        "description": "A student of an exam. A field that nothing is known of is null.",
        "properties": properties,
        "required": list(COLUMNS),
        "additionalProperties": extra_fields == "all",
    }


def wrapped(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """An object with a single key."""
    return {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": False}


def _field_schema(column: Typed, *, mapped: bool) -> dict[str, Any]:
    schema = dict(TYPES[type(column)])
    if column.allow_none:
        schema["type"] = [schema["type"], "null"]
    if mapped and column.rule is not None:
        schema["description"] = f"{column.rule.category.capitalize()}: {column.rule.derived_from}."
    return schema


_WHOLE = {"type": "integer", "minimum": 0}
_PAGES: Mapping[str, str] = {
    "X-Pagination-Item-Count": "How many students match in all.",
    "X-Pagination-Page-Count": "How many pages they fill; 0 for none.",
    "X-Pagination-Page": "This page.",
    "X-Pagination-Limit": "Students a page.",
}
_ELSEWHERE: Mapping[int, tuple[str, str]] = {
    403: ("NotAuthorized", "The token, the signature, the time or the nonce does not hold; always the same body."),
    404: ("NotFound", "No such student session in that exam."),
    410: ("Brownout", "The route is switched off for a while; the text says until when, and what to call instead."),
    422: ("InvalidParameter", "A parameter breaks a rule; errors names it and the rule."),
    502: ("UpstreamFailed", "The upstream cannot be reached, failed, or gave what cannot be read."),
    503: ("UpstreamThrottled", "The upstream, or the store of nonces, asks to come back later."),
    504: ("UpstreamTooSlow", "The upstream took longer than a limit, which the text names."),
}
"""What is not the gateway's own refusal: status to name and meaning."""

_ERRORS = dict(sorted({**_ELSEWHERE, **{kind.status: (kind.name, kind.meaning) for kind in DOCUMENTED}}.items()))
_WITH_RETRY = (410, 503, *(kind.status for kind in DOCUMENTED if "Retry-After" in kind.headers))
_OF_ANY = tuple(status for status in _ERRORS if status not in (404, METHOD_NOT_ALLOWED.status))


def error_schema() -> dict[str, Any]:
    """The body of every error."""
    messages = {"type": "array", "items": {"type": "string"}, "minItems": 1}
    return {
        "type": "object",
        "properties": {
            "error": {"type": "string", "description": "The first message."},
            "errors": {"type": "object", "description": "Parameter to messages.", "additionalProperties": messages},
        },
        "required": ["error", "errors"],
        "additionalProperties": False,
    }


def answer_headers(configuration: Configuration) -> dict[str, Any]:
    """The headers of the document's components, by their names."""
    headers = {name: _header(_WHOLE, description, required=True) for name, description in _PAGES.items()}
    headers["X-Request-Id"] = _header(
        {"type": "string", "minLength": 1},
        "The call's own where it is sane, else a fresh one; it is in the log.",
        required=True,
    )
    headers[ANSWERED_BY] = _header(
        {"type": "string", "enum": ["new", "legacy"]}, "Which endpoint answered.", required=True
    )
    headers[READING] = _header(
        {"type": "string", "enum": ["unsettled"]}, "The upstream's list kept changing while it was read."
    )
    headers["Retry-After"] = _header({"type": "string"}, "Seconds, or a date, after which to try again.")
    headers["Link"] = _header(
        {"type": "string"}, "The successor, and what says more of the deprecation.", required=True
    )
    headers["Deprecation"] = _header(
        {"type": "string", "pattern": "^@-?[0-9]+$"},
        "Since when the route is deprecated (RFC 9745).",
        required=configuration.deprecated is not None,
    )
    headers["Sunset"] = _header(
        {"type": "string"}, "When the route ends (RFC 8594).", required=configuration.sunset is not None
    )
    return headers


def error_answers() -> dict[str, Any]:
    """The errors of the document's components, by their names."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        name: {
            "description": description,
            "headers": _referred(*_WIRE, *(("Retry-After",) if status in _WITH_RETRY else ())),
            "content": content,
        }
        for status, (name, description) in _ERRORS.items()
    }


_WIRE = ("X-Request-Id", ANSWERED_BY, "Link", "Deprecation", "Sunset")


def answers_of(route: Route, *, reads_only: bool, head: bool = False) -> dict[str, Any]:
    """Status to answer of a route.

    Args:
        route: the route.
        reads_only: the upstream takes no writes, so that writing routes only refuse.
        head: without bodies.
    """
    answers: dict[str, Any] = {}
    statuses = list(_OF_ANY)
    if not (reads_only and route.writes):
        answers[str(route.status)] = _GIVEN[route.gives]
        if route.finds_one:
            statuses.append(404)
    for each in sorted(statuses):
        answers[str(each)] = {"$ref": f"#/components/responses/{_ERRORS[each][0]}"}
    if head:
        # A component has a body, so the answers to HEAD are written out.
        return {status: _without_body(answer) for status, answer in answers.items()}
    return answers


def _answer(description: str, schema: dict[str, Any], *further: str) -> dict[str, Any]:
    return {
        "description": description,
        "headers": _referred(*_WIRE, *further),
        "content": {"application/json": {"schema": schema}},
    }


def _without_body(answer: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in answer:
        answer = error_answers()[answer["$ref"].rpartition("/")[2]]
    return {name: value for name, value in answer.items() if name != "content"}


def _referred(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _header(schema: dict[str, Any], description: str, *, required: bool = False) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": schema}


_STUDENT = {"$ref": "#/components/schemas/Student"}
_GIVEN = {
    "page": _answer("A page of students.", wrapped("students", {"type": "array", "items": _STUDENT}), *_PAGES, READING),
    "student": _answer("The student.", wrapped("student", _STUDENT), READING),
    "nothing": _answer("It is deleted.", {"type": "object", "additionalProperties": False}),
}
"""The answer of a route by what it gives."""
