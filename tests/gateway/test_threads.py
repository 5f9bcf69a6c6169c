"""Threads that run functions for the event loop."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import pytest

from compat.gateway.threads import Threads


async def _closed(threads: Threads) -> None:
    await asyncio.wait_for(threads.close(), 10)


def test_what_a_function_returns_or_raises_comes_back() -> None:
    async def scenario() -> None:
        threads = Threads(2)
        assert await threads.run(threading.current_thread) is not threading.main_thread()
        with pytest.raises(KeyError):
            await threads.run(lambda: {}["a"])
        assert await threads.run(lambda: 5) == 5
        await _closed(threads)

    asyncio.run(scenario())


def test_as_many_run_at_once_as_there_may_be_and_no_more() -> None:
    async def scenario() -> None:
        threads, together, late = Threads(3), threading.Barrier(4), threading.Event()
        running = [threads.run(lambda: together.wait(10)) for _ in range(3)]
        waiting = threads.run(late.set)
        assert not late.wait(0.05)
        together.wait(10)
        await asyncio.gather(*running, waiting)
        assert late.is_set()
        await _closed(threads)

    asyncio.run(scenario())


def test_threads_are_started_when_none_is_free_and_end_when_closed() -> None:
    async def scenario() -> None:
        before = threading.active_count()
        threads = Threads(8)
        for _ in range(20):
            await threads.run(lambda: None)
        assert threading.active_count() == before + 1
        release = threading.Event()
        running = [threads.run(lambda: release.wait(10)) for _ in range(4)]
        assert threading.active_count() == before + 4
        release.set()
        await _closed(threads)
        # What was running was waited for, and none of its answers is lost.
        assert await asyncio.gather(*running) == [True] * 4

    asyncio.run(scenario())


def test_a_result_that_nobody_waits_for_any_more_is_let_go() -> None:
    async def scenario() -> None:
        class Large:
            pass

        threads, release, made = Threads(1), threading.Event(), []

        def make() -> Large:
            release.wait(10)
            large = Large()
            made.append(weakref.ref(large))
            return large

        given_up = threads.run(make)
        given_up.cancel()
        release.set()
        assert await threads.run(lambda: 1) == 1
        gc.collect()
        assert made[0]() is None
        await _closed(threads)

    asyncio.run(scenario())
