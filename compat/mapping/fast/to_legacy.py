"""Sessions to legacy records by typed decoders (contract, section 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from compat.mapping.fast.scanner import REFUSED, Declined
from compat.mapping.fast.times import Times
from compat.mapping.fast.types import session_types
from compat.schemas import COLUMNS
from compat.schemas.rules import Latest, LookedUp, Rule, SessionText, Time, legacy_id
from compat.schemas.student import CARRIED_KEY, RULES
from compat.text.json import array_of

__all__ = ["LegacyView", "joined", "one_each", "string_of"]

_string = msgspec.json.Decoder(str).decode
Filler = Callable[[Any, Any, Mapping[str, Any]], None]


def joined(decode: Callable[[bytes], list[Any]], texts: Sequence[Any]) -> list[Any]:
    """Decode many JSON texts at once.

    Raises:
        ValueError: they are not one value each, of the type asked for.
    """
    return one_each(decode(array_of(texts)), texts)


def one_each(decoded: list[Any], texts: Sequence[Any]) -> list[Any]:
    """What many JSON texts were decoded into.

    Raises:
        ValueError: they are not one value each.
    """
    if len(decoded) != len(texts):
        raise Declined
    return decoded


def string_of(value: Any) -> Any:
    """A value as it is; of one that is kept as its text the string, None where it is none."""
    if type(value) is not Raw:
        return value
    try:
        return _string(value)
    except REFUSED:
        return None


class LegacyView:
    """Decodes sessions into legacy records, or into some of their columns.

    Args:
        exams: exam id to applicationId.
        times: reads and writes times.
        names: the legacy columns wanted; exam and id always are.
        extra_fields: carried fields beyond the 57 that are let through.
        instants_only: exact times are wanted as instants, to compare them: whatever text is carried, they are the live
            session's.
        as_text: paths of values that are kept as their text.
    """

    def __init__(
        self,
        exams: Mapping[int, str],
        times: Times,
        names: Sequence[str] = tuple(COLUMNS),
        extra_fields: tuple[str, ...] = (),
        *,
        instants_only: bool = False,
        as_text: frozenset[str] = frozenset(),
    ) -> None:
        wanted = tuple(name for name in COLUMNS if name in (*names, "id", "exam_id"))
        types = session_types(wanted, extra_fields, as_text)
        self._exams = {application.lower(): exam for exam, application in exams.items()}
        self._new_record: Callable[[], Any] = types.record
        self.no_metadata: Any = types.metadata()
        made = {name: RULES[name].column(_Filling(name, times, instants_only)) for name in wanted}
        fillers = {name: filler for name, filler in made.items() if filler is not None}
        self._fillers = list(fillers.values())
        self._others = [(name, fill) for name, fill in fillers.items() if RULES[name].category != "exact"]
        self.decode = msgspec.json.Decoder(types.session).decode
        self.decode_page = msgspec.json.Decoder(types.page).decode
        self.decode_all = msgspec.json.Decoder(list[types.session]).decode  # type: ignore[name-defined]

    def record(self, session: Any, person: Mapping[str, Any]) -> Any:
        """The legacy record of a decoded session; UNSET nowhere, and in the seed's order when encoded.

        Raises:
            ValueError: the lens has to decide.
        """
        carried = getattr(session.metadata, CARRIED_KEY, UNSET)
        record = self._new_record() if carried is UNSET else carried
        record.id = legacy_id(session.id)
        record.exam_id = self.exam_or_decline(session.applicationId)
        for fill in self._fillers:
            fill(record, session, person)
        return record

    def fill_rest(self, records: Sequence[Any], sessions: Sequence[Any], people: Sequence[Mapping[str, Any]]) -> None:
        """Fill in what carried records need beside their exact fields.

        Raises:
            ValueError: the lens has to decide.
        """
        for name, fill in self._others:
            carried_of = attrgetter(name)
            if UNSET in map(carried_of, records):
                for record, session, person in zip(records, sessions, people, strict=True):
                    if carried_of(record) is UNSET:
                        fill(record, session, person)

    def exam(self, application: str) -> int | None:
        """The exam that an application is tied to, or None."""
        return self._exams.get(application.lower())

    def exam_or_decline(self, application: str) -> int:
        """The exam that an application is tied to.

        Raises:
            Declined: it is tied to none.
        """
        exam = self._exams.get(application) or self.exam(application)
        if exam is None:
            raise Declined
        return exam


class _Filling:
    """Fills one field of a record in, by its rule; nothing where decoding, or the identity, has done so.

    Args:
        name: the legacy field.
        times: reads and writes times.
        instants_only: as :class:`LegacyView` takes it.
    """

    def __init__(self, name: str, times: Times, instants_only: bool) -> None:
        self._name = name
        self._times = times
        self._instants_only = instants_only

    def identifier(self, rule: Rule) -> Filler | None:
        return None

    application = constant = identifier

    def time(self, rule: Time) -> Filler | None:
        name = self._name
        live_of, carried_of = attrgetter(rule.source), attrgetter(name)
        same, write, instant = self._times.same, self._times.write, self._times.instant

        def fill_instant(record: Any, session: Any, person: Mapping[str, Any]) -> None:
            live = live_of(session)
            setattr(record, name, None if live is None else instant(live))

        if self._instants_only:
            return fill_instant

        def fill(record: Any, session: Any, person: Mapping[str, Any]) -> None:
            live, carried = live_of(session), string_of(carried_of(record))
            if live is None:
                setattr(record, name, None)
            elif carried is UNSET or carried is None or not same(carried, live):
                setattr(record, name, write(live))

        return fill

    def latest(self, rule: Latest) -> Filler | None:
        name = self._name
        write, instant, carried_of = self._times.write, self._times.instant, attrgetter(name)
        getters = [attrgetter(source) for source in rule.times]

        def fill(record: Any, session: Any, person: Mapping[str, Any]) -> None:
            if carried_of(record) is UNSET:
                texts = [text for get in getters if (text := get(session)) is not None]
                setattr(record, name, write(texts[0] if len(texts) == 1 else max(texts, key=instant)))

        return fill

    def session_text(self, rule: SessionText) -> Filler | None:
        source = attrgetter(rule.source)
        return self._unless_carried(lambda session, person: source(session))

    def looked_up(self, rule: LookedUp) -> Filler | None:
        key = rule.key

        def value(session: Any, person: Mapping[str, Any]) -> Any:
            own = getattr(session.metadata, key, UNSET)
            return person.get(key) if own is UNSET else own

        return self._unless_carried(value)

    def _unless_carried(self, value: Callable[[Any, Mapping[str, Any]], Any]) -> Filler:
        name, carried_of = self._name, attrgetter(self._name)

        def fill(record: Any, session: Any, person: Mapping[str, Any]) -> None:
            if carried_of(record) is UNSET:
                setattr(record, name, value(session, person))

        return fill
