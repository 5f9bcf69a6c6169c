"""Fixtures with the URL of an empty store of each kind, each of them real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis_server import RedisServer

STORES = ("memory", "sqlite", "redis")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis of these tests' own; every test that asks for a URL gets it empty."""
    with RedisServer(tmp_path_factory.mktemp("redis"), "--appendonly", "no") as running:
        yield running


@pytest.fixture(params=STORES)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store of each kind."""
    return url_of(request.param, request, tmp_path)


@pytest.fixture(params=STORES[1:])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store of each kind that processes can share."""
    return url_of(request.param, request, tmp_path)


def url_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    """The URL of an empty store of that kind."""
    if kind == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        server.empty()
        return server.url
    return f"memory://{folder.name}" if kind == "memory" else f"sqlite:///{folder}/calls.db"
