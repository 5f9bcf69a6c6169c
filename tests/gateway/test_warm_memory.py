"""Workers of the gateway keep freed memory where the C library is glibc's; nobody else's process does."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from compat.gateway.workers import keep_memory_warm

_GLIBC = platform.libc_ver()[0] == "glibc"
_CALLS = """
import resource
{}
def call():
    return [bytearray(1 << 20) for _ in range(4)]
for _ in range(5):
    call()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(100):
    call()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(begin: str) -> int:
    """Page faults of a hundred calls that hold 4 MiB for a moment, in a process of their own."""
    done = subprocess.run([sys.executable, "-c", _CALLS.format(begin)], check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(not _GLIBC, reason="the C library is not glibc")
def test_freed_memory_is_kept_for_the_next_call() -> None:
    kept = faults("from compat.gateway.workers import keep_memory_warm\nassert keep_memory_warm()")
    plain = faults("import compat.gateway.workers")
    assert kept < 1000 < plain


@pytest.mark.skipif(_GLIBC, reason="the C library is glibc")
def test_other_libraries_are_left_alone() -> None:
    assert keep_memory_warm() is False
