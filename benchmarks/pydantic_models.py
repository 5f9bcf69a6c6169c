"""Student sessions as pydantic models, in its strict mode: what the peers that use pydantic check."""

from __future__ import annotations

from typing import Any

import pydantic

from compat.schemas import COLUMNS, STUDENT_FIELDS
from compat.schemas.fields import Array, Boolean, Integer

__all__ = ["NEWER", "Student"]

NEWER = ("pre_assigned_proctor_id", "preserve", "pin_code", "pod_names", "review_commentary")
"""Fields that the new endpoint has and the old one had not."""


def _python_type(name: str) -> Any:
    column = COLUMNS[name]
    kinds: dict[type, Any] = {Array: list[Any], Boolean: bool, Integer: int}
    kind = kinds.get(type(column), str)
    return (kind, ...) if column.required and not column.allow_none else (kind | None, None)


Student = pydantic.create_model(
    "Student",
    __config__=pydantic.ConfigDict(strict=True, extra="ignore"),
    **{name: _python_type(name) for name in STUDENT_FIELDS},
)
