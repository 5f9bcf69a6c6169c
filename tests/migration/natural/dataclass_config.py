from __future__ import annotations

import hashlib
import hmac
import os
import time
from dataclasses import dataclass, field
from typing import Any, Iterator

import requests


@dataclass(frozen=True)
class Config:
    base_url: str
    api_token: str
    secret_key: str = field(repr=False)
    timeout: float = 20.0

    @classmethod
    def from_env(cls) -> Config:
        return cls(os.environ["PE_URL"], os.environ["PE_TOKEN"], os.environ["PE_SECRET"])


@dataclass
class Client:
    config: Config
    page_size: int = 20

    def _params(self, exam_id: int, **extra: Any) -> dict[str, str]:
        params = {"id": str(exam_id), "timestamp": str(int(time.time() * 1000)), "nonce": str(time.monotonic_ns())}
        params.update({k: str(v) for k, v in extra.items() if v is not None})
        message = "?".join(f"{k}={v}" for k, v in sorted(params.items()))
        digest = hmac.new(self.config.secret_key.encode(), message.encode(), hashlib.sha256)
        return {**params, "signature": digest.hexdigest()}

    def page(self, exam_id: int, page: int = 1, status: str | None = None) -> list[dict[str, Any]]:
        response = requests.get(
            f"{self.config.base_url}/api/v3/exams/{exam_id}/index_students",
            params=self._params(exam_id, page=page, limit=self.page_size, status=status),
            headers={"Authorization": f"Token token={self.config.api_token}"},
            timeout=self.config.timeout,
        )
        response.raise_for_status()
        return response.json()["students"]

    def all(self, exam_id: int, status: str | None = None) -> Iterator[dict[str, Any]]:
        page = 1
        while True:
            found = self.page(exam_id, page, status)
            yield from found
            if len(found) < self.page_size:
                return
            page += 1


def main() -> None:
    client = Client(Config.from_env())
    print(client.config)
    speeds = [float(s["bandwidth_speed"]) for s in client.all(17) if s["bandwidth_speed"]]
    if not speeds:
        print("no measurements")
        return
    print(f"{len(speeds)} measured, slowest {min(speeds)}, mean {sum(speeds) / len(speeds):.1f} Mbit/s")


if __name__ == "__main__":
    main()
