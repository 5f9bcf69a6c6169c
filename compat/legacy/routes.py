"""The deprecated routes, the one form in which a call reaches the core and its answer leaves it.

Python values are written as parameters here too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import unquote, urlencode

from compat.errors import InvalidParameter, LegacyError
from compat.processes import cached_property
from compat.text.json import dumps

__all__ = [
    "ADD_STUDENT",
    "ANSWERED_BY",
    "CASE",
    "DELETE_STUDENT",
    "DOTTED",
    "FORMAT",
    "INDEX_STUDENTS",
    "READING",
    "ROUTES",
    "SHOW_STUDENT",
    "Answer",
    "Filter",
    "LegacyCall",
    "Route",
    "Sort",
    "failure",
    "match_route",
    "methods_of",
    "misspelt_route",
    "pagination_of",
    "students",
    "written",
]

SIGNED = ("id", "nonce", "timestamp")
"""The parameters of every signed call, beside the signature."""

_BEGINNING = ("api", "v3", "exams")
_LENGTH = 5

CASE = "the path of a deprecated route is written in capitals"
DOTTED = "the path of a deprecated route has . or .. in it"
FORMAT = "the path of a deprecated route asks for another format than .json"


@dataclass(frozen=True)
class Route:
    """A deprecated route, all that is known of it.

    Attributes:
        action: the last part of its path, also the name of the client's method.
        methods: the HTTP methods that it answers.
        answer: the method of the shim that answers it.
        gives: what the answer holds: a page of students, one student, or nothing.
        successor: what to call instead on the wire.
        successor_method: what to call instead in Python.
        required: parameters that have to be there, beside the id in the path.
        numbers: parameters that are digits.
        flags: parameters that are true or false.
        json: parameters that are JSON texts.
        words: parameters that are one of some words.
        texts: parameters that may be any text; a name or an email is none, since it holds no question mark.

    Raises:
        TypeError: it says too little; the text names it.
    """

    action: str
    methods: tuple[str, ...]
    answer: str
    gives: Literal["page", "student", "nothing"]
    summary: str
    successor: str
    successor_method: str
    status: int = 200
    required: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ("id",)
    flags: tuple[str, ...] = ()
    json: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("methods", "answer", "gives", "summary", "successor", "successor_method"):
            if not getattr(self, name):
                raise TypeError(f"the route {self.action!r} does not say its {name}")

    @cached_property
    def known(self) -> frozenset[str]:
        """The parameters that the route knows, those of every signed call among them; the signature is none."""
        return frozenset((*self.own, *SIGNED))

    @cached_property
    def own(self) -> tuple[str, ...]:
        """The parameters that the route knows, beside those of every signed call."""
        rules = (self.required, self.words, self.numbers, self.json, self.flags, self.texts)
        return tuple(dict.fromkeys(name for names in rules for name in names if name not in SIGNED))

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """The parameters that a signed call has to have, sorted."""
        return tuple(sorted({*self.required, *SIGNED}))

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The parameters that are a name or an email."""
        return tuple(name for name in self.required if name not in self.numbers)

    @property
    def writes(self) -> bool:
        """Whether it changes something, which an upstream that only reads refuses."""
        return "GET" not in self.methods

    @property
    def in_body(self) -> bool:
        """Whether its parameters are documented in the body."""
        return "POST" in self.methods

    @property
    def finds_one(self) -> bool:
        """Whether it is about one student session, which may not be there."""
        return "student_session_id" in self.required


INDEX_STUDENTS = Route(
    "index_students",
    ("GET", "HEAD"),
    answer="index",
    gives="page",
    summary="List the students of an exam",
    successor="GET student_sessions",
    successor_method="StudentSessionsClient.sessions",
    words=("status",),
    numbers=("id", "page", "limit"),
    json=("sort", "filter"),
)
SHOW_STUDENT = Route(
    "show_student",
    ("GET", "HEAD"),
    answer="show",
    gives="student",
    summary="Show a student of an exam",
    successor="GET student_sessions/:id",
    successor_method="StudentSessionsClient.get",
    required=("student_session_id",),
    numbers=("id", "student_session_id"),
)
ADD_STUDENT = Route(
    "add_student",
    ("POST",),
    answer="add",
    gives="student",
    status=201,
    summary="Add a student to an exam",
    successor="POST exams/:exam_id/student_sessions",
    successor_method="StudentSessionsClient.create",
    required=("name", "email"),
    numbers=("id", "open_time"),
    flags=("skip_requirements", "is_individual_info_html"),
    texts=("individual_info",),
)
DELETE_STUDENT = Route(
    "delete_student",
    ("DELETE",),
    answer="delete",
    gives="nothing",
    summary="Delete a student of an exam",
    successor="DELETE student_sessions/:id",
    successor_method="StudentSessionsClient.delete",
    required=("student_session_id",),
    numbers=("id", "student_session_id"),
)
ROUTES = (INDEX_STUDENTS, SHOW_STUDENT, ADD_STUDENT, DELETE_STUDENT)
_BY_ACTION = {route.action: route for route in ROUTES}


