"""What may be the matter with a call, each in words without a secret and without a person's data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compat.legacy import parameters as bodies
from compat.legacy.parameters import QUERY_CHARSET
from compat.legacy.routes import CASE, DOTTED, FORMAT, ROUTES
from compat.legacy.verifier import AMBIGUOUS, BAD_NAME, MARKED


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


# Laid out by hand: a finding is its name, what is the matter, and what to change.
# fmt: off
UNEXPLAINED = Finding("signature-unexplained",
    "The signature belongs to no known way of signing this call with this key.",
    "Check that the key is the one of this token, and that the call was not changed after it was signed; then compare "
    "the client's own text with the one to sign, character by character.")
UNCLEAR = {
    AMBIGUOUS: Finding("ambiguous-text",
        "The signed text can also be read as other parameters: a value holds a ? and a name behind it, or a parameter "
        "that the route does not know comes right behind individual_info.",
        "Leave the ? out of that value, or the parameter that nobody reads out of the call."),
    BAD_NAME: Finding("name-with-marks",
        "A parameter's name is empty or holds = or ?, so that the signed text can be read in two ways.",
        "URL-encode values before they are put into the URL, and give every parameter a plain name."),
    MARKED: Finding("question-mark-in-name-or-email",
        "The name or the email holds a ?, behind which the signed text could go on with another parameter.",
        "Leave the ? out of the name or email."),
}
"""The verifier's reason to what it means, where the signed text can be read in several ways."""

_PLAIN = "Send a JSON object as application/json, a URL-encoded form or a multipart form, in UTF-8."
UNREAD = {
    bodies.TYPE: Finding("body-of-unknown-type", "The body has a Content-Type that is not read.", _PLAIN),
    bodies.CHARSET: Finding("body-not-utf-8", "The body, or a part of it, is not UTF-8.", _PLAIN),
    bodies.ENCODING: Finding("body-encoded",
        "The body is compressed, or a part of it encoded, and nothing here undoes that.",
        "Send the body as it is, without Content-Encoding and Content-Transfer-Encoding."),
    bodies.MARK: Finding("body-with-byte-order-mark",
        "The body begins with a byte-order mark, which JSON and forms have none of (RFC 8259, section 8.1).",
        "Write the body as UTF-8 without a mark: in .NET new UTF8Encoding(false), in PowerShell 7 utf8NoBOM."),
    bodies.NO_JSON: Finding("body-not-json", "The Content-Type says JSON, and the body is no JSON object.",
        "Send one JSON object."),
    bodies.KEY_TWICE: Finding("body-key-twice", "A key stands twice in the JSON body.",
        "Send every parameter once, and sign that one."),
    bodies.MULTIPART: Finding("body-not-multipart",
        "The Content-Type says multipart/form-data, and the body is no such form, or its boundary is not named.",
        "Let the HTTP library write the Content-Type of a multipart form, which names its boundary."),
    bodies.FILE: Finding("body-with-file",
        "A part of the multipart form has a file's name, so it is a file and no parameter.",
        "Send the part without a filename: in Python's requests files={'name': (None, value)}, in curl -F name=value."),
    QUERY_CHARSET: Finding("query-not-utf-8", "The query holds bytes that are not UTF-8.",
        "URL-encode the UTF-8 bytes of each value."),
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

NO_ROUTE = Finding("no-deprecated-route",
    "The path is none of the deprecated routes, so the gateway neither checks nor answers it itself.", _PATH)

_RIGHT = "Send the header Authorization: Token token=<the API token>."
HEADERS = {
    "none": Finding("no-token", "The call has no Authorization header.", _RIGHT),
    "bearer": Finding("token-as-bearer", "The token is sent as Bearer, in place of Token token=.", _RIGHT),
    "basic": Finding("token-as-basic", "The Authorization header is that of a user and a password.", _RIGHT),
    "other": Finding("token-misspelt", "The Authorization header has another form.", _RIGHT),
}
"""The form of a header without a token to what it means."""

NO_SIGNATURE = Finding("no-signature", "The call has no parameter signature.",
    "Send the signature as a parameter. If it is sent, look for a # in the URL before it: nothing behind one is sent.")
BLANK = Finding("blank-sent-bare",
    "The query holds a blank as it is, where the URL of a request ends; a server refuses the call as no HTTP.",
    "URL-encode every value when the call is sent, a blank as %20; the signed text stays as it is.")
HASH = Finding("hash-sent-bare", "A value with a # stands in the URL as it is, so nothing behind the # was sent.",
    "URL-encode every value when the call is sent, a # as %23; the signed text stays as it is.")
NO_TIMESTAMP = Finding("no-timestamp", "The call has no timestamp of at most 15 digits.",
    "Send the milliseconds since 1970 as timestamp.")
NO_NONCE = Finding("no-nonce", "The call has no nonce of digits.", "Send a random number as nonce.")

MEANINGS: Mapping[str, Finding] = {
    **UNREAD,
    **UNCLEAR,
    **MISSPELT,
    "unknown token": Finding("unknown-token",
        "The token is no caller's in the gateway's configuration, or its header has another form.",
        "Send Authorization: Token token=<the API token> of one of [[callers]]."),
    "no timestamp": NO_TIMESTAMP,
    "timestamp outside five minutes": Finding("clock-skew",
        "The timestamp is more than five minutes off the gateway's clock.",
        "Set the client's clock by NTP, send milliseconds, and sign a call just before it is sent."),
    "no nonce": NO_NONCE,
    "signed before the store was made": Finding("before-the-store",
        "The timestamp is older than the store of nonces, which was made, emptied or replaced since: the call may have "
        "been answered before.",
        "Sign the call anew. A client whose clock is late succeeds once it has passed that moment: set it by NTP."),
    "nonce or signature used before": Finding("used-before",
        "The nonce or the signature came before: the call was sent twice, or two calls have one nonce, as nonces in "
        "seconds have.",
        "Make a random nonce for every call and every attempt; or let the gateway's owner set "
        'replay = "signature" for this caller.'),
}
"""The reason of a refusal to what it means."""
