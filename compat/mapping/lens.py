"""Session ⇄ legacy record, both ways from the one declaration, and what each way loses (contract, section 5).

The way back carries what the way there would not show: a session is put together from the exact fields and the
remainder, looked at as a legacy record, and every value that differs from the record is written into
``metadata.exam_student``. That is all there is to new sessions, to edits and to round trips alike.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import timezone, tzinfo
from typing import Any

from marshmallow import Schema

from compat.errors import MappingError
from compat.mapping.fast.scanner import REFUSED
from compat.schemas import COLUMNS, SessionOutputSchema, StudentSchema
from compat.schemas.fields import Typed
from compat.schemas.rules import Exact, Rule, Ties
from compat.schemas.student import CARRIED_KEY, check_declaration, exact_rules
from compat.text import instants
from compat.text.json import copied, dumps, loads, same

__all__ = [
    "NOBODY",
    "NOTHING_LEFT",
    "BulkLens",
    "Loss",
    "Remainder",
    "SessionLens",
    "Translation",
    "losses_of_record",
    "losses_of_session",
    "stand_ins",
]

NOBODY: Mapping[str, Any] = {}
"""The person of a session whose user no roster knows."""

_SESSIONS = SessionOutputSchema()
_MADE = ("durationInSeconds", "toolId", "wasteDurationInSeconds", "wastePercentage")


@dataclass(frozen=True)
class _Declaration:
    """A legacy schema, read once: its fields' rules, those that a session says exactly, and what validates them."""

    columns: Mapping[str, Typed]
    rules: Mapping[str, Rule]
    exact: Mapping[str, Exact]
    schema: Schema


@functools.cache
def _declared(student: type[Schema]) -> _Declaration:
    columns = check_declaration(student, SessionOutputSchema)
    rules = {name: column.rule for name, column in columns.items() if column.rule is not None}
    return _Declaration(columns, rules, exact_rules(columns), student())


