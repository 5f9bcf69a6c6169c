"""A deprecated call is told by the user's own line, whatever lies between that line and the call."""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from support import OLD, upstream_of

import compat
from compat import call_site as call_sites
from compat.call_site import CallSite, call_site, thread_origin
from compat.config.file import read_config
from compat.config.settings import Configuration
from compat.testing.sandbox import Sandbox

LIST = f"{OLD}/api/v3/exams/17/index_students"


def noting(sandbox: Sandbox) -> Configuration:
    return read_config({**sandbox.settings("student_sessions"), "migration": {"thread_origins": True}})


@pytest.fixture(autouse=True)
def _installed(shared: Sandbox) -> Iterator[None]:
    compat.install(OLD, noting(shared))
    yield
    compat.uninstall()
    assert wrapped() == [False, False]


def wrapped() -> list[bool]:
    return [hasattr(each, "__wrapped__") for each in (threading.Thread.start, ThreadPoolExecutor.submit)]


def line_of(mark: str, path: str = __file__) -> int:
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# {mark}"))


def warned_at(act: Callable[[], Any]) -> list[tuple[str, int]]:
    """The files and lines of the warnings that an act leads to."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        act()
    assert all(each.category is compat.LegacyApiWarning for each in found)
    return [(each.filename, each.lineno) for each in found]


def at(mark: str, times: int = 1) -> list[tuple[str, int]]:
    return [(__file__, line_of(mark))] * times


class OwnSession(requests.Session):
    def request(self, *arguments: Any, **options: Any) -> requests.Response:  # type: ignore[override]
        return super().request(*arguments, **options)  # session


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def inner(*arguments: Any) -> Any:
        return function(*arguments)  # decorator

    return inner


def test_plain_calls_and_those_of_functools() -> None:
    assert warned_at(lambda: requests.get(LIST, timeout=20)) == at("plain")  # plain
    assert warned_at(functools.lru_cache(lambda: requests.get(LIST, timeout=20))) == at("cached")  # cached
    part = functools.partial(requests.get, LIST)

    def call() -> None:
        part()  # partial

    assert warned_at(call) == at("partial")
    assert warned_at(functools.partial(OwnSession().get, LIST)) == at("session")
    assert warned_at(lambda: decorated(requests.get)(LIST)) == at("decorator")


def test_threads() -> None:
    def thread() -> None:
        started = threading.Thread(target=requests.get, args=(LIST,))
        started.start()  # start
        started.join()

    def timer() -> None:
        started = threading.Timer(0, requests.get, (LIST,))
        started.start()  # timer
        started.join()

    assert warned_at(thread) == at("start")
    assert warned_at(timer) == at("timer")


def test_pools_of_threads() -> None:
    def submit() -> None:
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(requests.get, LIST)  # first
            second = pool.submit(functools.partial(requests.get, LIST))  # second
            assert first.result().ok
            assert second.result().ok

    def mapped() -> None:
        with ThreadPoolExecutor(2) as pool:
            assert all(answer.ok for answer in pool.map(requests.get, [LIST] * 2))  # map

    def own() -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: requests.get(LIST, timeout=20)).result()  # lambda

    assert warned_at(submit) == at("first") + at("second")
    assert warned_at(mapped) == at("map", 2)
    assert warned_at(own) == at("lambda")


def test_asyncio() -> None:
    async def asked() -> None:
        await asyncio.to_thread(requests.get, LIST)  # to_thread
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, requests.get, LIST)  # executor

    assert warned_at(lambda: asyncio.run(asked())) == at("to_thread") + at("executor")


def test_threads_are_left_alone_unless_somebody_asks(shared: Sandbox) -> None:
    compat.uninstall()
    upstream = upstream_of(shared, "student_sessions")
    compat.install(OLD, upstream)
    compat.mount(requests.Session(), OLD, upstream)
    client = compat.ExamStudentsClient(upstream)
    assert wrapped() == [False, False]
    with ThreadPoolExecutor(1) as pool, warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        # The stack shows a line of one's own, as before; where it shows none, the warning says so.
        assert pool.submit(lambda: requests.get(LIST, timeout=20)).result().ok  # own
        assert pool.submit(requests.get, LIST).result().ok
        assert pool.submit(client.index_students, 17).result().students
    told = "A thread made this call; with thread_origins = true in [migration] the line that started it is named."
    assert [told in str(each.message) for each in found] == [False, True, True]
    assert [(found[0].filename, found[0].lineno)] == at("own")


def test_a_mounted_session_without_anything_installed(shared: Sandbox) -> None:
    compat.uninstall()
    session = requests.Session()
    compat.mount(session, OLD, noting(shared))

    def act() -> None:
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(session.get, LIST).result().ok  # mounted

    assert warned_at(act) == at("mounted")


def test_a_pool_passes_on_what_a_function_returns_and_raises() -> None:
    def fail(*, why: str) -> None:
        raise LookupError(why)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(int, "11", base=2).result() == 3
        with pytest.raises(LookupError, match="none") as raised:
            pool.submit(fail, why="none").result()
        with pytest.raises(TypeError):
            pool.submit(None).result()  # type: ignore[arg-type]
    assert not [entry for entry in raised.traceback if str(entry.path) == call_sites.__file__]


@pytest.mark.skipif(sys.version_info < (3, 14), reason="there are no pools of interpreters yet")
def test_a_pool_of_interpreters_is_given_what_it_was_given() -> None:
    """It pickles its work, for interpreters that cannot import this package."""
    from concurrent.futures import InterpreterPoolExecutor

    with InterpreterPoolExecutor(1) as pool:
        assert pool.submit(int, "11", base=2).result() == 3


def test_what_was_handed_over_keeps_no_frame() -> None:
    class Big:
        pass

    def start() -> tuple[threading.Thread, weakref.ref[Big]]:
        big = Big()
        thread = threading.Thread(target=str)
        thread.start()
        return thread, weakref.ref(big)

    thread, big = start()
    thread.join()
    assert big() is None


def test_packages_between_and_packages_alone(shared: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "lib" / "site-packages" / "wrapper_of_requests.py"
    library.parent.mkdir(parents=True)
    library.write_text(
        "import threading, requests\n"
        "def get(url):\n"
        "    return requests.get(url)\n"
        "def in_a_thread(url):\n"
        "    thread = threading.Thread(target=get, args=(url,))\n"
        "    thread.start()\n"
        "    return thread\n"
    )
    monkeypatch.syspath_prepend(str(library.parent))
    import wrapper_of_requests  # type: ignore[import-not-found]

    assert warned_at(lambda: wrapper_of_requests.get(LIST)) == at("wrapped")  # wrapped
    assert warned_at(lambda: wrapper_of_requests.in_a_thread(LIST).join()) == at("within")  # within
    # Nobody's own line leads there: an installed command, say.
    compat.uninstall()
    session = requests.Session()
    session.mount(OLD, compat.ExamStudentsAdapter(OLD, upstream_of(shared, "student_sessions")))
    monkeypatch.setattr(wrapper_of_requests, "requests", session)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        thread = threading.Thread(target=wrapper_of_requests.get, args=(LIST,))
        thread.start()
        thread.join()
    assert [(each.filename, each.lineno) for each in found] == [(str(library), 3)]


def test_code_that_has_no_file() -> None:
    space: dict[str, Any] = {"call_site": call_site, "__name__": "notebook"}
    exec(compile("\n\nfound = call_site()", "<cell 3>", "exec"), space)  # noqa: S102 - as a notebook does it
    assert space["found"] == CallSite("<cell 3>", 3, "notebook", "<module>")
    assert str(space["found"]) == "<cell 3>:3"


def test_code_made_at_run_time_is_not_remembered_for_ever() -> None:
    for number in range(call_sites._KNOWN_FILES + 10):
        call_sites._kind(f"<made {number}>")
    assert call_sites._kind.cache_info().currsize <= call_sites._KNOWN_FILES


def test_nothing_is_noted_where_nothing_is_installed() -> None:
    compat.uninstall()
    noted: list[Any] = []
    thread = threading.Thread(target=lambda: noted.append(thread_origin(sys._getframe())))
    thread.start()
    thread.join()
    assert noted == [None]


@pytest.mark.parametrize(
    "entrance", [compat.ExamStudentsClient, lambda given: compat.mount(requests.Session(), OLD, given)]
)
def test_a_client_and_a_mounted_session_ask_for_it_too(
    shared: Sandbox, entrance: Callable[[Configuration], Any]
) -> None:
    compat.uninstall()
    assert wrapped() == [False, False]
    entrance(noting(shared))
    assert wrapped() == [True, True]


def test_another_tool_that_wrapped_threads_meanwhile_keeps_working(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, started = threading.Thread.start, []

    @functools.wraps(ours)
    def start(self: threading.Thread) -> None:
        started.append(self)
        ours(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    compat.uninstall()
    thread = threading.Thread(target=str)
    thread.start()
    thread.join()
    assert started == [thread]
    assert thread_origin(None) is None
    monkeypatch.undo()
    # Theirs is gone, and ours with it.
    compat.install(OLD, compat.StudentSessions(OLD, api_token="a", secret_key="b"))