@dataclass(frozen=True)
class LegacyCall:
    """A call of a deprecated route, as it came.

    Attributes:
        exam_id: the id of the path, its percent signs decoded, not yet checked.
        query: the query string, without the question mark.
        authorization: the header of that name; its digest tells callers apart.
    """

    route: Route
    exam_id: str
    query: str = ""
    content_type: str | None = None
    body: bytes = field(default=b"", repr=False)
    authorization: str | None = field(default=None, repr=False)
    method: str = "GET"
    content_encoding: str | None = None


ANSWERED_BY = "X-Compat-Answered-By"
READING = "X-Compat-Reading"
_JSON = MappingProxyType({"Content-Type": "application/json", ANSWERED_BY: "new"})


@dataclass(frozen=True)
class Answer:
    """An HTTP answer in the old interface's terms."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @classmethod
    def of(cls, body: bytes, status: int = 200, *, unsettled: bool = False) -> Answer:
        """A success; ``unsettled`` says that the upstream's list kept changing while it was read."""
        return cls(status, {**_JSON, READING: "unsettled"} if unsettled else dict(_JSON), body)

    @classmethod
    def page(cls, body: bytes, *, matches: int, number: int, limit: int, unsettled: bool = False) -> Answer:
        """A page of the list.

        Args:
            body: the JSON text, as :func:`students` makes it.
            matches: how many records match in all.
            unsettled: the upstream's list kept changing while it was read.
        """
        headers = {
            **_JSON,
            "X-Pagination-Item-Count": str(matches),
            "X-Pagination-Page-Count": str(-(-matches // limit)),
            "X-Pagination-Page": str(number),
            "X-Pagination-Limit": str(limit),
        }
        if unsettled:
            headers[READING] = "unsettled"
        return cls(200, headers, body)

    def without_body(self) -> Answer:
        """The answer to HEAD: the same headers, no body."""
        return replace(self, headers={**self.headers, "Content-Length": str(len(self.body))}, body=b"")


def students(records: bytes) -> bytes:
    """The body of a page of the list, around a JSON array of its records."""
    return b'{"students":%b}' % records


def pagination_of(answer: Answer) -> dict[str, Any]:
    """What the headers of a page say, by the names that pages have for it everywhere."""
    names = ("item_count", "page_count", "page", "limit")
    stated = {name: int(answer.headers[f"X-Pagination-{name.title().replace('_', '-')}"]) for name in names}
    return {**stated, "unsettled": READING in answer.headers}


def failure(error: LegacyError) -> Answer:
    """The answer that an error stands for."""
    errors = {name: list(texts) for name, texts in error.errors.items()}
    body = dumps({"error": error.message, "errors": errors}).encode()
    return Answer(error.status, {**_JSON, **error.headers}, body)


def methods_of(path: str) -> tuple[str, ...]:
    """The methods that a deprecated path below the base URL answers; none where it is no such path."""
    found = _route_of(_segments(path))
    return found[0].methods if found else ()


def match_route(method: str, path: str) -> tuple[Route, str] | None:
    """The deprecated route of a path below the base URL, and the id in it; None where there is none.

    As Rails reads a path: slashes that come twice count once, one may come last, and ``.json`` may stand behind. An
    escaped letter is the letter (RFC 3986, section 6.2.2.2).
    """
    found = _route_of(_segments(path))
    return found if found is not None and method.upper() in found[0].methods else None


def misspelt_route(path: str) -> str | None:
    """Why a path that looks like a deprecated one is none: a reason that holds nothing of it; None for other paths."""
    segments = _segments(path)
    if _route_of(segments) is not None:
        return None
    plain: list[str] = []
    for segment in segments:
        if segment == "..":
            plain = plain[:-1]
        elif segment != ".":
            plain.append(segment)
    small = [segment.lower() for segment in plain]
    if not small or _route_of([*small[:-1], small[-1].partition(".")[0]]) is None:
        return None
    if len(plain) != len(segments):
        return DOTTED
    return FORMAT if small == plain else CASE


def _segments(path: str) -> list[str]:
    return [unquote(segment) for segment in path.split("/") if segment] if path.startswith("/") else []


def _route_of(segments: Sequence[str]) -> tuple[Route, str] | None:
    if len(segments) != _LENGTH or tuple(segments[:3]) != _BEGINNING or segments[3] in (".", ".."):
        return None
    route = _BY_ACTION.get(segments[4].removesuffix(".json"))
    return None if route is None else (route, segments[3])


Filter = str | Mapping[str, Mapping[str, Any]] | None
Sort = str | Sequence[Mapping[str, str]] | None


def written(parameters: Mapping[str, Any]) -> str:
    """The query of a call; what is None is left out.

    Raises:
        InvalidParameter: a value cannot be written; the text names it.
    """
    given = {name: _text(name, value) for name, value in parameters.items() if value is not None}
    try:
        return urlencode(given)
    except UnicodeEncodeError:
        raise InvalidParameter({"query": ["Must be UTF-8."]}) from None


def _text(name: str, value: Any) -> str:
    if not isinstance(value, Mapping | Sequence) or isinstance(value, str):
        return str(value)
    try:
        return json.dumps(value, default=_iso)
    except (TypeError, ValueError) as error:
        raise InvalidParameter({name: [f"Must be a value that JSON can hold: {error}."]}) from None


def _iso(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is none")