@dataclass(frozen=True)
class Remainder:
    """The rest of a session beside its legacy record; only what a session made from the record would not have.

    Attributes:
        session: session keys to values, of the session's own and of unknown keys.
        exact: session keys to their text, where the same value made anew would read otherwise.
        absent: session keys that a made session has and this one has not.
        metadata: the metadata but for the carried values, as a list of one; empty where a made session's would do.
        carried: the legacy fields that the session carries and the record shows.
        stale: carried values that the record does not show, because the live session says otherwise.
    """

    session: Mapping[str, Any] = field(default_factory=dict)
    exact: Mapping[str, Any] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    metadata: tuple[Any, ...] = ()
    carried: tuple[str, ...] = ()
    stale: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """A JSON object that :meth:`from_dict` reads back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Remainder:
        """Read what :meth:`as_dict` gave, also after a way through JSON."""
        parts: dict[str, Any] = {
            name: tuple(part) if isinstance(part, list) else part for name, part in content.items()
        }
        return cls(**parts)


NOTHING_LEFT = Remainder()
"""The remainder of a session that was made from a legacy record."""


@dataclass(frozen=True)
class Translation:
    """A session as a legacy record.

    Attributes:
        record: the declared fields in their order, then carried fields beyond them.
        remainder: what the record cannot hold; with it the session can be put together again.
    """

    record: dict[str, Any]
    remainder: Remainder


class SessionLens:
    """Translates between sessions and legacy records.

    Args:
        exams: exam id to applicationId, one to one.
        zone: the zone that times are written in, and that a time without an offset is read in.
        student: the declaration of the legacy record; one of your own may add fields to the 57.

    Raises:
        ConfigurationError: the exams are not tied one to one.
        TypeError: a field of the declaration says nothing of the session, or the wrong thing.
    """

    def __init__(
        self, exams: Mapping[int, str], zone: tzinfo = timezone.utc, student: type[Schema] = StudentSchema
    ) -> None:
        self.student = student
        declared = _declared(student)
        self.columns, self._rules, self._exact = declared.columns, declared.rules, declared.exact
        self._students = declared.schema
        self._ties = Ties(exams, zone)

    def to_legacy(self, session: Mapping[str, Any], person: Mapping[str, Any] = NOBODY) -> Translation:
        """Show a session as a legacy record.

        Args:
            session: a ``SessionOutput``; unknown keys are kept in the remainder.
            person: the roster's values for the session's user, by legacy field name.

        Raises:
            MappingError: names the field that keeps the session from having a legacy record.
        """
        self.check_session(session)
        record = {name: self.value(session, name, person) for name in self.columns}
        for name, value in carried_values(session).items():
            record.setdefault(name, value)
        return Translation(copied(record), self._remainder(session, record))

    def value(self, session: Mapping[str, Any], name: str, person: Mapping[str, Any] = NOBODY) -> Any:
        """One legacy field of a session that :meth:`check_session` accepted.

        Raises:
            MappingError: the session field behind it cannot be read.
        """
        carried, rule = carried_values(session), self._rules[name]
        if name in carried and rule.counts(carried[name], session, self._ties):
            return carried[name]
        return rule.legacy(session, person, self._ties)

    def to_session(
        self,
        record: Mapping[str, Any],
        remainder: Remainder = NOTHING_LEFT,
        person: Mapping[str, Any] = NOBODY,
    ) -> dict[str, Any]:
        """Make a session of a legacy record; a field that the record lacks is taken as null.

        Args:
            record: a legacy record, edited or not, with fields beyond the 57 or not.
            remainder: what the session held beside it.
            person: the roster's values that the record was shown with.

        Raises:
            MappingError: names the field that a session cannot hold.
        """
        whole = {name: record.get(name) for name in self.columns} | dict(record)
        session = self._exact_part(whole, remainder)
        session.update(self._made_part(session))
        session.update(copied(dict(remainder.session)))
        for name in remainder.absent:
            if session.get(name) is None or name in _MADE:
                session.pop(name, None)
        carried = {name: whole[name] for name in remainder.carried if name in whole} | dict(remainder.stale)
        _put_metadata(session, remainder, carried)
        missed = {name: value for name, value in whole.items() if not self._shows(session, name, value, person)}
        _put_metadata(session, remainder, carried | missed)
        return session

    def check_session(self, session: Mapping[str, Any]) -> None:
        """Refuse a session whose exact fields have other types than the schema says, or times that are none.

        Raises:
            MappingError: names the session field and the rule.
        """
        problems = _SESSIONS.validate(dict(session))
        for rule in self._exact.values():
            if rule.source in problems:
                raise MappingError(rule.source, problems[rule.source][0])
            rule.check(session.get(rule.source), self._ties)

    def _shows(self, session: Mapping[str, Any], name: str, value: Any, person: Mapping[str, Any]) -> bool:
        if name in self.columns:
            return same(self.value(session, name, person), value)
        carried = carried_values(session)
        return name in carried and same(carried[name], value)

    def _exact_part(self, record: Mapping[str, Any], remainder: Remainder) -> dict[str, Any]:
        problems = self._students.validate({name: record[name] for name in self._exact})
        session: dict[str, Any] = {}
        for name, rule in self._exact.items():
            if name in problems:
                raise MappingError(name, problems[name][0])
            session[rule.source] = self._session_value(name, rule, record[name], remainder)
        if self._seconds(session) < 0:
            raise MappingError("end_time", "Must not lie before start_time.")
        return session

    def _session_value(self, name: str, rule: Exact, value: Any, remainder: Remainder) -> Any:
        original = remainder.exact.get(rule.source)
        if rule.source in remainder.exact and rule.stands_for(original, value, self._ties):
            return original
        return rule.session(name, value, self._ties)

    def _seconds(self, session: Mapping[str, Any]) -> int:
        start, end = (self._ties.instant(session[name]) for name in ("startedAtTime", "endedAtTime"))
        return instants.whole_seconds_between(start, end)

    def _made_part(self, session: Mapping[str, Any]) -> dict[str, Any]:
        return dict(zip(_MADE, (self._seconds(session), session["applicationId"], 0, 0), strict=True))

    def _remainder(self, session: Mapping[str, Any], record: Mapping[str, Any]) -> Remainder:
        made = self._made_part(session)
        exact = {rule.source: session.get(rule.source) for rule in self._exact.values()}
        own = {
            key: value
            for key, value in session.items()
            if key not in exact and key != "metadata" and not (key in made and same(made[key], value))
        }
        carried = carried_values(session)
        shown = tuple(name for name, value in carried.items() if same(record[name], value))
        return Remainder(
            session=copied(own),
            exact={
                rule.source: exact[rule.source]
                for name, rule in self._exact.items()
                if rule.source in session and not self._made_alike(name, record[name], exact[rule.source])
            },
            absent=tuple(key for key in (*made, *exact, "metadata") if key not in session),
            metadata=_own_metadata(session),
            carried=shown,
            stale=copied({name: value for name, value in carried.items() if name not in shown}),
        )

    def _made_alike(self, name: str, value: Any, original: Any) -> bool:
        try:
            return same(self._exact[name].session(name, value, self._ties), original)
        except MappingError:
            return False


def carried_values(session: Mapping[str, Any]) -> Mapping[str, Any]:
    """The legacy values that a session carries."""
    metadata = session.get("metadata")
    carried = metadata.get(CARRIED_KEY) if isinstance(metadata, dict) else None
    return carried if isinstance(carried, dict) else {}


def _own_metadata(session: Mapping[str, Any]) -> tuple[Any, ...]:
    metadata = session.get("metadata")
    if metadata is None:
        return ()
    if not carried_values(session):
        return (copied(metadata),)
    own = {key: value for key, value in metadata.items() if key != CARRIED_KEY}
    return (copied(own),) if own else ()


def _put_metadata(session: dict[str, Any], remainder: Remainder, carried: Mapping[str, Any]) -> None:
    own = remainder.metadata[0] if remainder.metadata else None
    if carried:
        kept = own if isinstance(own, dict) else {}
        session["metadata"] = copied(kept | {CARRIED_KEY: dict(carried)})
    elif own is not None or "metadata" not in remainder.absent:
        session["metadata"] = copied(own)
    else:
        session.pop("metadata", None)


@dataclass(frozen=True, order=True)
class Loss:
    """A named difference.

    Attributes:
        field: the field that loses something; ``metadata.`` leads into the metadata.
        reason: what is lost, in words.
    """

    field: str
    reason: str


def losses_of_record(record: Mapping[str, Any], columns: Iterable[str] = COLUMNS) -> list[Loss]:
    """What a legacy record loses on its way into a session: nothing but that a declared field was not there at all."""
    return [Loss(name, "that it was absent: it comes back as null") for name in columns if name not in record]


def losses_of_session(lens: SessionLens, translation: Translation, person: Mapping[str, Any] = NOBODY) -> list[Loss]:
    """What a session loses if only its legacy record is kept."""
    remainder = translation.remainder
    losses = [Loss(name, "the value, for which a legacy record has no field") for name in remainder.session]
    losses += [Loss(name, "its own text") for name in remainder.exact]
    losses += [Loss(name, "that it was absent") for name in remainder.absent]
    own = remainder.metadata[0] if remainder.metadata else None
    if isinstance(own, dict) and own:
        losses += [Loss(f"metadata.{key}", "which key said it, or the value") for key in own]
    elif remainder.metadata:
        losses.append(Loss("metadata", "the value"))
    losses += [Loss(f"metadata.exam_student.{name}", "the value, which was out of date") for name in remainder.stale]
    losses += [
        Loss(f"metadata.exam_student.{name}", "that it was carried, or where from")
        for name in _carried_otherwise(lens, translation, remainder, person)
    ]
    return sorted(set(losses))


def _carried_otherwise(
    lens: SessionLens, translation: Translation, remainder: Remainder, person: Mapping[str, Any]
) -> set[str]:
    """The fields that a session made from the record alone would carry and this one does not, or the reverse."""
    keep_identity = Remainder(exact=remainder.exact)
    made = carried_values(lens.to_session(translation.record, keep_identity))
    return set(made) ^ set(remainder.carried)


def stand_ins(session: Mapping[str, Any], person: Mapping[str, Any] = NOBODY) -> dict[str, str]:
    """The legacy fields that a session has no word for, each with what the record may say otherwise.

    A field counts whose value is neither exact, nor carried, nor looked up.
    """
    carried = carried_values(session)
    return {
        name: column.rule.loss
        for name, column in COLUMNS.items()
        if column.rule is not None and name not in carried and not column.rule.told(session, person)
    }


class BulkLens:
    """Makes sessions of whole arrays of legacy records.

    Args:
        exams: exam id to applicationId, one to one.
        zone: the zone that a time without an offset is read in.

    Raises:
        ConfigurationError: the exams are not tied one to one.
    """

    def __init__(self, exams: Mapping[int, str], zone: tzinfo = timezone.utc) -> None:
        # The compiled form of this direction is for those who go it.
        from compat.mapping.fast import SessionPages, TimeColumns, Times

        self._lens = SessionLens(exams, zone)
        self._pages = SessionPages(exams, TimeColumns(Times(zone)))

    def to_sessions(self, records: bytes) -> bytes:
        """Sessions of a JSON array of legacy records, as a JSON array.

        Raises:
            MappingError: a record that no session can hold; the text names the field.
            ValueError: it is no JSON array of objects.
        """
        try:
            return self._pages.render(records)
        except REFUSED:
            return self.plain(records)

    def plain(self, records: bytes) -> bytes:
        """As :meth:`to_sessions`, by the schemas and the lens alone."""
        content = loads(records)
        if not isinstance(content, list):
            raise ValueError("Must be a JSON array of records.")
        sessions = []
        for record in content:
            if not isinstance(record, dict):
                raise MappingError("record", "Must be an object.")
            sessions.append(self._lens.to_session(record))
        return dumps(sessions).encode()
