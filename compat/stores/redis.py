"""A store in Redis, for replicas on several machines: nonces, walks, ledger, and when a Redis that is away is asked.

A walk is two keys: its pages, under a name of their own, and the head, which says that name. The pages come first, so
that whoever finds the head finds all of them; both expire by themselves.

A call is recorded by one script, in one round trip. Redis keeps what was spent in sets of four hours each, which takes
half of what a key of its own for each would, and expires a set a day after the last call could be recorded there. The
time is Redis's, so that replicas need not agree on it. A batch of counts is one script too.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import msgspec
import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError
from redis.retry import Retry

from compat.errors import ConfigurationError, StoreUnavailable
from compat.processes import ForkLock, renew_after_fork
from compat.stores.base import KEPT_FOR, Store, StoredPage, WalkKeeper, digests, walk_unavailable
from compat.stores.ledger import HOURS_KEPT, MOST_NAMES, OTHER, AllCounts, Batch, CallGroup, Ledger, away, usages_of

__all__ = ["RedisBackoff", "RedisLedger", "RedisStore"]

_log = logging.getLogger("compat.stores")
_PREFIX = "{exam-compat}:"
"""What all its keys begin with, so that a cluster has them in one place."""
_HEADS, _PAGES = f"{_PREFIX}walk:", f"{_PREFIX}pages:"
_KEPT_FOR = int(KEPT_FOR)
_WAIT = 2.0
"""Seconds that one request waits for Redis."""
_REST = 1.0
"""Seconds after a request that Redis did not answer in time, until it is asked again."""


class RedisBackoff:
    """Stands around each request to Redis: ``with backoff: …``.

    After one that was not answered in time the next ones fail at once, for a second; then one of them asks, and what
    it finds out counts for all. A Redis that refuses connections says so at once, and is asked every time.
    """

    def __init__(self) -> None:
        self._lock = ForkLock()
        self._rests_until = 0.0

    def __enter__(self) -> None:
        if self._rests_until and not self._is_next():
            raise redis.TimeoutError("it did not answer in time a moment ago")

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._rests_until = time.monotonic() + _REST if isinstance(error, redis.TimeoutError) else 0.0

    def _is_next(self) -> bool:
        with self._lock:
            now = time.monotonic()
            if now < self._rests_until:
                return False
            # Whoever comes before this one knows more need not wait for it: connecting and asking may take two waits.
            self._rests_until = now + 2 * _WAIT + _REST
            return True


@contextmanager
def _asking(failure: Callable[[Exception], Exception]) -> Iterator[None]:
    """Stands around requests: what Redis fails with is raised as ``failure`` makes it."""
    try:
        yield
    except redis.RedisError as error:
        raise failure(error) from None


_BATCH = 4 * 1024 * 1024
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
    """Keeps walks in Redis, by a redis-py client that returns bytes."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._backoff = RedisBackoff()
        self._put, self._get, self._drop = (client.register_script(each) for each in (_PUT, _GET, _DROP))

    def put(self, digest: str, head: bytes, pages: Iterable[bytes]) -> None:
        name = secrets.token_hex(_NAME // 2)
        with _asking(partial(walk_unavailable, "kept")), self._backoff:
            try:
                self._put_pages(_PAGES + name, pages)
                self._put(keys=[_HEADS + digest], args=[name.encode() + head, _PAGES, _KEPT_FOR])
            except BaseException:
                self._client.unlink(_PAGES + name)
                raise

    def get(self, digest: str, number: int, unless: bytes | None = None) -> StoredPage | None:
        with _asking(partial(walk_unavailable, "read")), self._backoff:
            found = self._get(keys=[_HEADS + digest], args=[_PAGES, _KEPT_FOR, number, unless or b""])
        return None if found is None else StoredPage(found[0], found[1] if len(found) > 1 else None)

    def drop(self, digest: str) -> None:
        with _asking(partial(walk_unavailable, "dropped")), self._backoff:
            self._drop(keys=[_HEADS + digest], args=[_PAGES])

    def _put_pages(self, key: str, pages: Iterable[bytes]) -> None:
        batch: dict[int, bytes] = {}
        size = 0
        for number, page in enumerate(pages, 2):
            batch[number] = page
            size += len(page)
            if size >= _BATCH:
                self._put_batch(key, batch)
                batch, size = {}, 0
        if batch:
            self._put_batch(key, batch)

    def _put_batch(self, key: str, batch: dict[int, bytes]) -> None:
        with self._client.pipeline(transaction=True) as pipeline:
            pipeline.hset(key, mapping=batch)
            # From the first batch on, in case that there is never a head.
            pipeline.expire(key, _KEPT_FOR)
            pipeline.execute()


_BYTES = 16
_LOOK_EVERY = 5.0
"""Seconds after which a call looks whether Redis evicts."""
_LOST_FOR = 600

# Asked where Redis does not know the script below, since a new process never does. Such a process has all calls only
# where it read them from an append-only file of its own: a snapshot is older, and a replica may lack the last ones.
_SEE_RUN = """
local prefix = KEYS[1]
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
if run == redis.call('GET', prefix .. 'run') then return end
redis.call('SET', prefix .. 'run', run)
local all = string.find(redis.call('INFO', 'persistence'), 'aof_enabled:1', 1, true)
  and string.find(redis.call('INFO', 'replication'), 'second_repl_offset:-1', 1, true)
if not all then redis.call('DEL', prefix .. 'generation') end
"""

# Nothing is recorded for whoever knows no generation yet: it is told which one this is.
_SPEND = """
local prefix, known = KEYS[1], ARGV[1]
local time = redis.call('TIME')
local generation = redis.call('GET', prefix .. 'generation')
if not generation then
  generation = time[1] .. '.' .. time[2]
  redis.call('SET', prefix .. 'generation', generation)
end
if known == '' then return generation end
if known ~= generation then
  local left = math.floor(generation) + tonumber(ARGV[2]) - time[1]
  if left > 0 then redis.call('SET', prefix .. 'lost', '', 'EX', left) end
  return -1
end
if redis.call('EXISTS', prefix .. 'lost') == 1 then return -2 end
local spans = prefix .. 'spent:'
local span = math.floor(time[1] / 14400)
for each = span - 6, span + 1 do
  for _, found in ipairs(redis.call('SMISMEMBER', spans .. each, unpack(ARGV, 3))) do
    if found == 1 then return 0 end
  end
end
redis.call('SADD', spans .. span, unpack(ARGV, 3))
redis.call('EXPIREAT', spans .. span, (span + 7) * 14400)
return 1
"""


class _Connections(redis.ConnectionPool):
    """redis-py's own pool looks for forks by itself, and waits in the child for a lock that another thread held."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        renew_after_fork(self.renew)

    def renew(self) -> None:
        self._fork_lock, self._lock = threading.RLock(), threading.RLock()
        self.reset()


def _connected(url: str) -> Any:
    """A client that sends nothing twice: once a call may have been recorded, it would be taken for a replay."""
    try:
        return redis.Redis.from_pool(
            _Connections.from_url(url, socket_timeout=_WAIT, socket_connect_timeout=_WAIT, retry=Retry(NoBackoff(), 0))
        )
    except (ValueError, TypeError):
        raise ConfigurationError("[store] url: must read redis://host:6379/0") from None


class RedisStore(Store):
    """Remembers in Redis 6.2 or later, which has to be told to evict nothing.

    A Redis that forgot, or may have, is noticed by whoever knew its earlier generation: calls are refused for ten
    minutes then, after which none that was answered before can hold any more.

    One that evicts may forget any call at any time: none is recorded any more, once a call or a ping has seen it.
    """

    def __init__(self, url: str) -> None:
        self._client: Any = _connected(url)
        self._spend = self._client.register_script(_SPEND).sha
        self._generation = b""
        self._warned = False
        self._looked = float("-inf")
        self._evicts = ""
        self._evicted: int | None = None
        # Not that of the walks: that one of them takes too long is no reason to refuse calls.
        self._backoff = RedisBackoff()
        self.walks = RedisWalks(self._client)

    def spend(self, token_digest: bytes, nonce: str | None, signature: str) -> bool:
        keys = digests(token_digest, nonce, signature, _BYTES)
        with _asking(_unrecorded), self._backoff:
            self._see_fit()
            self._see_generation()
            answer = self._ask(keys)
        if answer in (0, 1):
            return bool(answer)
        if answer == -1:
            self._generation = b""
        _log.error("Redis lost what it had recorded: calls are refused until those answered before are too old to hold")
        raise StoreUnavailable(retry_after=60)

    def born(self) -> int:
        with _asking(_unrecorded), self._backoff:
            self._see_generation()
        return int(self._generation.partition(b".")[0]) * 1000

    def ping(self) -> None:
        with _asking(_unrecorded):
            # Writes, since a Redis that is full, or a copy of another, can still be read.
            self._client.set(_PREFIX + "pinged", "", ex=60)
            self._look()
            found = self._client.info("persistence")
            # Before the first call, which would be older than what it makes.
            self._see_generation()
        if self._evicts:
            raise ConfigurationError(
                f"[store] url: Redis has maxmemory-policy {self._evicts} and may forget calls before their day is "
                "over; set maxmemory-policy noeviction"
            )
        if not found.get("aof_enabled") and not self._warned:
            self._warned = True
            _log.warning("Redis forgets calls when it ends: set appendonly yes")

    def close(self) -> None:
        self._client.close()

    def _see_generation(self) -> None:
        if not self._generation:
            self._generation = self._ask([])

    def _see_fit(self) -> None:
        """Look now and then whether Redis evicts; StoreUnavailable where it does."""
        if time.monotonic() - self._looked >= _LOOK_EVERY:
            self._look()
        if self._evicts:
            _log.error("Redis has maxmemory-policy %s: calls are refused until it is noeviction", self._evicts)
            raise StoreUnavailable

    def _look(self) -> None:
        found = {**self._client.info("memory"), **self._client.info("stats")}
        self._looked = time.monotonic()
        policy = str(found.get("maxmemory_policy", "noeviction"))
        self._evicts = policy if policy != "noeviction" else ""
        evicted, before = int(found.get("evicted_keys", 0)), self._evicted
        self._evicted = evicted
        if before is not None and evicted > before:
            # What it evicted may be what was spent: every replica has to learn of it.
            _log.error("Redis has evicted keys: what it had recorded counts as lost")
            self._client.delete(_PREFIX + "generation")

    def _ask(self, keys: list[bytes]) -> Any:
        asked = [self._spend, 1, _PREFIX, self._generation, _LOST_FOR, *keys]
        try:
            return self._client.evalsha(*asked)
        except NoScriptError:
            self._client.eval(_SEE_RUN, 1, _PREFIX)
            self._client.script_load(_SPEND)
            return self._client.evalsha(*asked)


def _unrecorded(error: Exception) -> StoreUnavailable:
    _log.error("Redis cannot record calls: %s: %s", type(error).__name__, error)
    return StoreUnavailable()


_SWITCHES = _PREFIX + "switches"
_CALLS = _PREFIX + "calls:"
_BETWEEN = "\x1f"
_WRITER_FOR = 24 * 60 * 60

# Numbers come as texts where they are not whole, since Lua would write them shorter than they are.
_ADD = """
local calls = KEYS[1]
local batch = cjson.decode(ARGV[1])
local writer = calls .. 'writer:' .. batch.writer
local before = redis.call('GET', writer)
if before and tonumber(before) >= batch.number then return 0 end
redis.call('SET', writer, batch.number, 'EX', batch.writer_for)

local function known(kind, name)
  local names = calls .. 'names:' .. kind
  if name == '' or redis.call('SISMEMBER', names, name) == 1 then return name end
  if redis.call('SCARD', names) >= batch.most[kind] then return batch.other end
  redis.call('SADD', names, name)
  return name
end

local function keep(key, call, value, further)
  local kept = redis.call('HGET', key, call)
  if not kept or further(tonumber(value), tonumber(kept)) then redis.call('HSET', key, call, value) end
end

for _, group in ipairs(batch.groups) do
  local call = known('call_site', group.call_site) .. '\\31' .. known('user_agent', group.user_agent)
  call = call .. '\\31' .. group.rest
  redis.call('HINCRBY', calls .. 'number', call, group.number)
  keep(calls .. 'first', call, group.first, function (a, b) return a < b end)
  keep(calls .. 'last', call, group.last, function (a, b) return a > b end)
  for _, each in ipairs(group.hours) do
    local hour, number = each[1], each[2]
    local day = math.floor(hour / 24)
    redis.call('HINCRBY', calls .. 'days', call .. '\\31' .. day, number)
    redis.call('HINCRBY', calls .. 'hours:' .. day, call .. '\\31' .. hour, number)
    redis.call('EXPIREAT', calls .. 'hours:' .. day, (day + 1) * 86400 + batch.hours_for)
    redis.call('SADD', calls .. 'hours', day)
  end
  for _, field in ipairs(group.fields) do redis.call('SADD', calls .. 'fields', call .. '\\31' .. field) end
end
if batch.dropped > 0 then
  redis.call('HINCRBY', calls .. 'dropped', 'number', batch.dropped)
  redis.call('HSET', calls .. 'dropped', 'last', batch.at)
end
return 1
"""


class RedisLedger(Ledger):
    """Switches and counts in hashes."""

    def __init__(self, url: str) -> None:
        self._client: Any = _connected(url)
        self._add = self._client.register_script(_ADD)

    def switches(self) -> Mapping[str, str]:
        with _asking(away):
            found = self._client.hgetall(_SWITCHES)
        return {name.decode(): value.decode() for name, value in found.items()}

    def set_switch(self, name: str, value: str | None) -> None:
        with _asking(away):
            if value is None:
                self._client.hdel(_SWITCHES, name)
            else:
                self._client.hset(_SWITCHES, name, value)

    def add(self, batch: Batch) -> None:
        content = {
            "writer": batch.writer,
            "number": batch.number,
            "writer_for": _WRITER_FOR,
            "hours_for": HOURS_KEPT * 3600,
            "most": MOST_NAMES,
            "other": OTHER,
            "dropped": batch.dropped,
            "at": repr(batch.at),
            "groups": [
                {
                    "call_site": group.call_site,
                    "user_agent": group.user_agent,
                    "rest": group.rest(),
                    "number": counts.number,
                    "first": repr(counts.first),
                    "last": repr(counts.last),
                    "hours": list(counts.hours.items()),
                    "fields": sorted(counts.fields),
                }
                for group, counts in batch.groups.items()
            ],
        }
        with _asking(away):
            self._add(keys=[_CALLS], args=[msgspec.json.encode(content)])

    def counted(self) -> AllCounts:
        with _asking(away):
            hours_of = sorted(self._client.smembers(_CALLS + "hours"))
            with self._client.pipeline() as together:
                for name in ("number", "first", "last", "days", "dropped"):
                    together.hgetall(_CALLS + name)
                together.smembers(_CALLS + "fields")
                for day in hours_of:
                    together.hgetall(f"{_CALLS}hours:{int(day)}")
                number, first, last, days, dropped, fields, *hours = together.execute()
            gone = [day for day, found in zip(hours_of, hours, strict=True) if not found]
            if gone:
                self._client.srem(_CALLS + "hours", *gone)
        groups = [
            (key, CallGroup.from_texts(*key.split(_BETWEEN, 2)), int(told), float(first[call]), float(last[call]))
            for call, told in number.items()
            for key in [call.decode()]
        ]
        usages = usages_of(
            groups,
            _by_time(days),
            [row for each in hours for row in _by_time(each)],
            [(call, name) for each in fields for call, _, name in [each.decode().rpartition(_BETWEEN)]],
        )
        return AllCounts(usages, int(dropped.get(b"number", 0)), float(dropped[b"last"]) if dropped else None)

    def close(self) -> None:
        self._client.close()


def _by_time(found: Mapping[bytes, bytes]) -> Iterator[tuple[str, int, int]]:
    for key, number in found.items():
        call, _, when = key.decode().rpartition(_BETWEEN)
        yield call, int(when), int(number)
