"""The new face, to migrate to: student sessions as the new endpoint has them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from compat.config import Configuration, settings_of, upstream_of
from compat.credentials import resolve
from compat.errors import InvalidParameter, StudentSessionNotFound, UpstreamError
from compat.legacy.parameters import number
from compat.legacy.query import LARGEST_LIMIT
from compat.upstream import PaginatedSessions, StudentSessions
from compat.upstream.interface import Upstream
from compat.upstream.reading import page_length
from compat.upstream.records import Source
from compat.upstream.transport import CallOptions

__all__ = ["StudentSessionsClient"]

_OPTIONS = CallOptions()


class StudentSessionsClient:
    """Lists, shows, creates, changes and deletes student sessions at the new endpoint itself.

    Records come as the upstream writes them, not in the legacy form. With paginated sessions it lists ``SessionOutput``
    objects, and only reads.

    Args:
        upstream: an upstream or a configuration; None to make one from the credentials, or to read the
            configuration file.
        base_url: of the student sessions; else ``EXAM_COMPAT_BASE_URL``.
        api_token: the user's token; else ``EXAM_COMPAT_API_TOKEN``.
        secret_key: the key that signs the calls; else ``EXAM_COMPAT_SECRET_KEY``.

    Raises:
        ConfigurationError: nothing says which upstream to use.
    """

    def __init__(
        self,
        upstream: Upstream | Configuration | None = None,
        *,
        base_url: str | None = None,
        api_token: str | None = None,
        secret_key: str | None = None,
    ) -> None:
        given = resolve(upstream, base_url=base_url, api_token=api_token, secret_key=secret_key)
        self._upstream = upstream_of(given)
        self._settings = settings_of(given)
        self._codec = self._upstream.codec(self._settings)

    def __getstate__(self) -> dict[str, Any]:
        # The codec holds compiled types, which are made anew rather than pickled.
        return {"_upstream": self._upstream, "_settings": self._settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._codec = self._upstream.codec(self._settings)

    def __repr__(self) -> str:
        return f"StudentSessionsClient({self._upstream!r})"

    def sessions(self, exam_id: int | None = None, *, status: str | None = None) -> Iterator[dict[str, Any]]:
        """Iterate over all sessions, page by page as they are taken.

        Args:
            exam_id: only this exam's.
            status: only those with this status; student sessions alone know it.

        Raises:
            InvalidParameter: the status is not known here, or the exam is not in ``[exams]``.
            NotAuthorized: the credentials are not accepted.
            UpstreamError: the upstream failed, or its list changed while it was read: start again.
        """
        exam = None if exam_id is None else _digits("exam_id", exam_id)
        return self._all_records(exam, self._sources(exam, status))

    def _all_records(self, exam_id: int | None, sources: list[Source]) -> Iterator[dict[str, Any]]:
        seen: set[int | str] = set()
        for source in sources:
            yield from self._records(source, exam_id, seen)

    def get(self, student_session_id: int) -> dict[str, Any]:
        """One session.

        Raises:
            StudentSessionNotFound: there is none of that id.
            NotAuthorized: the credentials are not accepted.
            UpstreamError: the upstream failed.
        """
        wanted = _digits("student_session_id", student_session_id)
        row = self._upstream.one(wanted, self._codec, _OPTIONS).row
        if row is None:
            raise StudentSessionNotFound(wanted)
        return _record(row.record)

    def create(self, exam_id: int, *, name: str, email: str, **values: Any) -> dict[str, Any]:
        """Register a student for an exam.

        Args:
            exam_id: the exam.
            name: the student's name.
            email: the student's address.
            **values: further parameters of the endpoint, such as ``individual_info``.

        Raises:
            InvalidParameter: a parameter was refused, or the upstream only reads.
            NotAuthorized: the credentials are not accepted.
            UpstreamError: the upstream failed.
        """
        sent = {"name": name, "email": email, **_texts(values)}
        return _record(self._upstream.add(_digits("exam_id", exam_id), sent, self._codec, _OPTIONS).record)

    def update(self, student_session_id: int, **values: Any) -> dict[str, Any]:
        """Change a session's name, email, individual_info and the like.

        Raises:
            StudentSessionNotFound: there is none of that id.
            InvalidParameter: a parameter was refused, or the upstream only reads.
            NotAuthorized: the credentials are not accepted.
            UpstreamError: the upstream failed.
        """
        wanted = _digits("student_session_id", student_session_id)
        return _record(self._upstream.update(wanted, _texts(values), self._codec, _OPTIONS).record)

    def delete(self, student_session_id: int) -> None:
        """Delete a session.

        Raises:
            StudentSessionNotFound: there is none of that id.
            InvalidParameter: the upstream only reads.
            NotAuthorized: the credentials are not accepted.
            UpstreamError: the upstream failed.
        """
        self._upstream.delete(_digits("student_session_id", student_session_id), _OPTIONS)

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
            for row in self._codec.scan(chunk.rows, -1, (), source.person):
                if row.key in seen:
                    raise UpstreamError(f"The upstream's list changed while it was read: {row.id} came twice.")
                seen.add(row.key)
                if exam_id is None or row.exam_id == exam_id:
                    yield _record(row.record)
            read += len(chunk.rows)
            total = chunk.total
            step = step or page_length(source, chunk)
            start += step if source.numbered else len(chunk.rows)
        if read != total:
            raise UpstreamError(f"The upstream counts {total} records and gave {read}: its list changed.")


def _record(text: Any) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(bytes(text))
    return record


def _digits(name: str, value: object) -> int:
    """An id, as an integer or its digits.

    Raises:
        InvalidParameter: it is neither.
    """
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
