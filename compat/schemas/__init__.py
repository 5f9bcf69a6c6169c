"""The declarations: what a legacy record, a session and a page of sessions consist of."""

from compat.schemas.session import PaginatedSessionsOutputSchema, SessionOutputSchema
from compat.schemas.student import COLUMNS, STUDENT_FIELDS, StudentSchema

__all__ = [
    "COLUMNS",
    "STUDENT_FIELDS",
    "PaginatedSessionsOutputSchema",
    "SessionOutputSchema",
    "StudentSchema",
]
