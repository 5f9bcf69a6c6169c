"""The old script that ``exam-compat demo`` runs: the very file of ``examples/``, so that an installed demo has it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["LEGACY_REPORT"]

LEGACY_REPORT = Path(__file__).with_name("legacy_report.py")
"""The script's file."""
