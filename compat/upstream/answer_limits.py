"""How much of one answer is taken from an upstream, and how long a connection to it is trusted.

An upstream that is broken or hostile can send without an end, or send little that expands to much. No honest page comes
near these limits; each is a key of ``[upstream]`` and a keyword argument of an upstream.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypedDict

from compat.errors import ConfigurationError, UpstreamError
from compat.upstream.retries import Deadline

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["USUAL_LIMITS", "AnswerLimits", "LimitKeys", "too_large"]

_MIB = 1 << 20
_OBJECTS, _VALUES = 40, 200
"""For each record of the largest page, more of both than any record of either upstream has."""


class LimitKeys(TypedDict, total=False):
    """The keys of :class:`AnswerLimits`, for signatures."""

    keep_alive: float
    answer_seconds: float
    answer_head_bytes: int
    answer_body_bytes: int
    answer_decoded_bytes: int
    page_records: int


@dataclass(frozen=True)
class AnswerLimits:
    """Limits on one answer.

    Attributes:
        keep_alive: seconds that an idle connection is trusted; 0 opens one for each request.
        answer_seconds: from the request to the last byte of the body.
        answer_head_bytes: of the head, and of the informational answers before it.
        answer_body_bytes: of the body as it is sent.
        answer_decoded_bytes: of the body once it is decoded, counted while that is done.
        page_records: records of a page.
    """

    keep_alive: float = 15.0
    answer_seconds: float = 30.0
    answer_head_bytes: int = 1 << 16
    answer_body_bytes: int = 16 * _MIB
    answer_decoded_bytes: int = 16 * _MIB
    page_records: int = 5_000

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            kinds, what = ((int, float), "a number") if each.type == "float" else ((int,), "a whole number")
            fits = isinstance(value, kinds) and not isinstance(value, bool) and 0 <= value < float("inf")
            if not fits or (value == 0 and each.name != "keep_alive"):
                least = "of at least 0" if each.name == "keep_alive" else "above 0"
                raise ConfigurationError(f"{each.name} = {value!r}: must be {what} {least}")

    @classmethod
    def of(cls, **keys: Unpack[LimitKeys]) -> AnswerLimits:
        """The limits of some keys, the others by default.

        Raises:
            ConfigurationError: a value that cannot be used; the text names its key.
        """
        return cls(**keys)

    def within(self, deadline: Deadline) -> Deadline:
        """When an answer that is asked for now has to be there."""
        return Deadline.after(
            self.answer_seconds, f"the limit of {self.answer_seconds:g} seconds an answer (answer_seconds)"
        ).sooner(deadline)

    def check_decoded(self, size: int) -> None:
        """Let no body expand without an end.

        Raises:
            UpstreamError: it has more bytes than a body may have.
        """
        if size > self.answer_decoded_bytes:
            raise too_large("body", self.answer_decoded_bytes, "answer_decoded_bytes", " once decoded")

    def check_values(self, body: bytes) -> None:
        """Refuse a body that is all values before each of them is made an object, which takes twenty times its room.

        What stands in texts is counted too: the limits are far above what a page of records needs.

        Raises:
            UpstreamError: it has more objects or values than the largest page would.
        """
        if len(body) <= _MIB:
            return
        values = body.count(b",") + body.count(b"[")
        if body.count(b"{") > self.page_records * _OBJECTS or values > self.page_records * _VALUES:
            raise self.too_many_records()

    def check_records(self, number: int) -> None:
        """Refuse a page with more records than a page may have.

        Raises:
            UpstreamError: it has.
        """
        if number > self.page_records:
            raise self.too_many_records()

    def too_many_records(self) -> UpstreamError:
        """The error that names the limit."""
        return UpstreamError(f"The upstream's page holds more than {self.page_records} records (page_records).")


USUAL_LIMITS = AnswerLimits()


def too_large(part: str, most: int, key: str, when: str = "") -> UpstreamError:
    """The error for an answer of which a part has more bytes than its limit."""
    return UpstreamError(f"The upstream's answer has a {part} of more than {most} bytes{when} ({key}).")
