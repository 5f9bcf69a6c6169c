"""Why a call was refused, and the smallest change that would have it accepted (contract, section 6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import timezone, tzinfo

from compat.doctor.calls import Draft, SeenRequest, evidence_of, legacy_call, masked
from compat.doctor.dialects import CUT, Deviation
from compat.doctor.search import MOST, documented, explain
from compat.errors import InvalidParameter
from compat.legacy import parameters as bodies
from compat.legacy.parameters import QUERY_CHARSET, Parameters, check, gather
from compat.legacy.query import parse_query
from compat.legacy.routes import CASE, DOTTED, FORMAT, ROUTES, LegacyCall, Route, misspelt_route
from compat.legacy.signature import Caller
from compat.legacy.verifier import AMBIGUOUS, BAD_NAME, CLOCK_WINDOW, MARKED, token_of, unreadable

__all__ = ["UNEXPLAINED", "Diagnosis", "Finding", "deviation_finding", "diagnose", "skew_finding"]

_SECONDS = range(10**8, 10**11)
_DECADES = 30 * 365 * 86_400_000


@dataclass(frozen=True)
class Finding:
    """One thing about a call.

    Attributes:
        name: what programs call it.
        says: what is the matter, without a secret and without a person's data.
        fix: the smallest change that helps; empty where nothing has to change.
        refuses: whether a call is refused for it.
    """

    name: str
    says: str
    fix: str = ""
    refuses: bool = True


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
    signed: str | None = field(default=None)
    to_sign: str | None = field(default=None)

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
            return replace(meant, findings=(_HASH, *meant.findings))
    return diagnosis


@dataclass(frozen=True)
class _Given:
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
        return Diagnosis((MISSPELT[misspelt] if misspelt is not None else _no_route(request),))
    call, method_fits = found
    findings = [] if method_fits else [_wrong_method(request, call)]
    findings += _token_findings(request, caller if given.known else None)
    if any(blank in request.query for blank in " \t"):
        findings.append(_BLANK)
    parameters = gather(call)
    evidence = evidence_of(
        call,
        caller.secret_key,
        path=request.path,
        base_url=request.base_url,
        api_token=caller.api_token,
        other_keys=given.other_keys,
    )
    to_sign = documented(replace(evidence, values=_mended(evidence.values))).text(masked)
    later = (
        *_time_findings(call.route, parameters.values, given.now, given.sent_at),
        *_parameter_findings(call, parameters, given.zone),
    )
    if not evidence.signature:
        missing = UNREAD[parameters.unread] if parameters.unread else _missing_signature(request)
        return Diagnosis((*findings, missing, *later), to_sign=to_sign)
    explanation = explain(evidence, given.most)
    if explanation is None and parameters.unread is not None:
        return Diagnosis((*findings, UNREAD[parameters.unread], *later), to_sign=to_sign)
    if explanation is None:
        return Diagnosis((*findings, UNEXPLAINED, *later), explained=False, to_sign=to_sign)
    findings += [deviation_finding(deviation) for deviation in explanation.deviations]
    if any(deviation.name == CUT for deviation in explanation.deviations):
        # What is wrong with the parameters that came is no more than that they were cut.
        later = tuple(_time_findings(call.route, explanation.draft.values, given.now, given.sent_at))
    return Diagnosis((*findings, *later), signed=_shown(explanation.draft), to_sign=to_sign)


def _shown(draft: Draft) -> str:
    """The text of a draft, without anything secret or personal: what was put behind it may be a key."""
    behind = draft.after if draft.after in ("", "\n", draft.joiner) else "<the secret key>"
    return replace(draft, after=behind).text(masked)


def _mended(values: Mapping[str, str]) -> dict[str, str]:
    """Without the parameters that have no value: they are refused whatever their signature."""
    return {name: value for name, value in values.items() if value}


def deviation_finding(deviation: Deviation) -> Finding:
    """What a deviation is to the people who have to mend it."""
    return Finding(deviation.name, f"The client {deviation.did}", deviation.fix)


UNEXPLAINED = Finding(
    "signature-unexplained",
    "The signature belongs to no known way of signing this call with this key.",
    "Check that the key is the one of this token, and that the call was not changed after it was signed; then compare "
    "the client's own text with the one to sign, character by character.",
)


UNCLEAR = {
    AMBIGUOUS: Finding(
        "ambiguous-text",
        "The signed text can also be read as other parameters: a value holds a ? and a name behind it, or a parameter "
        "that the route does not know comes right behind individual_info.",
        "Leave the ? out of that value, or the parameter that nobody reads out of the call.",
    ),
    BAD_NAME: Finding(
        "name-with-marks",
        "A parameter's name is empty or holds = or ?, so that the signed text can be read in two ways.",
        "URL-encode values before they are put into the URL, and give every parameter a plain name.",
    ),
    MARKED: Finding(
        "question-mark-in-name-or-email",
        "The name or the email holds a ?, behind which the signed text could go on with another parameter.",
        "Leave the ? out of the name or email.",
    ),
}
"""The verifier's reason to what it means, where the signed text can be read in several ways."""


