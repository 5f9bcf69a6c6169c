"""Every key of the configuration, and what is said of one that cannot be used."""

from __future__ import annotations

from datetime import date, timezone
from pathlib import Path
from typing import Any

import pytest
from support import listed, mounted

import compat
from compat.config.file import find_config, load_config, read_config
from compat.regression.comparing.known import load_known
from compat.testing.sandbox import Sandbox

APPLICATION = "5b1f0c2e-3c1e-4c86-9d0e-0f6c3c1d2a11"
STUDENT_SESSIONS = {"kind": "student_sessions", "base_url": "http://h", "api_token": "t0ken", "secret_key": "s3cret"}
SESSIONS = {"kind": "paginated_sessions", "base_url": "http://h", "path": "/sessions", "bearer_token": "b3arer"}
CREDENTIALS = {"token_url": "http://h/token", "client_id": "cl1ent", "client_secret": "s3cret"}

WHOLE = f"""
[upstream]
kind = "student_sessions"
base_url = "http://127.0.0.1:9300/"
api_token = "t0ken"
secret_key = "env:UPSTREAM_SECRET"
scope = "exam"
pushdown = ["status", "filter", "sort"]
walk_deadline = 60
unsettled = "refuse"

[exams]
17 = "{APPLICATION}"

[legacy]
base_url = "https://acme.proctorexam.com/"
time_zone = "Europe/Amsterdam"
extra_fields = ["pin_code"]
deprecated = 2024-01-15
sunset = 2027-06-30

[[callers]]
name = "registrar nightly export"
api_token = "c4ller"
secret_key = "env:REGISTRAR_SECRET"
replay = "signature"
mode = "canary:25"

[[callers]]
name = "other"
api_token = "other"
secret_key = "oth3r"

[store]
url = "redis://host:6379/0"
"""


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTREAM_SECRET", "s3cret")
    monkeypatch.setenv("REGISTRAR_SECRET", "reg1strar")


def test_every_key(tmp_path: Path) -> None:
    path = tmp_path / "any.toml"
    path.write_text(WHOLE)
    read = load_config(path)
    assert isinstance(read.upstream, compat.StudentSessions)
    assert (read.upstream.base_url, read.upstream.scope) == ("http://127.0.0.1:9300", "exam")
    assert read.upstream.capabilities == {"exam", "status", "filter", "sort"}
    assert (read.upstream.walk.deadline, read.upstream.walk.unsettled) == (60, "refuse")
    assert (read.legacy_base_url, str(read.settings.zone)) == ("https://acme.proctorexam.com", "Europe/Amsterdam")
    assert read.settings.extra_fields == ("pin_code",)
    assert (read.deprecated, read.sunset) == (date(2024, 1, 15), date(2027, 6, 30))
    first, second = read.callers
    assert first.caller == compat.Caller("registrar nightly export", "c4ller", "reg1strar")
    assert (first.replay, first.mode, second.replay, second.mode) == ("signature", "canary:25", "nonce", None)
    assert read.store == "redis://host:6379/0"
    for secret in ("t0ken", "s3cret", "c4ller", "reg1strar", "oth3r"):
        assert secret not in repr(read) + repr(read.upstream) + repr(read.callers)


def test_defaults() -> None:
    read = read_config({"upstream": STUDENT_SESSIONS})
    assert isinstance(read.upstream, compat.StudentSessions)
    assert (read.upstream.scope, read.upstream.capabilities) == ("all", {"status"})
    assert (read.upstream.walk.deadline, read.upstream.walk.unsettled) == (900, "serve")
    assert (read.settings.zone, read.settings.extra_fields) == (timezone.utc, ())
    assert (read.legacy_base_url, read.deprecated, read.sunset, read.callers) == (None, None, None, ())
    assert read.store == "sqlite:///exam-compat.db"


def test_the_sandboxs_own_file_is_answered_from(tmp_path: Path) -> None:
    with Sandbox(students=9, exams=1) as sandbox:
        for kind, fan_out in (("student_sessions", False), ("paginated_sessions", False), ("paginated_sessions", True)):
            path = tmp_path / f"{kind}.toml"
            path.write_text(sandbox.toml(kind, fan_out))
            with pytest.warns(compat.LegacyApiWarning):
                assert listed(mounted(load_config(path))).status_code == 200


