"""Whose a call is, by its token or its signature."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from compat.legacy.routes import INDEX_STUDENTS, LegacyCall
from compat.legacy.signature import Caller, signed
from compat.regression.recordings.call_lists import Accounts

CALLERS = [
    Caller("nightly", "token-of-nightly", "secret-of-nightly"),
    Caller("desk", "token-of-desk", "secret-of-desk"),
]


def call_by(token: str | None, key: str | None) -> LegacyCall:
    query = urlencode({"limit": "5", "sort": '[{"name":"asc"}]'})
    if key is not None:
        query = urlencode(signed({"limit": "5", "sort": '[{"name":"asc"}]'}, key, {"id": "17"}))
    return LegacyCall(INDEX_STUDENTS, "17", query, authorization=token and f"Token token={token}")


@pytest.mark.parametrize(
    ("token", "key", "owner"),
    [
        ("token-of-desk", None, "desk"),
        ('"token-of-desk"', None, "desk"),
        ("token-of-desk", "secret-of-nightly", "desk"),
        (None, "secret-of-nightly", "nightly"),
        ("[REDACTED]", "secret-of-nightly", "nightly"),
        (None, "secret-of-nobody", "said"),
        (None, None, "said"),
        ("token-of-nobody", "secret-of-nobody", None),
        ("token-of-nobody", None, None),
    ],
)
def test_whose_a_call_is(token: str | None, key: str | None, owner: str | None) -> None:
    assert Accounts(CALLERS).owner(call_by(token, key), "said") == owner
    assert Accounts(CALLERS).owner(call_by(token, key)) == (None if owner == "said" else owner)
