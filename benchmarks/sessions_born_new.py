"""A page of 300 sessions that were never legacy records, into the legacy page, bytes to bytes."""

from __future__ import annotations

from benchmarks.harness import ROUNDS, Report, command_line
from benchmarks.sessions_page import measured


def main(rounds: int = ROUNDS) -> Report:
    """Measure."""
    return measured(born_old=False, target="at most 0.6", rounds=rounds)


if __name__ == "__main__":
    command_line(main)
