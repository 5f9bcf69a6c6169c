"""Each HTTP library, with the shim in its way."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from library_dialects import DIALECTS, Dialect, Shimmed

import compat


@pytest.fixture(params=DIALECTS, ids=lambda dialect: dialect.name)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    found: Dialect = request.param
    return found


@pytest.fixture(params=["install", "mount"])
def shimmed(request: pytest.FixtureRequest, dialect: Dialect) -> Iterator[Shimmed]:
    yield Shimmed(dialect, request.param)
    compat.uninstall()
