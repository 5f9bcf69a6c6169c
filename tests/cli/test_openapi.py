"""``exam-compat openapi``: the document, on the output or in a file."""

from __future__ import annotations

import json
from pathlib import Path

from openapi_spec_validator import validate

from .conftest import Invoke


def test_the_document_as_output_or_file(invoke: Invoke, config: Path, tmp_path: Path) -> None:
    printed = invoke("openapi", "--config", config)
    assert printed.exit_code == 0
    validate(json.loads(printed.stdout))
    written = invoke("openapi", "--config", config, "--output", tmp_path / "old.json")
    assert (written.exit_code, written.stdout) == (0, "")
    assert (tmp_path / "old.json").read_text(encoding="utf-8") == printed.stdout


def test_an_upstream_that_only_reads_documents_no_success_of_a_write(invoke: Invoke, paginated: Path) -> None:
    told = json.loads(invoke("openapi", "--config", paginated).stdout)
    responses = told["paths"]["/api/v3/exams/{id}/add_student"]["post"]["responses"]
    assert "201" not in responses
    assert "422" in responses
