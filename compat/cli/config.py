"""``exam-compat config``: whether the configuration works, step by step, before anything depends on it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode, urlsplit

import click
import requests
from requests.utils import select_proxy
from urllib3 import Retry

from compat.cli.console import LINE, Column, plain, say_folded, say_json, show_table
from compat.cli.options import checked_exam, config_option, json_option, named_config
from compat.config.file import find_config, load_config
from compat.config.settings import Configuration
from compat.errors import CompatError, ConfigurationError, LegacyError, NotAuthorized
from compat.legacy.query import Query
from compat.legacy.routes import INDEX_STUDENTS, LegacyCall
from compat.text.json import several
from compat.upstream.failures import (
    CLOCK_MAY_DIFFER,
    address_of,
    certificate_at,
    clock_difference,
    clock_words,
    connection_failure,
    day_of,
    place_of,
    renewal_due,
)
from compat.upstream.retries import RetryPolicy
from compat.upstream.senders import CallOptions

_PATIENCE = 10.0
"""Seconds for each connection, and for the answer to what is asked without a signature."""

_OPTIONS = CallOptions(retries=Retry(0))
"""Asked once: who waits for this wants to see what happens."""

_NEEDED = {"name": "the look-up of the name", "connection": "the connection", "TLS": "TLS"}
"""The steps without which the further ones cannot be tried, and what they are called then."""

_STEPS = ("name", "connection", "TLS", "signed call", "clock")


@click.group(short_help="Test the configuration, and say what to do.")
def config() -> None:
    """Test the configuration that the other commands use.

    \b
    Examples:
      exam-compat config check
    """


@config.command(short_help="Test the configuration, step by step.")
@click.option("--exam", metavar="ID", help="The exam to ask for.  [default: the first of the configuration]")
@json_option
@config_option
def check(exam: str | None, as_json: bool) -> int:
    """Test the configuration, and each endpoint that it names, step by step.

    The steps are: read the configuration, look up the name of the server, connect, check TLS, make one signed call, and
    compare the clocks. Each step is fine, or it says what to do. If a step cannot be tried, it says why.

    A signed call asks for one record and changes nothing. No record is shown. No token, key or signature is shown
    either.

    \b
    Exit status:
      0  nothing is wrong
      1  a step failed
      2  there is no configuration, or wrong usage

    \b
    Examples:
      exam-compat config check
      exam-compat config check --exam 17 --json
      exam-compat config check --config /etc/exam-compat.toml
    """
    wanted = checked_exam(exam)
    steps = list(_tried(named_config() or find_config(), wanted))
    wrong = [each for each in steps if each.state == "wrong"]
    if as_json:
        say_json({"fine": not wrong, "steps": [asdict(each) for each in steps]})
    else:
        rows = [(each.of, each.step, plain(f"{each.state}: {each.told}")) for each in steps]
        show_table((Column("what", whole=True), Column("step", whole=True), "result"), rows, widest=LINE)
        say_folded(_summary(steps))
    return 1 if wrong else 0


@dataclass(frozen=True)
class Step:
    """What came of one step, such as with the "new endpoint": what was found, what to do, or why it was not tried."""

    of: str
    step: str
    state: Literal["fine", "wrong", "not tried"]
    told: str


def _summary(steps: list[Step]) -> str:
    wrong, left = (sum(each.state == state for each in steps) for state in ("wrong", "not tried"))
    untried = f"{several(left, 'step')} {'was' if left == 1 else 'were'} not tried."
    if wrong:
        return f"{several(wrong, 'step')} failed{f', and {untried}' if left else '.'}"
    return f"Nothing is wrong; {untried}" if left else "Everything is fine."


def _tried(path: Path, exam: int | None) -> Iterator[Step]:
    """Every step, in order."""
    from compat.migration.modes.rules import mode_of_environment

    try:
        given = load_config(path)
        mode_of_environment()
    except ConfigurationError as error:
        yield Step("configuration", "read", "wrong", str(error))
        yield from (Step("endpoints", step, "not tried", "the configuration cannot be read") for step in _STEPS)
        return
    yield Step("configuration", "read", "fine", str(path))
    met: dict[tuple[str, str], _Endpoint] = {}
    for each in _endpoints(given, exam):
        parts = urlsplit(each.url)
        for step in each.steps(met.setdefault((parts.scheme, parts.netloc), each)):
            yield replace(step, told=_masked(step.told, given.secrets))


def _masked(text: str, secrets: tuple[str, ...]) -> str:
    """A text without the configuration's tokens and keys, should one have come into it."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "…")
    return text


class _NotTried(Exception):
    """A step that cannot be made; the text says why."""


class _Wrong(Exception):
    """A step that failed; the text says what to do."""


