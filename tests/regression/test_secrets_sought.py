"""A secret is found in every form that is easily turned back, wherever it stands, and nothing else is."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compat.regression.recordings.writer import SHORTEST, Sought

SECRETS = st.one_of(
    st.text("0123456789abcdef", min_size=16, max_size=40),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=SHORTEST, max_size=20),
)
FORMS: dict[str, Callable[[str], bytes]] = {
    "as it is": lambda text: text.encode(),
    "reversed": lambda text: text[::-1].encode(),
    "bytes reversed": lambda text: text.encode()[::-1],
    "hex": lambda text: text.encode().hex().encode(),
    "hex in capitals": lambda text: text.encode().hex().upper().encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()),
    "base64 without its end": lambda text: base64.b64encode(text.encode()).rstrip(b"="),
    "base32": lambda text: base64.b32encode(text.encode()),
    "base32hex": lambda text: base64.b32hexencode(text.encode()),
    "quoted": lambda text: quote(text).encode(),
    "quoted, every mark": lambda text: quote(text, safe="").encode(),
    "quoted for forms": lambda text: quote_plus(text).encode(),
    "quoted wholly": lambda text: "".join(f"%{octet:02X}" for octet in text.encode()).encode(),
    "JSON": lambda text: json.dumps(text).encode(),
    "JSON, its letters": lambda text: json.dumps(text, ensure_ascii=False).encode(),
}


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=15, deadline=None)
@given(SECRETS, st.binary(max_size=9), st.binary(max_size=9))
def test_it_is_found_in_every_form(form: str, secret: str, before: bytes, after: bytes) -> None:
    assert Sought([secret]).stands_in(before + FORMS[form](secret) + after)


@settings(max_examples=60, deadline=None)
@given(SECRETS, st.binary(max_size=9), st.binary(max_size=9), st.booleans())
def test_it_is_found_within_something_longer_in_base64(
    secret: str, before: bytes, after: bytes, for_urls: bool
) -> None:
    """A header such as ``Basic`` puts it behind a name."""
    encode = base64.urlsafe_b64encode if for_urls else base64.b64encode
    assert Sought([secret]).stands_in(encode(before + secret.encode() + after))


@settings(max_examples=50, deadline=None)
@given(st.text("0123456789abcdef", min_size=16, max_size=40), st.binary(max_size=200))
def test_nothing_else_is(secret: str, other: bytes) -> None:
    assert not Sought([secret]).stands_in(other.replace(secret.encode(), b""))
    assert not Sought([secret]).stands_in(secret[:-1].encode())


def test_what_is_too_short_is_not_sought() -> None:
    assert not Sought(["short", ""]).stands_in(b"short")
    assert Sought(["longer"]).stands_in(b"longer")


def test_what_is_sought_is_not_shown() -> None:
    assert "t0ken" not in repr(Sought(["t0ken-of-a-caller"]))
