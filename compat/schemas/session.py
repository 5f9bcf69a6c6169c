"""The newer record: ``SessionOutput`` and its page (seed 000).

Unknown keys stay, and ``toolId`` may be absent: newer models of the platform have dropped it (API facts).
"""

from __future__ import annotations

from marshmallow import INCLUDE, Schema

from compat.schemas.fields import Array, Boolean, Integer, Record, String, Time
from compat.schemas.rules import SessionOnly

__all__ = ["PaginatedSessionsOutputSchema", "SessionOutputSchema"]


class SessionOutputSchema(Schema):
    """One session, as the platform lists it."""

    class Meta:
        unknown = INCLUDE

    applicationId = String(required=True, nullable=False)
    durationInSeconds = Integer(SessionOnly("whole seconds from start to end"), required=True, nullable=False)
    endedAtTime = Time(required=True, nullable=False)
    id = String(required=True, nullable=False)
    startedAtTime = Time(required=True, nullable=False)
    toolId = String(SessionOnly("`applicationId`"), nullable=False)
    wasteDurationInSeconds = Integer(SessionOnly("0"), required=True, nullable=False)
    wastePercentage = Integer(SessionOnly("0"), required=True, nullable=False)
    isProctored = Boolean(SessionOnly(), nullable=False)
    metadata = Record()
    proctoredResult = String(SessionOnly(), nullable=False)
    recordingEndedAtTime = Time()
    recordingS3Key = String(SessionOnly())
    recordingStartedAtTime = Time()
    webcamEnabled = Boolean(SessionOnly(), nullable=False)


class PaginatedSessionsOutputSchema(Schema):
    """One page of sessions."""

    class Meta:
        unknown = INCLUDE

    limit = Integer(required=True, nullable=False)
    offset = Integer(required=True, nullable=False)
    sessions = Array(required=True, nullable=False)
    total = Integer(required=True, nullable=False)
