"""The new face, to migrate to: student sessions, and pages of them, as the new endpoint has them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from compat.config.settings import Configuration, settings_of, upstream_of
from compat.core.call import Shim
from compat.core.reading import find_one, page_length
from compat.entrances.client import resolve
from compat.entrances.sessions_http import StudentSessionsHTTP, shim_of
from compat.errors import ConfigurationError, InvalidParameter, StudentSessionNotFound, UpstreamError
from compat.legacy.parameters import number
from compat.legacy.query import LARGEST_LIMIT
from compat.legacy.routes import INDEX_STUDENTS, Filter, LegacyCall, Sort, pagination_of, written
from compat.processes import cached_property
from compat.upstream import PaginatedSessions, StudentSessions
from compat.upstream.base import Source, Upstream
from compat.upstream.kinds import maps_records
from compat.upstream.transport import CallOptions

__all__ = ["SessionsPage", "StudentSessionsClient"]


@dataclass(frozen=True)
class SessionsPage:
    """One page of an exam's student sessions, of ``item_count`` that match in all.

    Attributes:
        sessions: the records, each with the 57 documented fields; None in one that the endpoint left out.
        page: this one, from 1.
        unsettled: the endpoint's list kept changing while it was read.
    """

    sessions: list[dict[str, Any]] = field(repr=False)
    item_count: int
    page_count: int
    page: int
    limit: int
    unsettled: bool = False


_OPTIONS = CallOptions()
_REMADE = ("_codec", "_shim", "http")


class StudentSessionsClient:
    """Lists, shows, creates, changes and deletes student sessions at the new endpoint itself.

    Records come as the upstream writes them. With paginated sessions it lists ``SessionOutput`` objects, and only
    reads. Every method raises ``InvalidParameter`` for one that breaks a rule, which the text names, ``NotAuthorized``,
    and ``UpstreamError`` where the upstream failed.

    Args:
        upstream: an upstream or a configuration; None to make one from the credentials, or to read the
            configuration file.
        base_url: of the student sessions; else ``EXAM_COMPAT_BASE_URL``.
        api_token: the user's token; else ``EXAM_COMPAT_API_TOKEN``.
        secret_key: the key that signs the calls; else ``EXAM_COMPAT_SECRET_KEY``.
        records: "sent" for records as the endpoint writes them, where a field may be absent and others may be new;
            "whole" for the 57 documented fields in their order, None in an absent one; student sessions alone.

    Raises:
        ConfigurationError: nothing says which upstream to use, or its records cannot be made whole.
    """

    def __init__(
        self,
        upstream: Upstream | Configuration | None = None,
        *,
        base_url: str | None = None,
        api_token: str | None = None,
        secret_key: str | None = None,
        records: Literal["sent", "whole"] = "sent",
    ) -> None:
        given = resolve(upstream, base_url=base_url, api_token=api_token, secret_key=secret_key)
        self._upstream = upstream_of(given)
        self._is_of_account = upstream is None and given is self._upstream
        self._settings = settings_of(given)
        self._codec = self._upstream.codec(self._settings)
        self._whole = records == "whole"
        if records not in ("sent", "whole"):
            raise ConfigurationError(f'records = {records!r}: must be "sent" or "whole"')
        if self._whole and maps_records(self._upstream.kind):
            raise ConfigurationError('records = "whole": only student sessions have the documented fields')

    def __getstate__(self) -> dict[str, Any]:
        # The codec holds compiled types, which are made anew rather than pickled.
        return {name: value for name, value in self.__dict__.items() if name not in _REMADE}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._codec = self._upstream.codec(self._settings)

    def __repr__(self) -> str:
        return f"StudentSessionsClient({self._upstream!r})"

    @cached_property
    def _shim(self) -> Shim:
        """What selects and sorts, and keeps a reading for its later pages; clients of the same credentials share it."""
        if self._is_of_account and isinstance(self._upstream, StudentSessions):
            account = self._upstream.account
            return shim_of(self._upstream.base_url, account.api_token, account.secret_key)
        return Shim(self._upstream, self._settings)

    @cached_property
    def http(self) -> StudentSessionsHTTP:
        """The same endpoint in the manner of ``requests``: ``client.http.get(url, …)`` gives a ``requests.Response``.

        For a script that goes on reading status, headers and text; what fails is raised as ``requests`` raises it.

        Raises:
            ConfigurationError: only student sessions answer so.
        """
        if not isinstance(self._upstream, StudentSessions):
            raise ConfigurationError("http: only student sessions are answered as requests does it")
        account = self._upstream.account
        return StudentSessionsHTTP(account.secret_key, base_url=self._upstream.base_url, api_token=account.api_token)

    def sessions(
        self, exam_id: int | None = None, *, status: str | None = None, filter: Filter = None, sort: Sort = None
    ) -> Iterator[dict[str, Any]]:
        """Iterate over all sessions, page by page as they are taken.

        Args:
            exam_id: only this exam's.
            status: only those with this status; student sessions alone know it.
            filter: as :meth:`page` takes it; the exam has to be given then.
            sort: likewise.

        Raises:
            InvalidParameter: the status is not known here, or the exam is not in ``[exams]``.
            UpstreamError: the upstream failed, or its list changed while it was read: start again.
        """
        exam = None if exam_id is None else _digits("exam_id", exam_id)
        if filter is None and sort is None:
            seen: set[int | str] = set()
            # A generator ends with its error; what chains lists would go on with the next one.
            return (record for source in self._sources(exam, status) for record in self._records(source, exam, seen))
        if exam is None:
            raise InvalidParameter({"exam_id": ["Must be given where filter or sort is."]})
        return self._selected(exam, {"status": status, "filter": filter, "sort": sort})

    def page(
        self,
        exam_id: int,
        *,
        page: int | None = None,
        limit: int | None = None,
        status: str | None = None,
        filter: Filter = None,
        sort: Sort = None,
    ) -> SessionsPage:
        """One page of an exam's sessions, selected and sorted here where the endpoint cannot.

        The endpoint's list is read for page 1, and the later pages come from that reading for ten minutes. Comparing
        follows SQL: a null is neither more nor less than a value, and is sorted last, or first where descending.

        Args:
            exam_id: the exam; student sessions alone have such pages.
            page: from 1.
            limit: records a page, 300 at most and by default.
            status: only those with this status.
            filter: column to operator to value, or that as a JSON text; the operators are eq, ne, gt, gte, lt, lte,
                in and nin.
            sort: column to asc or desc, one after the other, or that as a JSON text.
        """
        given = {"page": page, "limit": limit, "status": status, "filter": filter, "sort": sort}
        return self._page(_digits("exam_id", exam_id), given)

    def _page(self, exam_id: int, parameters: Mapping[str, Any]) -> SessionsPage:
        if not isinstance(self._upstream, StudentSessions):
            raise InvalidParameter({"exam_id": ["Must not be given: paginated sessions have no pages of an exam."]})
        answer = self._shim.answer(LegacyCall(INDEX_STUDENTS, str(exam_id), written(parameters)))
        return SessionsPage(sessions=json.loads(answer.body)["students"], **pagination_of(answer))

    def _selected(self, exam_id: int, parameters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        number, pages = 1, 1
        while number <= pages:
            found = self._page(exam_id, {**parameters, "page": number})
            yield from found.sessions
            number, pages = number + 1, found.page_count

    def get(self, student_session_id: int, *, exam_id: int | None = None) -> dict[str, Any]:
        """One session.

        Args:
            student_session_id: the session.
            exam_id: the exam that it has to belong to, where that matters.

        Raises:
            StudentSessionNotFound: there is none of that id, or none in that exam.
        """
        wanted = _digits("student_session_id", student_session_id)
        row, _ = find_one(self._upstream, wanted, self._codec, _OPTIONS)
        if row is None or (exam_id is not None and row.exam_id != _digits("exam_id", exam_id)):
            raise StudentSessionNotFound(wanted)
        return self._record(row.record, row.person)

    def create(self, exam_id: int, *, name: str, email: str, **values: Any) -> dict[str, Any]:
        """Register a student for an exam.

        Args:
            exam_id: the exam.
            name: the student's name.
            email: the student's address.
            **values: further parameters of the endpoint, such as ``individual_info``.

        Raises:
            InvalidParameter: a parameter was refused, or the upstream only reads.
        """
        sent = {"name": name, "email": email, **_texts(values)}
        row = self._upstream.add(_digits("exam_id", exam_id), sent, self._codec, _OPTIONS)
        return self._record(row.record, row.person)

    def update(self, student_session_id: int, **values: Any) -> dict[str, Any]:
        """Change a session's name, email, individual_info and the like.

        Raises:
            StudentSessionNotFound: there is none of that id.
            InvalidParameter: a parameter was refused, or the upstream only reads.
        """
        wanted = _digits("student_session_id", student_session_id)
        row = self._upstream.update(wanted, _texts(values), self._codec, _OPTIONS)
        return self._record(row.record, row.person)

    def delete(self, student_session_id: int, *, exam_id: int | None = None) -> None:
        """Delete a session.

        Args:
            student_session_id: the session.
            exam_id: the exam that it has to belong to, where that matters; it is looked up first then.

        Raises:
            StudentSessionNotFound: there is none of that id, or none in that exam.
            InvalidParameter: the upstream only reads.
        """
        if exam_id is not None:
            self.get(student_session_id, exam_id=exam_id)
        self._upstream.delete(_digits("student_session_id", student_session_id), _OPTIONS)

    def _record(self, text: Any, person: Mapping[str, Any]) -> dict[str, Any]:
        shown = self._codec.render([text], [person])[1:-1] if self._whole else bytes(text)
        record: dict[str, Any] = json.loads(shown)
        return record

    def _sources(self, exam_id: int | None, status: str | None) -> list[Source]:
        if isinstance(self._upstream, StudentSessions):
            parameters = {} if status is None else {"status": status}
            return [self._upstream.source(exam_id, parameters, _OPTIONS)]
        if isinstance(self._upstream, PaginatedSessions):
            if status is not None:
                raise InvalidParameter({"status": ["Must not be given: paginated sessions know no status."]})
            if exam_id is not None:
                self._upstream.check_exam(exam_id)
            return self._upstream.lists(_OPTIONS)
        raise TypeError(f"{type(self._upstream).__name__} has no lists to iterate over")

    def _records(self, source: Source, exam_id: int | None, seen: set[int | str]) -> Iterator[dict[str, Any]]:
        start, step, read, total = 0, 0, 0, None
        while total is None or start < total:
            chunk = source.fetch(start, LARGEST_LIMIT, step or None, None)
            if total not in (None, chunk.total):
                raise UpstreamError(f"The upstream counted {total} records, and then {chunk.total}: its list changed.")
            page = self._codec.columns(chunk.rows, exam_id, (), source.person)
            for key, legacy_id in zip(page.keys, page.ids(), strict=True):
                if key in seen:
                    raise UpstreamError(f"The upstream's list changed while it was read: {legacy_id} came twice.")
                seen.add(key)
            for place in page.places:
                yield self._record(chunk.rows[place], source.person)
            read += len(chunk.rows)
            total = chunk.total
            step = step or page_length(source, chunk)
            start += step if source.numbered else len(chunk.rows)
        if read != total:
            raise UpstreamError(f"The upstream counts {total} records and gave {read}: its list changed.")


def _digits(name: str, value: object) -> int:
    found = number(str(value)) if isinstance(value, int | str) and not isinstance(value, bool) else None
    if found is None:
        raise InvalidParameter({name: ["Must be a number."]})
    return found


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in values.items()
        if value is not None
    }
