"""``exam-compat serve``: the old endpoint over HTTP, for callers in any language."""

from __future__ import annotations

from typing import Any

import click

from compat.cli.console import ExistingPath, address_options, config_option, named_config, say
from compat.cli.program import require_extra
from compat.config.file import find_config

__all__ = ["serve"]

_FILE = ExistingPath(folder=False)


@click.command(short_help="Answer old calls over HTTP, for callers in any language.")
@config_option
@address_options("The address for calls.", 8080)
@address_options("The address for operators.", 8081, prefix="admin-")
@click.option(
    "--workers", type=click.IntRange(min=1), help="How many processes answer.  [default: as in [gateway], else 1]"
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="How many calls each process answers at once.  [default: as in [gateway], else 32]",
)
@click.option(
    "--stop-within",
    type=click.IntRange(min=1),
    default=30,
    show_default=True,
    metavar="SECONDS",
    help="How long running calls may go on after it is told to stop.",
)
@click.option("--tls-certificate", type=_FILE, help="Serve HTTPS, with this certificate chain in PEM.")
@click.option("--tls-key", type=_FILE, help="The key of the certificate, in PEM.")
def serve(**options: Any) -> int:
    """Answer old calls over HTTP, for callers in any language, until it is told to stop.

    The configuration says who may call and which successor answers. A caller changes its base URL. With student
    sessions it changes nothing else, since every other path is passed through to them.

    A second address is for operators: /healthz for health, /readyz for readiness, and /metrics for numbers.

    SIGTERM or Ctrl-C stops it: running calls may end first. A second one ends it at once. SIGHUP reads the
    configuration again. Each call is one line of JSON on the standard error.

    \b
    Exit status:
      0    it was told to stop
      1    an address is taken, or the processes that answer keep ending
      2    wrong usage or configuration
      130  a second signal ended it at once

    \b
    Examples:
      exam-compat serve
      exam-compat serve --port 0 --admin-port 0
      exam-compat serve --tls-certificate chain.pem --tls-key key.pem
      exam-compat serve --host 0.0.0.0 --workers 4
    """
    require_extra("gateway")
    from compat.gateway.server import ServerSettings
    from compat.gateway.server import serve as serve_calls

    if (options["tls_certificate"] is None) != (options["tls_key"] is None):
        raise click.UsageError("--tls-certificate and --tls-key go together.")
    asked = ServerSettings((named_config() or find_config()).absolute(), **options)
    try:
        return serve_calls(asked, _announce)
    except OSError as error:
        raise click.ClickException(
            f"--host {asked.host} --port {asked.port}, --admin-host {asked.admin_host} --admin-port "
            f"{asked.admin_port}: {error.strerror or error}; take others, or port 0 for any free one."
        ) from None


def _announce(calls: str, operators: str) -> None:
    say(f"Answering calls at {calls}, operators at {operators}, until Ctrl-C.")
