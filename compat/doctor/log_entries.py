"""Refused calls as the gateway's log and curl lines hold them, and what they mean."""

from __future__ import annotations

import getopt
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from compat.doctor.calls import SeenRequest, UnreadableCall, evidence_of
from compat.doctor.diagnosis import (
    HEADERS,
    MISSPELT,
    NO_NONCE,
    NO_SIGNATURE,
    NO_TIMESTAMP,
    UNCLEAR,
    UNEXPLAINED,
    UNREAD,
    Diagnosis,
    Finding,
    authorization_form,
    deviation_finding,
    skew_finding,
)
from compat.doctor.dialects import CHOICES, FORMS, LAST
from compat.doctor.search import explain
from compat.legacy.parameters import gather
from compat.legacy.routes import LegacyCall
from compat.legacy.signature import Caller
from compat.legacy.verifier import token_of

__all__ = [
    "CLUED",
    "clues",
    "diagnose_entry",
    "read_curl",
    "read_entry",
    "token_clue",
]

CLUED = ("wrong signature", "timestamp outside five minutes")
"""The verifier's reasons of which there is more to say than the reason."""


_MOST = 1
_MEANINGS: Mapping[str, Finding] = {
    **UNREAD,
    **UNCLEAR,
    **MISSPELT,
    "unknown token": Finding(
        "unknown-token",
        "The token is no caller's in the gateway's configuration, or its header has another form.",
        "Send Authorization: Token token=<the API token> of one of [[callers]].",
    ),
    "no timestamp": NO_TIMESTAMP,
    "timestamp outside five minutes": Finding(
        "clock-skew",
        "The timestamp is more than five minutes off the gateway's clock.",
        "Set the client's clock by NTP, send milliseconds, and sign a call just before it is sent.",
    ),
    "no nonce": NO_NONCE,
    "signed before the store was made": Finding(
        "before-the-store",
        "The timestamp is older than the store of nonces, which was made, emptied or replaced since: the call may have "
        "been answered before.",
        "Sign the call anew. A client whose clock is late succeeds once it has passed that moment: set it by NTP.",
    ),
    "nonce or signature used before": Finding(
        "used-before",
        "The nonce or the signature came before: the call was sent twice, or two calls have one nonce, as nonces in "
        "seconds have.",
        "Make a random nonce for every call and every attempt; or let the gateway's owner set "
        'replay = "signature" for this caller.',
    ),
}
"""The reason of a refusal to what it means."""


def token_clue(authorization: str | None) -> dict[str, Any] | None:
    """What a log may hold of an Authorization header without a token in the right form; None where it has one."""
    return None if token_of(authorization) else {"authorization": authorization_form(authorization)}


def clues(call: LegacyCall, caller: Caller, now: float, earlier: Sequence[LegacyCall] = ()) -> dict[str, Any]:
    """What a log may hold of a call that was refused for one of :data:`CLUED`, for :func:`diagnose_entry` to explain.

    It takes some ten milliseconds, so it belongs behind the answer: before it, a caller's token would be told from a
    stranger's by the time that a refusal takes.

    Args:
        caller: the caller whose token it bears; never a stranger.
        now: seconds since the epoch.
        earlier: calls that the caller made a little before.

    Returns:
        ``no_signature`` where there is none; ``signed_as``, the names of the deviations that made the signature, which
        are absent where none did; and ``skew``, the milliseconds by which the timestamp is ahead of the clock.
    """
    values = gather(call).values
    found: dict[str, Any] = {}
    if not values.get("signature"):
        found["no_signature"] = True
    explanation = explain(evidence_of(call, caller.secret_key, api_token=caller.api_token, earlier=earlier), _MOST)
    if explanation is not None:
        found["signed_as"] = [each.name for each in explanation.deviations]
    timestamp = values.get("timestamp", "")
    if timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 15:
        found["skew"] = int(timestamp) - round(now * 1000)
    return found


def read_entry(lines: str) -> Mapping[str, Any]:
    """The one refused call in lines of the gateway's log.

    Raises:
        UnreadableCall: there is none, or there are several; the text says which.
    """
    entries = [entry for entry in map(_object, lines.splitlines()) if entry.get("refusal")]
    if len(entries) != 1:
        found = "several refused calls: give one line" if entries else "no refused call in the log entry"
        raise UnreadableCall(found)
    return entries[0]


def _object(line: str) -> Mapping[str, Any]:
    if not line.strip():
        return {}
    try:
        content = json.loads(line)
    except ValueError:
        raise UnreadableCall("the log entry is not JSON") from None
    return content if isinstance(content, dict) else {}


