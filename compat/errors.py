"""Everything the shim raises, and the legacy answer that each stands for (contract, sections 2 and 5).

::

    CompatError
    ├── ConfigurationError            a setting that cannot be used
    ├── MappingError                  a record that has no counterpart; names the field
    └── LegacyError                   has an answer in the old interface's terms
        ├── InvalidParameter          422
        ├── NotAuthorized             403
        ├── StudentSessionNotFound    404
        ├── StoreUnavailable          503, with a Retry-After
        └── UpstreamError             502
            ├── UpstreamUnreachable   502; through the adapter a requests.ConnectionError
            ├── UpstreamTimeout       504; through the adapter a requests.ReadTimeout
            └── UpstreamThrottled     503, with the upstream's Retry-After

No message holds a secret, a signature or a value of a student's record: fields, parameters and records are
named by field name, parameter name and id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = [
    "CompatError",
    "ConfigurationError",
    "InvalidParameter",
    "LegacyError",
    "MappingError",
    "NotAuthorized",
    "StoreUnavailable",
    "StudentSessionNotFound",
    "UpstreamError",
    "UpstreamThrottled",
    "UpstreamTimeout",
    "UpstreamUnreachable",
]


class CompatError(Exception):
    """The root: catch it to catch whatever the shim raises."""


class ConfigurationError(CompatError):
    """A setting is missing, unknown or cannot be used; the text names it and the way out."""


class MappingError(CompatError, ValueError):
    """A record cannot be translated (contract, section 5).

    Attributes:
        field: the field, old or new, that stands in the way.
        reason: the rule that it breaks, without the value.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(field, reason)
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.field}: {self.reason}"


class LegacyError(CompatError):
    """A failure that the old interface has an answer for (contract, section 2).

    Attributes:
        status: the HTTP status of that answer.
        message: its first message, the text of ``error`` in the body.
        errors: parameter name to messages, the ``errors`` of the body; empty where no parameter is at fault.
        answered: status and body of the upstream's own answer, where that is what failed; it goes to no log.
    """

    status = 500
    answered: tuple[int, bytes] | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def errors(self) -> Mapping[str, Sequence[str]]:
        return {}

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that the answer carries beside its content type: when to come back, where an error knows it."""
        retry_after = getattr(self, "retry_after", None)
        return {} if retry_after is None else {"Retry-After": str(retry_after)}


class InvalidParameter(LegacyError):
    """One or more parameters were refused, here or by the upstream: 422."""

    status = 422

    def __init__(self, errors: Mapping[str, Sequence[str]], values: Mapping[str, str] | None = None) -> None:
        self._errors = {name: list(messages) for name, messages in errors.items()}
        # A signature is a secret even where it is refused.
        told = {name: text for name, text in (values or {}).items() if name != "signature"}
        self._values = {name: told[name] for name in errors if name in told}
        super().__init__(next((text for messages in self._errors.values() for text in messages), ""))

    @property
    def errors(self) -> Mapping[str, Sequence[str]]:
        return self._errors

    def __str__(self) -> str:
        return "; ".join(
            f"{name}={self._values[name][:80]}: {text}" if name in self._values else f"{name}: {text}"
            for name, texts in self._errors.items()
            for text in texts
        )

    def __reduce__(self) -> tuple[type[InvalidParameter], tuple[dict[str, list[str]], dict[str, str]]]:
        return InvalidParameter, (self._errors, self._values)


class NotAuthorized(LegacyError):
    """Not authorised, here or upstream: 403, always with the one documented text (seeds 001 and 002).

    Attributes:
        hint: what may be the reason, for whoever runs the program or reads the log; never for a caller. Empty where
            nothing is known.
    """

    status = 403

    def __init__(self, message: str = "You are not authorized to access this page.", hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".rstrip()


class StudentSessionNotFound(LegacyError):
    """No such student session in that exam: 404 with the documented text."""

    status = 404

    def __init__(self, student_session_id: int) -> None:
        super().__init__(f"Couldn't find Student Session with 'id'='{student_session_id}'")
        self.student_session_id = student_session_id

    def __reduce__(self) -> tuple[type[StudentSessionNotFound], tuple[int]]:
        return StudentSessionNotFound, (self.student_session_id,)


class StoreUnavailable(LegacyError):
    """Whether a call was made before cannot be known, or not be recorded, for some seconds: 503."""

    status = 503

    def __init__(
        self, message: str = "Calls cannot be checked for replays at the moment.", retry_after: int = 5
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UpstreamError(LegacyError):
    """The upstream failed, or gave what cannot be read: 502."""

    status = 502


class UpstreamUnreachable(UpstreamError):
    """No connection to the upstream, or it broke off at every attempt: 502.

    Attributes:
        cause: the name of urllib3's or the system's error, such as ``SSLError``.
    """

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause


class UpstreamTimeout(UpstreamError):
    """A limit in time was reached; the text says which: 504.

    Attributes:
        limit: what that limit is called, or empty.
    """

    status = 504

    def __init__(self, message: str, limit: str = "") -> None:
        super().__init__(message)
        self.limit = limit


class UpstreamThrottled(UpstreamError):
    """The upstream asked to come back later until the attempts ended: 503, with its ``Retry-After`` as it wrote it."""

    status = 503

    def __init__(self, message: str, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after
