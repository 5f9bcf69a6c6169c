"""The gateway as it is run: its workers answer calls, and their parent watches them and answers operators."""

from __future__ import annotations

import errno
import json
import logging.config
import os
import socket
import ssl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from compat.config.file import load_config
from compat.config.settings import Configuration
from compat.drift import DRIFT
from compat.errors import ConfigurationError
from compat.gateway.admin import AdminApplication, LiveReport, ReadinessCheck, serving_admin
from compat.gateway.application import Gateway, make_application
from compat.gateway.limits import GatewaySettings
from compat.gateway.metrics import DIRECTORY_VARIABLE, Metrics, MetricsReader
from compat.gateway.observers import CallLog, log_settings
from compat.gateway.openapi import document
from compat.gateway.workers import Workers, WorkerSettings
from compat.stores import Store, StoreUnavailable, open_store
from compat.upstream.failures import certificate_in, renewal_due

_log = logging.getLogger("compat.gateway")

_LETTING_GO = 3.0  # seconds within which the workers of a gateway that was killed let go of its port


@dataclass(frozen=True)
class ServerSettings:
    """How the gateway is run; None stands for what ``[gateway]`` says, and a port of 0 for any free one.

    Attributes:
        config: the configuration file, which each worker reads for itself.
        stop_within: seconds that calls may still run when the gateway is told to stop.
    """

    config: Path
    host: str = "127.0.0.1"
    port: int = 8080
    admin_host: str = "127.0.0.1"
    admin_port: int = 8081
    workers: int | None = None
    threads: int | None = None
    stop_within: int = 30
    tls_certificate: Path | None = None
    tls_key: Path | None = None


def serve(settings: ServerSettings, announce: Callable[[str, str], object]) -> int:
    """Serve until a signal asks to stop, and give the exit status: 0, or 1 where workers kept dying.

    SIGTERM and SIGINT let the calls that run end, within the limit; a second one ends at once. SIGHUP replaces the
    workers by new ones, which read the configuration and the certificate anew. A worker that dies is replaced.

    Args:
        announce: told the URL for calls and the one for operators, once both are taken.

    Raises:
        ConfigurationError: the configuration, the certificate or the store cannot be used.
        OSError: an address cannot be listened at.
    """
    logging.config.dictConfig(log_settings())
    configuration = _configuration(settings)
    gateway = GatewaySettings.of(configuration)
    certificate, key = _tls_files(gateway)
    if certificate is not None and (due := renewal_due(certificate_in(certificate))) is not None:
        _log.warning("the certificate in %s: %s", certificate, due)
    with ExitStack() as stack:
        store = stack.enter_context(_opened_store(configuration, gateway))
        _check(settings, store)
        directory = stack.enter_context(_metrics_directory())
        listener = stack.enter_context(_listening(settings.host, settings.port))
        stopping, check = threading.Event(), partial(_check, settings, store)
        run_as = WorkerSettings(settings.stop_within, directory, certificate, key)
        workers = Workers(run_as, gateway.workers, listener, partial(_application, settings), check, stopping)
        metrics, base_url = MetricsReader(directory), configuration.upstream.base_url
        served = None if certificate is None else _reachable(listener)
        ready = ReadinessCheck(workers.asked, base_url, metrics.upstream_seen, store, stopping, served)
        description = json.dumps(document(configuration)).encode()
        admin = AdminApplication(ready, metrics.exposition, lambda: description, LiveReport(configuration))
        admin_port = stack.enter_context(serving_admin(admin, settings.admin_host, settings.admin_port))
        calls = _url("https" if certificate else "http", settings.host, listener.getsockname()[1])
        announce(calls, _url("http", settings.admin_host, admin_port))
        return workers.run()


def _configuration(settings: ServerSettings) -> Configuration:
    """The configuration, with what was asked for in its place."""
    configuration = load_config(settings.config)
    asked = {
        "workers": settings.workers,
        "threads": settings.threads,
        "tls_certificate": settings.tls_certificate and str(settings.tls_certificate),
        "tls_key": settings.tls_key and str(settings.tls_key),
    }
    given = {name: value for name, value in asked.items() if value is not None}
    return replace(configuration, gateway={**configuration.gateway, **given})


def _application(settings: ServerSettings) -> Gateway:
    metrics = Metrics()
    DRIFT.listen(metrics.drifted)
    gateway = make_application(_configuration(settings), observe=CallLog(metrics))
    gateway.router.background.counted = metrics.compared

    def count_walks() -> None:
        # Also while nobody calls, since walks go by themselves.
        while True:
            metrics.walks_kept(gateway.walks_kept)
            time.sleep(2)

    threading.Thread(target=count_walks, name="walks", daemon=True).start()
    return gateway


def _check(settings: ServerSettings, store: Store) -> None:
    """Raise ConfigurationError where a worker could not be made."""
    configuration = _configuration(settings)
    _tls_files(GatewaySettings.of(configuration))
    make_application(configuration, store)


@contextmanager
def _opened_store(configuration: Configuration, gateway: GatewaySettings) -> Iterator[Store]:
    with closing(open_store(configuration.store, configuration.when_store_down)) as store:
        if gateway.workers > 1 and not store.shared:
            raise ConfigurationError(
                f"[store] url: {gateway.workers} workers would each know only the nonces that they saw themselves; "
                "use sqlite:// or redis://, or one worker"
            )
        # It may be there by the first call; until then the gateway is not ready.
        with suppress(StoreUnavailable):
            store.ping()
        yield store


def _tls_files(gateway: GatewaySettings) -> tuple[Path, Path] | tuple[None, None]:
    """The certificate and its key; ConfigurationError where they do not fit, or cannot be read."""
    if gateway.tls_certificate is None or gateway.tls_key is None:
        return None, None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(gateway.tls_certificate, gateway.tls_key)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or error.strerror or "they cannot be read"
        files = f"[gateway] tls_certificate = {gateway.tls_certificate}, tls_key = {gateway.tls_key}"
        raise ConfigurationError(f"{files}: {reason}") from None
    return Path(gateway.tls_certificate), Path(gateway.tls_key)


@contextmanager
def _metrics_directory() -> Iterator[Path]:
    """A directory in which all workers count, named in the environment that they get."""
    with tempfile.TemporaryDirectory(prefix="exam-compat-numbers-", ignore_cleanup_errors=True) as directory:
        os.environ[DIRECTORY_VARIABLE] = directory
        try:
            yield Path(directory)
        finally:
            del os.environ[DIRECTORY_VARIABLE]


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """Listen at a port that nobody else listens at, for workers that come and go."""
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    with socket.socket(family, kind) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ends = time.monotonic() + _LETTING_GO
        while True:
            last = time.monotonic() > ends
            try:
                listener.bind(address)
                break
            except OSError as error:
                if last or error.errno != errno.EADDRINUSE:
                    raise
            time.sleep(0.05)
        listener.listen(1024)
        yield listener


def _reachable(listener: socket.socket) -> tuple[str, int]:
    """Host and port by which a listener is reached from this machine."""
    host, port = listener.getsockname()[:2]
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104 - nothing is bound


def _url(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
