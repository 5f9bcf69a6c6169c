"""A client class with the old interface's methods, each deprecated, and where clients find their upstream."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from compat.call_site import note_thread_origins
from compat.config.file import CONFIG_NAME, load_config
from compat.config.settings import Configuration, settings_of, sunset_of, thread_origins_of, upstream_of
from compat.core.call import Shim
from compat.deprecation import deprecated, deprecated_call
from compat.errors import ConfigurationError
from compat.legacy.routes import (
    ADD_STUDENT,
    DELETE_STUDENT,
    INDEX_STUDENTS,
    SHOW_STUDENT,
    Answer,
    Filter,
    LegacyCall,
    Route,
    Sort,
    pagination_of,
    written,
)
from compat.migration.modes.router import Identity, ModeRouter
from compat.migration.modes.sides import AnswerSide, Callers, LegacyEndpoint
from compat.upstream import StudentSessions
from compat.upstream.base import Upstream

__all__ = ["VARIABLES", "ExamStudentsClient", "StudentsPage", "resolve"]

VARIABLES = {
    "base_url": "EXAM_COMPAT_BASE_URL",
    "api_token": "EXAM_COMPAT_API_TOKEN",
    "secret_key": "EXAM_COMPAT_SECRET_KEY",
}
"""Argument to the variable that is read where the argument is not given."""


def resolve(
    upstream: Upstream | Configuration | None,
    *,
    base_url: str | None = None,
    api_token: str | None = None,
    secret_key: str | None = None,
) -> Upstream | Configuration:
    """The upstream to use: the one given, else one from credentials, else the configuration file's.

    A credential that is not given is read from :data:`VARIABLES`.

    Raises:
        ConfigurationError: nothing says which, or only some of the credentials are there; the text names the rest.
    """
    arguments = {"base_url": base_url, "api_token": api_token, "secret_key": secret_key}
    if upstream is not None:
        if any(arguments.values()):
            raise ConfigurationError("credentials were given beside an upstream, which has its own: leave one out")
        return upstream
    found: dict[str, Any] = {name: value or os.environ.get(VARIABLES[name], "") for name, value in arguments.items()}
    absent = [f"{name} ({VARIABLES[name]})" for name, value in found.items() if not value]
    if not absent:
        return StudentSessions(**found)
    if any(arguments.values()) or len(absent) < len(found):
        raise ConfigurationError(f"credentials are incomplete: {', '.join(absent)} not given")
    if not os.environ.get("EXAM_COMPAT_CONFIG") and not Path(CONFIG_NAME).is_file():
        raise ConfigurationError(
            f"no upstream: pass one, or {', '.join(VARIABLES)}; set {', '.join(VARIABLES.values())}; "
            f"or write an {CONFIG_NAME}"
        )
    return load_config()


@dataclass(frozen=True)
class StudentsPage:
    """One page of an exam's students, of ``item_count`` that match in all.

    Attributes:
        students: the records, each with the 57 fields.
        page: this one, from 1.
        unsettled: the upstream's list kept changing while it was read.
    """

    students: list[dict[str, Any]] = field(repr=False)
    item_count: int
    page_count: int
    page: int
    limit: int
    unsettled: bool = False


class ExamStudentsClient:
    """The deprecated interface as a class, answered from an upstream, or from the old endpoint where the mode says so.

    The old endpoint is the configuration's ``[legacy] base_url``, called with the ``api_token`` and ``secret_key`` that
    stand there, else with those of the student sessions. Every method raises ``InvalidParameter`` for one that breaks a
    rule, which the text names, ``NotAuthorized``, and ``UpstreamError`` where the upstream failed.

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
        self._shim = Shim(upstream_of(given), settings_of(given))
        self._old, self._router, self._who = _modes_of(given)
        self._sunset = sunset_of(given)
        if thread_origins_of(given):
            note_thread_origins()
        # Imported here, as in the adapter: only who calls the old way has it.
        from compat.migration.inventory.recorder import InventoryRecorder

        self._recorder = InventoryRecorder.of(given, "client")

    def __repr__(self) -> str:
        return f"ExamStudentsClient({self._shim.upstream!r})"

    @deprecated("Use StudentSessionsClient.sessions instead: see MIGRATION.md.")
    @deprecated_call("ExamStudentsClient.index_students")
    def index_students(
        self,
        exam_id: int,
        *,
        status: str | None = None,
        page: int | None = None,
        limit: int | None = None,
        filter: Filter = None,
        sort: Sort = None,
    ) -> StudentsPage:
        """List an exam's students, a page of them.

        Args:
            exam_id: the exam.
            status: one of the eleven statuses.
            page: from 1.
            limit: records a page, 300 at most and by default.
            filter: column to operator to value, or that as a JSON text.
            sort: column to asc or desc, one after the other, or that as a JSON text.
        """
        parameters = {"status": status, "page": page, "limit": limit, "filter": filter, "sort": sort}
        answer, content = self._call(INDEX_STUDENTS, exam_id, parameters)
        return StudentsPage(students=content["students"], **pagination_of(answer))

    @deprecated("Use StudentSessionsClient.get instead: see MIGRATION.md.")
    @deprecated_call("ExamStudentsClient.show_student")
    def show_student(self, exam_id: int, student_session_id: int) -> dict[str, Any]:
        """Show one student session of an exam.

        Raises:
            StudentSessionNotFound: there is none of that id in that exam.
        """
        return self._student(SHOW_STUDENT, exam_id, {"student_session_id": student_session_id})

    @deprecated("Use StudentSessionsClient.create instead: see MIGRATION.md.")
    @deprecated_call("ExamStudentsClient.add_student")
    def add_student(
        self,
        exam_id: int,
        name: str,
        email: str,
        *,
        individual_info: str | None = None,
        is_individual_info_html: bool | None = None,
        skip_requirements: bool | None = None,
        open_time: int | None = None,
    ) -> dict[str, Any]:
        """Register a student for an exam.

        Args:
            exam_id: the exam.
            name: the student's name.
            email: the student's address.
            individual_info: a text for this student.
            is_individual_info_html: whether that text is HTML.
            skip_requirements: whether the check of requirements is left out.
            open_time: seconds since the epoch from which the session is open.

        Raises:
            InvalidParameter: also where the upstream only reads.
        """
        parameters = {
            "name": name,
            "email": email,
            "individual_info": individual_info,
            "is_individual_info_html": is_individual_info_html,
            "skip_requirements": skip_requirements,
            "open_time": open_time,
        }
        return self._student(ADD_STUDENT, exam_id, parameters)

    @deprecated("Use StudentSessionsClient.delete instead: see MIGRATION.md.")
    @deprecated_call("ExamStudentsClient.delete_student")
    def delete_student(self, exam_id: int, student_session_id: int) -> dict[str, Any]:
        """Delete one student session of an exam.

        Raises:
            StudentSessionNotFound: there is none of that id in that exam.
            InvalidParameter: also where the upstream only reads.
        """
        self._call(DELETE_STUDENT, exam_id, {"student_session_id": student_session_id})
        return {}

    def _student(self, route: Route, exam_id: int, parameters: Mapping[str, Any]) -> dict[str, Any]:
        student: dict[str, Any] = self._call(route, exam_id, parameters)[1]["student"]
        return student

    def _call(self, route: Route, exam_id: int, parameters: Mapping[str, Any]) -> tuple[Answer, Any]:
        call = LegacyCall(route, str(exam_id), written(parameters), method=route.methods[0])
        new: AnswerSide[Answer] = AnswerSide(partial(self._shim.answer, call), lambda answer: answer)
        # Where there is no old endpoint, no mode leads there.
        old = new if self._old is None else AnswerSide(partial(self._old.answer, call), new.give)
        ask = partial(self._router.answer, call, self._who, old, new)
        if self._recorder is None:
            answer = ask()
            return answer, json.loads(answer.body)
        # The old one is asked alone, or after the new one has failed.
        return self._recorder.answer(call, ask, lambda: "legacy" if old is not new and old.begun else "new")


def _modes_of(given: Upstream | Configuration) -> tuple[LegacyEndpoint | None, ModeRouter, Identity]:
    """The old endpoint, the modes and the caller of a client. Without a configuration there is no old endpoint."""
    if not isinstance(given, Configuration):
        token = given.account.api_token if given.account is not None else ""
        return None, ModeRouter(legacy=False), Callers(()).by_token(token)
    base_url, account = given.legacy_base_url, given.legacy_account
    old = LegacyEndpoint(base_url, account) if base_url is not None and account is not None else None
    lacking = "base_url in [legacy]" if base_url is None else "api_token and secret_key in [legacy]"
    router = ModeRouter.of(given, legacy=old is not None, lacking=lacking)
    return old, router, Callers(given.callers).by_token(account.api_token if account is not None else "")
