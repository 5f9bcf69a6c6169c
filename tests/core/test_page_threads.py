"""The threads that fetch the pages of a walk."""

from __future__ import annotations

import threading

import pytest

from compat.core.reading import PageThreads

WAIT = 30.0


def test_so_many_at_once_and_each_has_its_own_result() -> None:
    both, begun = threading.Barrier(3), []
    with PageThreads[int](2) as threads:
        held = [threads.submit(both.wait, WAIT) for _ in range(2)]
        later = [threads.submit(lambda number=number: begun.append(number) or number) for number in range(5)]
        assert begun == []
        both.wait(WAIT)
        assert [each.result(WAIT) for each in later] == [0, 1, 2, 3, 4]
        assert sorted(each.result(WAIT) for each in held) == [0, 1]


def test_a_failure_is_raised_where_the_result_is_asked_for() -> None:
    with PageThreads[float](1) as threads:
        failed, fine = threads.submit(lambda: 1 / 0), threads.submit(lambda: 1.0)
        with pytest.raises(ZeroDivisionError):
            failed.result(WAIT)
        assert fine.result(WAIT) == 1.0


def test_what_waits_is_left_and_no_thread_stays() -> None:
    before = set(threading.enumerate())
    begun, held = threading.Event(), threading.Event()
    with PageThreads[bool](1) as threads:
        running = threads.submit(lambda: begun.set() or held.wait(WAIT))
        assert begun.wait(WAIT)
        waiting = threads.submit(lambda: True)
    assert waiting.cancelled()
    held.set()
    assert running.result(WAIT)
    for thread in set(threading.enumerate()) - before:
        thread.join(WAIT)
        assert not thread.is_alive()
