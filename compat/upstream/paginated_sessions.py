"""The newer shape: sessions by limit and offset, of all users or of a roster (seed 000; contract, section 4)."""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from compat.errors import ConfigurationError, InvalidParameter, NotAuthorized, UpstreamError
from compat.legacy.query import LARGEST_LIMIT, Query
from compat.mapping.fast.types import looked_up_names
from compat.schemas import COLUMNS, PaginatedSessionsOutputSchema
from compat.settings_checks import checked_exams, checked_key, checked_token, checked_url, needed, reason_of
from compat.text.json import dumps, unmasked
from compat.upstream.access_token import ClientCredentials, FixedToken
from compat.upstream.base import (
    AskedPage,
    Capability,
    Chunk,
    Decode,
    LegacySettings,
    Row,
    SharedKeys,
    Source,
    Upstream,
    asked_page,
)
from compat.upstream.records import Codec
from compat.upstream.retries import Deadline
from compat.upstream.senders import Outgoing
from compat.upstream.session_codec import SessionCodec
from compat.upstream.transport import (
    CallOptions,
    Reply,
    Unreadable,
    decode_page,
    decode_texts,
    json_object,
    refused_parameters,
    unexpected,
)

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["READ_SCOPE", "PaginatedSessions", "TokenRefused", "raw_page", "read_chunk", "read_roster"]

_SCHEMA = PaginatedSessionsOutputSchema()


class _Page(msgspec.Struct):
    limit: int
    offset: int
    sessions: list[msgspec.Raw]
    total: int


_decoder = msgspec.json.Decoder(_Page)


class TokenRefused(UpstreamError):
    """The token was refused; another one may do."""


def raw_page(body: bytes) -> Any:
    """A page with each session as its text."""
    page, hidden = decode_texts(_decoder.decode, body)
    if hidden:
        page.sessions = [unmasked(bytes(row)) for row in page.sessions]  # type: ignore[misc]
    return page


def read_chunk(reply: Reply, offset: int, decode: Decode = raw_page) -> Chunk:
    """A page of a list.

    Args:
        offset: how many sessions lie before the page.

    Raises:
        TokenRefused: the upstream refused the token.
        Unreadable: it is no page.
        LegacyError: the upstream refused otherwise, as contract 2 says.
    """
    if reply.status == 401:
        raise TokenRefused("The upstream refused the token.")
    if reply.status == 422:
        raise refused_parameters(reply)
    if reply.status != 200:
        raise unexpected(reply)
    page = decode_page(reply, decode, raw_page, _plain_page)
    if len(page.sessions) > reply.limits.page_records:
        raise reply.limits.too_many_records()
    if page.offset != offset:
        raise Unreadable(f"The upstream's page begins at {page.offset}, though it was asked from {offset}.")
    if page.limit < 1 or page.total < 0:
        raise Unreadable("The upstream's answer is not a page: its limit or total makes no sense.")
    if not page.sessions and page.total > offset:
        raise Unreadable(f"The upstream's page at {offset} has no sessions, though it counts {page.total}.")
    return Chunk(offset, page.sessions, page.total, page.limit)


def _plain_page(reply: Reply) -> _Page:
    content = json_object(reply)
    problems = _SCHEMA.validate(content)
    if problems:
        name, messages = next(iter(problems.items()))
        raise Unreadable(f"The upstream's answer is not a page: {name}: {messages[0]}")
    rows: Sequence[Any] = [dumps(row).encode() for row in content["sessions"]]
    return _Page(int(content["limit"]), int(content["offset"]), list(rows), int(content["total"]))


_INTEGER = re.compile(r"-?[0-9]{1,40}", re.ASCII)


@dataclass(frozen=True)
class Person:
    """One user of the new platform.

    Attributes:
        values: legacy field to value, of those that the roster gives.
        line: where the roster's file names the user.
    """

    user_id: str = field(repr=False)
    values: Mapping[str, Any] = field(repr=False)
    line: int


