"""An old endpoint in memory: pages of the sandbox's records as the documented interface gives them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from compat.legacy.routes import INDEX_STUDENTS, LegacyCall
from compat.regression.comparing.pairs import Answered, Pair
from compat.schemas import STUDENT_FIELDS
from compat.testing.sandbox import generate

AT = 1_540_000_000.0

Record = dict[str, Any]


def records(count: int = 30) -> list[Record]:
    """Legacy records, all fields there, in the documented order."""
    found = [entry.record for entry in generate(count, 1, 2018).entries()]
    return [{name: record.get(name) for name in STUDENT_FIELDS} for record in found]


def body_of(listed: Sequence[Record], **options: Any) -> bytes:
    """The body of a list."""
    return json.dumps({"students": list(listed)}, ensure_ascii=False, **options).encode()


@dataclass
class Page:
    """A page of a list, as it can be tampered with before it is answered."""

    records: list[Record]
    total: int
    number: int = 1
    limit: int = 10
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    failure: str | None = None
    seconds: float = 0.02

    @classmethod
    def of(cls, whole: Sequence[Record], number: int = 1, limit: int = 10) -> Page:
        """Page ``number`` of a whole list."""
        listed = [dict(record) for record in whole[(number - 1) * limit : number * limit]]
        return cls(listed, len(whole), number, limit)

    def answered(self) -> Answered:
        """The answer."""
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "X-Pagination-Item-Count": str(self.total),
            "X-Pagination-Page-Count": str(-(-self.total // self.limit)),
            "X-Pagination-Page": str(self.number),
            "X-Pagination-Limit": str(self.limit),
            **self.headers,
        }
        given = {name: value for name, value in headers.items() if value}
        body = body_of(self.records) if self.body is None else self.body
        return Answered(self.status, given, b"" if self.failure else body, self.seconds, self.failure)


def call_of(parameters: Mapping[str, Any], exam: str = "17", method: str = "GET") -> LegacyCall:
    """A list call."""
    return LegacyCall(INDEX_STUDENTS, exam, urlencode(parameters), method=method)


def pair_of(
    call: LegacyCall, old: Answered, new: Answered, *, caller: str | None = "registrar", at: float = AT
) -> Pair:
    """Both answers to a call."""
    return Pair(call, caller, at, old, new, "legacy")
