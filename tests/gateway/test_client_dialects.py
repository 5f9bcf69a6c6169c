"""The six ways in which clients in use send their calls, each over HTTP, byte-equal to the adapter's records."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from urllib.parse import urlencode

import pytest
import requests
from gateways import SECRET, TOKEN, Served
from support import OLD, listed

import compat
from compat.legacy.signature import base_string, sign, signed

_HEADERS = {"Authorization": f"Token token={TOKEN}", "Accept": "application/vnd.procwise.v3"}


def _adapters(served: Served, **parameters: str) -> bytes:
    with requests.Session() as session, pytest.warns(compat.LegacyApiWarning):  # noqa: PT031 - one call
        compat.mount(session, OLD, compat.load_config(served.config))
        return listed(session, **parameters).content


def _url(served: Served, action: str = "index_students", tail: str = "") -> str:
    return f"{served.base}/api/v3/exams/17/{action}{tail}"


def _send(method: str, url: str, *, body: bytes | None = None, **headers: str) -> requests.Response:
    return requests.request(method, url, data=body, headers={**_HEADERS, **headers}, timeout=30)


def _all_signed(parameters: Mapping[str, str]) -> dict[str, str]:
    """Every parameter, the path id among them."""
    return {"id": "17", **signed(parameters, SECRET, {"id": "17"})}


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"limit": "7", "page": "2"},
        {"filter": '{"archived":{"eq":"True"},"name":{"ne":"a?b + c%20d"}}', "sort": '[{"id":"desc"}]'},
        {"remember": "True"},
    ],
)
def test_everything_in_the_query_and_signed_as_it_is(served: Served, parameters: dict[str, str]) -> None:
    answer = _send("GET", f"{_url(served)}?{urlencode(_all_signed(parameters))}")
    assert answer.status_code == 200
    assert answer.content == _adapters(served, **parameters)


def test_the_path_id_signed_but_not_sent_again(served: Served) -> None:
    answer = _send("GET", f"{_url(served)}?{urlencode(signed({'limit': '5'}, SECRET, {'id': '17'}))}")
    assert answer.content == _adapters(served, limit="5")


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8"])
def test_a_get_with_a_json_body(served: Served, kind: str) -> None:
    body = json.dumps(_all_signed({"sort": '[{"name":"asc"}]'})).encode()
    answer = _send("GET", _url(served), body=body, **{"Content-Type": kind})
    assert answer.content == _adapters(served, sort='[{"name":"asc"}]')


def test_a_get_with_a_form_body(served: Served) -> None:
    body = urlencode(_all_signed({"limit": "3"})).encode()
    answer = _send("GET", _url(served), body=body, **{"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.content == _adapters(served, limit="3")


def test_a_chunked_body(served: Served) -> None:
    body = json.dumps(_all_signed({"limit": "3"})).encode()
    answer = requests.get(
        _url(served),
        data=iter([body[:9], body[9:]]),
        headers={**_HEADERS, "Content-Type": "application/json"},
        timeout=30,
    )
    assert answer.content == _adapters(served, limit="3")


def test_writes_by_json_and_by_form(served: Served) -> None:
    student = {"name": "Ada Ñ. + %20", "email": "ada@example.org", "skip_requirements": "True"}
    form = urlencode(signed({**student, "email": "ada2@example.org"}, SECRET, {"id": "17"})).encode()
    added = _send("POST", _url(served, "add_student"), body=json.dumps(_all_signed(student)).encode(),
                  **{"Content-Type": "application/json"})  # fmt: skip
    also = _send("POST", _url(served, "add_student"), body=form,
                 **{"Content-Type": "application/x-www-form-urlencoded"})  # fmt: skip
    if "paginated" in served.config.read_text(encoding="utf-8"):
        assert (added.status_code, also.status_code) == (422, 422)
        assert added.json()["error"]
        return
    assert (added.status_code, also.status_code) == (201, 201)
    assert added.json()["student"]["name"] == "Ada Ñ. + %20"
    number = str(added.json()["student"]["id"])
    shown = _send("GET", f"{_url(served, 'show_student')}?{urlencode(_all_signed({'student_session_id': number}))}")
    assert shown.json() == added.json()
    body = json.dumps(_all_signed({"student_session_id": number})).encode()
    gone = _send("DELETE", _url(served, "delete_student"), body=body, **{"Content-Type": "application/json"})
    assert (gone.status_code, gone.content) == (200, b"{}")
    other = urlencode(signed({"student_session_id": str(also.json()["student"]["id"])}, SECRET, {"id": "17"})).encode()
    gone = _send("DELETE", _url(served, "delete_student"), body=other,
                 **{"Content-Type": "application/x-www-form-urlencoded"})  # fmt: skip
    assert (gone.status_code, gone.content) == (200, b"{}")


def _by_the_second(token: str, secret: str, second: int, **parameters: str) -> str:
    values = {**parameters, "nonce": str(second), "timestamp": str(time.time_ns() // 1_000_000)}
    values["signature"] = sign(base_string({**values, "id": "17"}), secret)
    return urlencode(values)


def test_nonces_of_seconds(served: Served) -> None:
    """Two calls in one second share a nonce: only a caller that was told to may do so, and never with one signature."""
    second = int(time.time())
    queries = [_by_the_second("t2", "key of the LMS", second, limit=limit) for limit in ("2", "3")]
    headers = {**_HEADERS, "Authorization": "Token token=t2"}
    answers = [requests.get(f"{_url(served)}?{query}", headers=headers, timeout=30) for query in (*queries, queries[0])]
    assert [answer.status_code for answer in answers] == [200, 200, 403]
    strict = [_by_the_second(TOKEN, SECRET, second + 10**9, limit=limit) for limit in ("2", "3")]
    assert [_send("GET", f"{_url(served)}?{query}").status_code for query in strict] == [200, 403]


def test_a_trailing_slash(served: Served) -> None:
    answer = _send("GET", f"{_url(served, tail='/')}?{urlencode(_all_signed({}))}")
    assert answer.content == _adapters(served)


def test_head_is_get_without_the_body(served: Served) -> None:
    got = _send("GET", f"{_url(served)}?{urlencode(_all_signed({'limit': '4'}))}")
    head = _send("HEAD", f"{_url(served)}?{urlencode(_all_signed({'limit': '4'}))}")
    assert (head.status_code, head.content) == (200, b"")
    differing = {"date", "x-request-id"}
    assert {n: v for n, v in head.headers.lower_items() if n not in differing} == {
        n: v for n, v in got.headers.lower_items() if n not in differing
    }
