"""The kinds of upstream: a row for each, with what is asked of it by its name before there is one.

Another kind is a class of its own, in files of its own, and one row here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from compat.upstream.base import Upstream

__all__ = ["KINDS", "SHARED", "Kind", "SettingType", "maps_records"]

SettingType = Literal["text", "word", "words", "count", "integer", "number"]

SHARED: Mapping[str, SettingType] = MappingProxyType(
    {
        "base_url": "text",
        "walk_deadline": "number",
        "walk_pages": "count",
        "walk_bytes": "count",
        "walk_rate": "number",
        "breaker_failures": "integer",
        "reuse_bytes": "integer",
        "unsettled": "word",
        "keep_alive": "number",
        "answer_seconds": "number",
        "answer_head_bytes": "count",
        "answer_body_bytes": "count",
        "answer_decoded_bytes": "count",
        "page_records": "count",
    }
)
"""The keys of ``[upstream]`` that every kind takes; ``base_url`` has to be there."""


@dataclass(frozen=True)
class Kind:
    """A kind of upstream, as the configuration names it.

    Attributes:
        name: as in ``kind = "…"``; also the ``kind`` of its class.
        home: its module and its class, which is imported when there is one to make.
        maps_records: its records are no legacy records but are mapped to them, so that it takes ``[exams]``, and a
            legacy field may lose something.
        needs: its own keys that have to be there.
        takes: its own keys that may.
        files: those of them that are paths, relative to the configuration.

    Raises:
        TypeError: it says too little; the text names it.
    """

    name: str
    home: tuple[str, str]
    maps_records: bool
    needs: Mapping[str, SettingType]
    takes: Mapping[str, SettingType] = field(default_factory=dict)
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.needs:
            raise TypeError(f"the upstream kind {self.name!r} does not say its settings")
        if not set(self.files) <= {*self.needs, *self.takes}:
            raise TypeError(f"the upstream kind {self.name!r} names a file that is none of its settings")

    def type(self) -> type[Upstream]:
        """Its class."""
        module, name = self.home
        found: type[Upstream] = getattr(import_module(module), name)
        return found


def _kinds(*declared: Kind) -> dict[str, Kind]:
    return {each.name: each for each in declared}


KINDS = _kinds(
    Kind(
        "student_sessions",
        ("compat.upstream.student_sessions", "StudentSessions"),
        maps_records=False,
        needs={"api_token": "text", "secret_key": "text"},
        takes={"scope": "word", "pushdown": "words"},
    ),
    Kind(
        "paginated_sessions",
        ("compat.upstream.paginated_sessions", "PaginatedSessions"),
        maps_records=True,
        needs={"path": "text"},
        takes=dict.fromkeys(
            ("token_url", "client_id", "client_secret", "oauth_scope", "bearer_token", "roster"), "text"
        ),
        files=("roster",),
    ),
)
"""By name, in the order in which messages list them."""


def maps_records(kind: str | None) -> bool:
    """Whether a kind's records are mapped; false of one that is not known."""
    return kind in KINDS and KINDS[kind].maps_records
