"""A store that is not fit is said before a gateway serves; one that is only away is waited for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from gateways import settings_for, written
from redis_server import RedisServer

from compat.testing.sandbox import Sandbox


def test_a_redis_that_evicts(sandbox: Sandbox, tmp_path: Path) -> None:
    with RedisServer(tmp_path, "--maxmemory-policy", "allkeys-lru") as server:
        config = written(tmp_path, settings_for(sandbox, store={"url": server.url, "when_down": "serve"}))
        command = [sys.executable, "-m", "compat.cli", "--config", str(config), "serve", "--port", "0"]
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=60, env={**os.environ, "COLUMNS": "500"}, check=False
        )
    assert ended.returncode != 0
    assert "Redis has maxmemory-policy allkeys-lru" in ended.stderr
    assert "Traceback" not in ended.stderr
