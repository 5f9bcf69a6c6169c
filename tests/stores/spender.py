"""A process that spends calls and tells which it was answered were new. Run by the tests beside it.

    python spender.py URL FIRST COUNT [FILE_SIZE]

It says "ready" and waits for a line; then it writes a number for each call that was new, "down" where that could not
be known, and "done". FILE_SIZE bounds the files that it may write, in bytes, until another line comes.
"""

from __future__ import annotations

import resource
import sys

from compat.stores import Store, StoreUnavailable, open_store

TOKEN = b"1" * 32


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def spend(store: Store, call: int) -> bool:
    """Spend one, and return whether the store knew."""
    try:
        new = store.spend(TOKEN, str(call), f"{call:064x}")
    except StoreUnavailable:
        say("down")
        return False
    if new:
        say(call)
    return True


def main(url: str, first: int, count: int, file_size: int = 0) -> None:
    store = open_store(url)
    store.ping()
    say("ready")
    sys.stdin.readline()
    _, unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    if file_size:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_size, unlimited))
    for call in range(first, first + count):
        if not spend(store, call) and file_size:
            sys.stdin.readline()
            resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
            say("again", store.spend(TOKEN, "again", "again"))
            break
    store.close()
    say("done")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