UPSTREAM = "[upstream] "
PLACE = "{user_id}"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "upstream: Missing data for required field."),
        ({"upstram": {}}, "upstram: no such key; the nearest known one is upstream"),
        ({"upstream": {}}, "[upstream] kind: Missing data for required field."),
        ({"upstream": 5}, "upstream: Not a valid mapping type."),
        ({"upstream": {"kind": "other"}}, "[upstream] kind: Must be student_sessions or paginated_sessions."),
        (
            {"upstream": {**STUDENT_SESSIONS, "secret": "x"}},
            UPSTREAM + "secret: no such key; the nearest known one is ",
        ),
        (
            {"upstream": {**STUDENT_SESSIONS, "api_tokn": "x"}},
            UPSTREAM + "api_tokn: no such key; the nearest known one is api_token",
        ),
        (
            {"upstream": {**SESSIONS, "rooster": "x"}},
            UPSTREAM + "rooster: no such key; the nearest known one is roster",
        ),
        ({"upstream": {**STUDENT_SESSIONS, "api_token": ""}}, UPSTREAM + "api_token: Must not be empty."),
        ({"upstream": {**STUDENT_SESSIONS, "secret_key": 5}}, UPSTREAM + "secret_key: Not a valid string."),
        (
            {"upstream": {**STUDENT_SESSIONS, "base_url": "h"}},
            UPSTREAM + "base_url = 'h': must be an http or https URL",
        ),
        ({"upstream": {**STUDENT_SESSIONS, "scope": "exams"}}, UPSTREAM + 'scope = \'exams\': must be "all" or "exam"'),
        (
            {"upstream": {**STUDENT_SESSIONS, "pushdown": ["page"]}},
            UPSTREAM + "pushdown: 'page' is none of status, filter, sort",
        ),
        ({"upstream": {**STUDENT_SESSIONS, "pushdown": "status"}}, UPSTREAM + "pushdown: Not a valid list."),
        (
            {"upstream": {**STUDENT_SESSIONS, "walk_deadline": 0}},
            UPSTREAM + "walk_deadline = 0.0: must be seconds above 0",
        ),
        ({"upstream": {**STUDENT_SESSIONS, "walk_deadline": "x"}}, UPSTREAM + "walk_deadline: Not a valid number."),
        (
            {"upstream": {**STUDENT_SESSIONS, "unsettled": "maybe"}},
            UPSTREAM + 'unsettled = \'maybe\': must be "serve" or "refuse"',
        ),
        (
            {"upstream": {**STUDENT_SESSIONS, "secret_key": "env:NO_SUCH"}},
            "upstream.secret_key: the environment has no",
        ),
        (
            {"upstream": {**SESSIONS, "path": f"/users/{PLACE}/sessions"}},
            UPSTREAM + f"path = '/users/{PLACE}/sessions' names a user: set roster to the CSV file of the users",
        ),
        ({"upstream": {**SESSIONS, "roster": "r.csv"}}, UPSTREAM + "roster is set, but path has no {user_id} in it"),
        (
            {"upstream": {**SESSIONS, **CREDENTIALS}},
            UPSTREAM + "bearer_token is set beside client credentials: keep one of the two",
        ),
        (
            {"upstream": {name: SESSIONS[name] for name in ("kind", "base_url", "path")}},
            UPSTREAM + "token_url, client_id, client_secret: needed for a token, or set bearer_token",
        ),
        ({"upstream": SESSIONS, "exams": {"x": APPLICATION}}, "[exams] x: an exam id is digits"),
        ({"upstream": SESSIONS, "exams": {"17": 5}}, "[exams] 17: must be an applicationId in quotes"),
        (
            {"upstream": SESSIONS, "exams": {"17": APPLICATION, "18": APPLICATION.upper()}},
            "[exams]: two exam ids are tied to one applicationId; they go one to one",
        ),
        ({"upstream": SESSIONS, "exams": {"17": "a", "017": "b"}}, "[exams] 017: the same exam id stands there before"),
        ({"legacy": {"base_ur": "x"}}, "[legacy] base_ur: no such key; the nearest known one is base_url"),
        ({"legacy": {"base_url": "acme"}}, "[legacy] base_url = 'acme': must be an http or https URL"),
        ({"legacy": {"time_zone": "Mars/Olympus"}}, "[legacy] time_zone = 'Mars/Olympus': no such zone here"),
        ({"legacy": {"time_zone": "Europe"}}, "[legacy] time_zone = 'Europe': no such zone here"),
        ({"legacy": {"time_zone": "../etc/passwd"}}, "[legacy] time_zone = '../etc/passwd': no such zone here"),
        ({"legacy": {"extra_fields": "some"}}, '[legacy] extra_fields: must be "all" or a list of field names'),
        ({"legacy": {"extra_fields": [5]}}, '[legacy] extra_fields: must be "all" or a list of field names'),
        ({"legacy": {"sunset": "2027-06-30"}}, "[legacy] sunset: must be a date such as 2027-06-30, without quotes"),
        ({"legacy": {"deprecated": None}}, "[legacy] deprecated: Field may not be null."),
        ({"legacy": {"sunset": None}}, "[legacy] sunset: Field may not be null."),
        ({"legacy": 5}, "legacy: Not a valid mapping type."),
        ({"callers": [{"name": "a"}]}, "[[callers]] 1: api_token: Missing data for required field."),
        (
            {"callers": [{"name": "a", "api_token": "b", "secret_key": "c", "mod": "new"}]},
            "[[callers]] 1: mod: no such key; the nearest known one is mode",
        ),
        (
            {"callers": [{"name": "a", "api_token": "b", "secret_key": "c", "mode": "canary:101"}]},
            "[[callers]] 1: mode: Must be legacy, shadow, canary:25 (a percentage), new or new+fallback.",
        ),
        (
            {"callers": [{"name": "a", "api_token": "b", "secret_key": "c", "replay": "once"}]},
            "[[callers]] 1: replay: Must be nonce or signature.",
        ),
        ({"store": {"ulr": "x"}}, "[store] ulr: no such key; the nearest known one is url"),
    ],
)
def test_what_cannot_be_used_is_named(content: dict[str, Any], message: str) -> None:
    whole = content if "upstream" in content or not content or "upstram" in content else {
        "upstream": STUDENT_SESSIONS, **content
    }  # fmt: skip
    with pytest.raises(compat.ConfigurationError) as raised:
        read_config(whole)
    assert str(raised.value).startswith(message)
    for secret in ("t0ken", "s3cret", "b3arer"):
        assert secret not in str(raised.value)


