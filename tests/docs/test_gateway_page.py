"""What docs/gateway.md says, compared with the code."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from compat.cli.run import serve
from compat.config.file import load_config, read_config
from compat.gateway.admin import AdminApplication, LiveReport, Readiness
from compat.gateway.limits import GatewaySettings
from compat.gateway.metrics import Metrics

PAGE = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text(encoding="utf-8")


def _first_cells() -> str:
    return "\n".join(re.findall(r"^\| (.*?) \|", PAGE, flags=re.MULTILINE))


def test_every_option_is_on_the_page() -> None:
    options = {name for option in serve.params for name in option.opts if name not in ("--config", "--help")}
    assert set(re.findall(r"`(--[a-z-]+)`", _first_cells())) == options


def test_every_key_is_on_the_page_with_its_default() -> None:
    for key in fields(GatewaySettings):
        assert f"`{key.name}`" in PAGE
        default = GatewaySettings().calls_per_caller if key.default is None else key.default
        if key.name.startswith("max_"):
            assert re.search(rf"^\| `{key.name}` \| {default}\b", PAGE, flags=re.MULTILINE)


def test_every_number_is_on_the_page() -> None:
    registry = Metrics().registry
    assert [*registry.collect()]
    suffixes = {"counter": "_total"}
    for metric in registry.collect():
        name = metric.name + suffixes.get(metric.type, "")
        assert name.replace("last_failure", "last_success") in PAGE, name


def test_every_page_for_operators_is_on_the_page() -> None:
    upstream = {"kind": "student_sessions", "base_url": "https://n.example", "api_token": "t", "secret_key": "k"}
    report = LiveReport(read_config({"upstream": upstream}))
    application = AdminApplication(lambda: Readiness(True, {}), lambda: b"", lambda: b"", report)
    answer = b"".join(application({"PATH_INFO": "/", "REQUEST_METHOD": "GET"}, lambda *_: None)).decode()
    assert set(re.findall(r"`(/[a-z.]+)`(?=,| \|)", PAGE)) == set(re.findall(r"/[a-z]+(?:\.json)?", answer))


def test_the_configuration_on_the_page_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UPSTREAM_TOKEN", "UPSTREAM_SECRET", "REGISTRAR_TOKEN", "REGISTRAR_SECRET"):
        monkeypatch.setenv(name, name.lower())
    path = tmp_path / "exam-compat.toml"
    (text,) = re.findall(r"^```toml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    path.write_text(text, encoding="utf-8")
    configuration = load_config(path)
    assert [each.caller.name for each in configuration.callers] == ["registrar nightly export"]
    assert GatewaySettings.of(configuration) == GatewaySettings()
