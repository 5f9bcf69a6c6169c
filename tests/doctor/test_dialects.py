"""Every way of signing that the doctor knows is told from every other one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import compat
from compat.doctor.calls import DIGESTS, Evidence, SeenRequest, evidence_of, legacy_call
from compat.doctor.diagnosis import diagnose
from compat.doctor.dialects import CHOICES, Deviation
from compat.doctor.search import draft_of, explain
from compat.legacy.parameters import gather

KEY = "c2VjcmV0IGtleSAx"
TOKEN = "t0ken"
CALLER = compat.Caller("nightly", TOKEN, KEY)
BASE = "https://acme.proctorexam.com"
HEADERS = {"authorization": f"Token token={TOKEN}"}
TIMES = {"timestamp": "1527500365052", "nonce": "7815002365000"}
FILTER = json.dumps({"name": {"in": ["Zoé / Núñez (a+b)", "Bo"]}, "attempt": {"gte": 1}}, ensure_ascii=False)


@dataclass(frozen=True)
class Form:
    """How a call is sent, once its signature is known."""

    send: Callable[[str], SeenRequest]

    def evidence(self, signature: str = "", key: str = KEY) -> Evidence:
        request = self.send(signature)
        found = legacy_call(request)
        assert found is not None
        return evidence_of(found[0], key, path=request.path, base_url=request.base_url, api_token=TOKEN)


def in_query(action: str, method: str = "GET", exam: str = "17", **parameters: str) -> Form:
    def send(signature: str) -> SeenRequest:
        query = urlencode({**parameters, **TIMES, "signature": signature}, quote_via=quote_plus)
        return SeenRequest(method, f"{BASE}/api/v3/exams/{exam}/{action}?{query}", HEADERS)

    return Form(send)


def in_form(action: str, method: str, **parameters: str) -> Form:
    def send(signature: str) -> SeenRequest:
        body = urlencode({**parameters, **TIMES, "signature": signature}, quote_via=quote).encode()
        headers = {**HEADERS, "content-type": "application/x-www-form-urlencoded"}
        return SeenRequest(method, f"{BASE}/api/v3/exams/17/{action}", headers, body)

    return Form(send)


def in_json(action: str, method: str, query: str = "", **parameters: Any) -> Form:
    def send(signature: str) -> SeenRequest:
        body = json.dumps({**parameters, **TIMES, "signature": signature}).encode()
        headers = {**HEADERS, "content-type": "application/json"}
        return SeenRequest(method, f"{BASE}/api/v3/exams/17/{action}{query}", headers, body)

    return Form(send)


def joined(action: str, **parameters: str) -> Form:
    """The values joined into the URL as they are."""

    def send(signature: str) -> SeenRequest:
        query = "&".join(f"{name}={value}" for name, value in {**parameters, **TIMES, "signature": signature}.items())
        return SeenRequest("GET", f"{BASE}/api/v3/exams/17/{action}?{query}", HEADERS)

    return Form(send)


FORMS = (
    joined("index_students", filter='{"name":{"eq":"A&B=C"}}', limit="30"),
    in_query("index_students", filter=FILTER, limit="30"),
    in_query("index_students", id="16", exam="18", limit="30", status="exam_started"),
    in_form("add_student", "POST", name="Zoé Núñez", email="zoe+1@example.org", skip_requirements="true"),
    in_form("add_student", "POST", name="50%25 Club (x)", email="a@example.org", is_individual_info_html="True"),
    in_json("add_student", "POST", "?b=1", name="Bo / Co €", email="b@example.org", skip_requirements=True),
    in_json("index_students", "GET", filter={"name": {"eq": "Bé"}}, sort=[{"name": "asc"}], status=None),
)


def signed_with(form: Form, deviations: tuple[Deviation, ...], key: str = KEY) -> str | None:
    """The signature in that dialect; None where the dialect has no bytes for the text."""
    draft = draft_of(form.evidence(key=key), deviations)
    text = draft.encoded()
    return None if text is None else DIGESTS[draft.digest](draft.key, text).hex()


ALL = [deviation for choice in CHOICES for deviation in choice.deviations]
TELLING_KEYS = {"key-stripped": f"{KEY} ", "key-from-hex": "0123456789abcdef"}


@pytest.mark.parametrize("deviation", ALL, ids=lambda each: each.name)
def test_each_deviation_is_told_as_just_that(deviation: Deviation) -> None:
    key = TELLING_KEYS.get(deviation.name, KEY)
    told = set()
    for form in FORMS:
        signature = signed_with(form, (deviation,), key)
        if signature in (None, signed_with(form, (), key)):
            continue
        found = explain(form.evidence(signature or "", key))
        assert found is not None
        assert len(found.deviations) == 1
        same = draft_of(form.evidence(key=key), found.deviations)
        meant = draft_of(form.evidence(key=key), (deviation,))
        # Where two ways sign the very same bytes of one call, nothing tells which of them it was.
        assert (same.encoded(), same.key, same.digest) == (meant.encoded(), meant.key, meant.digest)
        told.add(found.deviations[0].name)
    assert deviation.name in told


def test_every_name_is_its_own() -> None:
    assert len({each.name for each in ALL}) == len(ALL)
    for each in ALL:
        assert each.did.endswith(".")
        assert each.fix.endswith(".")


def sha(text: str, key: str = KEY) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


TAIL = "nonce=7815002365000?timestamp=1527500365052"
ADA_FILTER = '{"name":{"eq":"Ada B"}}'
ADA = in_query("index_students", filter=ADA_FILTER, page="1")
ADA_TEXT = 'filter={"name":{"eq":"Ada B"}}?id=17?' + TAIL.replace("?t", "?page=1?t")
CLIENTS: list[tuple[str, Form, str, list[str]]] = [
    ("documented", ADA, sha(ADA_TEXT), []),
    ("echo into openssl", ADA, sha(ADA_TEXT + "\n"), ["ends-with-newline"]),
    ("a key file with a line break", ADA, sha(ADA_TEXT, KEY + "\n"), ["key-with-newline"]),
    ("a query builder's text", ADA, sha(ADA_TEXT.replace("?", "&")), ["joined-by-ampersand"]),
    ("the path's id forgotten", ADA, sha(ADA_TEXT.replace("?id=17", "")), ["id-left-out"]),
    ("written for student sessions", ADA, sha("exam_id=17?" + ADA_TEXT.replace("?id=17", "")), ["id-as-exam-id"]),
    ("upper case", ADA, sha(ADA_TEXT).upper(), ["signature-in-upper-case"]),
    ("base64", ADA, base64.b64encode(bytes.fromhex(sha(ADA_TEXT))).decode(), ["signature-in-base64"]),
    ("base64 of hex", ADA, base64.b64encode(sha(ADA_TEXT).encode()).decode(), ["signature-base64-of-hex"]),
    ("a prefix", ADA, "sha256=" + sha(ADA_TEXT), ["signature-with-more-around"]),
    (
        "urlencode before signing",
        ADA,
        sha(ADA_TEXT.replace(ADA_FILTER, quote_plus(ADA_FILTER))),
        ["values-encoded-as-sent"],
    ),
    (
        "quote before signing",
        ADA,
        sha(ADA_TEXT.replace(ADA_FILTER, quote(ADA_FILTER))),
        ["values-percent-encoded"],
    ),
    (
        "Python's True, JSON's true",
        in_json("add_student", "POST", name="Ada", email="a@example.org", skip_requirements=True),
        sha(f"email=a@example.org?id=17?name=Ada?{TAIL.replace('?t', '?skip_requirements=True?t')}"),
        ["booleans-as-python"],
    ),
    (
        "the id of another exam, and no ?",
        in_query("index_students", id="16"),
        sha(f"id=16?{TAIL}".replace("?", "&")),
        ["id-stale", "joined-by-ampersand"],
    ),
    (
        "a body that is not signed, and echo",
        in_json("add_student", "POST", name="Ada", email="a@example.org"),
        sha("id=17\n"),
        ["body-left-out", "ends-with-newline"],
    ),
    ("another key", ADA, sha(ADA_TEXT, "other"), ["key-of-another-caller"]),
    (
        "another key, by &",
        ADA,
        sha(ADA_TEXT.replace("?", "&"), "other"),
        ["key-of-another-caller", "joined-by-ampersand"],
    ),
]


@pytest.mark.parametrize(("form", "signature", "names"), [row[1:] for row in CLIENTS], ids=[row[0] for row in CLIENTS])
def test_clients_that_were_written_by_hand(form: Form, signature: str, names: list[str]) -> None:
    diagnosis = diagnose(form.send(signature), CALLER, now=1527500365.0, other_keys={"other": "other"})
    assert [finding.name for finding in diagnosis.findings if finding.refuses] == names
    assert diagnosis.accepted is (names == [])
    assert diagnosis.explained


def test_nothing_explains_a_signature_by_an_unknown_key() -> None:
    for signature in (sha(ADA_TEXT, "unknown"), "0" * 64, "nonsense", "é", "0" * 40):
        diagnosis = diagnose(ADA.send(signature), CALLER, now=1527500365.0)
        assert not diagnosis.explained
        assert not diagnosis.accepted
        assert [finding.name for finding in diagnosis.findings] == ["signature-unexplained"]


@st.composite
def dialects(draw: st.DrawFn) -> tuple[Deviation, ...]:
    chosen = draw(st.sets(st.integers(0, len(CHOICES) - 1), max_size=2))
    return tuple(draw(st.sampled_from(CHOICES[number].deviations)) for number in sorted(chosen))


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)


@st.composite
def calls(draw: st.DrawFn) -> Form:
    parameters = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "name": TEXTS,
                "email": TEXTS,
                "filter": st.builds(lambda text: json.dumps({"name": {"eq": text}}), TEXTS),
                "skip_requirements": st.sampled_from(["true", "False", "1"]),
                "page": st.sampled_from(["1", "20"]),
                "unknown": st.just(""),
            },
        )
    )
    place = draw(st.sampled_from([in_query, in_form, in_json]))
    action, method = draw(st.sampled_from([("index_students", "GET"), ("add_student", "POST")]))
    return place(action, method, **parameters)


@settings(deadline=None)
@given(calls(), dialects())
def test_a_call_in_a_dialect_is_told_as_that_dialect(form: Form, deviations: tuple[Deviation, ...]) -> None:
    signature = signed_with(form, deviations)
    assume(signature is not None)
    found = explain(form.evidence(signature or ""), most=2)
    assert found is not None
    assert len(found.deviations) <= len(deviations)
    meant, said = draft_of(form.evidence(), deviations), draft_of(form.evidence(), found.deviations)
    assert (said.encoded(), said.key, said.digest) == (meant.encoded(), meant.key, meant.digest)


@settings(deadline=None)
@given(calls(), dialects(), st.integers(-20 * 60, 20 * 60))
def test_the_verifier_agrees(form: Form, deviations: tuple[Deviation, ...], skew: int) -> None:
    signature = signed_with(form, deviations)
    assume(signature is not None)
    request = form.send(signature or "")
    now = int(TIMES["timestamp"]) / 1000 - skew
    found = legacy_call(request)
    assert found is not None
    try:
        compat.Verifier([CALLER], clock=lambda: now).verify(found[0], gather(found[0]))
        accepted = True
    except compat.errors.NotAuthorized:
        accepted = False
    diagnosis = diagnose(request, CALLER, now=now, sent_at=now, most=2)
    refusals = [each.name for each in diagnosis.findings if each.refuses and each.name != "parameter-refused"]
    assert (refusals == []) is accepted


def test_no_secret_and_nobody_in_what_is_said() -> None:
    """Whatever was signed, the key itself included."""
    secrets = (KEY, TOKEN, "Zoé", "zoe+1", "example.org", "Núñez", "Ada")
    for form in (*FORMS, ADA):
        for deviation in ALL:
            signature = signed_with(form, (deviation,)) or ""
            diagnosis = diagnose(form.send(signature), CALLER, now=time.time(), other_keys={"other": "0ther"}, most=1)
            said = json.dumps(diagnosis.as_dict(), ensure_ascii=False) + repr(diagnosis)
            assert not [secret for secret in (*secrets, signature) if secret and secret in said]
    appended = replace(CALLER, secret_key="another key")
    stolen = diagnose(ADA.send(sha(ADA_TEXT + KEY)), appended, now=time.time(), other_keys={"nightly": KEY})
    assert [each.name for each in stolen.findings if each.refuses] == ["key-of-another-caller", "key-appended"]
    assert KEY not in repr(stolen)
