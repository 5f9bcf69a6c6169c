"""The examples of the documents, run in their order as one script a document, against a sandbox.

The documents write the vendors' addresses; here these lead to the sandbox. Python blocks share one namespace, and those
in comments check what the visible ones did. A TOML block becomes ``exam-compat.toml`` and has to load; one without an
upstream is added to the sandbox's. Of a shell block
the lines of ``exam-compat`` run; of those that start servers only the arguments are read, and the sandbox that is there
already writes the configuration that they would have written.
"""

from __future__ import annotations

import shlex
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import requests
from click.testing import CliRunner
from consoles import with_tables
from requests.adapters import HTTPAdapter
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

import compat
from compat.cli.program import program
from compat.testing.sandbox import Sandbox
from compat.upstream.senders import Outgoing, OwnPool

ROOT = Path(__file__).parents[2]
VENDORS = ("https://acme.proctorexam.com", "https://platform.timeback.com")
STAY = ("demo", "sandbox", "serve")
"""Commands that start servers: only their arguments are checked here."""


@pytest.fixture
def vendors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox at the vendors' addresses, its credentials in the environment, in an empty working directory."""
    with Sandbox() as sandbox:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("EXAM_COMPAT_API_TOKEN", sandbox.api_token)
        monkeypatch.setenv("EXAM_COMPAT_SECRET_KEY", sandbox.secret_key)
        monkeypatch.setenv("PLATFORM_CLIENT_ID", sandbox.client_id)
        monkeypatch.setenv("PLATFORM_CLIENT_SECRET", sandbox.client_secret)
        shutil.copy(sandbox.settings("paginated_sessions", fan_out=True)["upstream"]["roster"], "roster.csv")
        monkeypatch.setattr(HTTPAdapter, "get_connection_with_tls_context", _moved(sandbox.base_url))
        monkeypatch.setattr(OwnPool, "send", _moved_upstream(sandbox.base_url))
        yield sandbox
        compat.uninstall()


def _moved(base_url: str) -> Any:
    """Connects elsewhere, below what mocks take the place of: one in that place would be asked before the shim."""
    connection = HTTPAdapter.get_connection_with_tls_context

    def moved(self: HTTPAdapter, request: requests.PreparedRequest, *args: Any, **options: Any) -> Any:
        elsewhere = request.copy()
        elsewhere.url = _at_the_sandbox(base_url, request.url or "")
        return connection(self, elsewhere, *args, **options)

    return moved


def _moved_upstream(base_url: str) -> Any:
    send = OwnPool.send

    def moved(self: OwnPool, request: Outgoing, *args: Any) -> Any:
        request.url = _at_the_sandbox(base_url, str(request.url))
        return send(self, request, *args)

    return moved


def _at_the_sandbox(base_url: str, url: str) -> str:
    vendor = next((vendor for vendor in VENDORS if url.startswith(vendor + "/")), None)
    if vendor is not None:
        return base_url + url[len(vendor) :]
    if not url.startswith(base_url + "/"):
        raise AssertionError(f"an example calls {url}, which is no vendor's address")
    return url


def _configure(example: Example) -> None:
    text = str(example.parsed)
    if "[upstream]" not in text:
        text = with_tables(example.namespace["sandbox"].toml("student_sessions"), text)
    Path("exam-compat.toml").write_text(text, encoding="utf-8")
    compat.load_config()


def _run(example: Example) -> None:
    for line in str(example.parsed).splitlines():
        for command in line.split("&&"):
            words = shlex.split(command, comments=True)
            if words[:1] == ["exam-compat"]:
                _call(words[1:], example.namespace["sandbox"])


def _call(words: list[str], sandbox: Sandbox) -> None:
    words, output = _redirected(words)
    if words[0] in STAY:
        written = _arguments(words).get("write_config")
        if written is not None:
            written.write_text(sandbox.toml("student_sessions"), encoding="utf-8")
        return
    result = CliRunner().invoke(program, words)
    assert result.exit_code == 0, f"exam-compat {shlex.join(words)}: {result.output}"
    assert result.output
    if output:
        Path(output[0]).write_bytes(result.stdout_bytes)


def _redirected(words: list[str]) -> tuple[list[str], list[str]]:
    place = words.index(">") if ">" in words else len(words)
    return words[:place], words[place + 1 :]


def _arguments(words: list[str]) -> dict[str, Any]:
    with click.Context(program) as context:
        command = program.get_command(context, words[0])
        assert command is not None
        return command.make_context(words[0], words[1:], parent=context).params


EXAMPLES = Sybil(
    parsers=[
        PythonCodeBlockParser(),
        CodeBlockParser(language="toml", evaluator=_configure),
        CodeBlockParser(language="sh", evaluator=_run),
    ]
)


@pytest.mark.parametrize("name", ["README.md", "MIGRATION.md"])
def test_the_examples_run(name: str, vendors: Sandbox) -> None:
    document = EXAMPLES.parse(ROOT / name)
    document.namespace.update(sandbox=vendors)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        warnings.simplefilter("always", compat.LegacyApiWarning)
        examples = list(document.examples())
        for example in examples:
            example.evaluate()
    assert len(examples) > 5
    # The old calls of the examples, and only they, warn: at lines of the document.
    assert {warning.filename for warning in caught} == {str(ROOT / name)}
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    assert all("(" in lines[warning.lineno - 1] for warning in caught)