HEADER = "user_id,email,name,student_id,external_id\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user_id,email,name,student_id\n", ": has no column external_id; it needs user_id, "),
        ("", "has no column user_id"),
        (HEADER + ",a@b,A,1,x\n", ", line 2: user_id is empty"),
        (HEADER + "u,a@b,A,1,x\nu,c@d,C,2,y\n", ", line 3: the same user_id stands on a line before"),
        (HEADER + "u,a@b,A,one,x\n", ", line 2: student_id must be an integer or empty"),
    ],
)
def test_a_roster_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "roster.csv").write_text(text)
    upstream = {**SESSIONS, "path": f"/users/{PLACE}/sessions", "roster": "roster.csv"}
    with pytest.raises(compat.ConfigurationError) as raised:
        read_config({"upstream": upstream}, folder=tmp_path)
    assert message in str(raised.value)
    assert "a@b" not in str(raised.value)


def test_a_rosters_path_is_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, elsewhere = tmp_path / "etc", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (folder / "people.csv").write_bytes(b"\xef\xbb\xbf" + HEADER.encode() + "u/1,zoë@b,,9007199254740993,\n".encode())
    text = (
        f'[upstream]\nkind = "paginated_sessions"\nbase_url = "http://h"\npath = "/u/{PLACE}/s"\nbearer_token = "x"\n'
    )
    (folder / "exam-compat.toml").write_text(text + 'roster = "people.csv"\n')
    upstream: Any = load_config(folder / "exam-compat.toml").upstream
    (person,) = upstream._people
    assert person.user_id == "u/1"
    known = {"email": "zoë@b", "name": None, "student_id": 9007199254740993, "external_id": None}
    assert person.values == known


def test_finding_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(compat.ConfigurationError) as raised:
        find_config()
    assert str(raised.value) == (
        f"no configuration: no exam-compat.toml in {tmp_path}; go to its folder, or name one by --config or "
        "EXAM_COMPAT_CONFIG"
    )
    (tmp_path / "exam-compat.toml").write_text(WHOLE)
    assert find_config() == Path("exam-compat.toml")
    monkeypatch.setenv("EXAM_COMPAT_CONFIG", str(tmp_path / "other.toml"))
    with pytest.raises(compat.ConfigurationError) as raised:
        load_config()
    assert str(raised.value) == (
        f"no configuration: EXAM_COMPAT_CONFIG names {tmp_path / 'other.toml'}, which is no file; correct the name, "
        "or leave it out to use exam-compat.toml where you are"
    )
    with pytest.raises(compat.ConfigurationError) as named:
        load_config(tmp_path / "other.toml")
    assert str(named.value) == f"{tmp_path / 'other.toml'}: no such file or directory"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    for content in (b"[upstream", b"\xff = 1", b"[upstream]\nkind = 'x'\n"):
        path.write_bytes(content)
        with pytest.raises(compat.ConfigurationError, match=r"bad\.toml: "):
            load_config(path)
    with pytest.raises(compat.ConfigurationError, match=r"absent\.toml: "):
        load_config(tmp_path / "absent.toml")


