"""The declarations: what a legacy record, a session and a page of sessions consist of."""

from compat.schemas.student import (
    COLUMNS,
    STUDENT_FIELDS,
    PaginatedSessionsOutputSchema,
    SessionOutputSchema,
    StudentSchema,
)

__all__ = [
    "COLUMNS",
    "STUDENT_FIELDS",
    "PaginatedSessionsOutputSchema",
    "SessionOutputSchema",
    "StudentSchema",
]
