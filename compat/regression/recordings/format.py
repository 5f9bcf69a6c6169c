"""The lines of a recording, and what can be wrong with it.

A value that speaks of a person is a pseudonym here (:mod:`compat.regression.recordings.pseudonyms`); a record's shape,
its fields and their JSON types are as they were. So whatever compares two answers can compare two recorded ones:
:meth:`RecordedCall.pair` gives them in the form in which shadow and canary give theirs.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlencode

import msgspec

from compat.errors import CompatError
from compat.legacy.routes import ROUTES, LegacyCall
from compat.regression.comparing.pairs import Answered, Pair

__all__ = [
    "FORMAT",
    "DamagedRecording",
    "NewOrder",
    "RecordedAnswer",
    "RecordedCall",
    "RecordingEnd",
    "RecordingError",
    "RecordingHead",
    "SecretFound",
    "UnfinishedRecording",
]

FORMAT = 1
"""The version of the format that is written here."""

_ROUTES = {route.action: route for route in ROUTES}


class RecordingHead(msgspec.Struct, frozen=True, tag_field="line", tag="head", kw_only=True):
    """The first line of a recording.

    Attributes:
        made_at: when it was begun, seconds since the epoch.
        made_by: the version of this package that wrote it.
        key_id: tells keys of pseudonyms apart without saying them; equal values have equal pseudonyms under one key.
        zone: the IANA name of the zone in which the old endpoint reads times without an offset.
        upstream: the kind of the new endpoint, such as ``student_sessions``.
        source: what was recorded: ``queries``, ``har`` or ``traffic``.
    """

    format: int = FORMAT
    made_at: float
    made_by: str
    key_id: str
    zone: str = "UTC"
    upstream: str | None = None
    source: str = "traffic"


class RecordedAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one endpoint answered to a call.

    Attributes:
        status: 0 where no whole answer came.
        headers: the kept ones, names in lower case.
        body: JSON with pseudonyms in it; null where there was none. Of a body that had none of the declared forms,
            ``{"unreadable": …}`` with a digest under the key, so that equal ones are still equal.
        seconds: from sending the request to the last byte.
    """

    status: int = 0
    headers: dict[str, str] = {}
    body: msgspec.Raw = msgspec.Raw(b"null")
    seconds: float = 0.0
    failure: str | None = None

    def answered(self) -> Answered:
        """The answer in the form in which live ones are compared."""
        body = bytes(self.body)
        return Answered(self.status, self.headers, b"" if body == b"null" else body, self.seconds, self.failure)


class RecordedCall(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="line", tag="call", kw_only=True):
    """A call, and what one endpoint or both answered.

    Attributes:
        route: the action of the deprecated route, such as ``index_students``.
        parameters: name to text, without the id, timestamp, nonce and signature; filter and sort in one form each.
        exact: whether the parameters are as they came but for that form: asking them again asks the same. Where not,
            some value is a pseudonym, which selects among pseudonyms what the value selected, and nothing elsewhere.
        caller: whose it is by the configuration, or None.
        at: when it came, seconds since the epoch.
        old: what the old endpoint answered, or None where it was not asked; ``new`` what the shim did.
        served: which of them the caller got; None where nobody was waiting.
    """

    route: str
    exam_id: str
    parameters: dict[str, str] = {}
    exact: bool = True
    caller: str | None = None
    at: float = 0.0
    method: str = "GET"
    old: RecordedAnswer | None = None
    new: RecordedAnswer | None = None
    served: Literal["legacy", "new"] | None = None

    def call(self) -> LegacyCall:
        """The call as an entrance would get it, unsigned."""
        return LegacyCall(_ROUTES[self.route], self.exam_id, urlencode(self.parameters), method=self.method)

    def pair(self) -> Pair | None:
        """Both answers, or None where only one endpoint was asked."""
        if self.old is None or self.new is None:
            return None
        old, new = self.old.answered(), self.new.answered()
        return Pair(self.call(), self.caller, self.at, old, new, self.served or "legacy")


class NewOrder(msgspec.Struct, frozen=True, tag_field="line", tag="order"):
    """From here on pseudonyms have places of their own: they sort among themselves, and not among those before."""


class RecordingEnd(msgspec.Struct, frozen=True, tag_field="line", tag="end", kw_only=True):
    """The last line of a recording that was closed: its calls, and how many more could not be written."""

    calls: int
    lost: int = 0


class RecordingError(CompatError):
    """A recording cannot be written or read; the text says which and why, without anything of its content."""


class UnfinishedRecording(RecordingError):
    """The end is missing behind so many calls: its writer was ended before it could write it, or has not done yet."""

    def __init__(self, message: str, calls: int) -> None:
        super().__init__(message)
        self.calls = calls


class DamagedRecording(UnfinishedRecording):
    """What stands in the file is not what was written."""


class SecretFound(RecordingError):
    """A secret stood in what was about to be written; nothing of that was."""