_PLAIN = "Send a JSON object as application/json, a URL-encoded form or a multipart form, in UTF-8."
UNREAD = {
    bodies.TYPE: Finding("body-of-unknown-type", "The body has a Content-Type that is not read.", _PLAIN),
    bodies.CHARSET: Finding("body-not-utf-8", "The body, or a part of it, is not UTF-8.", _PLAIN),
    bodies.ENCODING: Finding(
        "body-encoded",
        "The body is compressed, or a part of it encoded, and nothing here undoes that.",
        "Send the body as it is, without Content-Encoding and Content-Transfer-Encoding.",
    ),
    bodies.MARK: Finding(
        "body-with-byte-order-mark",
        "The body begins with a byte-order mark, which JSON and forms have none of (RFC 8259, section 8.1).",
        "Write the body as UTF-8 without a mark: in .NET new UTF8Encoding(false), in PowerShell 7 utf8NoBOM.",
    ),
    bodies.NO_JSON: Finding(
        "body-not-json", "The Content-Type says JSON, and the body is no JSON object.", "Send one JSON object."
    ),
    bodies.KEY_TWICE: Finding(
        "body-key-twice", "A key stands twice in the JSON body.", "Send every parameter once, and sign that one."
    ),
    bodies.MULTIPART: Finding(
        "body-not-multipart",
        "The Content-Type says multipart/form-data, and the body is no such form, or its boundary is not named.",
        "Let the HTTP library write the Content-Type of a multipart form, which names its boundary.",
    ),
    bodies.FILE: Finding(
        "body-with-file",
        "A part of the multipart form has a file's name, so it is a file and no parameter.",
        "Send the part without a filename: in Python's requests files={'name': (None, value)}, in curl -F name=value.",
    ),
    QUERY_CHARSET: Finding(
        "query-not-utf-8", "The query holds bytes that are not UTF-8.", "URL-encode the UTF-8 bytes of each value."
    ),
}
"""Why a body or query cannot be read, to what it means: its parameters cannot be part of what was signed."""


_ACTIONS = ", ".join(route.action for route in ROUTES)
_PATH = f"Call /api/v3/exams/<id>/ and one of {_ACTIONS}."
MISSPELT = {
    CASE: Finding("path-in-capitals", "The path is that of a deprecated route but for capital letters.", _PATH),
    DOTTED: Finding("path-with-dots", "The path leads to a deprecated route by way of . or .. in it.", _PATH),
    FORMAT: Finding("path-of-another-format", "The path asks a deprecated route for another format than JSON.", _PATH),
}
"""The gateway's reason to what it means, where a path is almost that of a deprecated route."""


def _no_route(request: SeenRequest) -> Finding:
    return Finding(
        "no-deprecated-route",
        "The path is none of the deprecated routes, so the gateway neither checks nor answers it itself.",
        _PATH,
    )


def _wrong_method(request: SeenRequest, call: LegacyCall) -> Finding:
    methods = " or ".join(call.route.methods)
    curl = " A body makes curl send POST: add -X, or -G to send it as the query." if request.method == "POST" else ""
    return Finding("wrong-method", f"The method is {request.method}.", f"Call {call.route.action} by {methods}.{curl}")


_RIGHT = "Send the header Authorization: Token token=<the API token>."
HEADERS = {
    "none": Finding("no-token", "The call has no Authorization header.", _RIGHT),
    "bearer": Finding("token-as-bearer", "The token is sent as Bearer, in place of Token token=.", _RIGHT),
    "basic": Finding("token-as-basic", "The Authorization header is that of a user and a password.", _RIGHT),
    "other": Finding("token-misspelt", "The Authorization header has another form.", _RIGHT),
}
"""The form of a header without a token to what it means."""


