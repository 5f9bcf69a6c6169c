"""The pytest plugin in a suite of a user's own, run by a pytest of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from compat.testing import pytest_plugin

pytest_plugins = ["pytester"]

_CONFIGURATION = """
[pytest]
addopts = -p compat.testing.pytest_plugin
filterwarnings =
    error
    ignore::compat.LegacyApiWarning
"""

_SUITE = """
import dataclasses
import socket

import pytest
import requests

import compat


def listed(sandbox, **parameters):
    url = f"{sandbox.base_url}/api/v3/exams/{sandbox.dataset.exams[0].id}/index_students"
    path = {"id": str(sandbox.dataset.exams[0].id)}
    return requests.get(url, params=sandbox.signed(parameters, path), headers=sandbox.headers, timeout=30)


@pytest.mark.parametrize("number", range(4))
def test_each_has_a_sandbox_of_its_own(exam_compat_sandbox, number):
    assert exam_compat_sandbox.calls == []
    assert listed(exam_compat_sandbox).status_code == 200
    assert len(exam_compat_sandbox.calls) == 1


@pytest.mark.exam_compat(students=7, exams=1, upstream="paginated_sessions", fan_out=True)
def test_it_is_made_as_the_marker_says(exam_compat_config):
    upstream = compat.load_config(exam_compat_config).upstream
    assert type(upstream).__name__ == "PaginatedSessions"
    assert "{user_id}" in exam_compat_config.read_text()


@pytest.mark.exam_compat(students=7, exams=1)
def test_old_calls_are_answered_by_the_shim(exam_compat_installed):
    answer = listed(exam_compat_installed)
    assert answer.headers["X-Compat-Answered-By"] == "new"
    assert len(answer.json()["students"]) == 7


def test_nothing_is_left_installed(exam_compat_sandbox):
    assert "X-Compat-Answered-By" not in listed(exam_compat_sandbox).headers


@pytest.mark.exam_compat(students=7, exams=1)
def test_a_recording_is_made_and_replayed(exam_compat_sandbox, exam_compat_recorder, exam_compat_replayer):
    for page in ("1", "2"):
        assert listed(exam_compat_sandbox, limit="4", page=page).headers["X-Compat-Answered-By"] == "legacy"
    result = exam_compat_replayer(exam_compat_recorder.finish())
    assert (result.all.calls, result.all.unexplained) == (2, 0)
    assert "X-Compat-Answered-By" not in listed(exam_compat_sandbox).headers


def both(sandbox, recorder):
    assert listed(sandbox).headers["X-Compat-Answered-By"] == "legacy"
    recorder.finish()
    assert listed(sandbox).headers["X-Compat-Answered-By"] == "new"


@pytest.mark.exam_compat(students=7, exams=1)
def test_recorder_and_shim(exam_compat_recorder, exam_compat_installed):
    both(exam_compat_installed, exam_compat_recorder)


@pytest.mark.exam_compat(students=7, exams=1)
def test_shim_and_recorder(exam_compat_installed, exam_compat_recorder):
    both(exam_compat_installed, exam_compat_recorder)


def test_neither_of_them_is_left(exam_compat_sandbox):
    assert "X-Compat-Answered-By" not in listed(exam_compat_sandbox).headers


@pytest.mark.exam_compat(students=60, exams=1)
def test_a_replay_fails_by_what_became_otherwise(exam_compat_sandbox, exam_compat_recorder, exam_compat_replayer):
    def worse(request, answer):
        return dataclasses.replace(answer, body=answer.body.replace(b'"exam_finished"', b'"exam_started"'))

    exam_compat_sandbox.intercept = worse
    listed(exam_compat_sandbox)
    with pytest.raises(AssertionError, match='No: 1 field is wrong in 1 of 1 call') as caught:
        exam_compat_replayer(exam_compat_recorder.finish())
    assert 'status: "exam_finished" became "exam_started"' in str(caught.value)


def test_other_machines(request):
    # An address for documentation, which no network has (RFC 5737).
    with socket.socket() as asked:
        asked.settimeout(0.01)
        asked.connect(("192.0.2.1", 9))


@pytest.mark.exam_compat_network
def test_other_machines_where_that_is_wanted():
    with socket.socket() as asked:
        asked.settimeout(0.01)
        with pytest.raises(OSError):
            asked.connect(("192.0.2.1", 9))
"""


def test_in_a_suite_of_a_users_own(pytester: pytest.Pytester) -> None:
    pytester.makefile(".ini", pytest=_CONFIGURATION)
    pytester.makepyfile(_SUITE)
    found = pytester.runpytest_subprocess("-n", "2", "--exam-compat-offline", timeout=120)
    found.assert_outcomes(passed=13, failed=1)
    found.stdout.fnmatch_lines(['E*socket.connect() with host "192.0.2.1"*'])


def test_without_the_option_nothing_is_blocked(pytester: pytest.Pytester) -> None:
    pytester.makefile(".ini", pytest=_CONFIGURATION)
    pytester.makepyfile(_SUITE)
    found = pytester.runpytest_subprocess("-k", "other_machines", timeout=120)
    found.assert_outcomes(passed=1, failed=1)
    found.stdout.no_fnmatch_line("*pytest_socket*")


def test_blocking_needs_what_blocks(pytester: pytest.Pytester) -> None:
    pytester.makefile(".ini", pytest=_CONFIGURATION)
    pytester.makepyfile(_SUITE)
    found = pytester.runpytest_subprocess("-p", "no:socket", "--exam-compat-offline", timeout=120)
    found.stderr.fnmatch_lines(["*pip install 'exam-students-compat?testing?'*"])


def test_the_examples_of_the_page_run(pytester: pytest.Pytester) -> None:
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
    plugins, fixtures, declared = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    pytester.makeini("[pytest]\nfilterwarnings = error\n    ignore::compat.LegacyApiWarning\n")
    payloads = (
        "import pytest\n\nfrom compat.testing.sandbox import generate\n\n"
        "@pytest.fixture\ndef our_records():\n"
        "    return [{**entry.record, 'exam_id': 17, 'pin_code': '08'} for entry in generate(5, 1, 1).entries()\n"
        "            if entry.record['start_time'] and entry.record['end_time']]\n\n"
        "@pytest.fixture\ndef our_sessions():\n    return []\n"
    )
    pytester.makeconftest(plugins + payloads)
    pytester.makepyfile(test_export=fixtures, test_laws=declared)
    names = [f"test_export.py::{name}" for name in re.findall(r"^def (test_\w+)", fixtures, re.MULTILINE)]
    for order in (names, names[::-1]):
        pytester.runpytest_subprocess("test_laws.py", *order, timeout=120).assert_outcomes(passed=len(names) + 1)
    documented = set(re.findall(r"^\| `(exam_compat_\w+)` \|", page, re.MULTILINE))
    assert documented == {name for name in dir(pytest_plugin) if name.startswith("exam_compat_")}
    assert not [name for name in documented if f"({name}" not in fixtures and f", {name}" not in fixtures]
    for name in re.findall(r"`(exam_compat_\w+)`", page):
        assert name == "exam_compat_offline" or hasattr(pytest_plugin, name), name
