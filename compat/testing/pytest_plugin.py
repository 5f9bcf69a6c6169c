"""A pytest plugin: a sandbox, its configuration, the shim installed, recordings, and no other network on request.

Ask for it by ``pytest_plugins = ["compat.testing.pytest_plugin"]`` in the topmost ``conftest.py``, or by ``-p`` in
``addopts``: it does not load by itself, so that to have the shim installed changes nobody's runs. Every test has a
sandbox of its own on a free port, so that tests may run in parallel. Connections are blocked by pytest-socket, in the
test's own process alone.

Whoever overrides ``exam_compat_config`` has all the others over endpoints of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import compat
from compat.config.settings import Configuration
from compat.text.json import several

if TYPE_CHECKING:
    from compat.regression.evidence.result import CheckResult, Sample
    from compat.regression.evidence.verdict import Judgement
    from compat.testing.sandbox import Sandbox

_SETTINGS = "exam_compat"
_NETWORK = "exam_compat_network"
_OFFLINE = "exam_compat_offline"
_OWN = ("upstream", "fan_out")  # keywords of the marker that are the configuration's; all others are the sandbox's


def pytest_addoption(parser: pytest.Parser) -> None:
    words = "refuse connections to other machines, but for tests marked exam_compat_network"
    parser.getgroup("exam-compat").addoption("--exam-compat-offline", action="store_true", help=words)
    parser.addini(_OFFLINE, words, type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        f"{_SETTINGS}(upstream='student_sessions', fan_out=False, **sandbox): what the fixtures of "
        "exam-students-compat are made with; every other keyword is one of compat.testing.Sandbox",
    )
    config.addinivalue_line("markers", f"{_NETWORK}: the test may connect to other machines")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let tests connect to this machine alone, where that was asked for.

    Raises:
        pytest.UsageError: pytest-socket, which does it, is not there.
    """
    if not (config.getoption("--exam-compat-offline") or config.getini(_OFFLINE)):
        return
    if not config.pluginmanager.hasplugin("socket"):
        raise pytest.UsageError(
            "blocking the network needs pytest-socket; get it with: pip install 'exam-students-compat[testing]'"
        )
    for item in items:
        if item.get_closest_marker(_NETWORK) is None:
            # In front of what the test says itself, which counts.
            item.add_marker(pytest.mark.allow_hosts(["127.0.0.1", "::1", "localhost"]), append=False)


def _given(request: pytest.FixtureRequest) -> dict[str, Any]:
    marker = request.node.get_closest_marker(_SETTINGS)
    return dict(marker.kwargs) if marker is not None else {}


@pytest.fixture
def exam_compat_sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """A running sandbox of the test's own; the marker ``exam_compat`` says with which data, faults and latency."""
    from compat.testing.sandbox import Sandbox

    settings = {name: value for name, value in _given(request).items() if name not in _OWN}
    with Sandbox(**settings) as running:
        yield running


