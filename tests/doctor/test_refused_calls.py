"""Calls that a real gateway refused, each for one mistake: its log's line and the call itself name the mistake."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests
from click.testing import CliRunner
from gateways import SECRET, TOKEN, settings_for, written
from serving import HEADERS, Gateway, serving, until

from compat.cli.program import program
from compat.legacy.signature import base_string, sign
from compat.testing.sandbox import Sandbox


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with Sandbox(students=12) as sandbox:
        config = written(tmp_path_factory.mktemp("refused"), settings_for(sandbox))
        with serving(config) as running, pytest.MonkeyPatch.context() as patch:
            patch.chdir(config.parent)
            yield running


def fresh(**more: str) -> dict[str, str]:
    return {**more, "nonce": str(time.time_ns()), "timestamp": str(time.time_ns() // 1_000_000)}


def doctor(*arguments: str, given: str | None = None) -> list[str]:
    """What the doctor finds that a call is refused for."""
    result = CliRunner().invoke(program, ["doctor", "--json", *arguments], input=given)
    found: dict[str, Any] = json.loads(result.output)
    assert found["explained"]
    assert not [secret for secret in (SECRET, TOKEN, "Zoé") if secret in result.output]
    return [each["name"] for each in found["findings"] if each["refuses"]]


def send(gateway: Gateway, url: str, status: int = 403, **headers: str) -> list[str]:
    """The refusal of a call, and what the doctor reads from its line in the log."""
    number = f"call-{time.time_ns()}"
    answer = requests.get(url, headers={**HEADERS, **headers, "X-Request-Id": number}, timeout=30)
    assert answer.status_code == status

    def line() -> list[str]:
        return [each for each in gateway.log.read_text().splitlines() if f'"{number}"' in each]

    until(lambda: bool(line()), gateway)
    return doctor(given=line()[0]) if status == 403 else []


def encoded(gateway: Gateway, values: dict[str, str]) -> str:
    return f"{gateway.url()}?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in values.items())


def joined(gateway: Gateway, values: dict[str, str]) -> str:
    """A URL with its values as they are."""
    return f"{gateway.url()}?" + "&".join(f"{name}={value}" for name, value in values.items())


def signed(values: dict[str, str], text: str | None = None) -> dict[str, str]:
    return {**values, "signature": sign(base_string({**values, "id": "17"}) if text is None else text, SECRET)}


@pytest.mark.parametrize("more", [{"status": "registered"}, {"limit": "5", "page": "1", "status": "registered"}])
def test_parameters_signed_in_an_order_that_changes(gateway: Gateway, more: dict[str, str]) -> None:
    """As Go's maps have it; the URL may be sorted all the same."""
    orders = random.Random(3)
    told = []
    for _ in range(4):
        values = fresh(**more)
        pairs = [f"{name}={value}" for name, value in {**values, "id": "17"}.items()]
        orders.shuffle(pairs)
        if pairs == sorted(pairs):
            continue
        url = encoded(gateway, dict(sorted(signed(values, "?".join(pairs)).items())))
        found = send(gateway, url)
        assert doctor("--caller", "registrar", url) == found
        told += found
    # One call alone may have had an order with a name of its own.
    assert "order-of-its-own" in told
    assert {*told} <= {"order-of-its-own", "order-as-sent", "order-as-sent-id-first", "order-reversed"}


def test_an_order_of_its_own_beside_another_mistake(gateway: Gateway) -> None:
    values = fresh(status="registered", limit="5")
    pairs = [f"{name}={values[name]}" for name in ("status", "nonce", "timestamp", "limit")]
    url = encoded(gateway, signed(values, "?".join(pairs)))
    assert requests.get(url, headers=HEADERS, timeout=30).status_code == 403
    assert doctor("--caller", "registrar", url) == ["id-left-out", "order-of-its-own"]


