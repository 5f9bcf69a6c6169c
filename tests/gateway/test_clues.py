"""A refused call's line in the log is enough for the doctor, and holds nothing of the call."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner
from gateways import SECRET, TOKEN, settings_for, written
from serving import HEADERS, Gateway, serving, until

from compat.cli.program import program
from compat.legacy.signature import base_string, sign
from compat.testing.sandbox import Sandbox


@pytest.fixture
def config(sandbox: Sandbox, tmp_path: Path) -> Path:
    return written(tmp_path, settings_for(sandbox))


def ask(gateway: Gateway, text: str, key: str, token: str = TOKEN, *, age: int = 0) -> dict[str, str]:
    """A call whose base string is made of the right one by a format; returns what must not be in the log."""
    values = {
        "filter": '{"email":{"eq":"zoe@example.org"}}',
        "nonce": str(time.time_ns()),
        "timestamp": str(int((time.time() - age) * 1000)),
    }
    signature = sign(text.format(base_string({**values, "id": "17"})), key)
    sent = {**values, "signature": signature}
    headers = {**HEADERS, "Authorization": f"Token token={token}"}
    assert requests.get(gateway.url(), params=sent, headers=headers, timeout=30).status_code == 403
    return {"signature": signature, "nonce": values["nonce"], "person": "zoe", "token": token, "key": key}


def test_the_log_tells_the_doctor(config: Path) -> None:
    with serving(config) as gateway:
        asked = [
            ask(gateway, "{}\n", SECRET),
            ask(gateway, "{}", "another key"),
            ask(gateway, "{}", SECRET, age=3600),
            ask(gateway, "{}", SECRET, "the-token-of-a-stranger"),
        ]
        until(lambda: len([each for each in gateway.entries() if each.get("refusal")]) >= len(asked), gateway)
        lines = [line for line in gateway.log.read_text().splitlines() if '"refusal"' in line]
        log = gateway.log.read_text()
    assert not [name for each in asked for name, secret in each.items() if secret in log]
    by_reason: dict[str, list[str]] = {}
    for line in lines:
        result = CliRunner().invoke(program, ["doctor", "--json"], input=line)
        names = [finding["name"] for finding in json.loads(result.output)["findings"]]
        by_reason.setdefault(json.loads(line)["refusal"], []).extend(names)
    assert sorted(by_reason.pop("wrong signature")) == ["ends-with-newline", "signature-unexplained"]
    assert by_reason == {"timestamp outside five minutes": ["clock-skew"], "unknown token": ["unknown-token"]}
    strangers = next(line for line in lines if "unknown token" in line)
    assert "details" not in json.loads(strangers)


def test_no_line_is_lost_when_it_stops(config: Path) -> None:
    with serving(config) as gateway:
        for _ in range(20):
            ask(gateway, "{}\n", SECRET)
        assert gateway.stop() == 0
        assert len([each for each in gateway.entries() if each.get("refusal") == "wrong signature"]) == 20
