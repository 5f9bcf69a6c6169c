"""The way of one call is as short as it was: somebody new reads these files to know what happens to a call."""

from __future__ import annotations

import pytest
from call_path import WAYS

LONGEST = {"plain": (24, 115), "selected": (39, 227)}
"""Files and functions at most; the plain way is to come down to 22 and 110."""


@pytest.mark.parametrize("name", WAYS)
def test_a_call_runs_through_no_more_files_and_functions_than_it_did(name: str) -> None:
    way = WAYS[name]()
    files, functions = LONGEST[name]
    assert len(way.files) <= files, way.files
    assert len(way.functions) <= functions, way.functions
    # What traces nothing would pass as well.
    assert {"core/call.py", "core/plan.py", "upstream/transport.py"} <= {*way.files}
