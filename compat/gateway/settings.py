"""The ``[gateway]`` table: how much the gateway takes, how it is served, and the headers of a deprecated route."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timezone
from email.utils import format_datetime
from urllib.parse import quote

from compat.config.settings import Configuration
from compat.errors import ConfigurationError

__all__ = ["GatewaySettings", "deprecation_headers"]

_GUIDE = "https://exam-students-compat.readthedocs.io/en/stable/MIGRATION.html"
"""MIGRATION.md as it is published; the same address as in the distribution's project URLs."""


@dataclass(frozen=True)
class GatewaySettings:
    """The keys of ``[gateway]``, with what they are where none is given.

    Attributes:
        max_url: bytes of path and query together; longer ones are a 414.
        max_headers: bytes of all header names and values together; more is a 431.
        max_body: bytes of the body of a deprecated call; a longer one is a 413. Bodies that are passed through are not
            counted, since they are not kept.
        max_bodies: bytes of all unfinished bodies of deprecated calls that a worker process holds; beyond, a 503.
        body_silence: seconds for which nothing of a body may come, a passed one too; then a 408.
        body_timeout: seconds that the whole body of a deprecated call may take; then a 408.
        head_timeout: seconds that a request's head may take; then a 408.
        idle_timeout: seconds that a connection of a caller stays open between two requests.
        max_connections: connections of callers that a worker process keeps; one more takes the place of the one that
            has waited longest for a request, and where all are busy it is a 503.
        pass_through: whether other paths go on to the upstream; where not they are a 404.
        max_calls_per_caller: calls of one caller that a worker process has running at once; one more is a 429. None
            for as many as leave more than half of the threads to others, and one at least.
        threads: calls that a worker process asks the upstream for at once. Others wait.
        workers: worker processes.
        tls_certificate: a file with the certificate and its chain, PEM; None for plain HTTP.
        tls_key: a file with its key, PEM.
        deprecation_page: what ``Link: rel="deprecation"`` leads to.
    """

    max_url: int = 16 * 1024
    max_headers: int = 32 * 1024
    max_body: int = 1024 * 1024
    max_bodies: int = 32 * 1024 * 1024
    body_silence: int = 20
    body_timeout: int = 60
    head_timeout: int = 20
    idle_timeout: int = 75
    max_connections: int = 1000
    pass_through: bool = True
    max_calls_per_caller: int | None = None
    threads: int = 32
    workers: int = 1
    tls_certificate: str | None = None
    tls_key: str | None = None
    deprecation_page: str = _GUIDE

    def __post_init__(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ConfigurationError("[gateway]: tls_certificate and tls_key go together")

    @property
    def calls_per_caller(self) -> int:
        """Calls of one caller that run at once."""
        return self.max_calls_per_caller or max(1, (self.threads - 1) // 2)

    @classmethod
    def of(cls, configuration: Configuration) -> GatewaySettings:
        """The settings of a configuration.

        Raises:
            ConfigurationError: they do not go together.
        """
        return cls(**configuration.gateway)


def deprecation_headers(configuration: Configuration, settings: GatewaySettings) -> list[tuple[bytes, bytes]]:
    """``Deprecation``, ``Sunset`` and ``Link``, as the configuration has them.

    A day without a time means its beginning in UTC. A day that is not configured has no header.
    """
    successor = quote(configuration.upstream.successor_path, safe=":/?&=%[]~")
    links = [
        f'<{successor}>; rel="successor-version"',
        f'<{settings.deprecation_page}>; rel="deprecation"',
    ]
    headers = [(b"Link", ", ".join(links).encode())]
    if configuration.deprecated is not None:
        headers.append((b"Deprecation", b"@%d" % _beginning(configuration.deprecated).timestamp()))
    if configuration.sunset is not None:
        headers.append((b"Sunset", format_datetime(_beginning(configuration.sunset), usegmt=True).encode()))
    return headers


def _beginning(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
