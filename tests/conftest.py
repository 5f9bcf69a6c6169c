"""Fixtures that several test files share, and how hard laws are tried.

``HYPOTHESIS_PROFILE=soak`` tries them fifty times as hard.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import requests
from hypothesis import HealthCheck, settings
from support import mounted, upstream_of

from compat.drift import DRIFT
from compat.mapping.fast.scanner import NO_EXTENSIONS, extension
from compat.testing.sandbox import Sandbox

# A machine that is busy is slow, which says nothing about the code.
_SLOW_BUT_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
settings.register_profile("suite", deadline=None, suppress_health_check=_SLOW_BUT_FINE)
settings.register_profile("soak", settings.get_profile("suite"), max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


def pytest_xdist_auto_num_workers() -> int:
    """How many processes ``-n auto`` starts: one more than there are cores, since tests wait half of their time."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A small sandbox of one test's own, with more than one page to read."""
    with Sandbox(students=60, exams=3, clamp=25) as running:
        yield running


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    """One that the tests of a file share, since they only read it."""
    with Sandbox(students=60, exams=3, clamp=25) as running:
        yield running


@pytest.fixture
def session(shared: Sandbox) -> requests.Session:
    """A script's session whose old calls it answers."""
    return mounted(upstream_of(shared, "student_sessions"))


@pytest.fixture(scope="module", params=["the extension", "no extension"])
def reader(request: pytest.FixtureRequest) -> Iterator[None]:
    """Both ways of reading pages, one after the other."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(NO_EXTENSIONS, raising=False)
        if request.param == "no extension":
            patch.setenv(NO_EXTENSIONS, "1")
        elif extension() is None:
            pytest.skip("the extension in C is not built")
        yield


@pytest.fixture(autouse=True)
def _no_drift_from_before() -> None:
    DRIFT.forget()


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of the machine that the tests run on."""
    for name in ("CONFIG", "STORE", "MODE", "BASE_URL", "API_TOKEN", "SECRET_KEY"):
        monkeypatch.delenv(f"EXAM_COMPAT_{name}", raising=False)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
