"""The newer shape: sessions by limit and offset (seed 000; contract, section 4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import msgspec
import requests

from compat.errors import ConfigurationError, InvalidParameter, NotAuthorized, UpstreamError
from compat.json_text import dumps
from compat.legacy.parameters import number as exam_number
from compat.legacy.query import LARGEST_LIMIT, Query
from compat.mapping.lens import NOBODY
from compat.schemas import PaginatedSessionsOutputSchema
from compat.upstream.access_token import ClientCredentials, FixedToken, TokenSource
from compat.upstream.interface import (
    Capability,
    Chunk,
    Codec,
    LegacySettings,
    One,
    Row,
    Source,
    Upstream,
    WalkSettings,
    checked_key,
    checked_token,
    checked_url,
    needed,
)
from compat.upstream.reading import read_sources
from compat.upstream.retries import Deadline, RetryPolicy
from compat.upstream.roster import Person, read_roster
from compat.upstream.session_codec import SessionCodec
from compat.upstream.transport import (
    CallOptions,
    Reply,
    Transport,
    Unreadable,
    json_object,
    refused_parameters,
    unexpected,
)

__all__ = ["READ_SCOPE", "PaginatedSessions"]

READ_SCOPE = "https://purl.imsglobal.org/spec/caliper/v1p2/scope/events.readonly"
"""The platform's scope for reading sessions (API facts)."""

_SCHEMA = PaginatedSessionsOutputSchema()


class _Page(msgspec.Struct):
    limit: int
    offset: int
    sessions: list[msgspec.Raw]
    total: int


_pages = msgspec.json.Decoder(_Page)


class PaginatedSessions(Upstream):
    """``GET {base_url}{path}?limit=…&offset=…`` with a bearer token; it only reads.

    Args:
        base_url: scheme and host, such as ``https://platform.timeback.com``.
        path: the list's path; with ``{user_id}`` in it the sessions of every user of the roster are read.
        exams: exam id to applicationId, one to one.
        roster: a CSV file of user_id, email, name, student_id, external_id; needed exactly where the path has
            ``{user_id}``.
        token_url: where client credentials get a token.
        client_id: who asks for one.
        client_secret: the proof of it.
        oauth_scope: the scope to ask for.
        bearer_token: a token that was given, instead of the three.
        walk_deadline: seconds that a reading of the whole list may take.
        unsettled: "serve" a list that kept changing and say so, or "refuse" it.
        session: the ``requests`` session to call with; your adapters, proxies, certificates and cookies then count.
        retries: how often and how long to try.

    Raises:
        ConfigurationError: an argument that cannot be used.
    """

    kind = "paginated_sessions"

    def __init__(
        self,
        base_url: str,
        *,
        path: str,
        exams: Mapping[int, str],
        roster: str | Path | None = None,
        token_url: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        oauth_scope: str = READ_SCOPE,
        bearer_token: str | None = None,
        walk_deadline: float = 900,
        unsettled: Literal["serve", "refuse"] = "serve",
        session: requests.Session | None = None,
        retries: RetryPolicy = RetryPolicy(),
    ) -> None:
        super().__init__(frozenset(), WalkSettings(walk_deadline, unsettled))
        self.base_url = checked_url("base_url", base_url)
        self.path = needed("path", path) if path.startswith("/") else "/" + needed("path", path)
        self.exams = checked_exams(exams)
        if len({application.lower() for application in self.exams.values()}) != len(self.exams):
            raise ConfigurationError("[exams]: two exam ids are tied to one applicationId; they go one to one")
        self._people = self._read_people(roster)
        self._transport = Transport(retries, session, "paginated sessions")
        self._tokens = self._token_source(token_url, client_id, client_secret, oauth_scope, bearer_token)

    def __repr__(self) -> str:
        return f"PaginatedSessions({self.base_url!r}, path={self.path!r})"

    def _read_people(self, roster: str | Path | None) -> list[Person]:
        by_user = "{user_id}" in self.path
        if by_user and roster is None:
            raise ConfigurationError(f"path = {self.path!r} names a user: set roster to the CSV file of the users")
        if roster is not None and not by_user:
            raise ConfigurationError("roster is set, but path has no {user_id} in it: add it, or drop the roster")
        return read_roster(roster) if roster is not None else []

    def _token_source(
        self,
        token_url: str | None,
        client_id: str | None,
        client_secret: str | None,
        scope: str,
        given: str | None,
    ) -> TokenSource:
        credentials = {"token_url": token_url, "client_id": client_id, "client_secret": client_secret}
        if given:
            if any(credentials.values()):
                raise ConfigurationError("bearer_token is set beside client credentials: keep one of the two")
            return FixedToken(checked_token("bearer_token", given))
        absent = [name for name, value in credentials.items() if not value]
        if absent:
            raise ConfigurationError(f"{', '.join(absent)}: needed for a token, or set bearer_token")
        url = checked_url("token_url", token_url or "")
        return ClientCredentials(
            url,
            checked_key("client_id", client_id),
            checked_key("client_secret", client_secret),
            scope or None,
            self._transport,
        )

    @property
    def reads_only(self) -> InvalidParameter:
        return InvalidParameter({"id": ["Must not be written to: the paginated sessions upstream only reads."]})

    def check_query(self, query: Query) -> None:
        self.check_exam(query.exam_id)

    def check_exam(self, exam_id: int) -> None:
        """Refuse an exam that is tied to no application.

        Raises:
            InvalidParameter: names it.
        """
        if exam_id not in self.exams:
            raise InvalidParameter({"id": [f"Must be an exam id that [exams] names: {exam_id} is not in it."]})

    def sources(
        self,
        query: Query,
        pushed: frozenset[Capability],
        options: CallOptions,
        page_rows: Callable[[bytes], Sequence[Any]] | None = None,
    ) -> list[Source]:
        return self.lists(options)

    def lists(self, options: CallOptions) -> list[Source]:
        """The lists that together hold every session: one, or one a user of the roster."""
        if "{user_id}" not in self.path:
            return [_List(self, self.path, NOBODY, options)]
        return [
            _List(self, self.path.replace("{user_id}", quote(person.user_id, safe="")), person.values, options)
            for person in self._people
        ]

    def codec(self, settings: LegacySettings) -> Codec:
        return SessionCodec(self.exams, settings)

    def one(self, student_session_id: int, codec: Codec, options: CallOptions) -> One:
        # No route for one session is known: it is found by reading them.
        def scan(chunk: Chunk, source: Source) -> list[Row]:
            return codec.scan(chunk.rows, -1, (), source.person)

        read = read_sources(self.lists(options), self.walk, scan, keep=lambda row: row.id == student_session_id)
        try:
            found = read.rows(0, 1)
            row = codec.scan([found[0].record], -1, (), found[0].person)[0] if found else None
            return One(row, read.unsettled)
        finally:
            read.close()

    def add(self, exam_id: int, values: Mapping[str, str], codec: Codec, options: CallOptions) -> Row:
        raise self.reads_only

    def update(self, student_session_id: int, values: Mapping[str, str], codec: Codec, options: CallOptions) -> Row:
        raise self.reads_only

    def delete(self, student_session_id: int, options: CallOptions) -> None:
        raise self.reads_only

    def read(self, path: str, asked: Mapping[str, str], options: CallOptions, walk: Deadline | None) -> Chunk:
        """Read a page; a refused token is renewed once."""
        token = self._tokens.current(options, walk)
        try:
            return self._read(path, asked, token, options, walk)
        except _Unauthorized:
            renewed = self._tokens.renew(token, options, walk)
            if renewed is None:
                raise NotAuthorized from None
        try:
            return self._read(path, asked, renewed, options, walk)
        except _Unauthorized:
            raise NotAuthorized from None

    def _read(
        self, path: str, asked: Mapping[str, str], token: str, options: CallOptions, walk: Deadline | None
    ) -> Chunk:
        def build() -> requests.Request:
            headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
            return requests.Request("GET", self.base_url + path, headers=headers, params=dict(asked))

        return self._transport.read(build, lambda reply: _chunk(reply, int(asked["offset"])), options, walk)


