"""What the gateway answers by itself: limits, refusals, other paths, and the headers that speak of the deprecation."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import requests
from gateways import SECRET, TOKEN, Served, running_gateway, settings_for, written

import compat
from compat.gateway import make_application
from compat.gateway.limits import GatewaySettings
from compat.gateway.request import request_id
from compat.legacy.signature import base_string, sign, signed
from compat.stores import open_store
from compat.testing.sandbox import Sandbox

_REFUSED = b'{"error":"You are not authorized to access this page.","errors":{}}'
_HEADERS = {"Authorization": f"Token token={TOKEN}"}
_LIST = "/api/v3/exams/17/index_students"
_DATES = (
    "deprecated = 2024-01-15\nsunset = 2027-06-30\n\n[gateway]\nmax_url = 900\nmax_headers = 2000\nmax_body = 1000\n"
)


@pytest.fixture(scope="module", params=("student_sessions", "paginated_sessions"))
def narrow(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A gateway with low limits and with dates, before either upstream."""
    with Sandbox(students=12, exams=2) as sandbox:
        config = written(tmp_path_factory.mktemp("narrow"), settings_for(sandbox, request.param), dates=_DATES)
        with running_gateway(config) as base:
            yield Served(base, sandbox, config)


def _query(secret: str = SECRET, **parameters: str) -> str:
    return urlencode(signed(parameters, secret, {"id": "17"}))


def _get(base: str, target: str, **headers: str) -> requests.Response:
    return requests.get(base + target, headers={**_HEADERS, **headers}, timeout=30)


def _documented(answer: requests.Response) -> None:
    content = answer.json()
    assert set(content) == {"error", "errors"}
    assert content["error"]
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Compat-Answered-By"] == "new"
    assert answer.headers["X-Request-Id"]


def test_a_url_beyond_its_limit(narrow: Served) -> None:
    longest = "/a?" + "b" * (900 - 3)
    assert _get(narrow.base, longest).status_code == 404
    answer = _get(narrow.base, longest + "b")
    assert answer.status_code == 414
    _documented(answer)
    assert _get(narrow.base, f"{_LIST}?{_query(other='x' * 900)}").status_code == 414


def test_headers_beyond_their_limit(narrow: Served) -> None:
    assert _get(narrow.base, f"{_LIST}?{_query()}", **{"X-Long": "x" * 1500}).status_code == 200
    answer = _get(narrow.base, f"{_LIST}?{_query()}", **{"X-Long": "x" * 2000})
    assert answer.status_code == 431
    _documented(answer)
    assert _get(narrow.base, "/other", **{f"X-{number}": "x" * 90 for number in range(25)}).status_code == 431


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_beyond_its_limit(narrow: Served, announced: bool) -> None:
    for size, status in ((1000, 403), (1001, 413)):
        body = b"x" * size
        data: Any = body if announced else iter([body[:500], body[500:]])
        answer = requests.get(narrow.base + _LIST, data=data, headers=_HEADERS, timeout=30)
        assert answer.status_code == status
        _documented(answer)


def test_a_body_that_is_announced_too_long_is_not_waited_for(narrow: Served) -> None:
    connection = http.client.HTTPConnection(urlsplit(narrow.base).netloc, timeout=20)
    connection.putrequest("POST", "/api/v3/exams/17/add_student")
    connection.putheader("Content-Length", "1001")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_whatever_is_wrong_the_refusal_is_the_same(narrow: Served) -> None:
    now = time.time_ns() // 1_000_000
    good = signed({}, SECRET, {"id": "17"})

    def at(timestamp: object, nonce: object = 5) -> dict[str, str]:
        values = {"timestamp": str(timestamp), "nonce": str(nonce)}
        return {**values, "signature": sign(base_string({**values, "id": "17"}), SECRET)}

    spent = signed({}, SECRET, {"id": "17"})
    assert _get(narrow.base, f"{_LIST}?{urlencode(spent)}").status_code == 200
    again = {**spent, "timestamp": str(now + 1)}
    again["signature"] = sign(base_string({**again, "id": "17"}), SECRET)
    wrong = [
        ({}, _HEADERS),
        (good, {}),
        (good, {"Authorization": "Token token=nobody"}),
        (good, {"Authorization": f"Bearer {TOKEN}"}),
        ({**good, "signature": "0" * 64}, _HEADERS),
        ({**good, "signature": "é"}, _HEADERS),
        ({**good, "page": "2"}, _HEADERS),
        (signed({}, "another key", {"id": "17"}), _HEADERS),
        (signed({}, SECRET, {"id": "18"}), _HEADERS),
        (at(now - 301_000), _HEADERS),
        (at(now + 301_000), _HEADERS),
        (at("yesterday"), _HEADERS),
        (at(now, "x"), _HEADERS),
        (spent, _HEADERS),
        (again, _HEADERS),
        ({"nonce": "1527500365?page=2", **{k: v for k, v in good.items() if k != "nonce"}}, _HEADERS),
    ]
    found = [
        requests.get(f"{narrow.base}{_LIST}", params=parameters, headers=headers, timeout=30)
        for parameters, headers in wrong
    ]
    assert {(answer.status_code, answer.content) for answer in found} == {(403, _REFUSED)}
    own = {"date", "x-request-id"}
    assert len({str(sorted((n, v) for n, v in answer.headers.lower_items() if n not in own)) for answer in found}) == 1


def test_a_refusal_comes_before_a_422_and_the_nonce_is_spent_by_it(narrow: Served) -> None:
    query = _query(page="0")
    first, second = (_get(narrow.base, f"{_LIST}?{query}") for _ in range(2))
    assert (first.status_code, first.json()["errors"]) == (422, {"page": ["Must be at least 1."]})
    assert (second.status_code, second.content) == (403, _REFUSED)


