"""Lists of calls to record, as people write them: a line each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from compat.json_text import dumps, loads
from compat.legacy.routes import INDEX_STUDENTS, LegacyCall, match_route
from compat.regression.errors import RecordingError

__all__ = ["calls_in", "listing"]

_SIGNED = ("timestamp", "nonce", "signature", "id")
_SHORT = re.compile(r"(?P<exam>[0-9]+)(?:\?(?P<query>.*))?", re.ASCII)


def listing(exam_id: str, parameters: Mapping[str, Any]) -> LegacyCall:
    """The call that lists an exam's students.

    Args:
        exam_id: the exam.
        parameters: name to text, or to what its JSON is; None for one that is not given.
    """
    given = {name: _text(value) for name, value in parameters.items() if value is not None and name not in _SIGNED}
    return LegacyCall(INDEX_STUDENTS, exam_id, urlencode(given))


def calls_in(lines: Iterable[str], where: str) -> Iterator[LegacyCall]:
    """The calls of some lines, without what was signed.

    A line is ``17`` or ``17?status=exam_finished``, a URL or path as a log has it, or a JSON object such as
    ``{"exam": 17, "filter": {"attempt": {"gt": 0}}}``. Blank lines, and those that begin with ``#``, say nothing.

    Args:
        lines: the lines.
        where: what messages call them.

    Raises:
        RecordingError: a line is none of these; the text names its number.
    """
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text and not text.startswith("#"):
            call = _object(text) if text.startswith("{") else _url(text)
            if call is None:
                raise RecordingError(
                    f"{where}, line {number}: no call: write 17?status=exam_finished, the URL of a deprecated GET, "
                    'or {"exam": 17}'
                )
            yield call


def _text(value: Any) -> str:
    return value if isinstance(value, str) else dumps(value)


def _object(text: str) -> LegacyCall | None:
    try:
        content = loads(text)
    except ValueError:
        return None
    if not isinstance(content, dict) or "exam" not in content:
        return None
    return listing(_text(content.pop("exam")), content)


def _url(text: str) -> LegacyCall | None:
    short = _SHORT.fullmatch(text)
    if short is not None:
        return listing(short["exam"], dict(parse_qsl(short["query"] or "", keep_blank_values=True)))
    parts = urlsplit(text)
    begin = parts.path.find("/api/v3/")
    matched = match_route("GET", parts.path[begin:]) if begin >= 0 else None
    if matched is None:
        return None
    route, exam_id = matched
    given = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in _SIGNED]
    return LegacyCall(route, exam_id, urlencode(given))
