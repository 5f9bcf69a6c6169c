"""What a translation loses, by name (contract, section 5, law 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from compat.mapping.lens import NOBODY, SessionLens, Translation, carried_values
from compat.mapping.remainder import Remainder
from compat.schemas import COLUMNS
from compat.schemas.rules import Exact

__all__ = ["Loss", "losses_of_record", "losses_of_session", "stand_ins"]


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
    metadata = session.get("metadata")
    own = metadata if isinstance(metadata, dict) else {}
    return {
        name: column.rule.loss
        for name, column in COLUMNS.items()
        if column.rule is not None
        and not isinstance(column.rule, Exact)
        and name not in carried
        and not (column.rule.category == "looked up" and (name in own or name in person))
    }
