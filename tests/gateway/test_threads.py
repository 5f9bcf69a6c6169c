"""Threads that run steps for the event loop."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from compat.core.walks import ASKS_UPSTREAM, Steps
from compat.gateway.threads import SPARE, Threads

WAIT = 20.0


async def _closed(threads: Threads) -> None:
    await asyncio.wait_for(threads.close(), WAIT)


def _at_once(function: Callable[[], Any]) -> Callable[[Callable[[], bool]], Steps[Any]]:
    """Steps that wait for nothing."""

    def begin(cancelled: Callable[[], bool]) -> Steps[Any]:
        yield from ()
        return function()

    return begin


def _asking(function: Callable[[], Any]) -> Callable[[Callable[[], bool]], Steps[Any]]:
    """Steps that ask an upstream."""

    def begin(cancelled: Callable[[], bool]) -> Steps[Any]:
        yield ASKS_UPSTREAM
        return function()

    return begin


def test_what_a_function_returns_or_raises_comes_back() -> None:
    async def scenario() -> None:
        threads = Threads(2)
        assert await threads.run(_at_once(threading.current_thread)) is not threading.main_thread()
        with pytest.raises(KeyError):
            await threads.run(_asking(lambda: {}["a"]))
        assert await threads.run(_asking(lambda: 5)) == 5
        await _closed(threads)

    asyncio.run(scenario())


def test_as_many_ask_an_upstream_at_once_as_may_and_the_rest_goes_on_meanwhile() -> None:
    async def scenario() -> None:
        threads, together, late = Threads(3), threading.Barrier(4), threading.Event()
        running = [threads.run(_asking(lambda: together.wait(WAIT))) for _ in range(3)]
        while threads._asking < 3:
            await asyncio.sleep(0.001)
        waiting = [threads.run(_asking(late.set)) for _ in range(50)]
        # However many wait, they hold no thread.
        assert await asyncio.gather(*(threads.run(_at_once(lambda: 1)) for _ in range(50))) == [1] * 50
        assert not late.is_set()
        together.wait(WAIT)
        await asyncio.gather(*running, *waiting)
        assert late.is_set()
        await _closed(threads)

    asyncio.run(scenario())


def test_who_waits_for_a_future_holds_neither_a_thread_nor_a_place() -> None:
    async def scenario() -> None:
        threads, shared = Threads(1), Future[int]()

        def begin(cancelled: Callable[[], bool]) -> Steps[int]:
            yield ASKS_UPSTREAM
            yield shared
            return shared.result() + 1

        waiting = [threads.run(begin) for _ in range(40)]
        assert await threads.run(_asking(lambda: 7)) == 7
        assert len(threads._started) <= 1 + SPARE
        shared.set_result(4)
        assert await asyncio.gather(*waiting) == [5] * 40
        await _closed(threads)

    asyncio.run(scenario())


def test_threads_are_started_when_none_is_free_and_end_when_closed() -> None:
    async def scenario() -> None:
        before = threading.active_count()
        threads = Threads(8)
        for _ in range(20):
            await threads.run(_asking(lambda: None))
        assert threading.active_count() == before + 1
        release = threading.Event()
        running = [threads.run(_asking(lambda: release.wait(WAIT))) for _ in range(4)]
        assert threading.active_count() == before + 4
        release.set()
        await _closed(threads)
        # What was running was waited for, and none of its answers is lost.
        assert await asyncio.gather(*running) == [True] * 4

    asyncio.run(scenario())


def test_what_waits_and_is_cancelled_is_never_begun_and_gives_its_place_to_others() -> None:
    async def scenario() -> None:
        threads, release, begun, ended = Threads(1), threading.Event(), list[int](), list[str]()

        def begin(cancelled: Callable[[], bool]) -> Steps[int]:
            try:
                yield ASKS_UPSTREAM
                begun.append(1)
                return 1
            finally:
                ended.append("closed")

        running = threads.run(_asking(lambda: release.wait(WAIT)))
        while not threads._asking:
            await asyncio.sleep(0.001)
        given_up = [threads.run(begin) for _ in range(3)]
        later = threads.run(_asking(lambda: 2))
        while len(threads._waiting) < 4:
            await asyncio.sleep(0.001)
        for each in given_up:
            each.cancel()
        while len(ended) < 3:
            await asyncio.sleep(0.001)
        assert not running.done()
        release.set()
        assert await later == 2
        assert (begun, await running) == ([], True)
        await _closed(threads)

    asyncio.run(scenario())


def test_what_waits_for_a_future_and_is_cancelled_is_closed_at_once() -> None:
    async def scenario() -> None:
        threads, never, begun, closed = Threads(1), Future[int](), threading.Event(), threading.Event()

        def begin(cancelled: Callable[[], bool]) -> Steps[int]:
            try:
                begun.set()
                yield never
                return 1
            finally:
                closed.set()

        given_up = threads.run(begin)
        while not begun.is_set():
            await asyncio.sleep(0.001)
        given_up.cancel()
        await _closed(threads)
        assert closed.is_set()
        never.set_result(1)

    asyncio.run(scenario())


@pytest.mark.parametrize("waits_for", ["a future", "a place"])
def test_what_is_cancelled_just_before_it_waits_does_not_wait(waits_for: str) -> None:
    async def scenario() -> None:
        threads, never, release, closed = Threads(1), Future[int](), threading.Event(), threading.Event()
        loop, given_up = asyncio.get_running_loop(), list[asyncio.Future[int]]()

        def give_up() -> None:
            given_up[0].cancel()

        def begin(cancelled: Callable[[], bool]) -> Steps[int]:
            try:
                loop.call_soon_threadsafe(give_up)
                while not cancelled():
                    threading.Event().wait(0.001)
                yield never if waits_for == "a future" else ASKS_UPSTREAM
                return 1
            finally:
                closed.set()

        running = threads.run(_asking(lambda: release.wait(WAIT)))
        while not threads._asking:
            await asyncio.sleep(0.001)
        given_up.append(threads.run(begin))
        assert await loop.run_in_executor(None, closed.wait, WAIT)
        release.set()
        assert await running
        await _closed(threads)

    asyncio.run(scenario())


def test_what_runs_is_told_and_its_result_is_handed_to_whoever_takes_unclaimed_ones() -> None:
    async def scenario() -> None:
        threads, begun, unclaimed = Threads(1), threading.Event(), list[str]()

        def begin(cancelled: Callable[[], bool]) -> Steps[str]:
            yield ASKS_UPSTREAM
            begun.set()
            while not cancelled():
                threading.Event().wait(0.001)
            return "late"

        given_up = threads.run(begin, unclaimed.append)
        while not begun.is_set():
            await asyncio.sleep(0.001)
        given_up.cancel()
        await _closed(threads)
        assert unclaimed == ["late"]

    asyncio.run(scenario())


def test_a_result_that_nobody_waits_for_any_more_is_let_go() -> None:
    async def scenario() -> None:
        class Large:
            pass

        threads, release, made = Threads(1), threading.Event(), []

        def make() -> Large:
            release.wait(WAIT)
            large = Large()
            made.append(weakref.ref(large))
            return large

        given_up = threads.run(_asking(make))
        while not threads._asking:
            await asyncio.sleep(0.001)
        given_up.cancel()
        release.set()
        assert await threads.run(_asking(lambda: 1)) == 1
        gc.collect()
        assert made[0]() is None
        await _closed(threads)

    asyncio.run(scenario())
