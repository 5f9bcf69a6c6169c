"""Ledger in Redis: a batch of counts is one script, which a cluster of replicas may send at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import redis

from compat.migration.inventory.counts import HOURS_KEPT, MOST_NAMES, OTHER, AllCounts, Batch, CallGroup, Usage
from compat.migration.ledger import Ledger, unreadable
from compat.stores.redis import PREFIX, connected

__all__ = ["RedisLedger"]

_SWITCHES = PREFIX + "switches"
_CALLS = PREFIX + "calls:"
_BETWEEN = "\x1f"
_WRITER_FOR = 24 * 60 * 60
_encode = msgspec.json.Encoder().encode

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
    """Switches and counts in hashes.

    Args:
        url: as redis-py takes it.

    Raises:
        ConfigurationError: the URL cannot be used.
    """

    def __init__(self, url: str) -> None:
        self._client: Any = connected(url)
        self._add = self._client.register_script(_ADD)

    def switches(self) -> Mapping[str, str]:
        with _reached():
            found = self._client.hgetall(_SWITCHES)
        return {name.decode(): value.decode() for name, value in found.items()}

    def set_switch(self, name: str, value: str | None) -> None:
        with _reached():
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
        with _reached():
            self._add(keys=[_CALLS], args=[_encode(content)])

    def counted(self) -> AllCounts:
        with _reached():
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
        by_day = _by_call(days)
        by_hour = _by_call({key: found for each in hours for key, found in each.items()})
        read: dict[str, list[str]] = {}
        for each in fields:
            call, _, name = each.decode().rpartition(_BETWEEN)
            read.setdefault(call, []).append(name)
        usages = [
            Usage(
                CallGroup.from_texts(*call.decode().split(_BETWEEN, 2)),
                int(found),
                float(first[call]),
                float(last[call]),
                by_day.get(call.decode(), {}),
                by_hour.get(call.decode(), {}),
                tuple(sorted(read.get(call.decode(), ()))),
            )
            for call, found in number.items()
        ]
        return AllCounts(tuple(usages), int(dropped.get(b"number", 0)), float(dropped[b"last"]) if dropped else None)

    def close(self) -> None:
        self._client.close()


@contextmanager
def _reached() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as error:
        raise unreadable(error) from None


def _by_call(found: dict[bytes, bytes]) -> dict[str, dict[int, int]]:
    by_call: dict[str, dict[int, int]] = {}
    for key, number in found.items():
        call, _, when = key.decode().rpartition(_BETWEEN)
        by_call.setdefault(call, {})[int(when)] = int(number)
    return by_call
