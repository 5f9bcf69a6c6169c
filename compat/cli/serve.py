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
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: as in [gateway], else 1]")
@click.option("--threads", type=click.IntRange(min=1), help="Calls that each answers at once.  [default: 32]")
@click.option(
    "--stop-within",
    type=click.IntRange(min=1),
    default=30,
    show_default=True,
    metavar="SECONDS",
    help="How long calls may still run when it is told to stop.",
)
@click.option("--tls-certificate", type=_FILE, help="A certificate chain, PEM: serve HTTPS.")
@click.option("--tls-key", type=_FILE, help="Its key, PEM.")
def serve(**options: Any) -> int:
    """Serve the deprecated interface until it is told to stop.

    The configuration says who may call and which successor answers. With student sessions, every other path passes
    through to them, so that a caller changes its base URL and nothing else. Health, readiness and numbers are at
    the address for operators: /healthz, /readyz, /metrics.

    SIGTERM or Ctrl-C lets the calls that run end; a second one ends at once. SIGHUP reads the configuration anew.
    Each call is one line of JSON on the standard error.

    \b
    Examples:
      exam-compat serve
      exam-compat serve --port 0 --admin-port 0
      exam-compat serve --host 0.0.0.0 --workers 4 --tls-certificate chain.pem --tls-key key.pem
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
