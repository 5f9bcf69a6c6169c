"""What each table of the configuration may hold (contract, section 7)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from functools import cache, partial
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from compat.errors import ConfigurationError
from compat.settings_checks import nearest
from compat.upstream.kinds import KINDS, SHARED, Kind, SettingType

__all__ = ["checked", "checked_table", "checked_upstream"]

Make = Callable[..., fields.Field[Any]]
_integer = partial(fields.Integer, strict=True)


def _known(words: Iterable[str], legal: Callable[[str], object], error: str) -> Make:
    """A text that is legal; the error names the nearest word where one is like it."""

    def check(text: str) -> None:
        if not legal(text):
            near = nearest(text, words)
            raise ValidationError(f"{error} The nearest is {near}." if near else error)

    return partial(fields.String, validate=check)


def _one_of(*words: str) -> Make:
    return _known(words, words.__contains__, f"Must be {' or '.join(words)}.")


def _within(kind: Make, error: str, **bounds: Any) -> Make:
    return partial(kind, validate=validate.Range(error=error, **bounds))


def _that(legal: Callable[[Any], bool], error: str) -> Make:
    def check(value: object) -> None:
        if not legal(value):
            raise ValidationError(error)

    return partial(fields.Raw, validate=check)


def _each(make: Make) -> Make:
    return lambda **more: fields.List(make(), **more)


def _needed(make: Make) -> Make:
    return partial(make, required=True)


def _names_fields(value: Any) -> bool:
    words = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return value == "all" or (words and "all" not in value)


_any = fields.Raw
_table = fields.Dict
_text = partial(fields.String, validate=validate.Length(min=1, error="Must not be empty."))
_count = _within(_integer, "Must be at least 1.", min=1)
_flag = partial(fields.Boolean, truthy={True}, falsy={False})
_rate = _within(fields.Float, "Must lie between 0 and 1.", min=0.0, max=1.0, min_inclusive=False, max_inclusive=False)
_day = _that(lambda value: type(value) is date, "must be a date such as 2027-06-30, without quotes")
_mode = _known(
    ("legacy", "shadow", "new", "new+fallback", "canary:25"),
    re.compile(r"legacy|shadow|new|new\+fallback|canary:(100|[0-9]{1,2})").fullmatch,
    "Must be legacy, shadow, canary:25 (a percentage), new or new+fallback.",
)
_exam = fields.String(validate=validate.Regexp(r"\A[0-9]+\Z", error="Must be an exam id, which is digits."))


def _modes_by_exam(**more: Any) -> fields.Dict:
    return fields.Dict(keys=_exam, values=_mode(), **more)


_UPSTREAM: Mapping[SettingType, Make] = {
    "text": _text,
    "word": fields.String,
    "words": _each(fields.String),
    "count": _count,
    "integer": _integer,
    "number": fields.Float,
}
_WINDOW: Mapping[str, Make] = {
    "starts": _needed(_any),
    "ends": _needed(_any),
    "every": _one_of("day", "week"),
    "until": _any,
}
_COUNTS = (
    *("max_url", "max_headers", "max_body", "max_bodies", "body_silence", "body_timeout", "head_timeout"),
    *("idle_timeout", "max_connections", "max_calls_per_caller", "threads", "workers"),
)
TABLES: Mapping[str, Mapping[str, Make]] = {
    "": {
        "upstream": _needed(_table),
        "callers": _each(_table),
        **dict.fromkeys(("exams", "legacy", "store", "gateway", "regression", "migration"), _table),
    },
    "legacy": {
        **dict.fromkeys(("base_url", "api_token", "secret_key", "time_zone"), _text),
        **dict.fromkeys(("deprecated", "sunset"), _day),
        "extra_fields": _that(_names_fields, 'must be "all" or a list of field names'),
    },
    "callers": {
        **dict.fromkeys(("name", "api_token", "secret_key"), _needed(_text)),
        "replay": _one_of("nonce", "signature"),
        "mode": _mode,
        "exams": _modes_by_exam,
    },
    "migration": {
        "mode": _mode,
        "exams": _modes_by_exam,
        **dict.fromkeys(("inventory", "fields", "thread_origins"), _flag),
        **dict.fromkeys(("brownouts", "blackouts"), _each(_table)),
    },
    "migration.brownouts": {**_WINDOW, "callers": _each(_text)},
    "migration.blackouts": {**_WINDOW, "exams": _each(_count)},
    "store": {
        "url": _text,
        "when_down": _one_of("refuse", "serve"),
        "max_walk": _within(_integer, "Must be a number of bytes, or 0.", min=0),
    },
    "gateway": {
        **dict.fromkeys(_COUNTS, _count),
        "pass_through": _flag,
        **dict.fromkeys(("tls_certificate", "tls_key", "deprecation_page"), _text),
    },
    "regression": {
        **dict.fromkeys(("record", "key", "key_file", "known"), _text),
        "record_max": _count,
        **dict.fromkeys(("max_unexplained", "confidence"), _rate),
        "min_calls": _within(_integer, "Must be a number of calls, or 0.", min=0),
        "max_not_comparable": _within(fields.Float, "Must be a share from 0 to 1.", min=0, max=1),
        "max_slowdown": _within(fields.Float, "Must be how many times as long, from 1.", min=1.0),
    },
}
"""Table to its keys, each with what makes the field that checks it; the first is the file as a whole."""


@cache
def _schema(table: str) -> Schema:
    return Schema.from_dict({name: make() for name, make in TABLES[table].items()})()


def checked_table(name: str, table: Any, where: str | None = None) -> Mapping[str, Any]:
    """A table that holds what :data:`TABLES` says for a name; ``where`` is as in :func:`checked`.

    Raises:
        ConfigurationError: as :func:`checked`.
    """
    return checked(_schema(name), table, f"[{name}] " if where is None else where)


def checked_upstream(table: Mapping[str, Any]) -> tuple[Kind, dict[str, Any]]:
    """The kind that ``[upstream]`` names, and its settings.

    Raises:
        ConfigurationError: as :func:`checked`.
    """
    given = table.get("kind")
    kind = KINDS.get(given) if isinstance(given, str) else None
    # The keys of the first kind are named where there is none: its own message says that the kind is wrong.
    known = kind or next(iter(KINDS.values()))
    made = {"kind": _needed(_one_of(*KINDS))()}
    for name, setting in {**SHARED, **known.needs, **known.takes}.items():
        made[name] = _UPSTREAM[setting](required=name == "base_url" or name in known.needs)
    settings = dict(checked(Schema.from_dict(made)(), table, "[upstream] "))
    return KINDS[settings.pop("kind")], settings


def checked(schema: Schema, table: Any, where: str) -> Mapping[str, Any]:
    """A table that fits its schema.

    Args:
        where: what it is called in messages, in front of the key.

    Raises:
        ConfigurationError: it does not; the text names the key, and the nearest known one for an unknown key.
    """
    if not isinstance(table, Mapping):
        raise ConfigurationError(f"{where}must be a table")
    for name in table:
        if name not in schema.fields:
            near = nearest(name, schema.fields, near=0.0)
            raise ConfigurationError(f"{where}{name}: no such key; the nearest known one is {near}")
    try:
        loaded: Mapping[str, Any] = schema.load(table)
    except ValidationError as error:
        name, message = _first(error.messages)
        raise ConfigurationError(f"{where}{name}: {message}") from None
    return loaded


def _first(messages: Any) -> tuple[str, str]:
    name, found = next(iter(messages.items()))
    if not isinstance(found, Mapping):
        return str(name), str(found[0])
    inner, message = _first(found)
    return f"{name}.{inner}", message
