"""What each table of the configuration may hold (contract, section 7)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from compat.errors import ConfigurationError

__all__ = [
    "BlackoutSchema",
    "BrownoutSchema",
    "CallerSchema",
    "GatewaySchema",
    "LegacySchema",
    "MigrationSchema",
    "PaginatedSessionsSchema",
    "RegressionSchema",
    "StoreSchema",
    "StudentSessionsSchema",
    "WholeSchema",
    "checked",
]

_MODE = validate.Regexp(
    r"\A(legacy|shadow|new|new\+fallback|canary:(100|[0-9]{1,2}))\Z",
    error="Must be legacy, shadow, canary:25 (a percentage), new or new+fallback.",
)


_EXAM = validate.Regexp(r"\A[0-9]+\Z", error="Must be an exam id, which is digits.")


class _Text(fields.String):
    """A text that is not empty."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=validate.Length(min=1, error="Must not be empty."), **kwargs)


def _modes_by_exam() -> fields.Dict:
    return fields.Dict(keys=fields.String(validate=_EXAM), values=fields.String(validate=_MODE))


def _count() -> fields.Integer:
    return fields.Integer(strict=True, validate=validate.Range(min=1, error="Must be at least 1."))


def _rate() -> fields.Float:
    return fields.Float(
        validate=validate.Range(
            min=0.0, max=1.0, min_inclusive=False, max_inclusive=False, error="Must lie between 0 and 1."
        )
    )


class UpstreamSchema(Schema):
    kind = fields.String(
        required=True,
        validate=validate.OneOf(
            ("student_sessions", "paginated_sessions"),
            error="Must be student_sessions or paginated_sessions.",
        ),
    )
    base_url = _Text(required=True)
    walk_deadline = fields.Float()
    walk_pages = _count()
    walk_bytes = _count()
    walk_rate = fields.Float()
    breaker_failures = fields.Integer(strict=True)
    unsettled = fields.String()
    keep_alive = fields.Float()
    answer_seconds = fields.Float()
    answer_head_bytes = _count()
    answer_body_bytes = _count()
    answer_decoded_bytes = _count()
    page_records = _count()


class StudentSessionsSchema(UpstreamSchema):
    api_token = _Text(required=True)
    secret_key = _Text(required=True)
    scope = fields.String()
    pushdown = fields.List(fields.String())
    reuse_bytes = fields.Integer(strict=True)


class PaginatedSessionsSchema(UpstreamSchema):
    path = _Text(required=True)
    token_url = _Text()
    client_id = _Text()
    client_secret = _Text()
    oauth_scope = _Text()
    bearer_token = _Text()
    roster = _Text()


class LegacySchema(Schema):
    base_url = _Text()
    api_token = _Text()
    secret_key = _Text()
    time_zone = _Text()
    extra_fields = fields.Raw()
    deprecated = fields.Raw()
    sunset = fields.Raw()


class CallerSchema(Schema):
    name = _Text(required=True)
    api_token = _Text(required=True)
    secret_key = _Text(required=True)
    replay = fields.String(validate=validate.OneOf(("nonce", "signature"), error="Must be nonce or signature."))
    mode = fields.String(validate=_MODE)
    exams = _modes_by_exam()


class MigrationSchema(Schema):
    mode = fields.String(validate=_MODE)
    exams = _modes_by_exam()
    inventory = fields.Boolean(truthy={True}, falsy={False})
    brownouts = fields.List(fields.Dict())
    blackouts = fields.List(fields.Dict())
    # Last: from here on the name is that of the key. marshmallow takes it away before it sets its own attribute.
    fields = fields.Boolean(truthy={True}, falsy={False})  # type: ignore[assignment]


class WindowSchema(Schema):
    starts = fields.Raw(required=True)
    ends = fields.Raw(required=True)
    every = fields.String(validate=validate.OneOf(("day", "week"), error="Must be day or week."))
    until = fields.Raw()


class BrownoutSchema(WindowSchema):
    callers = fields.List(_Text())


class BlackoutSchema(WindowSchema):
    exams = fields.List(_count())


class StoreSchema(Schema):
    url = _Text()
    when_down = fields.String(validate=validate.OneOf(("refuse", "serve"), error="Must be refuse or serve."))
    max_walk = fields.Integer(strict=True, validate=validate.Range(min=0, error="Must be a number of bytes, or 0."))


class GatewaySchema(Schema):
    max_url = _count()
    max_headers = _count()
    max_body = _count()
    max_bodies = _count()
    body_silence = _count()
    body_timeout = _count()
    head_timeout = _count()
    idle_timeout = _count()
    max_connections = _count()
    pass_through = fields.Boolean(truthy={True}, falsy={False})
    max_calls_per_caller = _count()
    threads = _count()
    workers = _count()
    tls_certificate = _Text()
    tls_key = _Text()
    deprecation_page = _Text()


class RegressionSchema(Schema):
    record = _Text()
    record_max = _count()
    key = _Text()
    key_file = _Text()
    known = _Text()
    max_unexplained = _rate()
    confidence = _rate()
    min_calls = fields.Integer(strict=True, validate=validate.Range(min=0, error="Must be a number of calls, or 0."))
    max_not_comparable = fields.Float(validate=validate.Range(min=0, max=1, error="Must be a share from 0 to 1."))
    max_slowdown = fields.Float(validate=validate.Range(min=1.0, error="Must be how many times as long, from 1."))


class WholeSchema(Schema):
    upstream = fields.Dict(required=True)
    exams = fields.Dict()
    legacy = fields.Dict()
    callers = fields.List(fields.Dict())
    store = fields.Dict()
    gateway = fields.Dict()
    regression = fields.Dict()
    migration = fields.Dict()


def checked(schema: Schema, table: Any, where: str) -> Mapping[str, Any]:
    """A table that fits its schema.

    Args:
        schema: what it may hold.
        table: the table.
        where: what it is called in messages, in front of the key.

    Raises:
        ConfigurationError: it does not; the text names the key, and the nearest known one for an unknown key.
    """
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where}must be a table")
    for name in table:
        if name not in schema.fields:
            raise ConfigurationError(f"{where}{name}: {_unknown(name, schema)}")
    try:
        loaded: Mapping[str, Any] = schema.load(table)
    except ValidationError as error:
        name, message = _first(error.messages)
        raise ConfigurationError(f"{where}{name}: {message}") from None
    return loaded


def _unknown(name: str, schema: Schema) -> str:
    near = difflib.get_close_matches(name, schema.fields, n=1, cutoff=0.0)
    return f"no such key; the nearest known one is {near[0]}"


def _first(messages: Any) -> tuple[str, str]:
    name, found = next(iter(messages.items()))
    while isinstance(found, Mapping):
        inner, found = next(iter(found.items()))
        name = f"{name}.{inner}"
    return str(name), str(found[0])
