"""JSON of any depth: Python reads far deeper than its functions may call themselves, from one version on."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compat.testing.strategies import json_values
from compat.text import json as json_text
from compat.text.json import Number, array_of, check_utf_8, copied, dumps, loads, same

DEEP = 1500


def buried(value: Any, *, in_objects: bool = False) -> Any:
    for _ in range(DEEP):
        value = {"a": 1, "b": value} if in_objects else [value]
    return value


def containers(value: Any) -> list[Any]:
    """The value's arrays and objects, itself among them."""
    found = [value] if isinstance(value, dict | list) else []
    for each in found:
        found += [item for item in (each.values() if isinstance(each, dict) else each) if isinstance(item, dict | list)]
    return found


@settings(deadline=None, max_examples=20)
@given(json_values())
def test_what_is_buried_is_written_as_it_is_written_alone(value: Any) -> None:
    assert dumps(buried(value)) == "[" * DEEP + dumps(value) + "]" * DEEP
    assert dumps(buried(value, in_objects=True)) == '{"a":1,"b":' * DEEP + dumps(value) + "}" * DEEP


def test_what_json_cannot_hold_is_refused_at_any_depth() -> None:
    for value in (float("nan"), buried(float("nan"))):
        with pytest.raises(ValueError, match="not JSON compliant"):
            dumps(value)


@pytest.mark.parametrize("text", ["1.10", "[]", "{}", '[{},[],{"a":[]}]', '"\\ud800"'])
def test_what_was_read_is_written_again(text: str) -> None:
    assert dumps(loads(text)) == text
    assert dumps(buried(loads(text))) == "[" * DEEP + text + "]" * DEEP


@settings(deadline=None)
@given(json_values())
def test_a_copy_is_the_same_and_has_nothing_in_common(value: Any) -> None:
    copy = copied(value)
    assert same(copy, value)
    assert not {id(each) for each in containers(copy)} & {id(each) for each in containers(value)}


def test_a_copy_of_what_is_buried() -> None:
    value = buried([Number("1.10")], in_objects=True)
    copy = copied(value)
    assert same(copy, value)
    assert not {id(each) for each in containers(copy)} & {id(each) for each in containers(value)}
    assert not same(copy, buried([Number("1.1")], in_objects=True))


@settings(deadline=None)
@given(st.one_of(json_values(), st.sampled_from([0, 1, True, False, "1", None, [], {}, [1], [True]])), json_values())
def test_values_are_the_same_where_their_texts_are(one: Any, other: Any) -> None:
    def text(value: Any) -> str:
        return json.dumps(value, sort_keys=True)

    assert same(one, one)
    assert same(one, other) == (text(one) == text(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        (0, False),
        (0.0, -0.0),
        ([], {}),
        ([1], [1, 1]),
        ({"a": 1}, {"b": 1}),
        ([[1]], [[True]]),
        ("1", 1),
    ],
)
def test_values_that_are_equal_to_python_or_nearly_are_two(one: Any, other: Any) -> None:
    assert not same(one, other)
    assert not same({"a": [one]}, {"a": [other]})


def test_the_order_of_keys_says_nothing() -> None:
    assert same([{"a": 1, "b": 2}], [{"b": 2, "a": 1}])


@given(st.lists(json_values(2), max_size=4))
def test_an_array_of_texts_is_the_array(values: list[Any]) -> None:
    texts = [json.dumps(value).encode() for value in values]
    for given_ in (texts, list(map(msgspec.Raw, texts))):
        assert array_of(given_) == b"[" + b",".join(texts) + b"]"


@given(st.one_of(st.binary(), st.text().map(str.encode), st.text().map(lambda text: text.encode()[:-1])))
def test_utf_8_is_told_apart_by_the_piece(body: bytes) -> None:
    def refused(act: Any) -> bool:
        try:
            act()
        except UnicodeDecodeError:
            return True
        return False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "_PIECE", 4)
        assert refused(lambda: check_utf_8(body)) == refused(body.decode)
