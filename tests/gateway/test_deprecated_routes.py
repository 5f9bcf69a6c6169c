"""Calls of the deprecated routes, over HTTP, against a gateway process and a sandbox."""

from __future__ import annotations

import pytest
import requests
from gateways import Served
from support import OLD, listed

import compat
from compat.legacy.signature import signed


def _listed(served: Served, headers: dict[str, str], secret: str, **parameters: str) -> requests.Response:
    query = signed(parameters, secret, {"id": "17"})
    return requests.get(f"{served.base}/api/v3/exams/17/index_students", params=query, headers=headers, timeout=30)


def test_a_list_is_the_adapters_to_the_byte(served: Served, headers: dict[str, str], secret: str) -> None:
    with requests.Session() as session:
        compat.mount(session, OLD, compat.load_config(served.config))
        with pytest.warns(compat.LegacyApiWarning):
            expected = listed(session, sort='[{"id":"desc"}]')
    answer = _listed(served, headers, secret, sort='[{"id":"desc"}]')
    assert answer.status_code == 200
    assert answer.content == expected.content
    assert answer.headers["X-Compat-Answered-By"] == "new"
    for name in ("Item-Count", "Page-Count", "Page", "Limit"):
        assert answer.headers[f"X-Pagination-{name}"] == expected.headers[f"X-Pagination-{name}"]


def test_a_call_is_accepted_once(served: Served, headers: dict[str, str], secret: str) -> None:
    query = signed({}, secret, {"id": "17"})
    url = f"{served.base}/api/v3/exams/17/index_students"
    first, second = (requests.get(url, params=query, headers=headers, timeout=30) for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 403)
    assert second.json() == {"error": "You are not authorized to access this page.", "errors": {}}
