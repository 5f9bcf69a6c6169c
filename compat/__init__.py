"""Keeps calls of ProctorExam's retired exam students list working, answered from its successors."""

from compat._version import __version__
from compat.adapter import ExamStudentsAdapter, mount
from compat.client import ExamStudentsClient, StudentsPage
from compat.config import Configuration, load_config
from compat.deprecation import LegacyApiWarning
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
from compat.install import install, uninstall
from compat.legacy.signature import Caller, Verifier
from compat.mapping import Loss, Remainder, SessionLens, Translation
from compat.sessions_client import StudentSessionsClient
from compat.upstream import PaginatedSessions, RetryPolicy, StudentSessions

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
    "StoreUnavailable",
    "StudentSessionNotFound",
    "StudentSessions",
    "StudentSessionsClient",
    "StudentsPage",
    "Translation",
    "UpstreamError",
    "UpstreamThrottled",
    "UpstreamTimeout",
    "UpstreamUnreachable",
    "Verifier",
    "__version__",
    "install",
    "load_config",
    "mount",
    "uninstall",
]