@dataclass
class _Endpoint:
    """An endpoint, and what is known of it so far.

    Attributes:
        ask: makes one signed call, and gives what to say of it; None for one that is only reached.
        keys: the keys of the configuration with which a call is signed.
    """

    name: str
    url: str
    ask: Callable[[], str] | None
    keys: str
    failed: str | None = field(default=None, init=False)
    date: str | None = field(default=None, init=False)
    dated: float = field(default=0.0, init=False)

    def steps(self, first: _Endpoint) -> Iterator[Step]:
        """Every step; the call alone where another one, the first at that server, was tried before."""
        tries = dict(zip(_STEPS, (self._name, self._connection, self._tls, self._call, self._clock), strict=True))
        for step, tried in tries.items():
            if self.ask is None if step == "signed call" else first is not self:
                continue
            try:
                if first.failed is not None:
                    raise _NotTried(f"{first.failed} failed")
                yield Step(self.name, step, "fine", tried())
            except _NotTried as reason:
                yield Step(self.name, step, "not tried", str(reason))
            except _Wrong as reason:
                yield Step(self.name, step, "wrong", str(reason))
                first.failed = _NEEDED.get(step)

    @property
    def _proxy(self) -> str | None:
        return select_proxy(self.url, _OPTIONS.settings_for(self.url).proxies)

    @property
    def _stop(self) -> str:
        """What is connected to: the proxy, if there is one."""
        return self._proxy or self.url

    @property
    def _by(self) -> str:
        return "the proxy " if self._proxy else ""

    def _failure(self, error: BaseException, proxy: str | None = None) -> _Wrong:
        failure = connection_failure(error, self.url, proxy, _PATIENCE)
        by = f"{self._by}{place_of(self._stop)}: " if proxy is None else ""
        return _Wrong(f"{by}{failure.reason}. {failure.remedy}")

    def _name(self) -> str:
        host, port = address_of(self._stop)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise self._failure(error) from None
        addresses = dict.fromkeys(str(each[4][0]) for each in found)
        return f"{self._by}{host} is {', '.join(addresses)}"

    def _connection(self) -> str:
        try:
            socket.create_connection(address_of(self._stop), timeout=_PATIENCE).close()
        except OSError as error:
            raise self._failure(error) from None
        return f"{self._by}{place_of(self._stop)} takes it"

    def _tls(self) -> str:
        """Ask without a signature, which shows the certificate and the clock; whatever is answered will do."""
        try:
            with requests.Session() as session:
                session.trust_env = True
                # Its own auth keeps a .netrc entry for the host out of a request that nobody signs.
                answer = session.head(self.url, timeout=_PATIENCE, allow_redirects=False, auth=lambda request: request)
            self.date, self.dated = answer.headers.get("Date"), time.time()
        except (requests.exceptions.SSLError, requests.exceptions.ProxyError) as error:
            raise self._failure(error, self._proxy) from None
        except requests.RequestException:
            # What it makes of a call is the next step's; that one came so far says enough here.
            pass
        if urlsplit(self.url).scheme != "https":
            raise _NotTried("the address begins with http, so nothing is encrypted")
        shown = None if self._proxy else certificate_at(*address_of(self.url), _PATIENCE)
        if shown is None:
            return "its certificate is trusted"
        return f"its certificate is trusted; {renewal_due(shown) or f'it ends on {day_of(shown.ends)}'}"

    def _call(self) -> str:
        assert self.ask is not None  # noqa: S101 - steps leaves out the call of one that has none
        try:
            return self.ask()
        except NotAuthorized as error:
            told = error.hint or f"Look at {self.keys}."
            raise _Wrong(f"not accepted (status 403). {told}") from None
        except (CompatError, requests.RequestException) as error:
            raise _Wrong(str(error) if isinstance(error, LegacyError) else type(error).__name__) from None

    def _clock(self) -> str:
        off = clock_difference(self.date, self.dated)
        if off is None:
            raise _NotTried("its answers do not say the time")
        if abs(off) <= CLOCK_MAY_DIFFER:
            return "the clocks agree within a minute"
        raise _Wrong(f"this machine's clock is {clock_words(off)}: set it right, since calls are signed with the time")


def _endpoints(given: Configuration, exam: int | None) -> Iterator[_Endpoint]:
    upstream = given.upstream
    known = chain(given.exams, given.exam_modes, *(each.exams for each in given.callers))
    wanted = exam if exam is not None else next(iter(known), None)
    signing = f"{' and '.join(upstream.signed_with)} in [upstream]"
    for name, url in upstream.beside.items():
        yield _Endpoint(name, url, None, signing)
    yield _Endpoint("new endpoint", upstream.base_url, lambda: _ask_new(given, wanted), signing)
    if given.legacy_base_url is not None:
        own = given.legacy_account != upstream.account
        keys = "api_token and secret_key in [legacy]" if own else f"{signing}, or set those of [legacy]"
        yield _Endpoint("old endpoint", given.legacy_base_url, lambda: _ask_old(given, wanted), keys)


def _ask_new(given: Configuration, exam: int | None) -> str:
    upstream = given.upstream
    by_exam = upstream.capabilities & {"exam"}
    if by_exam and exam is None:
        raise _NotTried("no exam is known to ask for: name one by --exam")
    sources = upstream.sources(Query(exam or 0), by_exam, _OPTIONS)
    if not sources:
        raise _NotTried("the roster names nobody whose list could be asked for")
    chunk = sources[0].fetch(0, 1, None, None)
    return f"accepted; it has {several(chunk.total, 'record')}"


def _ask_old(given: Configuration, exam: int | None) -> str:
    from compat.migration.modes.sides import LegacyEndpoint

    if given.legacy_account is None:
        raise _NotTried("api_token and secret_key are not in [legacy]")
    if exam is None:
        raise _NotTried("no exam is known to ask for: name one by --exam")
    assert given.legacy_base_url is not None  # noqa: S101 - else there is no such endpoint
    once = RetryPolicy(attempts=1)
    endpoint = LegacyEndpoint(given.legacy_base_url, given.legacy_account, once)
    answer = endpoint.answer(LegacyCall(INDEX_STUDENTS, str(exam), urlencode({"limit": "1"})))
    count = answer.headers.get("X-Pagination-Item-Count")
    return f"accepted; exam {exam} has {several(int(count), 'student') if count and count.isdigit() else 'students'}"
