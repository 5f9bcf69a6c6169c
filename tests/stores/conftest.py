"""The stores, each of them real, by name."""

from __future__ import annotations

from store_urls import redis_server, shared_url, store_url

__all__ = ["redis_server", "shared_url", "store_url"]
