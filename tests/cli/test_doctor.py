"""``exam-compat doctor``: whose key, which call, which exit status, and nothing said that is secret."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from compat.legacy.signature import base_string, sign

from .conftest import Invoke, Run

KEY, TOKEN = "s3cret-key", "t0ken-text"
CONFIG = f"""
[upstream]
kind = "student_sessions"
base_url = "http://127.0.0.1:1"
api_token = "up-token"
secret_key = "up-key"

[[callers]]
name = "nightly"
api_token = "{TOKEN}"
secret_key = "{KEY}"

[[callers]]
name = "portal"
api_token = "another-token"
secret_key = "another-key"
"""


@pytest.fixture
def callers(tmp_path: Path) -> Path:
    path = tmp_path / "callers.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def curl(key: str = KEY, token: str | None = TOKEN, *, with_id: bool = True, page: str = "1", age: float = 0) -> str:
    values = {"nonce": "99", "page": page, "timestamp": str(int((time.time() - age) * 1000)), "filter": FILTER}
    values["signature"] = sign(base_string({**values, "id": "17"} if with_id else values), key)
    data = " ".join(f"--data-urlencode {shlex.quote(f'{name}={text}')}" for name, text in values.items())
    header = f"-H 'Authorization: Token token={token}' " if token else ""
    return f"curl -G {header}https://acme.proctorexam.com/api/v3/exams/17/index_students {data}"


FILTER = '{"email":{"eq":"zoe@example.org"}}'


def test_a_call_that_would_be_accepted(invoke: Invoke, callers: Path) -> None:
    result = invoke("doctor", "--config", callers, input=curl())
    assert (result.exit_code, result.output) == (0, "The call would be accepted, if its nonce is new.\n")


def test_a_dialect_is_named_with_the_text_to_sign(invoke: Invoke, callers: Path) -> None:
    call = curl(with_id=False)
    result = invoke("doctor", "--config", callers, input=call)
    assert result.exit_code == 1
    assert "id-left-out" in result.output
    masked = 'filter={"email":{"eq":"xxx@xxxxxxx.xxx"}}'
    assert f"Signed:   {masked}?nonce=99?page=1?timestamp=" in result.output
    assert f"To sign:  {masked}?id=17?nonce=99?page=1?timestamp=" in result.output
    given = json.loads(invoke("doctor", "--config", callers, "--json", call).output)
    assert [finding["name"] for finding in given["findings"]] == ["id-left-out"]
    assert (given["accepted"], given["explained"]) == (False, True)


def test_nothing_explains_it(invoke: Invoke, callers: Path) -> None:
    result = invoke("doctor", "--config", callers, input=curl("no such key"))
    assert result.exit_code == 2
    assert "Nothing that is known here explains the signature." in result.output


def test_whose_call_it_is(invoke: Invoke, callers: Path) -> None:
    swapped = json.loads(invoke("doctor", "--config", callers, "--json", curl("another-key")).output)
    assert [finding["name"] for finding in swapped["findings"]] == ["key-of-another-caller"]
    named = invoke("doctor", "--config", callers, "--caller", "portal", "--json", curl("another-key"))
    assert [finding["name"] for finding in json.loads(named.output)["findings"]] == ["wrong-token"]
    assert named.exit_code == 1
    assert "no such name" in invoke("doctor", "--config", callers, "--caller", "x", curl()).stderr
    for token in (None, "stranger"):
        lost = invoke("doctor", "--config", callers, curl(token=token))
        assert lost.exit_code == 2
        assert "--caller" in lost.stderr


@pytest.mark.parametrize("options", [(), ("--prompt",)])
def test_the_key_from_a_prompt(invoke: Invoke, options: tuple[str, ...]) -> None:
    result = invoke("doctor", *options, curl(), input=f"{KEY}\n")
    assert result.exit_code == 0
    assert KEY not in result.output
    assert "Secret key" in result.stderr


def test_without_a_terminal_and_a_key_it_says_what_to_do(run: Run) -> None:
    ran = run("doctor", curl(), stdin=subprocess.DEVNULL, start_new_session=True)
    assert ran.returncode == 2
    said = " ".join(ran.stderr.decode().split())
    assert "There is no terminal to ask for the secret key: name a configuration" in said
    assert "GetPassWarning" not in said


def test_a_url_alone(invoke: Invoke, callers: Path) -> None:
    query = f"nonce=99&timestamp={int(time.time() * 1000)}"
    signature = sign(base_string({"id": "17", **dict(pair.split("=") for pair in query.split("&"))}), KEY)
    url = f"https://acme.proctorexam.com/api/v3/exams/17/index_students?{query}&signature={signature}"
    for text in (url, f"GET {url}"):
        assert invoke("doctor", "--config", callers, "--caller", "nightly", text).exit_code == 0
    posted = invoke("doctor", "--config", callers, "--caller", "nightly", "--json", f"POST {url}")
    assert [finding["name"] for finding in json.loads(posted.output)["findings"]] == ["wrong-method"]


def test_when_it_was_sent(invoke: Invoke, callers: Path) -> None:
    call = curl(age=3600)
    old = invoke("doctor", "--config", callers, "--json", call)
    assert old.exit_code == 0
    assert [finding["name"] for finding in json.loads(old.output)["findings"]] == ["signed-before"]
    for moment in (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), int(time.time()), int(time.time() * 1000)):
        late = invoke("doctor", "--config", callers, "--json", "--at", moment, call)
        (finding,) = json.loads(late.output)["findings"]
        assert (late.exit_code, finding["name"]) == (1, "clock-skew")
        assert "60 minutes behind" in finding["says"]
    assert invoke("doctor", "--config", callers, "--at", "noon", call).exit_code == 2


def test_a_parameter_that_is_refused_after_the_signature(invoke: Invoke, callers: Path) -> None:
    result = invoke("doctor", "--config", callers, "--json", curl(page="0"))
    (finding,) = json.loads(result.output)["findings"]
    assert (result.exit_code, finding["name"]) == (1, "parameter-refused")
    assert finding["says"] == "page: Must be at least 1. The signature aside, the answer is 422."


def test_a_line_of_the_log(invoke: Invoke) -> None:
    line = '{"event":"call","status":403,"refusal":"wrong signature","details":{"signed_as":["ends-with-newline"]}}'
    result = invoke("doctor", input=line + "\n")
    assert result.exit_code == 1
    assert "printf" in result.output


@pytest.mark.parametrize("text", ["", "what is this", "curl", "wget http://x", "{}"])
def test_what_is_no_call(invoke: Invoke, callers: Path, text: str) -> None:
    result = invoke("doctor", "--config", callers, input=text)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_no_secret_and_nobody_in_its_output(run: Run, callers: Path) -> None:
    for call in (curl(), curl(with_id=False), curl("unknown"), curl("another-key")):
        for form in ((), ("--json",)):
            result = run("doctor", "--config", callers, *form, input=call.encode())
            output = (result.stdout + result.stderr).decode()
            signature = call.partition("signature=")[2][:64]
            for secret in (KEY, TOKEN, "another-key", "another-token", "up-key", "zoe", signature):
                assert secret not in output
