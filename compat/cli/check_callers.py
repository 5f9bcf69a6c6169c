"""The callers that are left, in ``exam-compat check``: inventory, codemod and verdict in one line each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from compat.cli.counted import counted_in
from compat.cli.scan import found_below
from compat.config import Configuration
from compat.migration.census import census
from compat.regression.callers_left import callers_left
from compat.regression.report.content import CallerLeft
from compat.regression.verdict import Judgement

__all__ = ["left_by"]


def left_by(given: Configuration, judged: Judgement, scripts: Sequence[Path]) -> list[CallerLeft]:
    """Who still calls, by the inventory of a configuration.

    Args:
        given: the configuration.
        judged: what a check said.
        scripts: where the callers' scripts are, as far as they are here.

    Raises:
        ConfigurationError: no other process could have counted there.
        StoreUnavailable: the inventory cannot be read.
    """
    names = [each.caller.name for each in given.callers]
    callers = [each for each in census(counted_in(given).usages, names, time.time()) if each.left]
    if not scripts:
        return callers_left(callers, judged)
    return callers_left(callers, judged, found_below(scripts, (), quiet=False).uses())
