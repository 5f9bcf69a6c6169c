"""Where the clients get their upstream from: arguments, a configuration, or the environment."""

from __future__ import annotations

import os
from pathlib import Path

from compat.config import Configuration
from compat.config_file import CONFIG_NAME, load_config
from compat.errors import ConfigurationError
from compat.upstream import StudentSessions
from compat.upstream.interface import Upstream

__all__ = ["VARIABLES", "resolve"]

VARIABLES = {
    "base_url": "EXAM_COMPAT_BASE_URL",
    "api_token": "EXAM_COMPAT_API_TOKEN",
    "secret_key": "EXAM_COMPAT_SECRET_KEY",
}
"""Argument to the variable that is read where the argument is not given."""


def resolve(
    upstream: Upstream | Configuration | None,
    *,
    base_url: str | None = None,
    api_token: str | None = None,
    secret_key: str | None = None,
) -> Upstream | Configuration:
    """The upstream to use: the one given, else one from credentials, else the configuration file's.

    Each of the three credentials that is not given is read from :data:`VARIABLES`.

    Raises:
        ConfigurationError: nothing says which, or only some of the credentials are there; the text names the rest.
    """
    arguments = {"base_url": base_url, "api_token": api_token, "secret_key": secret_key}
    if upstream is not None:
        if any(arguments.values()):
            raise ConfigurationError("credentials were given beside an upstream, which has its own: leave one out")
        return upstream
    found = {name: value or os.environ.get(VARIABLES[name]) for name, value in arguments.items()}
    absent = [f"{name} ({VARIABLES[name]})" for name, value in found.items() if not value]
    if not absent:
        return StudentSessions(
            found["base_url"] or "", api_token=found["api_token"] or "", secret_key=found["secret_key"] or ""
        )
    if any(arguments.values()) or len(absent) < len(found):
        raise ConfigurationError(f"credentials are incomplete: {', '.join(absent)} not given")
    if not os.environ.get("EXAM_COMPAT_CONFIG") and not Path(CONFIG_NAME).is_file():
        raise ConfigurationError(
            f"no upstream: pass one, or {', '.join(VARIABLES)}; set {', '.join(VARIABLES.values())}; "
            f"or write an {CONFIG_NAME}"
        )
    return load_config()
