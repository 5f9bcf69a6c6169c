"""Walks in Redis, for replicas on several machines.

A walk is two keys: its pages, under a name of their own, and the head, which says that name. The pages come first, so
that whoever finds the head finds all of them; both expire by themselves.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable
from typing import Any

import redis

from compat.errors import StoreUnavailable
from compat.stores.interface import KEPT_FOR, StoredPage, WalkKeeper
from compat.stores.patience import Patience

__all__ = ["RedisWalks"]

_BATCH = 4 * 1024 * 1024
_log = logging.getLogger("compat.stores")

_NAME = 32
_PUT = f"""
local before = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
redis.call('EXPIRE', ARGV[2] .. string.sub(ARGV[1], 1, {_NAME}), ARGV[3])
if before then redis.call('UNLINK', ARGV[2] .. string.sub(before, 1, {_NAME})) end
"""
_GET = f"""
local kept = redis.call('GET', KEYS[1])
if not kept then return false end
local pages = ARGV[1] .. string.sub(kept, 1, {_NAME})
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('EXPIRE', pages, ARGV[2])
local head = string.sub(kept, {_NAME + 1})
if head == ARGV[4] then return {{head}} end
return {{head, redis.call('HGET', pages, ARGV[3])}}
"""
_DROP = f"""
local kept = redis.call('GET', KEYS[1])
if kept then redis.call('UNLINK', KEYS[1], ARGV[1] .. string.sub(kept, 1, {_NAME})) end
"""


class RedisWalks(WalkKeeper):
    """Keeps walks in Redis.

    Args:
        client: a redis-py client that returns bytes.
        prefix: what its keys begin with.
        kept_for: whole seconds that a walk is kept after the last page asked of it.
    """

    def __init__(self, client: Any, prefix: str, kept_for: int = int(KEPT_FOR)) -> None:
        self._client = client
        self._heads = prefix + "walk:"
        self._pages = prefix + "pages:"
        self._kept_for = kept_for
        self._patience = Patience()
        self._put, self._get, self._drop = (client.register_script(each) for each in (_PUT, _GET, _DROP))

    def put(self, digest: str, head: bytes, pages: Iterable[bytes]) -> None:
        name = secrets.token_hex(_NAME // 2)
        try:
            with self._patience:
                self._put_whole(name, digest, head, pages)
        except redis.RedisError as error:
            raise _unavailable("kept", error) from None

    def get(self, digest: str, number: int, unless: bytes | None = None) -> StoredPage | None:
        try:
            with self._patience:
                found = self._get(
                    keys=[self._heads + digest], args=[self._pages, self._kept_for, number, unless or b""]
                )
        except redis.RedisError as error:
            raise _unavailable("read", error) from None
        return None if found is None else StoredPage(found[0], found[1] if len(found) > 1 else None)

    def drop(self, digest: str) -> None:
        try:
            with self._patience:
                self._drop(keys=[self._heads + digest], args=[self._pages])
        except redis.RedisError as error:
            raise _unavailable("dropped", error) from None

    def _put_whole(self, name: str, digest: str, head: bytes, pages: Iterable[bytes]) -> None:
        try:
            self._put_pages(self._pages + name, pages)
            self._put(keys=[self._heads + digest], args=[name.encode() + head, self._pages, self._kept_for])
        except BaseException:
            self._client.unlink(self._pages + name)
            raise

    def _put_pages(self, key: str, pages: Iterable[bytes]) -> None:
        batch: dict[int, bytes] = {}
        size = 0
        for number, page in enumerate(pages, 2):
            batch[number] = page
            size += len(page)
            if size >= _BATCH:
                self._put_batch(key, batch)
                batch, size = {}, 0
        self._put_batch(key, batch)

    def _put_batch(self, key: str, batch: dict[int, bytes]) -> None:
        if batch:
            with self._client.pipeline(transaction=True) as pipeline:
                pipeline.hset(key, mapping=batch)
                # From the first batch on, in case that there is never a head.
                pipeline.expire(key, self._kept_for)
                pipeline.execute()


def _unavailable(what: str, error: Exception) -> StoreUnavailable:
    _log.error("a walk cannot be %s: %s: %s", what, type(error).__name__, error)
    return StoreUnavailable("The walk cannot be shared at the moment.")
