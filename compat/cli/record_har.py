"""What ``exam-compat record --har`` takes out of a file, and what it says of the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from compat.cli.console import note
from compat.config import Configuration
from compat.errors import ConfigurationError
from compat.plural import several
from compat.regression.accounts import Accounts
from compat.regression.errors import SecretFound
from compat.regression.har import HarCalls
from compat.regression.har_entry import base_of
from compat.regression.recording import Recorder

__all__ = ["HarRecording", "base_urls_of"]

_NOT_WRITTEN = "a secret in what would have been written"
_MOST_HOSTS = 5


def base_urls_of(given: Configuration, named: Sequence[str]) -> tuple[str, ...]:
    """Where the calls of a file went: what ``--base-url`` named, else the old endpoint of the configuration.

    Raises:
        ConfigurationError: nothing says it, or what was named is no URL.
    """
    if named:
        return tuple(map(_checked, named))
    if given.legacy_base_url is None:
        raise ConfigurationError("[legacy] has no base_url: say by --base-url where the calls of the HAR file went")
    return (given.legacy_base_url,)


def _checked(url: str) -> str:
    try:
        base_of(url)
    except ValueError as error:
        raise ConfigurationError(f"--base-url {url!r}: {error}") from None
    return url


class HarRecording:
    """Records the calls of a file.

    Args:
        given: says whose tokens are whose.
        path: the file.
        base_urls: where its calls went.
        otherwise: whose calls are of which neither token nor signature tells it.
    """

    def __init__(self, given: Configuration, path: Path, base_urls: Sequence[str], otherwise: str | None) -> None:
        own = () if given.legacy_account is None else (given.legacy_account,)
        self._accounts = Accounts([*(each.caller for each in given.callers), *own])
        self._path, self._base_urls = path, base_urls
        self._calls = HarCalls(path, base_urls)
        self._otherwise = otherwise
        self._strangers = 0

    def record(self, recorder: Recorder) -> tuple[int, int]:
        """Record every call; give how many were recorded, and how many entries left out that are calls, or may be.

        Raises:
            RecordingError: it is no HAR file, or the recording cannot be written.
        """
        kept = 0
        for seen in self._calls:
            old, new = (None, seen.answered) if seen.by_shim else (seen.answered, None)
            caller = self._accounts.owner(seen.call, self._otherwise)
            try:
                recorder.keep(seen.call, old=old, new=new, caller=caller, at=seen.at)
            except SecretFound:
                self._calls.left_out[_NOT_WRITTEN] += 1
                continue
            kept += 1
            self._strangers += caller is None
        return kept, sum(self._calls.left_out.values()) + sum(self._calls.elsewhere.values())

    def tell(self) -> None:
        """Say what became of the entries, and of how many calls the caller is not known."""
        seen = self._calls
        note(f"{self._path}: {several(seen.entries, 'entry').replace('entrys', 'entries')}.")
        _list("Not recorded", seen.others)
        _list("Left out", seen.left_out)
        if seen.elsewhere:
            note(f"Left out, calls of another address than {' or '.join(self._base_urls)}: {_hosts(seen.elsewhere)}.")
            note("Take them by --base-url, which may be given again, if they are of the old endpoint or its gateway.")
        _list("Recorded all the same", seen.odd)
        if self._strangers:
            note(
                f"{several(self._strangers, 'call')} by nobody whose token or signature is known: "
                "recorded without a caller. Of those without a token --as says whose they are."
            )


def _list(heading: str, counts: Counter[str]) -> None:
    if counts:
        note(f"{heading}: " + "; ".join(f"{number:,} × {reason}" for reason, number in counts.most_common()) + ".")


def _hosts(counts: Counter[str]) -> str:
    told = [f"{host} ({several(number, 'call')})" for host, number in counts.most_common(_MOST_HOSTS)]
    more = len(counts) - len(told)
    return ", ".join(told) + (f", and of {several(more, 'other')}" if more else "")
