"""The OpenAPI document: valid, whole, and held by the running gateway whatever it is asked."""

from __future__ import annotations

import importlib
import json
import pkgutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from gateways import SECRET, TOKEN, running_gateway, settings_for, written
from hypothesis import HealthCheck, given, settings
from openapi_spec_validator import validate
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from serving import serving

import compat
import compat.gateway as gateway_package
from compat.errors import LegacyError
from compat.gateway import request as asked
from compat.gateway.openapi import document
from compat.legacy.parameters import gather
from compat.legacy.query import OPERATORS, STATUSES
from compat.legacy.routes import ROUTES, LegacyCall, match_route
from compat.legacy.signature import base_string, sign
from compat.schemas import STUDENT_FIELDS
from compat.testing.sandbox import Sandbox

KINDS = ("student_sessions", "paginated_sessions")
DATES = 'deprecated = 2024-01-15\nsunset = 2027-06-30\nextra_fields = ["pin_code"]\n'
OPERATIONS = [(route.action, method) for route in ROUTES for method in route.methods]
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def sandbox(kind: str) -> Iterator[Sandbox]:
    with Sandbox(students=40, exams=2, clamp=25) as running:
        yield running


@pytest.fixture(scope="module")
def configured(kind: str, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("openapi"), settings_for(sandbox, kind), dates=DATES)


@pytest.fixture(scope="module")
def students(sandbox: Sandbox) -> list[int]:
    return [each.record["id"] for each in sandbox.dataset.entries(17)]


@pytest.fixture(scope="module")
def told(configured: Path) -> dict[str, Any]:
    return document(compat.load_config(configured))


@pytest.fixture(scope="module")
def base(configured: Path) -> Iterator[str]:
    with running_gateway(configured) as address:
        yield address


def test_it_is_valid_and_json(told: dict[str, Any]) -> None:
    validate(told)
    assert told["openapi"].startswith("3.1")
    assert json.loads(json.dumps(told)) == told


def test_it_has_every_route_field_and_rule(told: dict[str, Any]) -> None:
    assert list(told["paths"]) == [f"/api/v3/exams/{{id}}/{route.action}" for route in ROUTES]
    for route in ROUTES:
        item = told["paths"][f"/api/v3/exams/{{id}}/{route.action}"]
        assert [name.upper() for name in item if name != "parameters"] == list(route.methods)
        assert all(item[method.lower()]["deprecated"] for method in route.methods)
    student = told["components"]["schemas"]["Student"]
    assert tuple(student["properties"]) == (*STUDENT_FIELDS, "pin_code")
    assert tuple(student["required"]) == STUDENT_FIELDS
    parameters = {
        each["name"]: each for each in told["paths"]["/api/v3/exams/{id}/index_students"]["get"]["parameters"]
    }
    assert tuple(parameters["status"]["schema"]["enum"]) == STATUSES
    assert set(told["components"]["schemas"]["TimeComparisons"]["properties"]) == set(OPERATORS)
    assert "incidents" not in parameters["filter"]["content"]["application/json"]["schema"]["properties"]


def _statuses_of(kind: type[LegacyError]) -> set[int]:
    statuses = {kind.status} if isinstance(kind.status, int) else set()
    return statuses.union(*(_statuses_of(each) for each in kind.__subclasses__()))


def test_it_has_every_status_that_an_error_stands_for(told: dict[str, Any]) -> None:
    listed = {
        status
        for item in told["paths"].values()
        for name in item
        if name != "parameters"
        for status in item[name]["responses"]
    }
    # A method that is none of a path's own is no operation, so its refusal stands among the components alone; 400 is
    # for what is passed on, 499 for a caller who has gone, and 500 for a fault of ours, which nobody may rely on.
    assert "MethodNotAllowed" in told["components"]["responses"]
    for module in pkgutil.walk_packages(gateway_package.__path__, "compat.gateway."):
        importlib.import_module(module.name)
    kinds = [each for each in vars(asked).values() if isinstance(each, asked.RefusalKind)]
    assert kinds
    ours = {kind for kind in LegacyError.__subclasses__() if kind.__module__.startswith("compat.")}
    raised = {each.status for each in kinds}.union(*(_statuses_of(kind) for kind in ours)) - {400, 405, 499, 500}
    assert raised <= {int(status) for status in listed}


