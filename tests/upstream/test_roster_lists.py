"""The lists of a roster's users, of which one fails: the whole list does, and says in which line of the roster."""

from __future__ import annotations

import logging

import pytest
import requests
from support import answered, listed, mounted, upstream_of

from compat.testing.sandbox import Sandbox

pytestmark = pytest.mark.filterwarnings("ignore::compat.LegacyApiWarning")


@pytest.mark.parametrize("status", [400, 404, 410, 422, 500])
def test_a_user_that_the_upstream_does_not_know_is_named_by_the_line(
    sandbox: Sandbox, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    unknown = sandbox.dataset.roster[2]
    refused = answered({"errors": {"user_id": [f"{unknown.user_id} is unknown"]}}, status=status)
    sandbox.intercept = lambda request, answer: refused if unknown.user_id in request.path else answer
    with caplog.at_level(logging.ERROR, "compat.upstream"):
        answer = listed(mounted(upstream_of(sandbox, "paginated_sessions", fan_out=True)))
    # The file's first line is its head.
    assert answer.status_code == 502, answer.text
    assert answer.json()["error"].endswith(", for the user in line 4 of the roster.")
    assert "line 4 of the roster" in caplog.text
    for text in (answer.text, caplog.text):
        assert not any(str(value) in text for value in unknown if value is not None)


def test_a_refused_token_is_no_users_fault(sandbox: Sandbox) -> None:
    sandbox.intercept = lambda request, answer: answered({}, status=403)
    answer: requests.Response = listed(mounted(upstream_of(sandbox, "paginated_sessions", fan_out=True)))
    assert (answer.status_code, "line" in answer.text) == (403, False)
