"""Write what curl needs to make a call of the old interface again, signed anew.

``curl -s -K <(python -m compat.regression.repeat index_students 17 limit=10 page=2)``

The address, the token and the key come from the environment, so that none of them stands in an argument, where other
people of the machine would see it.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from compat.legacy.signature import signed

__all__ = ["command_of", "curl_options"]

URL, TOKEN, KEY = "EXAM_STUDENTS_URL", "EXAM_STUDENTS_TOKEN", "EXAM_STUDENTS_SECRET"


def command_of(route: str, exam: str, parameters: Mapping[str, str]) -> str:
    """A line for a shell that makes a call again."""
    words = [route, exam, *(f"{name}={text}" for name, text in parameters.items())]
    return f"curl -s -K <(python -m compat.regression.repeat {shlex.join(words)})"


def curl_options(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """The options of curl, as its file of them has it.

    Args:
        arguments: the route, the exam, and parameters as ``name=text``.
        environment: has the base URL, the token and the key.

    Raises:
        KeyError: a variable is missing.
    """
    route, exam, *given = arguments
    parameters = dict(each.split("=", 1) for each in given)
    query = urlencode(signed(parameters, environment[KEY], {"id": exam}))
    url = f"{environment[URL].rstrip('/')}/api/v3/exams/{exam}/{route}?{query}"
    return f'url = "{url}"\nheader = "Authorization: Token token={environment[TOKEN]}"\n'


if __name__ == "__main__":
    try:
        sys.stdout.write(curl_options(sys.argv[1:], os.environ))
    except KeyError as error:
        sys.exit(f"the environment has no variable {error.args[0]}: the base URL, the token and the key go there")
    except ValueError:
        sys.exit("usage: python -m compat.regression.repeat ROUTE EXAM [NAME=TEXT ...]")
