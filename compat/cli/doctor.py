"""``exam-compat doctor``: why the gateway refused a call, and the smallest change that helps."""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime, timezone

import click

from compat.cli.console import Column, note, plain, say, say_json, show_table
from compat.cli.options import (
    caller_named,
    config_option,
    configuration,
    configuration_if_any,
    json_option,
    offering_callers,
)
from compat.config.settings import Configuration
from compat.doctor import (
    Diagnosis,
    SeenRequest,
    UnreadableCall,
    diagnose,
    diagnose_entry,
    read_curl,
    read_entry,
    token_seen,
)
from compat.errors import ConfigurationError
from compat.legacy.signature import Caller


def _moment(value: str) -> float:
    """Seconds since the epoch, of a time in ISO 8601 or of seconds or milliseconds since the epoch."""
    if value.isascii() and value.isdigit() and len(value) <= 15:
        return int(value) / (1000 if len(value) > 11 else 1)
    try:
        moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is no time such as 2024-01-15T09:30:00Z, and no seconds since the epoch."
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


@click.command(short_help="Say why the gateway refused a call.")
@click.argument("call", required=False)
@click.option("--caller", "name", metavar="NAME", shell_complete=offering_callers,
              help="Who made the call.  [default: the caller with its token]")  # fmt: skip
@click.option("--prompt", is_flag=True,
              help="Ask for the secret key, without showing it. The configuration is not used.")  # fmt: skip
@click.option("--at", "sent_at", type=_moment, metavar="TIME",
              help="When the call was sent. Without it, an old call is no fault.")  # fmt: skip
@json_option
@config_option
def doctor(call: str | None, name: str | None, prompt: bool, sent_at: float | None, as_json: bool) -> int:
    """Say why a call was refused: how the client signed it, and the smallest change that helps.

    CALL is a curl line, a URL, or the line of the gateway's log. Without CALL, the standard input is read. Then no list
    of processes shows the call.

    The secret key comes from [[callers]] of the configuration or from a prompt, never from an argument. Personal data
    is masked in all that is printed.

    \b
    Exit status:
      0  the call would be accepted
      1  it would be refused, and the output says why
      2  nothing explains its signature; or wrong usage or configuration

    \b
    Examples:
      exam-compat doctor < refused-call.txt
      exam-compat doctor --caller 'registrar export' --json < refused-call.txt
      exam-compat doctor --prompt --at 2024-01-15T09:30:00Z < refused-call.txt
    """
    text = (call if call is not None else sys.stdin.read()).strip()
    if not text:
        raise click.UsageError("No call: give a curl line, a URL or a line of the gateway's log.")
    try:
        diagnosis = _diagnosed(text, name, prompt, sent_at)
    except UnreadableCall as error:
        raise click.UsageError(f"The call cannot be read: {error}.") from None
    if as_json:
        say_json(diagnosis.as_dict())
    else:
        _tell(diagnosis)
    return 0 if diagnosis.accepted else 1 if diagnosis.explained else 2


def _diagnosed(text: str, name: str | None, prompt: bool, sent_at: float | None) -> Diagnosis:
    if text.startswith("{"):
        return diagnose_entry(read_entry(text))
    request = _request(text)
    given = None if prompt else configuration_if_any() if name is None else configuration()
    if given is None:
        # Hidden, and read from the terminal itself where the call came by the standard input.
        key = click.prompt("Secret key", hide_input=True, err=True) if _has_terminal() else _key_from_input()
        caller = Caller("the caller", token_seen(request), key)
        return diagnose(request, caller, now=time.time(), sent_at=sent_at, known=False)
    caller = _caller(given, request, name)
    others = {each.caller.name: each.caller.secret_key for each in given.callers if each.caller != caller}
    zone = given.settings.zone
    return diagnose(request, caller, now=time.time(), sent_at=sent_at, known=True, other_keys=others, zone=zone)


def _key_from_input() -> str:
    """A line of the standard input, where there is no terminal to hide it on."""
    key = sys.stdin.readline().strip()
    if not key:
        raise click.UsageError(
            "There is no terminal to ask for the secret key: name a configuration that has it by --config, without "
            "--prompt, or give the call as an argument and the key by the standard input."
        )
    note("Secret key: read from the standard input.")
    return key


def _has_terminal() -> bool:
    """Whether there is somebody to ask, also where the standard input is a file."""
    if sys.stdin.isatty():
        return True
    try:
        os.close(os.open("CONIN$" if os.name == "nt" else "/dev/tty", os.O_RDWR))
    except OSError:
        return False
    return True


def _request(text: str) -> SeenRequest:
    words = text.removeprefix("$").split(maxsplit=1)
    if words[0] == "curl":
        return read_curl(text.removeprefix("$"))
    method, url = words if len(words) == 2 and words[0].isalpha() else ("GET", text)
    if not url.startswith(("http://", "https://", "/")) or any(char.isspace() for char in url.partition("?")[0]):
        raise UnreadableCall("it is neither a curl line, nor a URL, nor a line of the gateway's log")
    return SeenRequest(method.upper(), url)


def _caller(given: Configuration, request: SeenRequest, name: str | None) -> Caller:
    """The caller of that name, or whose token the call bears; ConfigurationError where there is none."""
    callers = [each.caller for each in given.callers]
    if name is not None:
        return caller_named(name, "--caller", callers)
    token = token_seen(request)
    for caller in callers:
        if token and caller.api_token == token:
            return caller
    told = "the call's token is no caller's in [[callers]]" if token else "the call shows no token"
    raise ConfigurationError(f"{told}: say whose call it is by --caller, or give its key by --prompt")


def _tell(diagnosis: Diagnosis) -> None:
    if diagnosis.findings:
        rows = [(each.name, each.says, each.fix) for each in diagnosis.findings]
        columns = (Column("finding"), Column("what is the matter", least=16), Column("what to change", least=16))
        show_table(columns, rows)
    if diagnosis.signed is not None and diagnosis.signed != diagnosis.to_sign:
        say(f"Signed:   {plain(diagnosis.signed)}")
    if diagnosis.to_sign is not None and not diagnosis.accepted:
        say(f"To sign:  {plain(diagnosis.to_sign)}")
    if diagnosis.accepted:
        say("The call would be accepted, if its nonce is new.")
    elif not diagnosis.explained:
        say("Nothing that is known here explains the signature.")
