"""The way of one call is as short as it was: somebody new reads these files to know what happens to a call."""

from __future__ import annotations

import pytest
from call_path import WAYS

from compat.mapping.fast.scanner import extension

LONGEST = {"plain": (22, 110), "selected": (37, 223)}
"""Files and functions at most, with the extension in C."""

WITHOUT_EXTENSION = {"plain": (2, 5), "selected": (0, 0)}
"""As many more, where the codecs decode and check in Python what the extension does."""


@pytest.mark.parametrize("name", WAYS)
def test_a_call_runs_through_no_more_files_and_functions_than_it_did(name: str) -> None:
    way = WAYS[name]()
    files, functions = LONGEST[name]
    if extension() is None:
        files, functions = files + WITHOUT_EXTENSION[name][0], functions + WITHOUT_EXTENSION[name][1]
    assert len(way.files) <= files, way.files
    assert len(way.functions) <= functions, way.functions
    # What traces nothing would pass as well.
    assert {"core/call.py", "core/plan.py", "upstream/transport.py"} <= {*way.files}
