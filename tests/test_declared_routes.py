"""A route that is declared and that nobody answers is no route: importing what answers fails, and names it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from compat.core.call import check_answered
from compat.legacy.routes import ROUTES, Route

ADDED = """
import compat.legacy.routes as routes
routes.ROUTES += (routes.Route("archive_student", ("POST",), {answer}),)
import compat.core.call
"""


@pytest.mark.parametrize(
    "route",
    [
        Route("archive_student", ("POST",)),
        Route("archive_student", ("POST",), "archive"),
        Route("archive_student", ("POST",), "upstream"),
    ],
)
def test_a_route_without_an_answer_is_named(route: Route) -> None:
    with pytest.raises(TypeError, match="archive_student"):
        check_answered((*ROUTES, route))


@pytest.mark.parametrize(("answer", "fails"), [('"archive"', True), ('"index"', False)])
def test_importing_what_answers_fails_for_an_added_route(answer: str, fails: bool) -> None:
    code = ADDED.format(answer=answer)
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert bool(done.returncode) == fails, done.stderr
    assert ("nobody answers the route 'archive_student'" in done.stderr) == fails
