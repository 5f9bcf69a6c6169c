"""Runs an unchanged script in this process, and keeps what it printed, was answered and was warned of."""

from __future__ import annotations

import io
import os
import runpy
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from compat.deprecation import LegacyApiWarning
from compat.json_text import dumps, loads

__all__ = ["ScriptAnswer", "ScriptFailedError", "ScriptRun", "run_script"]

_PAGINATION = "x-pagination-"


class ScriptFailedError(Exception):
    """The script ended with an error; the text says which."""


@dataclass(frozen=True)
class ScriptAnswer:
    """An answer that the script got, as far as two of them are to be equal.

    Attributes:
        status: the HTTP status.
        pagination: its ``X-Pagination-*`` headers, names in lower case.
        body: the JSON of the body, written in one way.
    """

    status: int
    pagination: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class ScriptRun:
    """What a run of a script showed.

    Attributes:
        printed: its standard output.
        answers: what its calls were answered, in their order.
        headers: those of the last answer.
        warned: the warnings of deprecated calls, each once, with file and line.
    """

    printed: str
    answers: Sequence[ScriptAnswer]
    headers: Mapping[str, str]
    warned: Sequence[str]


def run_script(script: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> ScriptRun:
    """Run a script as ``python script arguments`` would, but in this process.

    Args:
        script: its file.
        arguments: what it finds behind its name in ``sys.argv``.
        environment: variables that it finds set, beside those of the process.

    Raises:
        ScriptFailedError: it ended with an error or with a status other than 0.
    """
    printed = io.StringIO()
    with (
        _surroundings([str(script), *arguments], environment),
        _answers_kept() as kept,
        warnings.catch_warnings(record=True) as caught,
        redirect_stdout(printed),
    ):
        warnings.simplefilter("always", LegacyApiWarning)
        try:
            runpy.run_path(str(script), run_name="__main__")
        except SystemExit as end:
            if end.code not in (None, 0):
                raise ScriptFailedError(f"{script.name} ended with {end.code}") from None
        except requests.RequestException as error:
            # Its text may hold the signed URL; the kind of failure and the status say enough.
            status = "" if error.response is None else f", status {error.response.status_code}"
            raise ScriptFailedError(f"{script.name} failed: {type(error).__name__}{status}") from None
    warned = [f"{Path(each.filename).name}:{each.lineno}: {each.category.__name__}: {each.message}" for each in caught]
    headers = dict(kept[-1].headers) if kept else {}
    return ScriptRun(printed.getvalue(), [_answer(each) for each in kept], headers, list(dict.fromkeys(warned)))


def _answer(response: requests.Response) -> ScriptAnswer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    pagination = {name: value for name, value in headers.items() if name.startswith(_PAGINATION)}
    # Written anew, since blanks and escapes are no part of what an answer says; order and digits are.
    return ScriptAnswer(response.status_code, pagination, dumps(loads(response.content)))


@contextmanager
def _answers_kept() -> Iterator[list[requests.Response]]:
    """Keep what ``requests`` gives to anyone in this process meanwhile, but not what the shim asks upstream.

    The script is not to be edited, so its answers are seen where it gets them.
    """
    kept: list[requests.Response] = []
    original = requests.api.request

    def request(*arguments: Any, **options: Any) -> requests.Response:
        response = original(*arguments, **options)
        kept.append(response)
        return response

    requests.api.request = request
    try:
        yield kept
    finally:
        requests.api.request = original


@contextmanager
def _surroundings(arguments: Sequence[str], environment: Mapping[str, str]) -> Iterator[None]:
    arguments_before = sys.argv
    before = {name: os.environ.get(name) for name in environment}
    sys.argv = list(arguments)
    os.environ.update(environment)
    try:
        yield
    finally:
        sys.argv = arguments_before
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
