"""What a translation loses, by name (contract, section 5, law 4), and many legacy records into sessions at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timezone, tzinfo
from typing import Any

from compat.errors import MappingError
from compat.mapping.fast import REFUSED, SessionPages, Times
from compat.mapping.lens import NOBODY, SessionLens, Translation, carried_values
from compat.mapping.remainder import Remainder
from compat.schemas import COLUMNS
from compat.text.json import dumps, loads

__all__ = [
    "BulkLens",
    "Loss",
    "losses_of_record",
    "losses_of_session",
    "stand_ins",
]


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
        self._lens = SessionLens(exams, zone)
        self._pages = SessionPages(exams, Times(zone))

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
