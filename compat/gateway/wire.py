"""What the answers on deprecated routes say of the deprecation (RFC 9745, RFC 8594)."""

from __future__ import annotations

from datetime import date, datetime, timezone
from email.utils import format_datetime
from urllib.parse import quote

from compat.config import Configuration
from compat.gateway.asgi import Headers
from compat.gateway.settings import GatewaySettings
from compat.upstream import PaginatedSessions, StudentSessions

__all__ = ["deprecation_headers"]


def deprecation_headers(configuration: Configuration, settings: GatewaySettings) -> Headers:
    """``Deprecation``, ``Sunset`` and ``Link``, as the configuration has them.

    A day without a time means its beginning in UTC. A day that is not configured has no header.
    """
    links = [
        f'<{_successor(configuration)}>; rel="successor-version"',
        f'<{settings.deprecation_page}>; rel="deprecation"',
    ]
    headers = [(b"Link", ", ".join(links).encode())]
    if configuration.deprecated is not None:
        headers.append((b"Deprecation", b"@%d" % _beginning(configuration.deprecated).timestamp()))
    if configuration.sunset is not None:
        headers.append((b"Sunset", format_datetime(_beginning(configuration.sunset), usegmt=True).encode()))
    return headers


def _successor(configuration: Configuration) -> str:
    """Where the new list is: student sessions at the gateway itself, which passes them through."""
    upstream = configuration.upstream
    if isinstance(upstream, PaginatedSessions):
        return quote(upstream.base_url + upstream.path, safe=":/?&=%[]~")
    if isinstance(upstream, StudentSessions):
        return "/api/v3/student_sessions"
    return "/"


def _beginning(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