def test_nothing_secret_is_in_it(told: dict[str, Any], configured: Path) -> None:
    text = json.dumps(told)
    upstream = compat.load_config(configured).upstream
    secrets = [getattr(upstream, name, None) for name in ("api_token", "secret_key", "client_secret", "base_url")]
    for secret in (SECRET, TOKEN, *secrets):
        assert not secret or secret not in text


def led_to_data(case: Case, students: list[int]) -> None:
    """Let every other number name an exam, or a student of it, that is there."""
    for place, name, there in (
        (case.path_parameters, "id", [17]),
        (case.query, "student_session_id", students),
    ):
        number = place.get(name)
        if isinstance(number, int) and number % 2 == 0:
            place[name] = there[number // 2 % len(there)]


def test_operators_find_it(told: dict[str, Any], configured: Path) -> None:
    with serving(configured) as gateway:
        assert requests.get(f"{gateway.admin}/openapi.json", timeout=30).json() == told


def signed_anew(case: Case, base: str) -> None:
    """Sign a generated call as a known caller, over what a server reads of it."""
    fresh = {"timestamp": str(time.time_ns() // 1_000_000), "nonce": str(time.time_ns()), "signature": "0" * 64}
    place = case.body if isinstance(case.body, dict) else case.query
    place.update(fresh)
    prepared = requests.Request(
        **{k: v for k, v in case.as_transport_kwargs(base_url=base).items() if k in KEYS}
    ).prepare()
    path, _, query = (prepared.url or "").removeprefix(base).partition("?")
    matched = match_route(case.method, path)
    if matched is None:
        return
    body = prepared.body or b""
    call = LegacyCall(
        *matched,
        query=query,
        content_type=prepared.headers.get("Content-Type"),
        body=body.encode() if isinstance(body, str) else bytes(body),
    )
    place["signature"] = sign(base_string(gather(call).values), SECRET)


KEYS = ("method", "url", "headers", "params", "data", "json", "cookies")


def hold(
    told: dict[str, Any], base: str, students: list[int], action: str, method: str, *, mode: GenerationMode, most: int
) -> set[int]:
    """Let the gateway be asked, and return the statuses that it answered."""
    schema = schemathesis.openapi.from_dict(told)
    operation = schema[f"/api/v3/exams/{{id}}/{action}"][method]
    seen: set[int] = set()

    @settings(max_examples=most, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Case) -> None:
        if mode is GenerationMode.POSITIVE:
            led_to_data(case, students)
        signed_anew(case, base)
        response = case.call(base_url=base, headers={"Authorization": f"Token token={TOKEN}"})
        case.validate_response(response, checks=CHECKS)
        assert response.status_code < 500
        seen.add(response.status_code)

    ask()
    return seen


@pytest.mark.parametrize(("action", "method"), OPERATIONS)
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_gateway_holds_it(
    told: dict[str, Any], base: str, students: list[int], action: str, method: str, mode: GenerationMode
) -> None:
    seen = hold(told, base, students, action, method, mode=mode, most=10)
    assert seen
    if mode is GenerationMode.POSITIVE and action != "add_student":
        # Only to add a student to an exam that is not there is refused upstream.
        assert 403 not in seen
    if mode is GenerationMode.POSITIVE and action == "index_students":
        assert 200 in seen


@pytest.mark.soak
@pytest.mark.parametrize(("action", "method"), OPERATIONS)
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_gateway_holds_it_long(
    told: dict[str, Any], base: str, students: list[int], action: str, method: str, mode: GenerationMode
) -> None:
    assert hold(told, base, students, action, method, mode=mode, most=1000)
