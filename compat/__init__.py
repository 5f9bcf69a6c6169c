"""Keeps calls of ProctorExam's retired exam students list working, answered from its successors."""

from typing import TYPE_CHECKING

from compat._version import __version__
from compat.config.settings import Configuration
from compat.entrances.adapter import ExamStudentsAdapter, mount
from compat.entrances.install import install, uninstall
from compat.errors import (
    CompatError,
    ConfigurationError,
    InvalidParameter,
    LegacyError,
    MappingError,
    NotAuthorized,
    StoreUnavailable,
    StudentSessionNotFound,
    UpstreamError,
    UpstreamThrottled,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from compat.upstream import RetryPolicy, StudentSessions

if TYPE_CHECKING:
    from compat.config.file import load_config
    from compat.deprecation import LegacyApiWarning
    from compat.entrances.client import ExamStudentsClient, StudentsPage
    from compat.entrances.library_calls import (
        aiohttp_middleware,
        httpx_async_transport,
        httpx_transport,
        urllib_handler,
    )
    from compat.entrances.sessions_client import SessionsPage, StudentSessionsClient
    from compat.entrances.sessions_http import StudentSessionsHTTP
    from compat.legacy.signature import Caller
    from compat.legacy.verifier import Verifier
    from compat.mapping import Loss, Remainder, SessionLens, Translation
    from compat.upstream import PaginatedSessions
else:
    from compat.lazy import on_first_use

    # What a script asks for that has moved on, or translates by itself: half of the package, for few.
    __getattr__ = on_first_use(
        __name__,
        {
            "Caller": "compat.legacy.signature",
            "ExamStudentsClient": "compat.entrances.client",
            "LegacyApiWarning": "compat.deprecation",
            "Loss": "compat.mapping",
            "PaginatedSessions": "compat.upstream.paginated_sessions",
            "Remainder": "compat.mapping",
            "SessionLens": "compat.mapping",
            "SessionsPage": "compat.entrances.sessions_client",
            "StudentSessionsClient": "compat.entrances.sessions_client",
            "StudentSessionsHTTP": "compat.entrances.sessions_http",
            "StudentsPage": "compat.entrances.client",
            "Translation": "compat.mapping",
            "Verifier": "compat.legacy.verifier",
            "aiohttp_middleware": "compat.entrances.library_calls",
            "httpx_async_transport": "compat.entrances.library_calls",
            "httpx_transport": "compat.entrances.library_calls",
            "load_config": "compat.config.file",
            "urllib_handler": "compat.entrances.library_calls",
        },
    )

__all__ = [
    "Caller",
    "CompatError",
    "Configuration",
    "ConfigurationError",
    "ExamStudentsAdapter",
    "ExamStudentsClient",
    "InvalidParameter",
    "LegacyApiWarning",
    "LegacyError",
    "Loss",
    "MappingError",
    "NotAuthorized",
    "PaginatedSessions",
    "Remainder",
    "RetryPolicy",
    "SessionLens",
    "SessionsPage",
    "StoreUnavailable",
    "StudentSessionNotFound",
    "StudentSessions",
    "StudentSessionsClient",
    "StudentSessionsHTTP",
    "StudentsPage",
    "Translation",
    "UpstreamError",
    "UpstreamThrottled",
    "UpstreamTimeout",
    "UpstreamUnreachable",
    "Verifier",
    "__version__",
    "aiohttp_middleware",
    "httpx_async_transport",
    "httpx_transport",
    "install",
    "load_config",
    "mount",
    "uninstall",
    "urllib_handler",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