@pytest.mark.parametrize(
    ("value", "names", "from_log"),
    [
        ("A&B", ["ampersand-sent-bare"], ["ampersand-sent-bare"]),
        ("A & B", ["ampersand-sent-bare"], ["ampersand-sent-bare"]),
        ("A&B=C&D+E", ["ampersand-sent-bare"], ["ampersand-sent-bare"]),
        ("A+B", ["plus-sent-bare"], ["plus-sent-bare"]),
        ("A#1", ["hash-sent-bare"], ["no-signature"]),
        ("A#1 & more#2", ["hash-sent-bare", "ampersand-sent-bare"], ["no-signature"]),
    ],
)
def test_values_joined_into_the_url_as_they_are(
    gateway: Gateway, value: str, names: list[str], from_log: list[str]
) -> None:
    values = fresh(filter=json.dumps({"name": {"ne": value}}))
    url = joined(gateway, signed(values))
    assert send(gateway, url) == from_log
    assert doctor("--caller", "registrar", url.replace(" ", "%20")) == names


def test_a_hash_in_the_last_value(gateway: Gateway) -> None:
    values = signed(fresh(sort='[{"name":"asc"}]', filter='{"name":{"ne":"A#1"}}'))
    last = {name: values[name] for name in ("nonce", "timestamp", "signature", "sort", "filter")}
    url = joined(gateway, last)
    assert requests.get(url, headers=HEADERS, timeout=30).status_code == 403
    assert doctor("--caller", "registrar", url) == ["hash-sent-bare"]


def test_a_question_mark_in_a_value_arrives(gateway: Gateway) -> None:
    url = joined(gateway, signed(fresh(filter='{"name":{"ne":"A?b=1"}}')))
    assert doctor("--caller", "registrar", url) == []
    assert send(gateway, url, status=200) == []


def test_a_blank_ends_the_url(gateway: Gateway) -> None:
    url = joined(gateway, signed(fresh(filter='{"name":{"ne":"A B"}}')))
    parts = urlsplit(gateway.base)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30) as connection:
        target = url.removeprefix(gateway.base)
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        assert connection.recv(4096).split(b" ")[1] == b"400"
    assert doctor("--caller", "registrar", url) == ["blank-sent-bare"]


def test_an_old_signature_is_signed_again(gateway: Gateway) -> None:
    first = signed(fresh(limit="5"))
    send(gateway, encoded(gateway, first), status=200)

    def again(values: dict[str, str]) -> dict[str, str]:
        """As a client signs whose parameters still hold the last signature."""
        pairs = sorted({**values, "id": "17"}.items())
        return {**values, "signature": sign("?".join(f"{name}={value}" for name, value in pairs), SECRET)}

    # The same call, tried again and again.
    second = again(first)
    third = again(second)
    for each in (second, third):
        url = encoded(gateway, each)
        assert send(gateway, url) == ["signature-signed-again"]
        assert doctor("--caller", "registrar", url) == ["signature-signed-again"]
    # Another call: what it signed again is known from the calls before it alone.
    assert send(gateway, encoded(gateway, again({**third, **fresh()}))) == ["signature-signed-again"]
    # Both signatures are sent.
    values = again({**first, **fresh()})
    url = encoded(gateway, values).replace("signature=", f"signature={first['signature']}&signature=")
    assert send(gateway, url) == ["signature-signed-again"]
    assert doctor("--caller", "registrar", url)[0] == "signature-signed-again"


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (f"Bearer {TOKEN}", "token-as-bearer"),
        (f"bearer token={TOKEN}", "token-as-bearer"),
        ("Basic eDp5", "token-as-basic"),
        (f"Token {TOKEN}", "token-misspelt"),
        (TOKEN, "token-misspelt"),
        ("", "no-token"),
        ("Token token=another", "unknown-token"),
    ],
)
def test_the_token_in_another_form(gateway: Gateway, header: str, name: str) -> None:
    url = encoded(gateway, signed(fresh()))
    assert send(gateway, url, Authorization=header) == [name]
    if name != "unknown-token":
        curl = f"curl -H 'Authorization: {header}' '{url}'"
        assert doctor("--caller", "registrar", curl) == [name]
    assert TOKEN not in gateway.log.read_text()
