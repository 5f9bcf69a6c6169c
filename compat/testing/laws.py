"""The six laws of translation (contract, section 5) as checks that anyone can run on their own payloads.

Each raises AssertionError where the law does not hold, and names what differs. Laws 1 to 4 hold for the declaration
that the lens was made with, the shim's own or one that adds fields; :func:`hold` runs them over whole lists.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from compat.errors import LegacyError, MappingError
from compat.mapping import SessionLens, losses_of_record, losses_of_session
from compat.mapping.lens import NOBODY
from compat.text.json import loads, same
from compat.upstream.records import Codec

__all__ = [
    "compiled_agrees",
    "edit_survives",
    "hold",
    "losses_are_listed",
    "pages_join",
    "record_comes_back",
    "session_comes_back",
]


def _require_same(law: str, expected: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    names = [name for name in {**expected, **found} if name not in expected or name not in found]
    names += [name for name in expected if name in found and not same(expected[name], found[name])]
    if names:
        raise AssertionError(f"{law}: {', '.join(sorted(set(names)))} came back otherwise")


def _completed(lens: SessionLens, record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: record.get(name) for name in lens.columns} | dict(record)


def record_comes_back(lens: SessionLens, record: Mapping[str, Any]) -> None:
    """Law 1: legacy to session to legacy gives the record back; absent fields come back as null.

    Raises:
        MappingError: the record has no session; the text names the field.
    """
    back = lens.to_legacy(lens.to_session(record)).record
    _require_same("law 1", _completed(lens, record), back)


def session_comes_back(lens: SessionLens, session: Mapping[str, Any], person: Mapping[str, Any] = NOBODY) -> None:
    """Law 2: session to legacy record and remainder, and both together are the session again.

    Raises:
        MappingError: the session has no legacy record; the text names the field.
    """
    view = lens.to_legacy(session, person)
    _require_same("law 2", session, lens.to_session(view.record, view.remainder, person))


def edit_survives(
    lens: SessionLens, session: Mapping[str, Any], edit: Mapping[str, Any], person: Mapping[str, Any] = NOBODY
) -> None:
    """Law 3: what is changed in the legacy view is still changed after the way to the session and back.

    Raises:
        MappingError: the session cannot hold the change; the text names the field.
    """
    view = lens.to_legacy(session, person)
    edited = view.record | dict(edit)
    back = lens.to_legacy(lens.to_session(edited, view.remainder, person), person).record
    _require_same("law 3", edited, back)


def losses_are_listed(lens: SessionLens, session: Mapping[str, Any], person: Mapping[str, Any] = NOBODY) -> None:
    """Law 4: a session made from the legacy record alone differs in nothing that the losses do not list.

    Raises:
        MappingError: the session has no legacy record; the text names the field.
    """
    view = lens.to_legacy(session, person)
    listed = {loss.field for loss in losses_of_session(lens, view, person)}
    if any(name.startswith("metadata.") for name in listed):
        listed.add("metadata")
    try:
        made = lens.to_session(view.record)
    except MappingError as error:
        if lens.columns[error.field].rule.sources[0] not in listed:  # type: ignore[union-attr]
            raise AssertionError(f"law 4: {error.field} cannot go back, and no loss says so") from None
        return
    expected = {name: value for name, value in session.items() if name not in listed}
    _require_same("law 4", expected, {name: value for name, value in made.items() if name not in listed})
    absent = {loss.field for loss in losses_of_record(view.record, lens.columns)}
    _require_same("law 4", view.record, {k: v for k, v in _completed(lens, view.record).items() if k not in absent})


def hold(
    lens: SessionLens,
    *,
    records: Iterable[Mapping[str, Any]] = (),
    sessions: Iterable[Mapping[str, Any]] = (),
    person: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda session: NOBODY,
) -> int:
    """Laws 1, 2 and 4 over payloads of your own, all of them even where one fails.

    Args:
        lens: with your exams, your zone and your declaration.
        records: legacy records.
        sessions: sessions.
        person: gives the roster's values for a session's user.

    Returns:
        how many payloads were looked at.

    Raises:
        AssertionError: a law does not hold, or a payload cannot be mapped; names each payload by its place from 1 and
            the fields, and shows no value.
        ValueError: there was nothing to look at.
    """
    checks = [(f"record {place}", partial(record_comes_back, lens, each)) for place, each in enumerate(records, 1)]
    for place, session in enumerate(sessions, 1):
        whose = person(session)
        checks.append((f"session {place}", partial(session_comes_back, lens, session, whose)))
        checks.append((f"session {place}", partial(losses_are_listed, lens, session, whose)))
    if not checks:
        raise ValueError("no payload was given, so that nothing was shown")
    failed = [f"{name}: {error}" for name, check in checks if (error := _failure_of(check)) is not None]
    if failed:
        raise AssertionError("\n".join(failed))
    return len({name for name, _ in checks})


def _failure_of(check: Callable[[], None]) -> str | None:
    try:
        check()
    except (AssertionError, MappingError) as error:
        return str(error)
    return None


def _outcome(act: Callable[[], bytes]) -> Any:
    try:
        return loads(act())
    except LegacyError as error:
        return f"{type(error).__name__} {error.status}: {error}"


def compiled_agrees(codec: Codec, text: bytes, person: Mapping[str, Any] = NOBODY) -> None:
    """Law 5: the compiled form and the marshmallow schemas give one result, or one error, for a record's JSON text.

    Args:
        codec: an upstream's codec.
        text: the record's JSON text, UTF-8; a page that is none is refused before records are looked at.
        person: the roster's values for the record's user.
    """
    compiled = _outcome(lambda: codec.render([text], [person])[1:-1])
    plain = _outcome(lambda: codec.plain(text, person))
    if not same(compiled, plain):
        raise AssertionError(f"law 5: compiled gives {_kind(compiled)}, the schemas give {_kind(plain)}")


def _kind(outcome: Any) -> str:
    return outcome if isinstance(outcome, str) else f"a record of {len(outcome)} fields"


def pages_join(fetch: Callable[[int, int], tuple[Sequence[Any], int]], limit: int, expected: Sequence[Any]) -> None:
    """Law 6: the pages of any limit, joined, are the whole list.

    Args:
        fetch: gives a page's records and the number of matches, of a page and a limit.
        limit: records a page.
        expected: the list, as a plain implementation selects and sorts it.
    """
    joined: list[Any] = []
    matches = page = 0
    while page == 0 or len(joined) < matches:
        page += 1
        records, matches = fetch(page, limit)
        if len(records) != min(limit, matches - len(joined)):
            raise AssertionError(f"law 6: page {page} has {len(records)} records of {matches} at limit {limit}")
        joined += records
    if json.dumps(joined) != json.dumps(list(expected)):
        found = f"{len(joined)} joined records are not the {len(expected)} expected, or not in order"
        raise AssertionError(f"law 6: {found}")
