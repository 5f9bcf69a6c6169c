"""A route that says too little, or that nobody answers, is no route: importing it, or what answers, fails by name."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from compat.core.call import check_answered
from compat.legacy.routes import INDEX_STUDENTS, ROUTES, SHOW_STUDENT

ADDED = """
from dataclasses import replace
import compat.legacy.routes as routes
routes.ROUTES += (replace(routes.SHOW_STUDENT, action="archive_student", answer={answer}),)
import compat.core.call
"""


@pytest.mark.parametrize("answer", ["archive", "upstream", "_walk_"])
def test_a_route_that_nobody_answers_is_named(answer: str) -> None:
    route = replace(SHOW_STUDENT, action="archive_student", answer=answer)
    with pytest.raises(TypeError, match="archive_student"):
        check_answered((*ROUTES, route))


@pytest.mark.parametrize("name", ["methods", "answer", "gives", "summary", "successor", "successor_method"])
def test_a_route_that_says_too_little_is_named(name: str) -> None:
    with pytest.raises(TypeError, match=f"the route 'index_students' does not say its {name}$"):
        replace(INDEX_STUDENTS, **{name: ""})  # type: ignore[arg-type]


@pytest.mark.parametrize(("answer", "fails"), [('"archive"', True), ('"index"', False)])
def test_importing_what_answers_fails_for_an_added_route(answer: str, fails: bool) -> None:
    code = ADDED.format(answer=answer)
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert bool(done.returncode) == fails, done.stderr
    assert ("nobody answers the route 'archive_student'" in done.stderr) == fails
