"""Which mode a call has: every rule of precedence, and a canary that knows its callers again."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import compat
from compat.config.file import read_config
from compat.migration.modes.router import ModeRouter
from compat.migration.modes.rules import Mode, Rules, Scope, configured_rules, share_of, switch_name, switched_rules

MODES = st.sampled_from(["legacy", "shadow", "canary:0", "canary:25", "canary:100", "new", "new+fallback"])
NAMES = st.sampled_from(["a", "registrar nightly export", "exam=17", "b caller=a", "mode"]) | st.text(min_size=1)
EXAMS = st.integers(0, 10**20).map(str)
SCOPES = st.builds(Scope, st.none() | NAMES, st.none() | EXAMS)


@given(MODES)
def test_a_mode_is_written_as_it_is_read(text: str) -> None:
    assert str(Mode.parse(text, "mode")) == text


@pytest.mark.parametrize(
    "text", ["", "New", "canary", "canary:101", "canary:-1", "canary:2.5", "canary:٣", "new ", "off"]
)
def test_what_is_no_mode_is_named_beside_those_that_are(text: str) -> None:
    with pytest.raises(compat.ConfigurationError) as refused:
        Mode.parse(text, "[migration] mode")
    told = str(refused.value)
    assert told.startswith(f"[migration] mode = {text!r}: ")
    assert all(name in told for name in ("legacy", "shadow", "canary:25", "new", "new+fallback"))


@given(st.text(), st.integers(0, 100), st.integers(0, 100))
def test_a_larger_canary_lets_go_of_nobody(caller: str, one: int, other: int) -> None:
    fewer, more = sorted((one, other))
    assert not share_of(caller) < fewer or share_of(caller) < more
    assert 0 <= share_of(caller) < 100


def test_a_canary_takes_about_as_many_as_it_says() -> None:
    taken = sum(share_of(f"caller {number}") < 25 for number in range(10_000))
    assert 2300 < taken < 2700


def test_a_canary_is_the_same_in_every_process() -> None:
    names = ["registrar nightly export", "LMS", "", "é"]
    code = f"from compat.migration.modes.rules import share_of; print([share_of(name) for name in {names!r}])"
    for seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, check=True, text=True, env={"PYTHONHASHSEED": seed}
        )
        assert found.stdout.strip() == str([share_of(name) for name in names])
    # Never to be changed: every caller of a running canary would be drawn anew.
    assert [share_of(name) for name in names] == PINNED


PINNED = [63, 36, 14, 65]


@given(st.dictionaries(SCOPES, MODES), NAMES, EXAMS)
def test_the_most_particular_rule_counts(modes: dict[Scope, str], caller: str, exam: str) -> None:
    rules = Rules({scope: Mode.parse(text, "x") for scope, text in modes.items()})
    expected = next(
        (
            (scope, modes[scope])
            for scope in (Scope(caller, exam), Scope(caller), Scope(None, exam), Scope())
            if scope in modes
        ),
        None,
    )
    found = rules.find(caller, exam if exam == "0" else "00" + exam)
    assert (found and (found[0], str(found[1]))) == expected


@given(st.dictionaries(SCOPES, MODES))
def test_switches_say_what_was_switched(modes: dict[Scope, str]) -> None:
    switches = {switch_name(scope): text for scope, text in modes.items()}
    assert len(switches) == len(modes)
    rules, strange = switched_rules({**switches, "brownouts paused": "yes"}, legacy=True)
    assert {scope: str(mode) for scope, mode in rules} == modes
    assert strange == []


def test_a_switch_that_cannot_be_followed_is_left_alone() -> None:
    switches = {"mode": "legacy", "mode caller=a": "turbo", "mode exam=17": "new"}
    rules, strange = switched_rules(switches, legacy=False)
    assert dict(rules) == {Scope(None, "17"): Mode("new")}
    assert strange == ["mode", "mode caller=a"]


CONTENT = {
    "upstream": {"kind": "student_sessions", "base_url": "http://h", "api_token": "a", "secret_key": "b"},
    "legacy": {"base_url": "http://old"},
    "migration": {"mode": "shadow", "exams": {"0017": "canary:25"}},
    "callers": [
        {"name": "a", "api_token": "t", "secret_key": "s", "mode": "legacy", "exams": {"17": "new+fallback"}},
        {"name": "b", "api_token": "u", "secret_key": "s"},
    ],
    "store": {"url": "memory://"},
}


def test_what_a_configuration_says() -> None:
    rules = configured_rules(read_config(CONTENT), legacy=True)
    found = {
        (caller, exam): str((rules.find(caller, exam) or ("", ""))[1]) for caller in "abc" for exam in ("17", "18")
    }
    assert found == {
        ("a", "17"): "new+fallback",
        ("a", "18"): "legacy",
        ("b", "17"): "canary:25",
        ("b", "18"): "shadow",
        ("c", "17"): "canary:25",
        ("c", "18"): "shadow",
    }


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"migration": {"mode": "of"}}, "[migration] mode: Must be legacy, shadow, canary:25"),
        ({"migration": {"mod": "new"}}, "[migration] mod: no such key; the nearest known one is mode"),
        ({"migration": {"exams": {"x": "new"}}}, "[migration] exams.x"),
        ({"migration": {"exams": {"17": "newer"}}}, "[migration] exams.17"),
        ({"callers": [{**CONTENT["callers"][0], "exams": {"17": "newer"}}]}, "[[callers]] 1: exams.17"),
    ],
)
def test_a_configuration_that_says_it_wrongly(change: dict[str, object], text: str) -> None:
    with pytest.raises(compat.ConfigurationError) as refused:
        read_config({**CONTENT, **change})
    assert text in str(refused.value)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"migration": {"mode": "canary:0"}}, "[migration] mode = 'canary:0' needs base_url in [legacy]"),
        ({"migration": {"exams": {"17": "shadow"}}}, "[migration.exams] 17 = 'shadow' needs base_url"),
        ({"callers": CONTENT["callers"]}, "[[callers]] 'a': mode = 'legacy' needs base_url in [legacy]"),
    ],
)
def test_a_mode_without_the_old_endpoint_that_it_needs(change: dict[str, object], text: str) -> None:
    content = {name: CONTENT[name] for name in ("upstream", "store")}
    with pytest.raises(compat.ConfigurationError) as refused:
        ModeRouter.of(read_config({**content, **change}))
    assert text in str(refused.value)


def test_the_environment_goes_before_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    router = ModeRouter.of(read_config(CONTENT))
    chosen = router.chosen("a", "17")
    assert (str(chosen.mode), chosen.by, str(chosen.scope)) == (
        "new+fallback",
        "configuration",
        "caller 'a' and exam 17",
    )
    monkeypatch.setenv("EXAM_COMPAT_MODE", "legacy")
    assert (str(router.chosen("a", "17").mode), router.chosen("a", "17").by) == ("legacy", "environment")
    monkeypatch.setenv("EXAM_COMPAT_MODE", "")
    assert router.chosen("a", "17").by == "configuration"
    monkeypatch.setenv("EXAM_COMPAT_MODE", "shadow")
    without = {name: CONTENT[name] for name in ("upstream", "store")}
    with pytest.raises(compat.ConfigurationError, match=r"^EXAM_COMPAT_MODE=shadow: needs base_url"):
        ModeRouter.of(read_config(without))
    monkeypatch.setenv("EXAM_COMPAT_MODE", "shadowy")
    with pytest.raises(compat.ConfigurationError, match=r"^EXAM_COMPAT_MODE=shadowy: must be legacy, shadow"):
        ModeRouter.of(read_config(CONTENT))
