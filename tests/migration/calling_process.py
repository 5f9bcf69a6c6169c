"""What the processes of a test beside it do: call as old scripts do."""

from __future__ import annotations

import warnings
from typing import Any

from support import listed, mounted

import compat
from compat.config.file import read_config


def call(settings: dict[str, Any], number: int) -> None:
    """Make that many calls with a session of a script's."""
    warnings.simplefilter("ignore", compat.LegacyApiWarning)
    session = mounted(read_config(settings))
    for _ in range(number):
        listed(session, limit="1").raise_for_status()
