"""Why a call was refused, and the smallest change that would have it accepted (contract, section 6).

A call is given whole, or as the gateway's log has it: the reason of the refusal, and the clues that the log may hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import timezone, tzinfo
from typing import Any, NamedTuple

from compat.doctor import findings
from compat.doctor.calls import Draft, SeenRequest, UnreadableCall, evidence_of, legacy_call, masked
from compat.doctor.dialects import CHOICES, CUT, FORMS, LAST, Deviation
from compat.doctor.findings import Finding
from compat.doctor.search import MOST, documented, explain
from compat.errors import InvalidParameter
from compat.legacy.parameters import Parameters, check, gather
from compat.legacy.query import parse_query
from compat.legacy.routes import ROUTES, LegacyCall, Route, misspelt_route
from compat.legacy.signature import Caller
from compat.legacy.verifier import CLOCK_WINDOW, token_of, unreadable

__all__ = ["CLUED", "Diagnosis", "clues", "diagnose", "diagnose_entry", "read_entry", "token_clue"]

_SECONDS = range(10**8, 10**11)
_DECADES = 30 * 365 * 86_400_000


@dataclass(frozen=True)
class Diagnosis:
    """What is the matter with a call.

    Attributes:
        findings: what was found, in the order in which the gateway checks.
        explained: whether everything that refuses the call was told; a signature that nothing explains was not.
        signed: the text that the client signed, its values masked; None where that was not found out.
        to_sign: the text to sign, masked in the same way; None where the call is none of the deprecated ones.
    """

    findings: tuple[Finding, ...]
    explained: bool = True
    signed: str | None = None
    to_sign: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the call would be accepted."""
        return not any(finding.refuses for finding in self.findings)

    def as_dict(self) -> dict[str, object]:
        """The diagnosis as a JSON object."""
        return {
            "accepted": self.accepted,
            "explained": self.explained,
            "findings": [asdict(each) for each in self.findings],
            "signed": self.signed,
            "to_sign": self.to_sign,
        }


def diagnose(
    request: SeenRequest,
    caller: Caller,
    *,
    now: float,
    sent_at: float | None = None,
    known: bool = True,
    other_keys: Mapping[str, str] | None = None,
    zone: tzinfo = timezone.utc,
    most: int = MOST,
) -> Diagnosis:
    """Say why a call is refused, and what to change.

    Args:
        caller: whose call it is; its key is what signatures are held against.
        now: seconds since the epoch.
        sent_at: when the call was sent; None where nobody knows, and its age is no fault then.
        known: whether the caller is in the configuration, so that a token can be wrong.
        other_keys: other callers' names and keys.
        zone: of times in a filter that have no offset.
        most: deviations of a signature that are looked for at once.
    """
    given = _Given(caller, now, sent_at, known, other_keys, zone, most)
    diagnosis = _diagnosed(request, given)
    before, mark, behind = request.url.partition("#")
    if mark and "?" in before and not diagnosis.accepted:
        # What stands behind a # is signed and not sent.
        meant = _diagnosed(replace(request, url=f"{before}%23{behind.replace('#', '%23')}"), given)
        if meant.explained or "&" in behind:
            return replace(meant, findings=(findings.HASH, *meant.findings))
    return diagnosis


class _Given(NamedTuple):
    """What :func:`diagnose` is given beside the call."""

    caller: Caller
    now: float
    sent_at: float | None
    known: bool
    other_keys: Mapping[str, str] | None
    zone: tzinfo
    most: int


