"""The bodies that the benchmarks work on: the sandbox's data, the same at each run."""

from __future__ import annotations

from functools import lru_cache

from compat.testing.sandbox import Dataset, generate

__all__ = ["RECORDS", "legacy_fields_of", "student_sessions_page"]

RECORDS = 300
_SEED = 2018


@lru_cache
def _dataset() -> Dataset:
    return generate(RECORDS, 3, _SEED)


@lru_cache
def student_sessions_page() -> bytes:
    """A page of student sessions as the upstream writes it: shuffled fields, newer ones among them, some absent."""
    return b'{"students":[' + b",".join(entry.student_session_text for entry in _dataset().entries()) + b"]}"


def legacy_fields_of(record: dict[str, object], names: tuple[str, ...]) -> dict[str, object]:
    """The legacy record of a student session, by hand: what a right answer has to equal."""
    return {name: record.get(name) for name in names}
