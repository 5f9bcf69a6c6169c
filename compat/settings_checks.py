"""Checks of settings, whichever way they were given: as arguments, in a file, by the environment."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from compat.errors import ConfigurationError
from compat.legacy.parameters import number as exam_number

__all__ = [
    "checked_bytes",
    "checked_exams",
    "checked_key",
    "checked_token",
    "checked_url",
    "nearest",
    "needed",
    "reason_of",
    "sendable",
    "without_api_path",
]


def checked_url(name: str, url: str) -> str:
    """A base URL without its last slash.

    Raises:
        ConfigurationError: it is no http or https URL with a host, or has a query.
    """
    try:
        parts = urlsplit(needed(name, url))
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        fits = False
    if not fits or parts.query or parts.fragment:
        # What may hold a password is not shown.
        shown = name if "@" in url else f"{name} = {url!r}"
        raise ConfigurationError(f"{shown}: must be an http or https URL such as https://acme.proctorexam.com")
    return url.rstrip("/")


def without_api_path(url: str) -> str:
    """A base URL as scripts have it, without the ``/api/v3`` that every route of the vendor begins with."""
    return url.rstrip("/").removesuffix("/api/v3") if isinstance(url, str) else url


def nearest(text: str, known: Iterable[str], *, near: float = 0.6) -> str | None:
    """The known word that is most like a mistyped one; None where none is like it.

    Args:
        near: how like it has to be, from 0 to 1; 0 takes the nearest whatever it is.
    """
    return next(iter(difflib.get_close_matches(text, list(known), n=1, cutoff=near)), None)


def reason_of(error: Exception) -> str:
    """What an error says, for a message that names the file: the system's errors would name it once more."""
    told = error.strerror if isinstance(error, OSError) else None
    return f"{told[:1].lower()}{told[1:]}" if told else str(error)


def sendable(token: Any) -> bool:
    """Whether a header can hold a token: visible ASCII, and some of it."""
    return isinstance(token, str) and token.isascii() and token.isprintable() and bool(token) and " " not in token


def checked_token(name: str, value: Any) -> str:
    """A token for a header.

    Raises:
        ConfigurationError: it is none; the text names the key, and not the value.
    """
    if not sendable(needed(name, value)):
        raise ConfigurationError(f"{name}: must be visible ASCII, without blanks or a line end around it")
    return str(value)


def checked_key(name: str, value: Any) -> str:
    """A secret that is used as it is.

    Raises:
        ConfigurationError: it has blanks around it, as one read from a file often does.
    """
    if needed(name, value).strip() != value:
        raise ConfigurationError(f"{name}: has blanks or a line end around it")
    return str(value)


def checked_bytes(name: str, number: Any) -> int:
    """A number of bytes.

    Raises:
        ConfigurationError: it is none.
    """
    if not isinstance(number, int) or isinstance(number, bool) or number < 0:
        raise ConfigurationError(f"{name} = {number!r}: must be a whole number of at least 0")
    return number


def needed(name: str, value: Any) -> str:
    """A text that has to be there.

    Raises:
        ConfigurationError: it is not.
    """
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"{name}: must be a text that is not empty")
    return value


def checked_exams(exams: Any) -> dict[int, str]:
    """Exam ids, as integers or digits, tied one to one to applicationIds.

    Raises:
        ConfigurationError: an entry is something else; the text names it.
    """
    if not isinstance(exams, Mapping):
        raise ConfigurationError("exams: must be a mapping of exam ids to applicationIds")
    checked: dict[int, str] = {}
    for exam_id, application in exams.items():
        where = f"[exams] {str(exam_id)[:40]}"
        number = exam_number(str(exam_id)) if isinstance(exam_id, int | str) else None
        if number is None:
            raise ConfigurationError(f"{where}: an exam id is digits")
        if not isinstance(application, str) or not application:
            raise ConfigurationError(f"{where}: must be an applicationId in quotes")
        if number in checked:
            raise ConfigurationError(f"{where}: the same exam id stands there before")
        checked[number] = application
    if len({application.lower() for application in checked.values()}) != len(checked):
        raise ConfigurationError("[exams]: two exam ids are tied to one applicationId; they go one to one")
    return checked