def checked_exams(exams: Mapping[Any, str]) -> dict[int, str]:
    """Exam ids, as integers or digits, tied to applicationIds.

    Raises:
        ConfigurationError: one of them is neither.
    """
    if not isinstance(exams, Mapping):
        raise ConfigurationError("exams: must be a mapping of exam ids to applicationIds")
    checked: dict[int, str] = {}
    for exam_id, application in exams.items():
        number = exam_number(str(exam_id)) if isinstance(exam_id, int | str) else None
        if number is None:
            raise ConfigurationError(f"exams: {str(exam_id)[:40]!r} is no exam id: it is digits")
        if number in checked:
            raise ConfigurationError(f"exams: {number} stands there twice")
        checked[number] = needed(f"exams: {number}", application)
    return checked


class _Unauthorized(UpstreamError):
    """The token was refused."""


class _List(Source):
    numbered = False

    def __init__(self, upstream: PaginatedSessions, path: str, person: Mapping[str, Any], options: CallOptions) -> None:
        self._upstream = upstream
        self._path = path
        self.person = person
        self._options = options

    def fetch(self, start: int, limit: int, step: int | None, walk: Deadline | None) -> Chunk:
        asked = {"limit": str(min(limit, LARGEST_LIMIT)), "offset": str(start)}
        return self._upstream.read(self._path, asked, self._options, walk)


def _chunk(reply: Reply, offset: int) -> Chunk:
    if reply.status == 401:
        raise _Unauthorized("The upstream refused the token.")
    if reply.status == 422:
        raise refused_parameters(reply)
    if reply.status != 200:
        raise unexpected(reply)
    page = _page(reply)
    if page.offset != offset:
        raise Unreadable(f"The upstream's page begins at {page.offset}, though it was asked from {offset}.")
    if page.limit < 1 or page.total < 0:
        raise Unreadable("The upstream's answer is not a page: its limit or total makes no sense.")
    if not page.sessions and page.total > offset:
        raise Unreadable(f"The upstream's page at {offset} has no sessions, though it counts {page.total}.")
    return Chunk(offset, page.sessions, page.total, page.limit)


def _page(reply: Reply) -> _Page:
    try:
        reply.body.decode()
        return _pages.decode(reply.body)
    except (UnicodeDecodeError, msgspec.MsgspecError, RecursionError):
        content = json_object(reply)
    problems = _SCHEMA.validate(content)
    if problems:
        name, messages = next(iter(problems.items()))
        raise Unreadable(f"The upstream's answer is not a page: {name}: {messages[0]}")
    rows: Sequence[Any] = [dumps(row).encode() for row in content["sessions"]]
    return _Page(int(content["limit"]), int(content["offset"]), list(rows), int(content["total"]))
