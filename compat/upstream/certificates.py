"""What a TLS certificate says of itself: its names, and from when until when it is good."""

from __future__ import annotations

import ssl
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from compat.text.json import several

__all__ = ["EXPIRES_SOON", "Certificate", "certificate_at", "certificate_in", "day_of", "renewal_due"]

_decode: Any = getattr(import_module("_ssl"), "_test_decode_cert", None)
"""The standard library has no public name for it. Without it a message names no day."""

EXPIRES_SOON = 14
"""Days before its end from which on a certificate is spoken of."""

_KEPT = 60.0
"""Seconds for which what a server showed is not asked for again: an attempt that fails is often made again."""

_DAY = 86400.0


@dataclass(frozen=True)
class Certificate:
    """A certificate, by what it says.

    Attributes:
        names: the hosts that it is for, as it writes them.
        begins: from when it is good, seconds since the epoch.
        ends: until when.
    """

    names: tuple[str, ...]
    begins: float
    ends: float

    def days_left(self, now: float) -> int:
        """Whole days until it ends; below zero where it has ended."""
        return int((self.ends - now) // _DAY)


def day_of(moment: float) -> str:
    """The day of a moment in UTC, such as 2026-01-03."""
    return time.strftime("%Y-%m-%d", time.gmtime(moment))


def renewal_due(certificate: Certificate | None) -> str | None:
    """What to say of a certificate that has ended or soon does; None of another, or where nothing is known."""
    left = None if certificate is None else certificate.days_left(time.time())
    if certificate is None or left is None or left >= EXPIRES_SOON:
        return None
    if left < 0:
        return f"it has expired on {day_of(certificate.ends)}: have it renewed"
    return f"it ends on {day_of(certificate.ends)}, in {several(left, 'day')}: have it renewed"


def certificate_in(path: Path) -> Certificate | None:
    """The first certificate of a PEM file, which is that of the server; None where there is none that can be read."""
    if _decode is None:
        return None
    try:
        return _read(_decode(str(path)))
    except (OSError, ValueError, KeyError):
        return None


_shown: dict[tuple[str, int], tuple[float, Certificate | None]] = {}
"""By host and port: when it was asked for, and what came."""


def certificate_at(host: str, port: int, seconds: float) -> Certificate | None:
    """The certificate that a server shows, whether or not it can be trusted; None where it shows none in time.

    A connection of its own is opened for it, over which nothing is sent. It is only for messages.
    """
    found = _shown.get((host, port))
    if found is None or time.monotonic() - found[0] > _KEPT:
        found = _shown[host, port] = (time.monotonic(), _asked(host, port, seconds))
    return found[1]


def _asked(host: str, port: int, seconds: float) -> Certificate | None:
    with suppress(OSError, ValueError):
        pem = ssl.get_server_certificate((host, port), timeout=seconds)
        with tempfile.TemporaryDirectory(prefix="exam-compat-") as folder:
            path = Path(folder, "shown.pem")
            path.write_text(pem, encoding="ascii")
            return certificate_in(path)
    return None


def _read(found: Mapping[str, Any]) -> Certificate:
    return Certificate(
        tuple(str(value) for kind, value in found.get("subjectAltName", ()) if kind in ("DNS", "IP Address")),
        ssl.cert_time_to_seconds(found["notBefore"]),
        ssl.cert_time_to_seconds(found["notAfter"]),
    )
