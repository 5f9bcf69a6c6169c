"""Old scripts in pieces: a head that signs by hand, and bodies of many shapes; how they are run and rewritten."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import pytest

from compat.migration.codemod import Rewritten, rewritten
from compat.testing.sandbox import Sandbox

HEAD = '''\
"""A report."""
import hashlib
import hmac
import json
import os
import random
import time

import requests

URL = os.environ["PROCTOREXAM_URL"]
TOKEN = os.environ["PROCTOREXAM_TOKEN"]
SECRET = os.environ["PROCTOREXAM_SECRET"]
HEADERS = {"Authorization": "Token token=" + TOKEN}


def signed(exam, **params):
    params.update(timestamp=int(time.time() * 1000), nonce=random.getrandbits(60))
    text = "?".join(f"{k}={v}" for k, v in sorted(dict(params, id=exam).items()))
    return dict(params, signature=hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest())


'''


def script(body: str) -> str:
    """A script of that body behind the head."""
    return HEAD + textwrap.dedent(body).lstrip("\n")


def run(code: str) -> str:
    """What a script prints, run in this process."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(code, "<script>", "exec"), {"__name__": "__main__"})  # noqa: S102 - our own samples
    return printed.getvalue()


@contextmanager
def account(sandbox: Sandbox) -> Iterator[None]:
    """The environment that the scripts read."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PROCTOREXAM_URL", sandbox.base_url)
        environment.setenv("PROCTOREXAM_TOKEN", sandbox.api_token)
        environment.setenv("PROCTOREXAM_SECRET", sandbox.secret_key)
        yield


def comments(code: str) -> list[str]:
    """The comments of a script, sorted."""
    return sorted(re.findall(r"#.*", code))


def settled(code: str) -> Rewritten:
    """A script rewritten, having checked that it would not be rewritten once more."""
    found = rewritten(code)
    again = rewritten(found.code)
    assert again.code == found.code
    assert again.changes == ()
    return found
