"""What the two newer interfaces say about a legacy record."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from random import Random
from typing import Any

from compat.testing.sandbox.instants import find_zone, read_instant, utc_text

CARRIED_KEY = "exam_student"
_UTC = find_zone("UTC")


def student_session(record: Mapping[str, Any], random: Random) -> dict[str, Any]:
    """The record as student sessions write it: newer fields among the old, in an order of its own."""
    values = {
        **record,
        "pre_assigned_proctor_id": random.choice((None, 7)),
        "preserve": random.random() < 0.1,
        "pin_code": f"{random.randrange(10000):04d}",
        "pod_names": random.choice(([], ["north", "süd"])),
        "review_commentary": random.choice((None, "no remarks")),
        "use_external_service": False,
        "incidents_count": len(record["incidents"]),
    }
    names = list(values)
    random.shuffle(names)
    leaves_nulls_out = random.random() < 0.3
    return {
        name: values[name]
        for name in names
        if values[name] is not None or not (leaves_nulls_out and random.random() < 0.3)
    }


def paginated_session(record: Mapping[str, Any], kind: str, application_id: str, random: Random) -> dict[str, Any]:
    """The record as paginated sessions write it; the record has to have a start and an end."""
    session: dict[str, Any] = {
        "id": str(uuid.UUID(int=random.getrandbits(128), version=4)) if kind == "live" else str(record["id"]),
        "applicationId": application_id,
        "startedAtTime": utc_text(record["start_time"]),
        "endedAtTime": utc_text(record["end_time"]),
        "durationInSeconds": _duration(record["start_time"], record["end_time"]),
        "toolId": application_id,
        "wasteDurationInSeconds": random.randrange(0, 60),
        "wastePercentage": random.randrange(0, 101),
        "isProctored": random.random() < 0.8,
        "metadata": _carried(record, random) if kind == "born_old" else _own_metadata(record, random),
        "proctoredResult": random.choice(("passed", "failed", "under_review")),
        "recordingStartedAtTime": _utc_or_none(record["recording_started_at"]),
        "recordingEndedAtTime": _utc_or_none(record["recording_ended_at"]),
        "recordingS3Key": random.choice((None, f"recordings/{record['id']}.webm")),
        "webcamEnabled": random.random() < 0.9,
        "reviewState": random.choice((None, {"by": "älpha", "rounds": 2})),
    }
    for name in (
        "toolId",
        "isProctored",
        "proctoredResult",
        "recordingS3Key",
        "webcamEnabled",
        "reviewState",
    ):
        if random.random() < 0.2:
            del session[name]
    return session


def _duration(start: str, end: str) -> int:
    (start_seconds, start_fraction), (end_seconds, end_fraction) = (
        read_instant(start, _UTC),
        read_instant(end, _UTC),
    )
    return end_seconds - start_seconds - (1 if end_fraction < start_fraction else 0)


def _utc_or_none(text: str | None) -> str | None:
    return None if text is None else utc_text(text)


def _carried(record: Mapping[str, Any], random: Random) -> dict[str, Any]:
    kept = {name: value for name, value in record.items() if name not in ("id", "exam_id")}
    metadata: dict[str, Any] = {CARRIED_KEY: kept}
    if random.random() < 0.5:
        metadata["course"] = {"code": "WIS-101", "groups": [1, 2]}
    return metadata


def _own_metadata(record: Mapping[str, Any], random: Random) -> dict[str, Any] | None:
    known = {name: record[name] for name in ("email", "name", "student_id", "external_id")}
    forms: tuple[dict[str, Any] | None, ...] = (
        None,
        {},
        {"source": "launch"},
        known,
        {**known, "attemptNumber": 1},
    )
    return random.choice(forms)