def read_roster(path: str | Path) -> list[Person]:
    """Read a CSV with the columns user_id, email, name, student_id and external_id; an empty cell is null.

    Raises:
        ConfigurationError: the file cannot be read, lacks a column, or names a user twice; the text names the line,
            and no person.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            return _people(str(path), csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"roster {path}: {reason_of(error)}") from None


def _people(path: str, reader: csv.DictReader[str]) -> list[Person]:
    columns = ("user_id", *looked_up_names())
    absent = [name for name in columns if name not in (reader.fieldnames or ())]
    if absent:
        raise ConfigurationError(f"roster {path}: has no column {', '.join(absent)}; it needs {', '.join(columns)}")
    if len(set(reader.fieldnames or ())) != len(reader.fieldnames or ()):
        raise ConfigurationError(f"roster {path}: names a column twice")
    people: dict[str, Person] = {}
    for row in reader:
        where = f"roster {path}, line {reader.line_num}"
        if None in row or None in row.values():
            raise ConfigurationError(f"{where}: must have {len(reader.fieldnames or ())} cells")
        user_id = row["user_id"]
        if not user_id or user_id in (".", ".."):
            raise ConfigurationError(f"{where}: user_id is empty, or no id")
        if user_id in people:
            raise ConfigurationError(f"{where}: the same user_id stands on a line before")
        people[user_id] = Person(user_id, dict(_values(where, row, columns[1:])), reader.line_num)
    if not people:
        raise ConfigurationError(f"roster {path}: names nobody, so that every list would be empty")
    return list(people.values())


def _values(where: str, row: Mapping[str, str | None], names: Iterable[str]) -> Iterable[tuple[str, Any]]:
    for name in names:
        text = row[name]
        if not text:
            yield name, None
        elif COLUMNS[name].json != "integer":
            yield name, text
        elif _INTEGER.fullmatch(text):
            yield name, int(text)
        else:
            raise ConfigurationError(f"{where}: {name} must be an integer or empty")


_log = logging.getLogger("compat.upstream")

READ_SCOPE = "https://purl.imsglobal.org/spec/caliper/v1p2/scope/events.readonly"
"""The platform's scope for reading sessions (API facts)."""


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
        shared: what every kind of upstream takes, as :class:`compat.upstream.Upstream` describes it.

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
        **shared: Unpack[SharedKeys],
    ) -> None:
        super().__init__(base_url, frozenset(), **shared)
        self.path = needed("path", path) if path.startswith("/") else "/" + needed("path", path)
        self.exams = checked_exams(exams)
        self._people = self._read_people(roster)
        self._tokens = self._token_source(token_url, client_id, client_secret, oauth_scope, bearer_token)

    def __repr__(self) -> str:
        return f"PaginatedSessions({self.base_url!r}, path={self.path!r})"

    @property
    def successor_path(self) -> str:
        return self.base_url + self.path

    @property
    def signed_with(self) -> tuple[str, ...]:
        return ("client_id", "client_secret") if self.beside else ("bearer_token",)

    @property
    def beside(self) -> Mapping[str, str]:
        return {"token endpoint": self._tokens.url} if isinstance(self._tokens, ClientCredentials) else {}

    def _read_people(self, roster: str | Path | None) -> list[Person]:
        by_user = "{user_id}" in self.path
        if by_user and roster is None:
            raise ConfigurationError(f"path = {self.path!r} names a user: set roster to the CSV file of the users")
        if roster is not None and not by_user:
            raise ConfigurationError("roster is set, but path has no {user_id} in it: add it, or drop the roster")
        return read_roster(roster) if roster is not None else []

    def _token_source(
        self, token_url: str | None, client_id: str | None, client_secret: str | None, scope: str, given: str | None
    ) -> FixedToken:
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

    def sources(self, query: Query, pushed: frozenset[Capability], options: CallOptions) -> list[Source]:
        return self.lists(options)

    def lists(self, options: CallOptions) -> list[Source]:
        """The lists that together hold every session: one, or one a user of the roster."""
        if "{user_id}" not in self.path:
            return [_List(self, self.path, options)]
        paths = [self.path.replace("{user_id}", quote(person.user_id, safe="")) for person in self._people]
        each = zip(paths, self._people, strict=True)
        return [_List(self, path, options, person.values, person.line) for path, person in each]

    def codec(self, settings: LegacySettings) -> Codec:
        return SessionCodec(self.exams, settings)

    def one(self, student_session_id: int, codec: Codec, options: CallOptions) -> Row | list[Source] | None:
        # No route for one session is known.
        return self.lists(options)

    def add(self, exam_id: int, values: Mapping[str, str], codec: Codec, options: CallOptions) -> Row:
        raise self.reads_only

    def update(self, student_session_id: int, values: Mapping[str, str], codec: Codec, options: CallOptions) -> Row:
        raise self.reads_only

    def delete(self, student_session_id: int, options: CallOptions) -> None:
        raise self.reads_only

    def read(
        self, path: str, asked: Mapping[str, str], options: CallOptions, walk: Deadline | None, page: AskedPage
    ) -> Chunk:
        """Read a page; a refused token is renewed once."""

        def send(token: str) -> Chunk:
            def build() -> Outgoing:
                headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", **page.condition}
                return Outgoing("GET", self.base_url + path, headers=headers, params=dict(asked))

            return self._transport.read(build, accept, options, walk)

        def accept(reply: Reply) -> Chunk:
            return read_chunk(page.answer(reply), int(asked["offset"]), page.decode or raw_page)

        token = self._tokens.current(options, walk)
        with suppress(TokenRefused):
            return send(token)
        renewed = self._tokens.renew(token, options, walk)
        if renewed is not None:
            with suppress(TokenRefused):
                return send(renewed)
        raise NotAuthorized


@dataclass(frozen=True, repr=False, eq=False)
class _List(Source):
    """The list of all sessions, or that of a user whom a line of the roster names."""

    upstream: PaginatedSessions
    path: str
    options: CallOptions
    person: Mapping[str, Any] = field(default_factory=dict)
    line: int | None = None
    numbered = False

    def fetch(
        self, start: int, limit: int, step: int | None, walk: Deadline | None, decode: Decode | None = None
    ) -> Chunk:
        asked = {"limit": str(min(limit, LARGEST_LIMIT)), "offset": str(start)}
        try:
            return self.upstream.read(self.path, asked, self.options, walk, asked_page(decode, self.path, asked))
        except (UpstreamError, InvalidParameter) as error:
            if self.line is None or type(error) not in (UpstreamError, Unreadable, InvalidParameter):
                raise
            # What is wrong with the path of a list is no parameter of the caller's; words about it may name the user.
            refused = isinstance(error, InvalidParameter)
            what = "The upstream answered with status 422" if refused else error.message.rstrip(".")
            told = UpstreamError(f"{what}, for the user in line {self.line} of the roster.")
            _log.error("%s", told)
            raise told from None