def authorization_form(authorization: str | None) -> str:
    """The form of a header that has no token as it should: one of :data:`HEADERS`."""
    scheme = (authorization or "").strip().partition(" ")[0].lower()
    return "none" if not scheme else scheme if scheme in HEADERS else "other"


def _token_findings(request: SeenRequest, caller: Caller | None) -> Iterator[Finding]:
    if request.headers is None:
        return
    authorization = request.headers.get("authorization")
    if not token_of(authorization):
        yield HEADERS[authorization_form(authorization)]
    elif caller is not None and token_of(authorization) != caller.api_token:
        yield Finding("wrong-token", f"The token is not that of {caller.name}.", "Send the token of the same caller.")


def _missing_signature(request: SeenRequest) -> Finding:
    if "?signature=" in request.query or "?timestamp=" in request.query:
        return Finding(
            "query-joined-by-question-marks",
            "The query's parameters are joined by ?, as in the signed text, so it holds one parameter alone.",
            "Join the parameters by & in the URL, and by ? only in the text that is signed.",
        )
    return NO_SIGNATURE


NO_SIGNATURE = Finding(
    "no-signature",
    "The call has no parameter signature.",
    "Send the signature as a parameter. If it is sent, look for a # in the URL before it: nothing behind one is sent.",
)
_BLANK = Finding(
    "blank-sent-bare",
    "The query holds a blank as it is, where the URL of a request ends; a server refuses the call as no HTTP.",
    "URL-encode every value when the call is sent, a blank as %20; the signed text stays as it is.",
)
_HASH = Finding(
    "hash-sent-bare",
    "A value with a # stands in the URL as it is, so nothing behind the # was sent.",
    "URL-encode every value when the call is sent, a # as %23; the signed text stays as it is.",
)


NO_TIMESTAMP = Finding(
    "no-timestamp", "The call has no timestamp of at most 15 digits.", "Send the milliseconds since 1970 as timestamp."
)
NO_NONCE = Finding("no-nonce", "The call has no nonce of digits.", "Send a random number as nonce.")


def _time_findings(route: Route, values: Mapping[str, str], now: float, sent_at: float | None) -> Iterator[Finding]:
    timestamp, nonce = values.get("timestamp", ""), values.get("nonce", "")
    if not _digits(timestamp) or len(timestamp) > 15:
        yield NO_TIMESTAMP
    else:
        yield from _skew_findings(int(timestamp), now, sent_at)
    if not _digits(nonce):
        yield NO_NONCE
    elif int(nonce[:20]) in _SECONDS:
        yield Finding(
            "nonce-in-seconds",
            "The nonce looks like seconds since 1970: a second call in the same second is refused as a repetition.",
            'Send a random number as nonce; or let the gateway\'s owner set replay = "signature" for this caller.',
            refuses=False,
        )
    unclear = unreadable(route, values)
    if unclear is not None:
        yield UNCLEAR[unclear]


def _skew_findings(timestamp: int, now: float, sent_at: float | None) -> Iterator[Finding]:
    skew = timestamp - round((now if sent_at is None else sent_at) * 1000)
    if abs(skew) <= CLOCK_WINDOW:
        return
    if sent_at is not None or skew > 0 or timestamp in _SECONDS:
        yield skew_finding(skew, timestamp)
        return
    yield Finding(
        "signed-before",
        f"The call was signed {_length(-skew)} ago: sent now, it would be refused for that alone.",
        "Nothing, if it was sent when it was signed; calls count for five minutes.",
        refuses=False,
    )


def skew_finding(skew: int, timestamp: int | None = None) -> Finding:
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
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= 2 * size or size == 1:
            count = round(seconds / size)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    raise AssertionError("the last unit fits every length")


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
            shown = name if name in _known_names() else "…"
            yield Finding(
                "parameter-refused",
                f"{shown}: {_rule(messages[0])} The signature aside, the answer is 422.",
                f"Mend {shown}, and sign the mended text.",
            )


def _known_names() -> frozenset[str]:
    return frozenset(("signature", "body", "query", *(name for route in ROUTES for name in route.known)))


def _rule(message: str) -> str:
    """A message's rule, without the value behind it, which may speak of a person."""
    rule = message if message.startswith(("Must be one of:", "Param ")) else message.partition(": '")[0]
    return rule if rule.endswith((".", "'")) else f"{rule}."
