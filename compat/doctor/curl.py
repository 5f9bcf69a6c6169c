"""A curl line, as far as it says what is sent."""

from __future__ import annotations

import getopt
import re
import shlex
from urllib.parse import quote

from compat.doctor.requests_seen import SeenRequest, UnreadableCall

__all__ = ["read_curl"]

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
