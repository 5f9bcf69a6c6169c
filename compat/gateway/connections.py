"""A connection upstream that is kept open, and how long is waited at it.

Each time that a call of a socket lets go of the interpreter, another thread takes it, and this one waits for its turn
again. Python waits for a socket with a timeout by a call of its own before each read, and so twice as often; where the
kernel can keep the time, it does.
"""

from __future__ import annotations

import http.client
import math
import select
import socket
import struct
import sys
from collections import deque
from collections.abc import Callable
from functools import partial

from urllib3.util.wait import wait_for_read

__all__ = ["TIMED_OUT", "Connection"]

TIMED_OUT = (TimeoutError, BlockingIOError)
"""What a connection raises where nothing came in time."""

_LEAST = 0.001
"""Seconds; to the kernel, no time at all means for ever."""

_GRAIN = 0.1
"""Seconds by which limits of more than one are told apart, so that most requests find theirs set by the one before."""


class Connection:
    """A connection that is kept open between requests.

    Args:
        connection: open.
        idle: where it waits for its next request.

    Attributes:
        http: the same, for ``http.client``.
        sock: its socket.
        has_spoken: tells whether there is something to read; before anything was asked, that is the other side's
            goodbye.
    """

    def __init__(self, connection: http.client.HTTPConnection, idle: deque[Connection]) -> None:
        self.http = connection
        self.sock: socket.socket = connection.sock
        self.has_spoken = _looking_at(connection.sock)
        self._idle = idle
        self._kernel = _timed_by_kernel(connection.sock)
        self._blocking = False
        self._limit = 0.0

    def wait_at_most(self, seconds: float) -> None:
        """Let each read and write of the socket itself wait that long."""
        if not self._kernel:
            self.sock.settimeout(seconds)
            return
        if not self._blocking:
            self.sock.settimeout(None)
            self._blocking = True
        if seconds > 1:
            seconds = math.ceil(seconds / _GRAIN) * _GRAIN
        if seconds == self._limit:
            return
        self._limit = seconds
        whole, rest = divmod(round(max(seconds, _LEAST) * 1_000_000), 1_000_000)
        limit = struct.pack("@ll", whole, rest)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)

    def wait_as_a_file(self, seconds: float) -> None:
        """The same for ``http.client``, whose files take the kernel's way of saying so for an end."""
        self.sock.settimeout(seconds)
        self._blocking = False

    def keep(self) -> None:
        """Wait for the next request."""
        self._idle.append(self)

    def close(self) -> None:
        """Give it up."""
        self.http.close()


def _timed_by_kernel(sock: socket.socket) -> bool:
    # A socket of TLS reads and writes on its own account.
    return sys.platform.startswith("linux") and type(sock) is socket.socket


def _looking_at(sock: socket.socket) -> Callable[[], object]:
    if not hasattr(select, "poll"):
        return partial(wait_for_read, sock, 0)
    looking = select.poll()
    looking.register(sock, select.POLLIN)
    return partial(looking.poll, 0)
