"""What the environment says of proxies and of certificates, read as ``requests`` reads it."""

from __future__ import annotations

from typing import Any

import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy

__all__ = ["proxy_to", "trusted_by"]


def proxy_to(url: str) -> str | None:
    """The proxy that leads to a URL, or None."""
    proxy: str | None = select_proxy(url, _merged(url)["proxies"])
    return proxy


def trusted_by(url: str) -> str:
    """The file with the certificates that a server is trusted by."""
    verify = _merged(url)["verify"]
    return verify if isinstance(verify, str) else DEFAULT_CA_BUNDLE_PATH


def _merged(url: str) -> Any:
    with requests.Session() as session:
        return session.merge_environment_settings(url, {}, True, None, None)