@pytest.mark.parametrize("url", ["http://[", "http://h:99999"])
def test_a_base_url_that_is_none(url: str) -> None:
    with pytest.raises(compat.ConfigurationError):
        read_config({"upstream": {**STUDENT_SESSIONS, "base_url": url}})


def test_the_store() -> None:
    read = read_config({"upstream": STUDENT_SESSIONS})
    assert (read.store, read.when_store_down, read.max_walk) == ("sqlite:///exam-compat.db", "refuse", 256 * 2**20)
    table = {"url": "redis://:s3cret@host:6379/0", "when_down": "serve", "max_walk": 0}
    read = read_config({"upstream": STUDENT_SESSIONS, "store": table}, folder=Path("/etc"))
    assert (read.store, read.when_store_down, read.max_walk) == (table["url"], "serve", 0)
    assert "s3cret" not in repr(read)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///calls.db", "sqlite:////etc/100%25/calls.db"),
        ("sqlite:///a/calls.db?synchronous=full", "sqlite:////etc/100%25/a/calls.db?synchronous=full"),
        ("sqlite:////var/calls.db", "sqlite:////var/calls.db"),
        ("memory://", "memory://"),
    ],
)
def test_a_database_file_lies_beside_the_configuration(url: str, expected: str) -> None:
    read = read_config({"upstream": STUDENT_SESSIONS, "store": {"url": url}}, folder=Path("/etc/100%"))
    assert read.store == expected


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"when_down": "maybe"}, "[store] when_down: Must be refuse or serve."),
        ({"max_walk": -1}, "[store] max_walk: Must be a number of bytes, or 0."),
        ({"max_walk": "1"}, "[store] max_walk: Not a valid integer."),
        ({"uri": "memory://"}, "[store] uri: no such key; the nearest known one is url"),
    ],
)
def test_a_store_that_cannot_be_used(table: dict[str, object], message: str) -> None:
    with pytest.raises(compat.ConfigurationError) as raised:
        read_config({"upstream": STUDENT_SESSIONS, "store": table})
    assert str(raised.value) == message


def test_what_is_asked_of_checks() -> None:
    table = {"known": "known.toml", "max_unexplained": 0.01, "confidence": 0.99, "min_calls": 500, "max_slowdown": 2}
    table |= {"max_not_comparable": 0.1}
    read = read_config({"upstream": STUDENT_SESSIONS, "regression": table}, folder=Path("/etc"))
    assert {name: read.regression[name] for name in table} == {**table, "known": "/etc/known.toml"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"max_unexplained": 0}, "[regression] max_unexplained: Must lie between 0 and 1."),
        ({"confidence": 95}, "[regression] confidence: Must lie between 0 and 1."),
        ({"min_calls": -1}, "[regression] min_calls: Must be a number of calls, or 0."),
        ({"max_not_comparable": 5}, "[regression] max_not_comparable: Must be a share from 0 to 1."),
        ({"max_slowdown": 0.5}, "[regression] max_slowdown: Must be how many times as long, from 1."),
        ({"knwon": "x"}, "[regression] knwon: no such key; the nearest known one is known"),
    ],
)
def test_what_cannot_be_asked_of_checks_is_named(table: dict[str, Any], message: str) -> None:
    with pytest.raises(compat.ConfigurationError) as raised:
        read_config({"upstream": STUDENT_SESSIONS, "regression": table})
    assert str(raised.value) == message


def test_a_file_that_is_not_there_is_named_once(tmp_path: Path) -> None:
    path = tmp_path / "exam-compat.toml"
    path.write_text(
        '[upstream]\nkind = "paginated_sessions"\nbase_url = "http://h"\npath = "/u/{user_id}/s"\nbearer_token = "x"\n'
        'roster = "people.csv"\n'
    )
    with pytest.raises(compat.ConfigurationError) as raised:
        load_config(path)
    roster = tmp_path / "people.csv"
    assert str(raised.value) == f"{path}: [upstream] roster {roster}: no such file or directory"
    with pytest.raises(compat.ConfigurationError) as known:
        load_known(tmp_path / "known.toml")
    assert str(known.value) == f"{tmp_path / 'known.toml'}: no such file or directory"
