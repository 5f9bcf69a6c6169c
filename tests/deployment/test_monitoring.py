"""The rules for Prometheus and the dashboard for Grafana, against the numbers of a gateway that runs.

Grafana itself is not run: of the dashboard, its queries and the places of its panels are checked.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from environments import ROOT
from gateways import settings_for, written
from serving import HEADERS, Gateway, query, serving, until
from support import answered, closed_port, edited, program, rows_of

from compat.testing.sandbox import Sandbox, SandboxAnswer

FOLDER = ROOT / "deploy"
RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
PANELS = DASHBOARD["panels"]
QUERIES = [target["expr"] for panel in PANELS for target in panel["targets"]]
EXPRESSIONS = [*(rule["expr"] for rule in RULES), *QUERIES]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that has something to count: an answer, a refusal, a failure upstream, a field of another type."""
    failed = []

    def misbehave(call: object, answer: SandboxAnswer) -> SandboxAnswer:
        if not failed:
            failed.append(call)
            return answered({}, status=503)
        return edited(answer, lambda content: [row.update(attempt="second") for row in rows_of(content)])

    with Sandbox(students=60, exams=3, clamp=25) as sandbox:
        sandbox.intercept = misbehave
        with serving(written(tmp_path_factory.mktemp("gateway"), settings_for(sandbox))) as running:
            parameters = query()
            answers = [requests.get(running.url(), params=parameters, headers=HEADERS, timeout=60) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [200, 403]
            counted = {"exam_compat_calls_total", "exam_compat_refusals_total", "exam_compat_drift_total"}
            until(lambda: counted <= shown_by(running).keys(), running)
            yield running


def shown_by(gateway: Gateway) -> dict[str, dict[str, set[str]]]:
    """What ``/metrics`` shows: name to labels to the values that these have."""
    found: dict[str, dict[str, set[str]]] = {}
    for series in gateway.numbers():
        name, _, rest = series.partition("{")
        labels = found.setdefault(name, {})
        for label, value in re.findall(r'(\w+)="([^"]*)"', rest):
            labels.setdefault(label, set()).add(value)
    return found


def grouped_by(expression: str) -> set[str]:
    """The labels that an expression leaves."""
    return {each for labels in re.findall(r"\bby \(([^)]*)\)", expression) for each in labels.split(", ")}


def test_every_number_that_is_named_is_shown_with_its_labels(gateway: Gateway) -> None:
    shown = shown_by(gateway)
    for expression in EXPRESSIONS:
        series = re.findall(r"\b(exam_compat_\w+)(?:\{([^}]*)\})?", expression)
        # The one number that is Prometheus's own.
        assert series or "up{" in expression
        for name, matchers in series:
            asked = re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', matchers)
            assert name in shown, expression
            assert grouped_by(expression) | {label for label, _, _ in asked} <= shown[name].keys(), expression
            for label, operator, value in asked:
                # Others come with the calls that have them.
                if operator == "=" and label in ("route", "kind", "outcome"):
                    assert value in shown[name][label], expression


def test_what_is_written_for_people_names_only_labels_that_are_left() -> None:
    written_for = [(rule["expr"], str(rule["annotations"])) for rule in RULES]
    written_for += [(each["expr"], each["legendFormat"]) for panel in PANELS for each in panel["targets"]]
    for expression, text in written_for:
        named = {*re.findall(r"\$labels\.(\w+)", text), *re.findall(r"\{\{(\w+)\}\}", text)}
        assert named <= (grouped_by(expression) or {"instance", "job"}), text


def test_the_panels_do_not_overlap_and_have_their_source() -> None:
    (source,) = DASHBOARD["templating"]["list"]
    assert len({panel["id"] for panel in PANELS}) == len({panel["title"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        assert panel["datasource"] == {"type": source["query"], "uid": f"${{{source['name']}}}"}
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    for one, other in combinations([panel["gridPos"] for panel in PANELS], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


def test_the_page_has_every_rule() -> None:
    rows = re.findall(
        r"^\| `(ExamCompat\w+)` \| (\w+) \|", (ROOT / "docs" / "deploy.md").read_text(), flags=re.MULTILINE
    )
    assert rows == [(rule["alert"], rule["labels"]["severity"]) for rule in RULES]


def test_each_rule_fires_when_it_should_and_only_then() -> None:
    tested = yaml.safe_load((FOLDER / "alerts.test.yml").read_text())["tests"]
    cases = [case for each in tested for case in each["alert_rule_test"]]
    for fires in (True, False):
        names = {case["alertname"] for case in cases if bool(case.get("exp_alerts")) is fires}
        assert names == {rule["alert"] for rule in RULES}
    for command in (("check", "config", "prometheus.yml"), ("test", "rules", "alerts.test.yml")):
        done = subprocess.run([program("promtool"), *command], cwd=FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def _prometheus(folder: Path, gateway: Gateway) -> Iterator[str]:
    """Prometheus with the project's files, which reads one gateway each second; its address."""
    settings = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["rule_files"] = [str(FOLDER / name) for name in settings["rule_files"]]
    settings["scrape_configs"][0]["static_configs"] = [{"targets": [gateway.admin.removeprefix("http://")]}]
    (folder / "prometheus.yml").write_text(json.dumps(settings))
    address = closed_port()
    places = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    command = [program("prometheus"), *places, f"--web.listen-address={address.removeprefix('http://')}"]
    with (
        (folder / "prometheus.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, cwd=folder) as process,
    ):
        try:
            until(lambda: requests.get(f"{address}/-/ready", timeout=10).status_code == 200)
            yield address
        finally:
            process.terminate()


def test_prometheus_has_an_answer_to_every_query_of_the_dashboard(gateway: Gateway, tmp_path: Path) -> None:
    def asked(address: str, page: str, **parameters: str) -> Any:
        return requests.get(f"{address}/api/v1/{page}", params=parameters, timeout=30).json()["data"]

    with _prometheus(tmp_path, gateway) as address:
        left = {text.replace("$__rate_interval", "1m") for text in QUERIES}
        # A rate takes two readings, which are a second apart.
        for _ in range(60):
            left = {expression for expression in left if not asked(address, "query", query=expression)["result"]}
            if left:
                time.sleep(0.5)
        assert not left
        firing = 'ALERTS{alertname="ExamCompatDrift",alertstate="firing",field="attempt",severity="info"}'
        until(lambda: asked(address, "query", query=firing)["result"])
        (group,) = asked(address, "rules")["groups"]
        assert {rule["name"]: (rule["health"], rule.get("lastError")) for rule in group["rules"]} == {
            rule["alert"]: ("ok", None) for rule in RULES
        }
