"""What goes over the wire: requests with the parameters of their path, query and body, who sends them, and answers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from compat.testing.sandbox.reference import Number, Pairs, read_json


@dataclass(frozen=True)
class SandboxRequest:
    """A request as an intercept sees it; ``parameters`` holds no secrets."""

    interface: str
    method: str
    path: str
    parameters: Mapping[str, str]


@dataclass(frozen=True)
class SandboxAnswer:
    """An answer before it is written; Content-Length follows from the body unless a header gives it."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Call:
    """One request that the sandbox received; status 0 means that it was reset without an answer."""

    interface: str
    method: str
    target: str
    parameters: Mapping[str, str]
    status: int
    fault: str | None


@dataclass(frozen=True)
class Incoming:
    """A request as it came off the wire."""

    method: str
    path: str
    query: str
    content_type: str
    authorization: str = field(repr=False)
    body: bytes = field(repr=False)


_Strings = Mapping[str, str]
_Problems = dict[str, list[str]]


class RefusalError(Exception):
    """Ends the handling of a request with an error answer; ``errors`` maps parameters to what is wrong with them."""

    def __init__(
        self, status: int, message: str, errors: _Problems | None = None, headers: _Strings | None = None
    ) -> None:
        super().__init__(message)
        self.answer = json_answer(status, {"error": message, "errors": errors or {}}, headers)


def not_authorised() -> RefusalError:
    """The one refusal for everything that is wrong with a signature."""
    return RefusalError(403, "You are not authorized to access this page.")


def _wrong_parameters(errors: _Problems) -> RefusalError:
    return RefusalError(422, next(iter(errors.values()))[0], errors)


def json_answer(status: int, value: Any, headers: _Strings | None = None) -> SandboxAnswer:
    """An answer whose body is JSON; escaped, since an error may quote text that UTF-8 cannot write."""
    return text_answer(status, json.dumps(value, separators=(",", ":")).encode("ascii"), headers)


def text_answer(status: int, body: bytes, headers: _Strings | None = None) -> SandboxAnswer:
    """An answer whose JSON body is written already."""
    return SandboxAnswer(status, {"Content-Type": "application/json", **(headers or {})}, body)


@dataclass(frozen=True)
class Merged:
    """The merged parameters; ``conflicts`` leave no set to sign, ``empty`` ones do."""

    values: dict[str, str]
    conflicts: _Problems
    empty: _Problems

    def public(self) -> dict[str, str]:
        """The parameters that may be shown."""
        secret = ("signature", "client_id", "client_secret")
        return {name: value for name, value in self.values.items() if name not in secret}

    def refuse_conflicts(self) -> None:
        """Refuse what leaves no single set of parameters."""
        if self.conflicts:
            raise _wrong_parameters({**self.conflicts, **self.empty})

    def refuse_empty(self) -> None:
        """Refuse parameters without a value."""
        if self.empty:
            raise _wrong_parameters(self.empty)


_Given = list[tuple[str, str]]
_NOT_UNICODE = re.compile("[\ud800-\udfff]")


def merge(incoming: Incoming, path: _Strings) -> Merged:
    """Merge what path, query and body give; a name in the path wins over the same name elsewhere."""
    problems: _Problems = {}
    query = _parse_form(incoming.query)
    body = _read_body(incoming, problems)
    in_query, doubled = dict(query), {*Pairs(query).doubled(), *Pairs(body).doubled()}
    values = {**in_query, **dict(body), **path}
    for name, value in values.items():
        if name in doubled:
            problems.setdefault(name, []).append("Must be given once.")
        elif name not in path and in_query.get(name, value) != value:
            problems.setdefault(name, []).append("Must not differ between query and body.")
        if _NOT_UNICODE.search(name + value):
            problems.setdefault(name, []).append("Must be UTF-8 text.")
    return Merged(values, problems, {name: [_missing(name)] for name, value in query + body if value == ""})


def _missing(name: str) -> str:
    return f"Param is missing or the value is empty: '{name}'"


def _parse_form(text: str) -> _Given:
    """Names and values of a query or a form; bytes that are not UTF-8 stay recognisable."""
    return parse_qsl(text, keep_blank_values=True, errors="surrogateescape")


def _read_body(incoming: Incoming, problems: _Problems) -> _Given:
    if not incoming.body.strip():
        return []
    kind = incoming.content_type.partition(";")[0].strip().lower()
    try:
        text = incoming.body.decode()
        if kind == "application/json" or (not kind and text.lstrip().startswith("{")):
            return _read_json_body(text, problems)
        if kind in ("application/x-www-form-urlencoded", ""):
            return _parse_form(text)
        problems["body"] = [f"Must be JSON or a form, not {kind!r}."]
    except ValueError as error:
        problems["body"] = [f"Cannot be read: {error}"]
    return []


def _read_json_body(text: str, problems: _Problems) -> _Given:
    value = read_json(text)
    if not isinstance(value, Pairs):
        raise ValueError("it must be a JSON object.")
    given = []
    for name, each in value.items:
        if isinstance(each, bool):
            given.append((name, "true" if each else "false"))
        elif isinstance(each, (str, Number)):
            given.append((name, each if isinstance(each, str) else each.text))
        else:
            problems[name] = ["Must be a text, a number, true or false."]
    problems.update((name, ["Must be given once."]) for name in value.doubled())
    return given


