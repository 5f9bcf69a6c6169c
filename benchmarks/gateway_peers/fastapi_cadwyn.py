"""FastAPI with Cadwyn: the old interface as an older version of the new one, converted by version changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from typing import Annotated, Any

import aiohttp
import pydantic
from cadwyn import (
    Cadwyn,
    HeadVersion,
    ResponseInfo,
    Version,
    VersionBundle,
    VersionChange,
    VersionedAPIRouter,
    convert_response_to_previous_version_for,
    schema,
)
from fastapi import Header, HTTPException, Request, Response

from benchmarks.gateway_peers.signing import TOKEN, UPSTREAM, accepted, upstream_parameters
from benchmarks.pydantic_models import NEWER, Student

__all__ = ["application"]

_COUNTS = ("Item-Count", "Page-Count", "Page", "Limit")


Session = pydantic.create_model("Session", __base__=Student, **dict.fromkeys(NEWER, (Any, None)))
StudentsPage = pydantic.create_model("StudentsPage", students=(list[Session], ...))


class WithholdNewerFields(VersionChange):
    """The old interface has 57 fields."""

    description = "The newer fields are shown."
    instructions_to_migrate_to_previous_version = tuple(schema(Session).field(name).didnt_exist for name in NEWER)

    @convert_response_to_previous_version_for(StudentsPage)
    def _withhold(response: ResponseInfo) -> None:  # noqa: N805 - cadwyn's form
        for student in response.body["students"]:
            for name in NEWER:
                student.pop(name, None)


router = VersionedAPIRouter()
_client: list[aiohttp.ClientSession] = []


@router.get("/api/v3/exams/{exam}/index_students", response_model=StudentsPage)
async def index_students(
    exam: str, request: Request, response: Response, authorization: Annotated[str, Header()] = ""
) -> Any:
    """The deprecated list."""
    query = dict(request.query_params)
    if not accepted(authorization, query, exam):
        raise HTTPException(403, "You are not authorized to access this page.")
    url = f"{UPSTREAM}/api/v3/exams/{exam}/student_sessions"
    headers = {"Authorization": f"Token token={TOKEN}"}
    async with _client[0].get(url, params=upstream_parameters(query, exam), headers=headers) as answer:
        answer.raise_for_status()
        page = StudentsPage.model_validate_json(await answer.read())
        for name in _COUNTS:
            response.headers[f"X-Pagination-{name}"] = answer.headers[f"X-Pagination-{name}"]
    return page


@asynccontextmanager
async def _lifespan(_: Any) -> AsyncIterator[None]:
    async with aiohttp.ClientSession() as session:
        _client.append(session)
        yield


application = Cadwyn(
    versions=VersionBundle(HeadVersion(), Version("2019-01-01", WithholdNewerFields), Version("2018-01-01")),
    api_version_default_value=date(2018, 1, 1).isoformat(),
    lifespan=_lifespan,
)
application.generate_and_include_versioned_routers(router)