@pytest.fixture
def exam_compat_config(exam_compat_sandbox: Sandbox, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An ``exam-compat.toml`` over the sandbox, in the test's temporary folder."""
    given = _given(request)
    path = tmp_path / "exam-compat.toml"
    text = exam_compat_sandbox.toml(given.get("upstream", "student_sessions"), given.get("fan_out", False))
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def exam_compat_installed(
    exam_compat_sandbox: Sandbox, exam_compat_config: Path, request: pytest.FixtureRequest
) -> Iterator[Sandbox]:
    """The sandbox, with every deprecated ``requests`` call of the process to it answered by the shim.

    Where a test records too, the recorder answers first, and the shim from the recorder's ``finish()`` on: in
    whichever order the test names both.
    """
    install = partial(compat.install, upstream=compat.load_config(exam_compat_config))
    records = "exam_compat_recorder" in request.fixturenames
    recorder: CallRecorder | None = request.getfixturevalue("exam_compat_recorder") if records else None
    if recorder is None:
        install()
    else:
        recorder.afterwards = install
    try:
        yield exam_compat_sandbox
    finally:
        if recorder is not None:
            recorder.afterwards = None
        compat.uninstall()


@pytest.fixture
def exam_compat_recorder(exam_compat_config: Path, tmp_path: Path) -> Iterator[CallRecorder]:
    """Records the test's deprecated ``requests`` calls, answered by the old endpoint, and what the new one says.

    ``finish()`` gives the recording's folder; at the end of the test it ends by itself.
    """
    recorder = CallRecorder(compat.load_config(exam_compat_config), tmp_path / "recording")
    try:
        yield recorder
    finally:
        recorder.finish()


@pytest.fixture
def exam_compat_replayer(exam_compat_config: Path) -> Callable[..., CheckResult]:
    """Checks recordings against the new endpoint, ``replay(*recordings, known=None)``.

    A difference that nothing explains fails the test. The key of the recordings is the configuration's, or that of
    ``EXAM_COMPAT_RECORDING_KEY``.
    """
    return partial(replay, compat.load_config(exam_compat_config))


_SETTLING = 60.0


class CallRecorder:
    """Records the deprecated ``requests`` calls of a process with the answers of both endpoints.

    The old endpoint answers, as in the mode ``shadow``, and the new one is asked behind it.

    Attributes:
        folder: where the recording is written.
        afterwards: is called when the recording has ended, where there is something to go on with.

    Raises:
        ConfigurationError: nothing says where the old endpoint is.
    """

    def __init__(self, configuration: Configuration, folder: Path) -> None:
        self.folder = folder
        self.afterwards: Callable[[], object] | None = None
        regression = {**configuration.regression, "record": str(folder)}
        self._adapter = compat.install(upstream=replace(configuration, mode="shadow", regression=regression))
        self._ended = False

    def finish(self) -> Path:
        """Wait until all is compared, end the recording, and give its folder.

        Raises:
            AssertionError: a call was lost.
        """
        if not self._ended:
            self._ended = True
            compat.uninstall()
            router = self._adapter.router
            settled = router.background.settle(_SETTLING)
            router.close(_SETTLING)
            if self.afterwards is not None:
                self.afterwards()
            if not settled or router.dropped:
                lost = router.dropped or "some"
                raise AssertionError(f"{lost} calls were not recorded: they took too long to compare")
        return self.folder


def replay(configuration: Configuration, *recordings: str | Path, known: Path | None = None) -> CheckResult:
    """Check recordings against the new endpoint of a configuration.

    Args:
        configuration: the endpoints, and in its ``[regression]`` table the key of the recordings.
        recordings: files, and folders of files.
        known: a file of known differences.

    Raises:
        AssertionError: there is a difference that nothing explains, or nothing was compared.
        RecordingError: a recording cannot be read.
    """
    from compat.regression.check import RecordingCheck, check_recordings
    from compat.regression.comparing.known import KnownDifferences, load_known
    from compat.regression.evidence.headline import headline
    from compat.regression.evidence.verdict import judge
    from compat.regression.recordings.call_lists import NewEndpoint
    from compat.regression.recordings.pseudonyms import key_of
    from compat.regression.replay import Endpoints

    check = RecordingCheck(
        known=load_known(known) if known is not None else KnownDifferences(),
        endpoints=Endpoints(key_of(configuration), NewEndpoint(configuration)),
        upstream=configuration.upstream.kind,
    )
    result = check_recordings(recordings, check)
    judged = judge(result)
    too_few = judged.all.not_comparable > judged.thresholds.max_not_comparable * (judged.all.calls or 1)
    if result.all.unexplained or not result.all.calls or too_few:
        raise AssertionError("\n".join([headline(judged), *_reasons(judged, result.samples[:3])]))
    return result


def _reasons(judged: Judgement, samples: Iterable[Sample]) -> Iterator[str]:
    for why, calls in judged.not_comparable.items():
        yield f"nothing could be compared in {several(calls, 'call')}: {why}"
    yield from judged.notes
    for sample in samples:
        asked = " ".join(f"{name}={text}" for name, text in sample.parameters.items())
        for each in sample.differences:
            place = f"{sample.route} of exam {sample.exam} {asked}: {each.kind}, record {each.record}, {each.field}"
            yield f"{place}: {each.old or 'nothing'} became {each.new or 'nothing'}"