def _diagnosed(request: SeenRequest, given: _Given) -> Diagnosis:
    caller = given.caller
    found = legacy_call(request)
    if found is None:
        misspelt = misspelt_route(request.path)
        return Diagnosis((findings.NO_ROUTE if misspelt is None else findings.MISSPELT[misspelt],))
    call, method_fits = found
    told = [] if method_fits else [_wrong_method(request, call)]
    told += _token_findings(request, caller if given.known else None)
    if any(blank in request.query for blank in " \t"):
        told.append(findings.BLANK)
    parameters = gather(call)
    evidence = evidence_of(
        call,
        caller.secret_key,
        path=request.path,
        base_url=request.base_url,
        api_token=caller.api_token,
        other_keys=given.other_keys,
    )
    # A parameter without a value is refused whatever its signature.
    mended = {name: value for name, value in evidence.values.items() if value}
    to_sign = documented(replace(evidence, values=mended)).text(masked)
    later = (
        *_time_findings(call.route, parameters.values, given.now, given.sent_at),
        *_parameter_findings(call, parameters, given.zone),
    )
    if not evidence.signature:
        missing = findings.UNREAD[parameters.unread] if parameters.unread else _missing_signature(request)
        return Diagnosis((*told, missing, *later), to_sign=to_sign)
    explanation = explain(evidence, given.most)
    if explanation is None and parameters.unread is not None:
        return Diagnosis((*told, findings.UNREAD[parameters.unread], *later), to_sign=to_sign)
    if explanation is None:
        return Diagnosis((*told, findings.UNEXPLAINED, *later), explained=False, to_sign=to_sign)
    told += [_deviation_finding(deviation) for deviation in explanation.deviations]
    if any(deviation.name == CUT for deviation in explanation.deviations):
        # What is wrong with the parameters that came is no more than that they were cut.
        later = tuple(_time_findings(call.route, explanation.draft.values, given.now, given.sent_at))
    return Diagnosis((*told, *later), signed=_shown(explanation.draft), to_sign=to_sign)


def _shown(draft: Draft) -> str:
    """The text of a draft, without anything secret or personal: what was put behind it may be a key."""
    behind = draft.after if draft.after in ("", "\n", draft.joiner) else "<the secret key>"
    return replace(draft, after=behind).text(masked)


def _deviation_finding(deviation: Deviation) -> Finding:
    """What a deviation is to the people who have to mend it."""
    return Finding(deviation.name, f"The client {deviation.did}", deviation.fix)


def _wrong_method(request: SeenRequest, call: LegacyCall) -> Finding:
    methods = " or ".join(call.route.methods)
    curl = " A body makes curl send POST: add -X, or -G to send it as the query." if request.method == "POST" else ""
    return Finding("wrong-method", f"The method is {request.method}.", f"Call {call.route.action} by {methods}.{curl}")


def _authorization_form(authorization: str | None) -> str:
    """The form of a header that has no token as it should: one of :data:`findings.HEADERS`."""
    scheme = (authorization or "").strip().partition(" ")[0].lower()
    return "none" if not scheme else scheme if scheme in findings.HEADERS else "other"


def _token_findings(request: SeenRequest, caller: Caller | None) -> Iterator[Finding]:
    if request.headers is None:
        return
    authorization = request.headers.get("authorization")
    if not token_of(authorization):
        yield findings.HEADERS[_authorization_form(authorization)]
    elif caller is not None and token_of(authorization) != caller.api_token:
        yield Finding("wrong-token", f"The token is not that of {caller.name}.", "Send the token of the same caller.")


def _missing_signature(request: SeenRequest) -> Finding:
    if "?signature=" in request.query or "?timestamp=" in request.query:
        return Finding(
            "query-joined-by-question-marks",
            "The query's parameters are joined by ?, as in the signed text, so it holds one parameter alone.",
            "Join the parameters by & in the URL, and by ? only in the text that is signed.",
        )
    return findings.NO_SIGNATURE


def _time_findings(route: Route, values: Mapping[str, str], now: float, sent_at: float | None) -> Iterator[Finding]:
    timestamp, nonce = values.get("timestamp", ""), values.get("nonce", "")
    if not _digits(timestamp) or len(timestamp) > 15:
        yield findings.NO_TIMESTAMP
    else:
        yield from _skew_findings(int(timestamp), now, sent_at)
    if not _digits(nonce):
        yield findings.NO_NONCE
    elif int(nonce[:20]) in _SECONDS:
        yield Finding(
            "nonce-in-seconds",
            "The nonce looks like seconds since 1970: a second call in the same second is refused as a repetition.",
            'Send a random number as nonce; or let the gateway\'s owner set replay = "signature" for this caller.',
            refuses=False,
        )
    unclear = unreadable(route, values)
    if unclear is not None:
        yield findings.UNCLEAR[unclear]