_T = TypeVar("_T")


class Reader:
    """Reads parameters one by one and refuses all wrong ones together at the end."""

    def __init__(self, values: _Strings) -> None:
        self._values = values
        self._problems: _Problems = {}

    def optional(self, name: str, read: Callable[[str], _T], default: _T) -> _T:
        """The parameter as ``read`` understands it, or the default where it is not given or wrong."""
        if name not in self._values:
            return default
        try:
            return read(self._values[name])
        except ValueError as error:
            self._problems.setdefault(name, []).append(str(error))
            return default

    def required(self, name: str, read: Callable[[str], _T], stand_in: _T) -> _T:
        """The same for a parameter that has to be given; the stand-in is never used in the end."""
        if name not in self._values:
            self._problems.setdefault(name, []).append(_missing(name))
        return self.optional(name, read, stand_in)

    def finish(self) -> None:
        """Refuse the request if any parameter was wrong."""
        if self._problems:
            raise _wrong_parameters(self._problems)


_WINDOW_MILLISECONDS = 5 * 60 * 1000


def base_string(parameters: _Strings) -> str:
    """The text that is signed: every parameter but the signature, by name, joined by question marks."""
    return "?".join(f"{name}={parameters[name]}" for name in sorted(parameters) if name != "signature")


def sign(parameters: _Strings, secret_key: str) -> str:
    return hmac.new(secret_key.encode(), base_string(parameters).encode(), hashlib.sha256).hexdigest()


class SignatureCheck:
    """Checks the requests of the one caller that the sandbox knows."""

    def __init__(self, api_token: str, secret_key: str) -> None:
        self._api_token = api_token
        self._secret_key = secret_key
        self._nonces: set[str] = set()
        self._lock = threading.Lock()

    def check_token(self, authorization: str) -> None:
        match = re.fullmatch(r'Token\s+token="?([^"\s]+)"?', authorization.strip())
        given = match[1] if match else ""
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self._api_token.encode()):
            raise not_authorised()

    def check_parameters(self, parameters: _Strings, *, spend: bool) -> None:
        """Refuse a wrong signature, a stale time and a used nonce; the nonce is spent only after all held."""
        signature, timestamp, nonce = (parameters.get(name, "") for name in ("signature", "timestamp", "nonce"))
        holds = (
            hmac.compare_digest(signature.encode(), sign(parameters, self._secret_key).encode())
            and re.fullmatch("[0-9]{1,20}", timestamp)
            and abs(time.time() * 1000 - int(timestamp)) <= _WINDOW_MILLISECONDS
            and re.fullmatch("[0-9]+", nonce)
        )
        with self._lock:
            if not holds or nonce in self._nonces:
                raise not_authorised()
            if spend:
                self._nonces.add(nonce)


SCOPE = "https://purl.imsglobal.org/spec/caliper/v1p2/scope/events.readonly"


class Tokens:
    """Issues access tokens to one client and knows which of them still hold."""

    def __init__(self, client_id: str, client_secret: str, lifetime: float) -> None:
        self._client = f"{client_id}:{client_secret}".encode()
        self._lifetime = lifetime
        self._ends: dict[str, float] = {}
        self._lock = threading.Lock()

    def answer(self, authorization: str, merged: Merged) -> SandboxAnswer:
        """Answer a token request as RFC 6749 says."""
        if not self._is_client(authorization):
            return _error(401, "invalid_client", {"WWW-Authenticate": 'Basic realm="sandbox"'})
        if merged.conflicts or not merged.values.get("grant_type"):
            return _error(400, "invalid_request")
        if merged.values["grant_type"] != "client_credentials":
            return _error(400, "unsupported_grant_type")
        if merged.values.get("scope", SCOPE) != SCOPE:
            return _error(400, "invalid_scope")
        token, lifetime = self._issue(), int(self._lifetime)
        value = {"access_token": token, "token_type": "Bearer", "expires_in": lifetime, "scope": SCOPE}
        return json_answer(200, value, {"Cache-Control": "no-store", "Pragma": "no-cache"})

    def check(self, authorization: str) -> None:
        match = re.fullmatch(r"Bearer\s+(\S+)", authorization.strip(), re.IGNORECASE)
        with self._lock:
            ends = self._ends.get(match[1], 0.0) if match else 0.0
        if time.monotonic() >= ends:
            raise RefusalError(401, "invalid_token", headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})

    def revoke_all(self) -> None:
        with self._lock:
            self._ends.clear()

    def _issue(self) -> str:
        token = secrets.token_urlsafe(32)
        now = time.monotonic()
        with self._lock:
            self._ends = {each: ends for each, ends in self._ends.items() if ends > now}
            self._ends[token] = now + self._lifetime
        return token

    def _is_client(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.strip().partition(" ")
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except ValueError:
            return False
        return scheme.lower() == "basic" and hmac.compare_digest(given, self._client)


def _error(status: int, code: str, headers: _Strings | None = None) -> SandboxAnswer:
    return json_answer(status, {"error": code}, {"Cache-Control": "no-store", **(headers or {})})
