"""Memory that one answer took is kept for the next one, in workers of the gateway.

A page of 300 records is half a megabyte, and a call holds several of them for a moment. glibc gives blocks as large as
that back to the system at once, so that every call takes them anew, a page fault for each 4 KiB. It can be told to keep
them. That is for a process which does nothing else: never for a script's own.
"""

from __future__ import annotations

import ctypes
import platform

__all__ = ["keep_memory_warm"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MOST_ARENAS = -1, -3, -8
"""glibc's numbers for the three."""

_ARENAS = 2
"""Arenas that all threads share. Each keeps what is free in it, and one interpreter has few threads that take memory at
once: with an arena a thread, large answers in turn leave hundreds of MiB behind."""

_KEPT = 8 << 20
"""Free bytes at the end of an arena that are kept. benchmarks/warm_memory.py: more saves no faults of pages of 300."""

_ONE_BLOCK = 4 << 20
"""Bytes from which a block is mapped by itself, and given back at once: eight honest pages. What is larger may be an
answer of 16 MiB that is refused, several of which in an arena left 315 MiB behind."""


def keep_memory_warm(kept: int = _KEPT, one_block: int = _ONE_BLOCK) -> bool:
    """Have the C library keep freed memory, where it is glibc; gives whether it does.

    Args:
        kept: free bytes at the end of an arena that are not given back.
        one_block: bytes from which a block is mapped, and given back, by itself.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    wanted = ((_TRIM_THRESHOLD, kept), (_MMAP_THRESHOLD, one_block), (_MOST_ARENAS, _ARENAS))
    taken = [mallopt(name, value) for name, value in wanted]
    return all(taken)