def diagnose_entry(entry: Mapping[str, Any]) -> Diagnosis:
    """Say why the call of a log entry was refused.

    Args:
        entry: as :func:`read_entry` gives it.
    """
    reason, details = entry["refusal"], entry.get("details") or {}
    if reason == "unknown token" and details.get("authorization") in HEADERS:
        return Diagnosis((HEADERS[details["authorization"]],))
    if reason == "wrong signature" and details.get("no_signature"):
        return Diagnosis((NO_SIGNATURE,))
    if reason == "wrong signature":
        known = {
            each.name: each for each in (*(each for choice in CHOICES for each in choice.deviations), *FORMS, *LAST)
        }
        told = [known[name] for name in details.get("signed_as", ()) if name in known]
        findings = [deviation_finding(each) for each in told] or [UNEXPLAINED]
        return Diagnosis(tuple(findings), explained=bool(told))
    skew = details.get("skew")
    if reason == "timestamp outside five minutes" and isinstance(skew, int):
        return Diagnosis((skew_finding(skew),))
    if reason in _MEANINGS:
        return Diagnosis((_MEANINGS[reason],))
    says = "The gateway refused the call for a reason that is not about its signature; the entry says it."
    return Diagnosis((Finding("other-reason", says),), explained=False)


_SHORT = "#012346BGIJLMNORSVZafgijklnpqsvA:C:D:E:F:H:K:P:Q:T:U:X:Y:b:c:d:e:h:m:o:r:t:u:w:x:y:z:"
_FLAGS = """
    get head silent show-error verbose insecure location include fail fail-with-body compressed globoff path-as-is
    http1.0 http1.1 http2 http2-prior-knowledge no-buffer no-keepalive ipv4 ipv6 raw tcp-nodelay parallel
    remote-name create-dirs no-progress-meter progress-bar styled-output tlsv1.2 tlsv1.3 ssl-reqd disable
"""
_VALUED = """
    header request url data data-ascii data-raw data-binary data-urlencode json user-agent referer cookie cookie-jar
    user output write-out max-time connect-timeout proxy retry retry-delay retry-max-time cacert capath cert key
    resolve connect-to interface limit-rate dump-header trace trace-ascii noproxy oauth2-bearer
"""
_LONG = [*_FLAGS.split(), *(f"{name}=" for name in _VALUED.split())]
_DATA = ("-d", "--data", "--data-ascii", "--data-raw", "--data-binary", "--data-urlencode", "--json")


def read_curl(text: str) -> SeenRequest:
    """What a curl line sends.

    Raises:
        UnreadableCall: it cannot be told from the line alone; the text says why.
    """
    options, urls = _words(text)
    headers = [_header(value) for name, value in options if name in ("-H", "--header")]
    data = [(name, value) for name, value in options if name in _DATA]
    given = dict(options)
    body = "&".join(_encoded(name, value) for name, value in data if name != "--json")
    body += "".join(_encoded(name, value) for name, value in data if name == "--json")
    url = next(iter([*urls, *(value for name, value in options if name == "--url")]), "")
    if not url:
        raise UnreadableCall("the curl line names no URL")
    method = "POST" if data else "GET"
    if "-I" in given or "--head" in given:
        method = "HEAD"
    if data and ("-G" in given or "--get" in given):
        url = f"{url}{'&' if '?' in url else '?'}{body}"
        method, body, data = "GET", "", []
    if data and "content-type" not in dict(headers):
        json = any(name == "--json" for name, _ in data)
        headers.append(("content-type", "application/json" if json else "application/x-www-form-urlencoded"))
    method = given.get("-X") or given.get("--request") or method
    return SeenRequest(method.upper(), url, dict(headers), body.encode())


def _words(text: str) -> tuple[list[tuple[str, str]], list[str]]:
    try:
        words = shlex.split(re.sub(r"[\\^]\r?\n", " ", text.strip()))
    except ValueError as error:
        raise UnreadableCall(f"the curl line cannot be split into words: {str(error).lower()}") from None
    words = words[words.index("curl") + 1 :] if "curl" in words else words
    try:
        return getopt.gnu_getopt(words, _SHORT, _LONG)
    except getopt.GetoptError as error:
        raise UnreadableCall(f"the curl line has an option that is not known here: --{error.opt}") from None


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()


def _encoded(option: str, value: str) -> str:
    reads = "@" in value.partition("=")[0] if option == "--data-urlencode" else value.startswith("@")
    if reads and option != "--data-raw":
        raise UnreadableCall("the curl line takes its body from a file: write the body itself in its place")
    if option != "--data-urlencode":
        return value
    name, equals, content = value.partition("=")
    if not equals:
        return quote(value, safe="")
    return f"{name}={quote(content, safe='')}" if name else quote(content, safe="")
