"""What else wraps ``requests`` in the same process keeps working, whichever came first and whichever goes first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from support import upstream_of

import compat
from compat.testing.sandbox import Sandbox

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")

ORIGINAL = (requests.Session.get_adapter, requests.Session.send)
Act = Callable[[], Any]


class Stack:
    """A sandbox that is the old endpoint too, and the shim over it."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.list_url = f"{sandbox.base_url}/api/v3/exams/17/index_students"

    def install(self) -> None:
        compat.install(self.sandbox.base_url, upstream_of(self.sandbox, "student_sessions"))

    def ask(self) -> requests.Response:
        return requests.get(self.list_url, timeout=20)

    def answered_by(self) -> str | None:
        return self.ask().headers.get("X-Compat-Answered-By")


@pytest.fixture
def stack(shared: Sandbox) -> Iterator[Stack]:
    yield Stack(shared)
    compat.uninstall()
    left = (requests.Session.get_adapter, requests.Session.send)
    requests.Session.get_adapter, requests.Session.send = ORIGINAL  # type: ignore[method-assign]
    assert left == ORIGINAL


@pytest.fixture
def spans() -> Iterator[Any]:
    """OpenTelemetry's spans, once something instruments ``requests`` with the provider that is given beside them."""
    pytest.importorskip("opentelemetry.instrumentation.requests")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter, provider
    provider.shutdown()


@pytest.mark.parametrize("ours_first", [True, False])
@pytest.mark.parametrize("ours_goes_first", [True, False])
def test_opentelemetry(stack: Stack, spans: Any, ours_first: bool, ours_goes_first: bool) -> None:
    from opentelemetry.instrumentation.requests import RequestsInstrumentor

    exporter, provider = spans

    def theirs() -> None:
        RequestsInstrumentor().instrument(tracer_provider=provider)

    for come in (stack.install, theirs) if ours_first else (theirs, stack.install):
        come()
    assert stack.answered_by() == "new"
    (span,) = exporter.get_finished_spans()
    assert stack.list_url in span.attributes.values()
    exporter.clear()
    if ours_goes_first:
        compat.uninstall()
        assert stack.answered_by() is None
        assert len(exporter.get_finished_spans()) == 1
        RequestsInstrumentor().uninstrument()
    else:
        RequestsInstrumentor().uninstrument()
        assert stack.answered_by() == "new"
        assert exporter.get_finished_spans() == ()


def test_requests_mock(stack: Stack) -> None:
    requests_mock = pytest.importorskip("requests_mock")
    stack.install()
    with requests_mock.Mocker(real_http=True) as mocker:
        assert stack.answered_by() == "new"
        mocker.get(stack.list_url, json={"students": "mocked"})
        assert stack.ask().json() == {"students": "mocked"}
    assert stack.answered_by() == "new"


def test_requests_mock_that_was_there_before(stack: Stack) -> None:
    requests_mock = pytest.importorskip("requests_mock")
    with requests_mock.Mocker() as mocker:
        mocker.get(stack.list_url, json={"students": "mocked"})
        stack.install()
        assert stack.ask().json() == {"students": "mocked"}
    assert stack.answered_by() == "new"


@pytest.mark.parametrize("ours_first", [True, False])
def test_responses(stack: Stack, ours_first: bool) -> None:
    responses = pytest.importorskip("responses")
    if ours_first:
        stack.install()
    with responses.RequestsMock() as mocker:
        mocker.get(stack.list_url, json={"students": "mocked"})
        if not ours_first:
            stack.install()
        before = len(stack.sandbox.calls)
        assert stack.ask().json() == {"students": "mocked"}
        # What the test did not tell of is not asked of anybody.
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{stack.sandbox.base_url}/api/v3/exams/18/index_students", timeout=20)
        assert len(stack.sandbox.calls) == before
    assert stack.answered_by() == "new"


def test_vcrpy(stack: Stack, tmp_path: Path) -> None:
    vcr = pytest.importorskip("vcr")
    cassette = str(tmp_path / "old.yaml")
    with vcr.use_cassette(cassette):
        # Unsigned, so that the old endpoint refuses; it is the answer that was recorded.
        assert stack.ask().status_code == 403
    stack.install()
    with vcr.use_cassette(cassette, record_mode="none") as played:
        assert stack.ask().status_code == 403
        assert played.play_count == 1
    assert stack.answered_by() == "new"


@pytest.mark.parametrize("ours_first", [True, False])
def test_a_send_that_somebody_replaced(stack: Stack, monkeypatch: pytest.MonkeyPatch, ours_first: bool) -> None:
    seen: list[str | None] = []
    before = requests.Session.send

    def send(self: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        seen.append(request.url)
        return before(self, request, **options)

    if ours_first:
        stack.install()
    monkeypatch.setattr(requests.Session, "send", send)
    if not ours_first:
        stack.install()
    assert stack.answered_by() == "new"
    compat.uninstall()
    assert stack.answered_by() is None
    assert seen == [stack.list_url] * 2
    monkeypatch.undo()
