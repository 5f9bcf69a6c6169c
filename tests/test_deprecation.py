"""One warning for each deprecated call, at the caller's own line, and one registry behind all of it."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import deprecation
import pytest
from support import OLD, mounted, upstream_of

import compat
from compat.config.file import read_config
from compat.deprecation import REGISTRY, due
from compat.legacy.routes import ROUTES
from compat.testing.sandbox import Sandbox

LIST = f"{OLD}/api/v3/exams/17/index_students"
METHODS = ("index_students", "show_student", "add_student", "delete_student")
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "index_students": (17,),
    "show_student": (17, 5),
    "add_student": (17, "A", "a@b"),
    "delete_student": (17, 5),
}


@pytest.fixture
def client(sandbox: Sandbox) -> compat.ExamStudentsClient:
    return compat.ExamStudentsClient(upstream_of(sandbox, "paginated_sessions"))


def quietly(function: Callable[..., Any], *arguments: Any) -> None:
    """Call, whatever comes of it: here the warning counts."""
    try:
        function(*arguments)
    except compat.LegacyError:
        return


def line_of(mark: str) -> int:
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(f"# {mark}"))


def check(found: list[warnings.WarningMessage], name: str, mark: str) -> None:
    (warning,) = found
    entry = REGISTRY[name]
    assert warning.category is compat.LegacyApiWarning
    assert (Path(warning.filename), warning.lineno) == (Path(__file__), line_of(mark))
    assert str(warning.message) == (
        f"{name} is deprecated as of 0.1.0 and will be removed in 2.0.0. Use {entry.instead} instead: see MIGRATION.md."
    )


def test_a_method_warns_at_the_callers_line(client: compat.ExamStudentsClient) -> None:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        client.index_students(17)  # direct
    check(found, "ExamStudentsClient.index_students", "direct")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_warns_once(client: compat.ExamStudentsClient, method: str) -> None:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        quietly(getattr(client, method), *ARGUMENTS[method])
    (warning,) = found
    assert warning.category is compat.LegacyApiWarning
    assert str(warning.message).startswith(f"ExamStudentsClient.{method} is deprecated as of 0.1.0")
    assert warning.filename == __file__


def test_one_warning_a_line_by_default(client: compat.ExamStudentsClient) -> None:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("default")
        for _ in range(3):
            client.index_students(17)
        client.index_students(17)
    assert len(found) == 2


def test_through_partial_and_decorators(client: compat.ExamStudentsClient) -> None:
    @functools.lru_cache(maxsize=1)
    def cached() -> Any:
        return client.index_students(17)  # cached

    part = functools.partial(client.index_students, 17)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        cached()
    check(found, "ExamStudentsClient.index_students", "cached")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        part()  # partial
    check(found, "ExamStudentsClient.index_students", "partial")


def test_in_a_thread(client: compat.ExamStudentsClient) -> None:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        with ThreadPoolExecutor(1) as pool:
            pool.submit(client.index_students, 17).result()
            pool.submit(lambda: client.index_students(17)).result()  # lambda
    bound, own = found
    # Nothing of the user's own runs there, and nobody asked for the lines that start threads.
    assert "A thread made this call" in str(bound.message)
    check([own], "ExamStudentsClient.index_students", "lambda")


def test_the_adapter_warns_at_the_line_that_asked(sandbox: Sandbox) -> None:
    session = mounted(upstream_of(sandbox, "student_sessions"))
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        session.get(LIST)  # adapter
    check(found, "GET exams/:id/index_students", "adapter")


def test_the_configured_day_of_removal_is_named(sandbox: Sandbox) -> None:
    settings = {**sandbox.settings("student_sessions"), "legacy": {"base_url": OLD, "sunset": date(2027, 6, 30)}}
    configuration = read_config(settings)
    session, client = mounted(configuration), compat.ExamStudentsClient(configuration)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        session.get(LIST)
        client.index_students(17)
    assert [str(each.message) for each in found] == [
        f"{name} is deprecated as of 0.1.0 and will be removed on 2027-06-30. "
        f"Use {REGISTRY[name].instead} instead: see MIGRATION.md."
        for name in ("GET exams/:id/index_students", "ExamStudentsClient.index_students")
    ]


def test_what_is_passed_on_does_not_warn(sandbox: Sandbox) -> None:
    session = mounted(upstream_of(sandbox, "student_sessions"), sandbox.base_url)
    assert session.get(f"{sandbox.base_url}/api/v3/exams/17/show_lti_student").status_code == 404


def test_an_error_filter_stops_the_call_before_it_is_sent(sandbox: Sandbox, client: compat.ExamStudentsClient) -> None:
    session = mounted(upstream_of(sandbox, "student_sessions"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for method in METHODS:
            with pytest.raises(compat.LegacyApiWarning):
                getattr(client, method)(*ARGUMENTS[method])
        with pytest.raises(compat.LegacyApiWarning):
            session.get(LIST)
        with pytest.raises(compat.LegacyApiWarning):
            session.post(f"{OLD}/api/v3/exams/17/add_student", data={"name": "A", "email": "a@b"})
    assert sandbox.calls == []


def test_the_kind_of_warning() -> None:
    assert issubclass(compat.LegacyApiWarning, deprecation.DeprecatedWarning)
    assert issubclass(compat.LegacyApiWarning, DeprecationWarning)


@pytest.mark.parametrize("method", METHODS)
def test_docstrings_and_type_checkers_are_told(method: str) -> None:
    function, entry = getattr(compat.ExamStudentsClient, method), REGISTRY[f"ExamStudentsClient.{method}"]
    assert function.__deprecated__ == entry.details
    assert ".. deprecated:: 0.1.0" in function.__doc__
    assert "This will be removed in 2.0.0." in function.__doc__
    assert entry.details in " ".join(function.__doc__.split())
    assert function.__name__ == method


def test_the_registry_is_what_there_is() -> None:
    public = {name for name in vars(compat.ExamStudentsClient) if not name.startswith("_")}
    assert public == {route.action for route in ROUTES} == set(METHODS)
    names = {f"ExamStudentsClient.{name}" for name in public}
    names |= {f"{route.methods[0]} exams/:id/{route.action}" for route in ROUTES}
    assert set(REGISTRY) == names
    for entry in REGISTRY.values():
        if entry.instead.startswith("StudentSessionsClient."):
            assert callable(getattr(compat.StudentSessionsClient, entry.instead.partition(".")[2]))


def test_nothing_is_overdue() -> None:
    assert due() == []
    assert due("1.99.9") == []
    assert due("2.0.0") == list(REGISTRY.values())
    assert due("10.0") == list(REGISTRY.values())
