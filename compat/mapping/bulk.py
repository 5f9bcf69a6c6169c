"""Many legacy records into sessions at once, JSON to JSON: compiled where it can be, by the lens where it has to be."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timezone, tzinfo

from compat.errors import MappingError
from compat.json_text import dumps, loads
from compat.mapping.compiled import REFUSED, SessionPages, Times
from compat.mapping.lens import SessionLens

__all__ = ["BulkLens"]


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
