"""A law that cannot fail proves nothing: for each one a deliberately broken translation makes it fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import Phase, find, settings
from hypothesis import strategies as st

from compat import SessionLens
from compat.errors import MappingError
from compat.mapping import NOTHING_LEFT, Remainder, Translation
from compat.mapping.lens import NOBODY
from compat.testing import laws
from compat.testing.strategies import edits, legacy_records, sessions
from compat.text.json import dumps
from compat.upstream.base import LegacySettings
from compat.upstream.session_codec import SessionCodec
from compat.upstream.student_codec import StudentCodec

EXAMS = {17: "5b1f0c2e-3c1e-4c86-9d0e-0f6c3c1d2a11"}
# Any example will do: the smallest one would take the longest to find.
QUICK = settings(max_examples=2000, deadline=None, database=None, phases=[Phase.generate])


def breaks(strategy: st.SearchStrategy[Any], law: Callable[[Any], None]) -> None:
    """Find an example on which the law fails; NoSuchExample if there is none."""

    def violated(example: Any) -> bool:
        try:
            law(example)
        except AssertionError:
            return True
        except MappingError:
            return False
        return False

    find(strategy, violated, settings=QUICK)


class ForgetsCarried(SessionLens):
    def to_session(self, record: Mapping[str, Any], remainder: Remainder = NOTHING_LEFT, person: Any = NOBODY) -> Any:
        return super().to_session(record, remainder, person) | {"metadata": None}


class RoundsTimes(SessionLens):
    def to_legacy(self, session: Mapping[str, Any], person: Mapping[str, Any] = NOBODY) -> Translation:
        view = super().to_legacy(session, person)
        return replace(view, record=view.record | {"start_time": view.record["start_time"][:19] + "Z"})


class ForgetsAbsence(SessionLens):
    def to_session(self, record: Mapping[str, Any], remainder: Remainder = NOTHING_LEFT, person: Any = NOBODY) -> Any:
        return super().to_session(record, replace(remainder, absent=()), person)


class ForgetsTexts(SessionLens):
    def to_session(self, record: Mapping[str, Any], remainder: Remainder = NOTHING_LEFT, person: Any = NOBODY) -> Any:
        kept = {name: text for name, text in remainder.exact.items() if name == "id"}
        return super().to_session(record, replace(remainder, exact=kept), person)


class PrefersOldValues(SessionLens):
    def to_session(self, record: Mapping[str, Any], remainder: Remainder = NOTHING_LEFT, person: Any = NOBODY) -> Any:
        session = super().to_session(record, remainder, person)
        metadata = session.get("metadata")
        if isinstance(metadata, dict) and isinstance(metadata.get("exam_student"), dict):
            metadata["exam_student"].pop("name", None)
        return session


@pytest.mark.parametrize("broken", [ForgetsCarried, RoundsTimes])
def test_law_1_can_fail(broken: type[SessionLens]) -> None:
    breaks(legacy_records([17]), lambda record: laws.record_comes_back(broken(EXAMS), record))


@pytest.mark.parametrize("broken", [ForgetsAbsence, ForgetsTexts])
def test_law_2_can_fail(broken: type[SessionLens]) -> None:
    breaks(sessions(EXAMS), lambda session: laws.session_comes_back(broken(EXAMS), session))


@pytest.mark.parametrize("broken", [ForgetsCarried, PrefersOldValues])
def test_law_3_can_fail(broken: type[SessionLens]) -> None:
    pairs = st.tuples(sessions(EXAMS), edits([17]))
    breaks(pairs, lambda pair: laws.edit_survives(broken(EXAMS), *pair))


def test_law_4_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laws, "losses_of_session", lambda *_: [])
    breaks(sessions(EXAMS), lambda session: laws.losses_are_listed(SessionLens(EXAMS), session))


def test_law_4_notices_one_loss_that_is_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = laws.losses_of_session
    monkeypatch.setattr(
        laws, "losses_of_session", lambda *given: [loss for loss in whole(*given) if loss.field != "toolId"]
    )
    breaks(sessions(EXAMS), lambda session: laws.losses_are_listed(SessionLens(EXAMS), session))


class _OtherPlain:
    """A plain path that disagrees with the compiled one in a detail."""

    def __init__(self, codec: Any, change: Callable[[bytes], bytes]) -> None:
        self._codec = codec
        self._change = change

    def render(self, records: Sequence[Any], people: Sequence[Mapping[str, Any]]) -> bytes:
        return bytes(self._codec.render(records, people))

    def plain(self, text: Any, person: Mapping[str, Any]) -> bytes:
        return self._change(self._codec.plain(text, person))


@pytest.mark.parametrize(
    "change",
    [lambda text: text.replace(b"null", b'""', 1), lambda text: text.replace(b'"id":', b'"id":1', 1)],
    ids=["a null turned into an empty text", "another id"],
)
def test_law_5_can_fail(change: Callable[[bytes], bytes]) -> None:
    students, sessions_codec = StudentCodec(LegacySettings()), SessionCodec(EXAMS, LegacySettings())
    for codec, strategy in ((students, legacy_records([17])), (sessions_codec, sessions(EXAMS))):
        broken: Any = _OtherPlain(codec, change)
        breaks(strategy, lambda record, broken=broken: laws.compiled_agrees(broken, dumps(record).encode()))


WHOLE = [{"id": number} for number in range(20)]


def _page(number: int, limit: int) -> list[dict[str, int]]:
    return WHOLE[(number - 1) * limit : number * limit]


BROKEN_PAGING: dict[str, Callable[[int, int], tuple[list[dict[str, int]], int]]] = {
    "repeats the last record of a page": lambda page, limit: (WHOLE[max((page - 1) * limit - 1, 0) :][:limit], 20),
    "drops a record and says so": lambda page, limit: ([r for r in _page(page, limit) if r["id"] != 7], 19),
    "drops a record": lambda page, limit: ([r for r in _page(page, limit) if r["id"] != 7], 20),
    "swaps two records": lambda page, limit: (_page(page, limit)[::-1], 20),
}


@pytest.mark.parametrize("kind", BROKEN_PAGING)
def test_law_6_can_fail(kind: str) -> None:
    breaks(st.integers(2, 19), lambda limit: laws.pages_join(BROKEN_PAGING[kind], limit, WHOLE))


def test_law_6_holds_for_paging_that_is_right() -> None:
    for limit in range(1, 25):
        laws.pages_join(lambda page, size: (_page(page, size), 20), limit, WHOLE)
