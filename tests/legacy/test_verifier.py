"""The verifier: who may call, checked in order, one answer for every refusal (contract 6)."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from support import OLD, mounted, signed_url, upstream_of

import compat
from compat.errors import NotAuthorized
from compat.legacy.parameters import gather
from compat.legacy.routes import INDEX_STUDENTS, LegacyCall
from compat.legacy.signature import base_string, sign
from compat.legacy.verifier import BAD_NAME
from compat.testing.sandbox import Sandbox

NOW = 1527500365.052
CALLER = compat.Caller("nightly", "t0ken", "s3cret")
OTHER = compat.Caller("other", "oth3r", "an0ther")
WHOLE = {"id": "17", "timestamp": "1527500365052", "nonce": "1527500365"}


class Spent:
    """Records what it is asked, and says what it was told to."""

    def __init__(self, answer: bool = True) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, str]] = []

    def __call__(self, caller: compat.Caller, nonce: str, signature: str) -> bool:
        self.asked.append((caller.name, nonce, signature))
        return self.answer


def call(authorization: str | None = "Token token=t0ken", key: str = "s3cret", **changes: str) -> LegacyCall:
    values = {name: text for name, text in {**WHOLE, **changes}.items() if text}
    values.setdefault("signature", sign(base_string({**values, "id": "17"}), key))
    query = "&".join(f"{name}={text}" for name, text in values.items() if name != "id")
    return LegacyCall(INDEX_STUDENTS, "17", query.replace("?", "%3F"), authorization=authorization)


def verify(made: LegacyCall, spend: Any = None, now: float = NOW) -> compat.Caller:
    verifier = compat.Verifier([CALLER, OTHER], spend=spend, clock=lambda: now)
    return verifier.verify(made, gather(made))


def test_a_call_that_holds() -> None:
    spent = Spent()
    assert verify(call(), spent) == CALLER
    assert spent.asked == [("nightly", "1527500365", sign("id=17?nonce=1527500365?timestamp=1527500365052", "s3cret"))]
    for form in ('Token token="t0ken"', "token token=t0ken", "Token   token=t0ken "):
        assert verify(call(form)) == CALLER
    assert verify(call("Token token=oth3r", "an0ther")) == OTHER


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"authorization": None}, "unknown", "unknown token"),
    ({"authorization": "Bearer t0ken"}, "unknown", "unknown token"),
    ({"authorization": "Token token=T0ken"}, "unknown", "unknown token"),
    ({"authorization": 'Token token="t0ken'}, "unknown", "unknown token"),
    ({"authorization": "Token token=oth3r"}, "other", "wrong signature"),
    ({"key": "wrong"}, "nightly", "wrong signature"),
    ({"signature": "0" * 64}, "nightly", "wrong signature"),
    ({"signature": "%C3%BC"}, "nightly", "wrong signature"),
    ({"signature": "ü"}, "nightly", "the query is not UTF-8"),
    ({"timestamp": ""}, "nightly", "no timestamp"),
    ({"timestamp": "now"}, "nightly", "no timestamp"),
    ({"timestamp": "-1527500365052"}, "nightly", "no timestamp"),
    ({"timestamp": "9" * 5000}, "nightly", "no timestamp"),
    ({"timestamp": "1527500365"}, "nightly", "timestamp outside five minutes"),
    ({"nonce": ""}, "nightly", "no nonce"),
    ({"nonce": "abc"}, "nightly", "no nonce"),
    ({"other": "x?page=2"}, "nightly", "the signed text can be read as other parameters"),
    ({"a%3Db": "x", "signature": sign("a=b=x?" + base_string(WHOLE), "s3cret")}, "nightly", BAD_NAME),
    # Each check comes before the next one: what breaks two says the first.
    ({"authorization": None, "key": "wrong", "timestamp": "now"}, "unknown", "unknown token"),
    ({"key": "wrong", "timestamp": "now"}, "nightly", "wrong signature"),
    ({"timestamp": "now", "other": "x?page=2"}, "nightly", "no timestamp"),
]


@pytest.mark.parametrize(("made", "who", "reason"), REFUSED)
def test_what_is_refused(caplog: pytest.LogCaptureFixture, made: dict[str, Any], who: str, reason: str) -> None:
    spent = Spent()
    with pytest.raises(NotAuthorized) as raised:
        verify(call(**made), spent)
    assert str(raised.value) == "You are not authorized to access this page."
    assert spent.asked == []
    (record,) = [each for each in caplog.records if each.name == "compat.signature"]
    assert record.levelno == logging.WARNING
    assert record.getMessage() == f"refused a call of index_students by {who}: {reason}"
    for secret in ("t0ken", "s3cret", "oth3r", "an0ther", sign(base_string(WHOLE), "s3cret")):
        assert secret not in caplog.text


def test_a_used_nonce(caplog: pytest.LogCaptureFixture) -> None:
    spent = Spent(answer=False)
    with pytest.raises(NotAuthorized):
        verify(call(), spent)
    assert len(spent.asked) == 1
    assert caplog.messages == ["refused a call of index_students by nightly: nonce or signature used before"]


@pytest.mark.parametrize("way", [1, -1])
def test_the_clocks_window(way: int) -> None:
    assert verify(call(), now=NOW + way * 299.999) == CALLER
    with pytest.raises(NotAuthorized):
        verify(call(), now=NOW + way * 300.002)


@pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")
def test_through_the_adapter(sandbox: Sandbox) -> None:
    spent = Spent()
    caller = compat.Caller("script", sandbox.api_token, sandbox.secret_key)
    session = mounted(upstream_of(sandbox, "student_sessions"), verifier=compat.Verifier([caller], spend=spent))
    good = signed_url(sandbox, OLD, "index_students", limit="5", filter='{"name":{"ne":"Who?"}}')
    in_path = sandbox.signed({"limit": "5"}, in_path={"id": "17"})
    answers = [
        session.get(good, headers=sandbox.headers),
        session.get(f"{OLD}/api/v3/exams/17/index_students", params=in_path, headers=sandbox.headers),
        session.get(
            f"{OLD}/api/v3/exams/17/index_students/", json=sandbox.signed({}, {"id": "17"}), headers=sandbox.headers
        ),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len(spent.asked) == 3
    # Parameters come after the nonce, which is spent by then; the old endpoint signs what it sees.
    late = session.get(signed_url(sandbox, OLD, "index_students", page="0"), headers=sandbox.headers)
    assert (late.status_code, len(spent.asked)) == (422, 4)
    spent.answer = False
    sandbox.clear_calls()
    for headers in ({}, sandbox.headers):
        refused = session.get(good, headers=headers)
        assert (refused.status_code, refused.text) == (
            403,
            '{"error":"You are not authorized to access this page.","errors":{}}',
        )
    assert sandbox.calls == []
