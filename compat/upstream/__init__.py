"""The new endpoints as they are called: what each can do by itself, how it signs in, how it pages."""

from compat.upstream.interface import Capability, Upstream
from compat.upstream.paginated_sessions import PaginatedSessions
from compat.upstream.retries import RetryPolicy
from compat.upstream.student_sessions import StudentSessions

__all__ = ["Capability", "PaginatedSessions", "RetryPolicy", "StudentSessions", "Upstream"]
