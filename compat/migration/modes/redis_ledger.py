"""What a migration keeps in Redis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import redis

from compat.migration.modes.switches import Switches, unreadable
from compat.stores.redis import PREFIX, connected

__all__ = ["RedisSwitches"]

_SWITCHES = PREFIX + "switches"


class RedisSwitches(Switches):
    """Switches in a hash.

    Args:
        url: as redis-py takes it.

    Raises:
        ConfigurationError: the URL cannot be used.
    """

    def __init__(self, url: str) -> None:
        self._client: Any = connected(url)

    def all(self) -> Mapping[str, str]:
        try:
            found = self._client.hgetall(_SWITCHES)
        except redis.RedisError as error:
            raise unreadable(error) from None
        return {name.decode(): value.decode() for name, value in found.items()}

    def set(self, name: str, value: str | None) -> None:
        try:
            if value is None:
                self._client.hdel(_SWITCHES, name)
            else:
                self._client.hset(_SWITCHES, name, value)
        except redis.RedisError as error:
            raise unreadable(error) from None

    def close(self) -> None:
        self._client.close()
