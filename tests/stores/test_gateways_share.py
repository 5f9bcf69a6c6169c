"""Two gateways with one store: what one was asked the other knows."""

from __future__ import annotations

from pathlib import Path

import requests
from gateways import SECRET, TOKEN, running_gateway, settings_for, written
from support import KINDS

from compat.legacy.signature import signed
from compat.testing.sandbox import Sandbox


def ask(base: str, parameters: dict[str, str]) -> requests.Response:
    return requests.get(
        f"{base}/api/v3/exams/17/index_students",
        params=parameters,
        headers={"Authorization": f"Token token={TOKEN}"},
        timeout=20,
    )


def test_replays_and_later_pages(sandbox: Sandbox, shared_url: str, tmp_path: Path) -> None:
    config = written(tmp_path, settings_for(sandbox, store={"url": shared_url}))
    with running_gateway(config) as first, running_gateway(config) as second:
        pages = [signed({"limit": "5", "page": str(page)}, SECRET, {"id": "17"}) for page in (1, 2, 3, 4, 5)]
        found = [each["id"] for each in ask(first, pages[0]).json()["students"]]
        sandbox.clear_calls()
        for number, page in enumerate(pages[1:]):
            found += [each["id"] for each in ask((second, first)[number % 2], page).json()["students"]]
        assert [call for call in sandbox.calls if call.interface in KINDS] == []
        assert found == [each["id"] for each in sandbox.dataset.students if each["exam_id"] == 17]
        assert [ask(base, page).status_code for page in pages for base in (first, second)] == [403] * 10
        elsewhere = signed({"limit": "5"}, SECRET, {"id": "17"})
        assert [ask(base, elsewhere).status_code for base in (second, first)] == [200, 403]
