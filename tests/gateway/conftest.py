"""A gateway over a sandbox, shared by the tests of a file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gateways import SECRET, TOKEN, Served, running_gateway, settings_for, written

from compat.testing.sandbox import Sandbox


@pytest.fixture(scope="module", params=("student_sessions", "paginated_sessions"))
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway before either upstream."""
    with Sandbox(students=60, exams=3, clamp=25) as sandbox:
        config = written(tmp_path_factory.mktemp("gateway"), settings_for(sandbox, request.param))
        with running_gateway(config) as base:
            yield Served(base, sandbox, config)


@pytest.fixture
def headers() -> dict[str, str]:
    """The headers that the known caller sends."""
    return {"Authorization": f"Token token={TOKEN}", "Accept": "application/vnd.procwise.v3"}


@pytest.fixture
def secret() -> str:
    """The key that it signs with."""
    return SECRET