def test_the_deprecation_on_deprecated_routes_alone(narrow: Served) -> None:
    upstream = compat.load_config(narrow.config).upstream
    new = "/api/v3/student_sessions"
    if isinstance(upstream, compat.PaginatedSessions):
        new = upstream.base_url + upstream.path
    for target in (f"{_LIST}?{_query()}", f"{_LIST}?{_query(page='0')}", _LIST):
        answer = _get(narrow.base, target)
        assert answer.headers["Deprecation"] == "@1705276800"
        assert answer.headers["Sunset"] == "Wed, 30 Jun 2027 00:00:00 GMT"
        assert f'<{new}>; rel="successor-version"' in answer.headers["Link"]
        assert '>; rel="deprecation"' in answer.headers["Link"]
    other = _get(narrow.base, "/api/v3/other")
    assert not {"Deprecation", "Sunset", "Link"} & set(other.headers)


def test_without_dates_there_are_no_dates(served: Served) -> None:
    answer = _get(served.base, _LIST)
    assert "Deprecation" not in answer.headers
    assert "Sunset" not in answer.headers


def test_other_paths_and_methods(narrow: Served) -> None:
    paginated = "paginated" in narrow.config.read_text(encoding="utf-8")
    other = _get(narrow.base, "/api/v3/exams/17/show_lti_student")
    assert other.status_code == 404
    method = requests.delete(narrow.base + _LIST, headers=_HEADERS, timeout=30)
    if not paginated:
        # The sandbox's own words, passed through.
        assert other.json() == {"error": "There is no such route.", "errors": {}}
        assert method.status_code == 404
        return
    assert "paginated sessions" in other.json()["error"]
    _documented(other)
    assert (method.status_code, method.headers["Allow"]) == (405, "GET, HEAD")
    _documented(method)


def test_request_ids(narrow: Served) -> None:
    given = _get(narrow.base, _LIST, **{"X-Request-Id": "from-the-caller/1"})
    assert given.headers["X-Request-Id"] == "from-the-caller/1"
    fresh = [_get(narrow.base, _LIST, **{"X-Request-Id": insane}) for insane in ("two words", "x" * 129)]
    assert len({answer.headers["X-Request-Id"] for answer in fresh} - {"two words", "x" * 129}) == 2
    assert request_id(b"a" * 128) == "a" * 128
    assert request_id(b"caf\xc3\xa9") != "café"


def test_calls_at_once(tmp_path: Path) -> None:
    with Sandbox(students=5, exams=1, latency=1.5) as sandbox:
        limits = {"max_calls_per_caller": 2}
        config = written(tmp_path, settings_for(sandbox, gateway=limits))
        with running_gateway(config) as base, ThreadPoolExecutor(8) as callers:
            queries = [_query() for _ in range(4)]
            answers = list(callers.map(lambda query: _get(base, f"{_LIST}?{query}"), queries))
            other = _get(base, f"{_LIST}?{_query('key of the LMS')}", Authorization="Token token=t2")
            assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429]
            assert other.status_code == 200
            throttled = next(answer for answer in answers if answer.status_code == 429)
            assert throttled.headers["Retry-After"] == "1"
            _documented(throttled)
            # What was refused for load has spent neither its nonce nor its signature; what was answered has.
            again = [_get(base, f"{_LIST}?{query}") for query in queries]
            expected = {429: 200, 200: 403}
            assert [each.status_code for each in again] == [expected[each.status_code] for each in answers]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"callers": []}, "knows nobody"),
        ({"callers": [("a", "t", {}), ("a", "u", {})]}, "two are called 'a'"),
        ({"callers": [("a", "t", {}), ("b", "t", {})]}, "'b' has the api_token"),
        ({"callers": [("a", "t", {"mode": "canary:25"})]}, "mode = 'canary:25' needs base_url in [legacy]"),
        ({"callers": [("a", "t", {"exams": {"17": "shadow"}})]}, "'a': exams: 17 = 'shadow' needs base_url"),
        ({"callers": [("a", "t", {"mode": "legacy"})]}, "needs base_url in [legacy]"),
        ({"gateway": {"tls_key": "key.pem"}}, "go together"),
        ({"gateway": {"max_urls": 3}}, "nearest known one is max_url"),
        ({"gateway": {"threads": 0}}, "at least 1"),
        ({"gateway": {"deprecation_page": "nowhere"}}, "deprecation_page"),
    ],
)
def test_a_configuration_that_cannot_be_served_is_refused_at_start(change: dict[str, Any], text: str) -> None:
    callers = [
        {"name": name, "api_token": token, "secret_key": "s", **more}
        for name, token, more in change.get("callers", [("a", "t", {})])
    ]
    content = {
        "upstream": {"kind": "student_sessions", "base_url": "http://h", "api_token": "a", "secret_key": "b"},
        "callers": callers,
        "gateway": change.get("gateway", {}),
    }
    from compat.config.file import read_config

    with pytest.raises(compat.ConfigurationError, match=text.replace("[", r"\[")) as refused:
        make_application(read_config(content), open_store("memory://"))
    assert "key.pem" not in str(refused.value)


@pytest.mark.parametrize(("threads", "most"), [(None, 15), (1, 1), (2, 1), (3, 1), (4, 1), (5, 2), (64, 31)])
def test_one_caller_leaves_more_than_half_of_the_threads(threads: int | None, most: int) -> None:
    settings = GatewaySettings() if threads is None else GatewaySettings(threads=threads)
    assert settings.calls_per_caller == most
    assert most == 1 or most < settings.threads / 2
    assert GatewaySettings(max_calls_per_caller=40).calls_per_caller == 40