def _skew_findings(timestamp: int, now: float, sent_at: float | None) -> Iterator[Finding]:
    skew = timestamp - round((now if sent_at is None else sent_at) * 1000)
    if abs(skew) <= CLOCK_WINDOW:
        return
    if sent_at is not None or skew > 0 or timestamp in _SECONDS:
        yield _skew_finding(skew, timestamp)
        return
    yield Finding(
        "signed-before",
        f"The call was signed {_length(-skew)} ago: sent now, it would be refused for that alone.",
        "Nothing, if it was sent when it was signed; calls count for five minutes.",
        refuses=False,
    )


def _skew_finding(skew: int, timestamp: int | None = None) -> Finding:
    """What a timestamp outside the window is to the people who have to mend it.

    Args:
        skew: milliseconds by which it is ahead of the clock.
        timestamp: the timestamp itself where it is known.
    """
    if timestamp in _SECONDS if timestamp is not None else skew < -_DECADES:
        return Finding(
            "timestamp-in-seconds",
            "The timestamp is in seconds, which the gateway reads as a day in 1970.",
            "Send milliseconds: the seconds times 1000.",
        )
    way = "ahead of" if skew > 0 else "behind"
    return Finding(
        "clock-skew",
        f"The client's clock is {_length(abs(skew))} {way} the gateway's; five minutes are allowed.",
        "Set the client's clock by NTP, and sign a call just before it is sent.",
    )


def _length(milliseconds: float) -> str:
    seconds = round(milliseconds / 1000)
    units = ((86400, "day"), (3600, "hour"), (60, "minute"))
    size, unit = next((each for each in units if seconds >= 2 * each[0]), (1, "second"))
    count = round(seconds / size)
    return f"{count} {unit}{'' if count == 1 else 's'}"


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _parameter_findings(call: LegacyCall, parameters: Parameters, zone: tzinfo) -> Iterator[Finding]:
    try:
        if call.route.gives == "page":
            parse_query(parameters, zone)
        else:
            check(call.route, parameters)
    except InvalidParameter as error:
        for name, messages in error.errors.items():
            shown = name if name in _NAMES else "…"
            yield Finding(
                "parameter-refused",
                f"{shown}: {_rule(messages[0])} The signature aside, the answer is 422.",
                f"Mend {shown}, and sign the mended text.",
            )


_NAMES = frozenset(("signature", "body", "query", *(name for route in ROUTES for name in route.known)))


def _rule(message: str) -> str:
    """A message's rule, without the value behind it, which may speak of a person."""
    rule = message if message.startswith(("Must be one of:", "Param ")) else message.partition(": '")[0]
    return rule if rule.endswith((".", "'")) else f"{rule}."


CLUED = ("wrong signature", "timestamp outside five minutes")
"""The verifier's reasons of which there is more to say than the reason."""

_MOST = 1


def token_clue(authorization: str | None) -> dict[str, Any] | None:
    """What a log may hold of an Authorization header without a token in the right form; None where it has one."""
    return None if token_of(authorization) else {"authorization": _authorization_form(authorization)}


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
    entries = [entry for line in lines.splitlines() if line.strip() and (entry := _object(line)).get("refusal")]
    if len(entries) != 1:
        found = "several refused calls: give one line" if entries else "no refused call in the log entry"
        raise UnreadableCall(found)
    return entries[0]


def _object(line: str) -> Mapping[str, Any]:
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
    if reason == "unknown token" and details.get("authorization") in findings.HEADERS:
        return Diagnosis((findings.HEADERS[details["authorization"]],))
    if reason == "wrong signature" and details.get("no_signature"):
        return Diagnosis((findings.NO_SIGNATURE,))
    if reason == "wrong signature":
        known = {
            each.name: each for each in (*(each for choice in CHOICES for each in choice.deviations), *FORMS, *LAST)
        }
        told = [known[name] for name in details.get("signed_as", ()) if name in known]
        found = [_deviation_finding(each) for each in told] or [findings.UNEXPLAINED]
        return Diagnosis(tuple(found), explained=bool(told))
    skew = details.get("skew")
    if reason == "timestamp outside five minutes" and isinstance(skew, int):
        return Diagnosis((_skew_finding(skew),))
    if reason in findings.MEANINGS:
        return Diagnosis((findings.MEANINGS[reason],))
    says = "The gateway refused the call for a reason that is not about its signature; the entry says it."
    return Diagnosis((Finding("other-reason", says),), explained=False)
