"""One old call through a mounted adapter, one call upstream, against calling the new endpoint itself; loopback."""

from __future__ import annotations

import warnings

import requests

import compat
from benchmarks.data import EXAM, legacy_fields_of, student_sessions
from benchmarks.harness import ROUNDS, Report, command_line, compare, timed
from benchmarks.upstream import serving
from compat.legacy.signature import signed

SIZES = (1, 30, 300)
_KEY = "benchmark"
_LEGACY = "http://legacy.invalid"


class _Calls:
    """The old call and the new one, each from a session of its own."""

    def __init__(self, base_url: str) -> None:
        upstream = compat.StudentSessions(base_url, api_token=_KEY, secret_key=_KEY, scope="exam", reuse_bytes=0)
        self._old = requests.Session()
        compat.mount(self._old, _LEGACY, upstream)
        self._old_url = f"{_LEGACY}/api/v3/exams/{EXAM}/index_students"
        self._new = requests.Session()
        self._new.headers["Authorization"] = f"Token token={_KEY}"
        self._new_url = f"{base_url}/api/v3/exams/{EXAM}/student_sessions"
        self._signed_once = self._sign()

    @staticmethod
    def _sign() -> dict[str, str]:
        return signed({"page": "1", "limit": "300"}, _KEY, {"exam_id": str(EXAM)})

    def old(self) -> requests.Response:
        """The old call, answered by the adapter."""
        return self._old.get(self._old_url)

    def new(self) -> requests.Response:
        """The new endpoint's, signed beforehand: which a script may not do, but which costs it nothing here."""
        return self._new.get(self._new_url, params=self._signed_once)

    def new_signed(self) -> requests.Response:
        """The new endpoint's as it has to be called, signed at that moment."""
        return self._new.get(self._new_url, params=self._sign())


def check(calls: _Calls, size: int) -> None:
    """Refuse to measure calls that do not give the records."""
    upstream = calls.new().json()["students"]
    assert calls.new_signed().json()["students"] == upstream
    assert len(upstream) == size
    answer = calls.old()
    assert answer.status_code == 200, answer.text
    assert answer.json()["students"] == [legacy_fields_of(record) for record in upstream]


def main(rounds: int = ROUNDS) -> Report:
    """Measure."""
    exam = [{**record, "exam_id": EXAM} for record in student_sessions()]
    ways, targets, open_servers = {}, {}, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", compat.LegacyApiWarning)
        try:
            for size in SIZES:
                open_servers.append(serving(exam, size))
                calls = _Calls(open_servers[-1].__enter__())
                check(calls, size)
                name = f"{size} record{'s' if size > 1 else ''}"
                one, other, anew = f"adapter, {name}", f"session.get, {name}", f"session.get signed anew, {name}"
                ways |= {
                    one: timed(calls.old, 0.05),
                    other: timed(calls.new, 0.05),
                    anew: timed(calls.new_signed, 0.05),
                }
                targets |= {(one, other): "at most 1.25", (one, anew): ""}
            return compare(
                "One call through the adapter, one call upstream, loopback",
                "The mounted adapter calls the new endpoint, checks and translates the page, and answers; the other "
                "side is `session.get` on the new endpoint itself, signed once, or anew for each call.",
                ways,
                targets,
                rounds,
            )
        finally:
            for server in open_servers:
                server.__exit__(None, None, None)


if __name__ == "__main__":
    command_line(main)
