"""Published signatures, and that no two sets of parameters pass under one of them.

The vectors are for whoever signs or verifies calls in another language too: signature_vectors.json says what is signed,
and, of base strings that can be read in more than one way, which readings pass.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from datetime import timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import compat
from compat.errors import InvalidParameter, NotAuthorized
from compat.legacy.parameters import check, gather
from compat.legacy.query import parse_query
from compat.legacy.routes import INDEX_STUDENTS, ROUTES, LegacyCall, Route
from compat.legacy.signature import base_string, sign
from compat.stores import Store, open_store

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "signature_vectors.json").read_text(encoding="utf-8"))
KEY: str = VECTORS["secret_key"]
CALLER = compat.Caller("registrar", "t0ken", KEY)
TOKEN_DIGEST = hashlib.sha256(b"t0ken").digest()


def passes(route: Route, parameters: Mapping[str, str], signature: str, store: Store) -> bool:
    """Whether a call is answered, by the verifier, the store and the rules that a gateway has."""
    verifier = compat.Verifier(
        [CALLER],
        spend=lambda caller, nonce, given: store.spend(TOKEN_DIGEST, nonce, given),
        clock=lambda: VECTORS["now"],
    )
    sent = {name: text for name, text in parameters.items() if name != "id"}
    query = urlencode({**sent, "signature": signature})
    call = LegacyCall(route, parameters["id"], query, authorization="Token token=t0ken")
    gathered = gather(call)
    try:
        verifier.verify(call, gathered)
        if route is INDEX_STUDENTS:
            parse_query(gathered, timezone.utc)
        else:
            check(route, gathered)
    except (NotAuthorized, InvalidParameter):
        return False
    return True


@pytest.mark.parametrize("vector", VECTORS["signed"], ids=lambda vector: vector["what"])
def test_what_is_signed(vector: dict[str, Any]) -> None:
    assert base_string(vector["parameters"]) == vector["base_string"]
    assert base_string({**vector["parameters"], "signature": "x"}) == vector["base_string"]
    assert sign(vector["base_string"], KEY) == vector["signature"]


@pytest.mark.parametrize("vector", VECTORS["ambiguous"], ids=lambda vector: vector["what"])
def test_which_reading_passes(vector: dict[str, Any]) -> None:
    routes = {route.action: route for route in ROUTES}
    assert sign(vector["base_string"], KEY) == vector["signature"]
    for reading in vector["readings"]:
        assert base_string(reading["parameters"]) == vector["base_string"]
        # Each as if it came first, with no nonce spent.
        found = passes(routes[reading["route"]], reading["parameters"], vector["signature"], open_store("memory://"))
        assert found is reading["passes"], reading


def test_the_vectors_have_what_they_are_for() -> None:
    told = [reading["passes"] for vector in VECTORS["ambiguous"] for reading in vector["readings"]]
    assert len(VECTORS["signed"]) >= 10
    assert told.count(True) == len(VECTORS["ambiguous"]) >= 10
    assert told.count(False) >= 10


def readings(pieces: list[str]) -> Iterator[dict[str, str]]:
    """Every set of parameters whose base string the pieces are, joined by question marks."""
    for cuts in itertools.product((False, True), repeat=len(pieces) - 1):
        joined = [pieces[0]]
        for piece, cut in zip(pieces[1:], cuts, strict=True):
            if cut:
                joined.append(piece)
            else:
                joined[-1] += "?" + piece
        names = [text.partition("=")[0] for text in joined]
        if all("=" in text for text in joined) and names == sorted(set(names)) and "signature" not in names:
            yield {text.partition("=")[0]: text.partition("=")[2] for text in joined}


NAMES = ("a", "email", "filter", "limit", "name", "open_time", "page", "sort", "status", "student_session_id", "z", "")
VALUES = ("1", "x", "", "[]", "{}", '{"name":{"eq":"', '"}}', "True", "registered", "a=b")
PIECES = st.lists(
    st.builds("{}={}".format, st.sampled_from(NAMES), st.sampled_from(VALUES)) | st.sampled_from(["q", "", '"}}', "="]),
    max_size=5,
)
WHOLE = ["id=17", "nonce=1527500365", "timestamp=1527500365052"]

WHOLE_NAMES = {"id", "nonce", "timestamp"}


@settings(deadline=None)
@given(extra=PIECES, sort=st.booleans(), place=st.integers(0, 5))
@example(extra=["a=1", "page=1"], sort=True, place=0)
@example(extra=["name=x", "email=x", "student_session_id=1"], sort=True, place=0)
@example(extra=["=", "q", "a=1"], sort=True, place=0)
@example(extra=["q", "sort=1", "student_session_id=1"], sort=True, place=0)
@example(extra=['filter={"name":{"eq":"', "limit=1", '"}}'], sort=False, place=0)
def test_of_all_readings_of_a_base_string_at_most_one_passes(extra: list[str], sort: bool, place: int) -> None:
    pieces = extra[:place] + WHOLE + extra[place:]
    if sort:
        pieces.sort(key=lambda piece: piece.partition("=")[0])
    signature = sign("?".join(pieces), KEY)
    once = open_store("memory://")
    alone, together = set(), 0
    for reading in filter(WHOLE_NAMES.issubset, readings(pieces)):
        assert base_string(reading) == "?".join(pieces)
        for route in ROUTES:
            # As if each came first: what decides is not which one was quicker.
            if passes(route, reading, signature, open_store("memory://")):
                alone.add(tuple(reading.items()))
            together += passes(route, reading, signature, once)
    assert len(alone) <= 1
    assert together <= 1
