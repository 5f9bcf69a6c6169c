"""The new endpoints as they are called: what each can do by itself, how it signs in, how it pages."""

from typing import TYPE_CHECKING

from compat.upstream.base import Capability, Upstream
from compat.upstream.retries import RetryPolicy
from compat.upstream.student_sessions import StudentSessions

if TYPE_CHECKING:
    from compat.upstream.paginated_sessions import PaginatedSessions
else:
    from compat.lazy import on_first_use

    # A process has one upstream; this one is half of the package.
    __getattr__ = on_first_use(__name__, {"PaginatedSessions": "compat.upstream.paginated_sessions"})

__all__ = ["Capability", "PaginatedSessions", "RetryPolicy", "StudentSessions", "Upstream"]
