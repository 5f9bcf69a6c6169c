"""The gateway's request path: a request in, a legacy call to the core, the answer out."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor

from compat.config import Configuration
from compat.errors import LegacyError
from compat.gateway.asgi import Receive, Scope, Send, header, send_answer
from compat.gateway.exchange import Exchange, Observer, request_id
from compat.gateway.trust import MemoryRecord, Spending, make_verifier
from compat.legacy.answer import Answer, failure
from compat.legacy.routes import LegacyCall, match_route
from compat.legacy.verifier import Refused
from compat.shim import Shim
from compat.upstream.transport import CallOptions

__all__ = ["Gateway", "make_application"]

_THREADS = 32
_log = logging.getLogger("compat.gateway")


def make_application(
    configuration: Configuration, store: Spending | None = None, observe: Observer | None = None
) -> Gateway:
    """The gateway of a configuration, an ASGI application.

    Args:
        configuration: the upstream, the callers and the rest.
        store: where nonces and signatures are recorded; None for the configured one.
        observe: told of every request when its answer has ended.

    Raises:
        ConfigurationError: nobody may call, or a setting cannot be used.
    """
    return Gateway(configuration, store if store is not None else MemoryRecord(), observe)


class Gateway:
    """Answers the deprecated routes; one for each worker process.

    The core is synchronous and may wait long for an upstream, so calls are answered in threads.
    """

    def __init__(self, configuration: Configuration, store: Spending, observe: Observer | None = None) -> None:
        self._shim = Shim(configuration.upstream, configuration.settings, make_verifier(configuration, store))
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="gateway")
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    def close(self) -> None:
        """Wait for the calls that run, and end the threads."""
        self._threads.shutdown()

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await asyncio.get_running_loop().run_in_executor(None, self.close)
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        exchange = Exchange(request_id(header(scope["headers"], b"x-request-id")), scope["method"])
        try:
            answer = await self._answer(scope, receive, exchange)
            exchange.status = answer.status
            await send_answer(send, answer, [(b"X-Request-Id", exchange.request_id.encode())])
        finally:
            exchange.seconds = time.perf_counter() - begun
            if self._observe is not None:
                self._observe(exchange)

    async def _answer(self, scope: Scope, receive: Receive, exchange: Exchange) -> Answer:
        matched = match_route(scope["method"], scope["raw_path"].decode("latin-1"))
        if matched is None:
            return failure(_NoSuchPath())
        route, exam_id = matched
        exchange.route = route.action
        call = LegacyCall(
            route=route,
            exam_id=exam_id,
            query=scope["query_string"].decode("latin-1"),
            content_type=_text(header(scope["headers"], b"content-type")),
            body=await _body(receive),
            authorization=_text(header(scope["headers"], b"authorization")),
            method=scope["method"],
        )
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._called, call, exchange)

    def _called(self, call: LegacyCall, exchange: Exchange) -> Answer:
        try:
            admitted = self._shim.admit(call)
            exchange.caller = admitted.caller.name if admitted.caller else None
            exchange.exam_id = call.exam_id
            exchange.answered_by = "new"
            return self._shim.answer_admitted(admitted, CallOptions(attempted=exchange.attempted))
        except Refused as refused:
            exchange.caller, exchange.refusal = refused.caller, refused.reason
            return failure(refused)
        except LegacyError as error:
            if error.status >= 500:
                exchange.failure = error.message
            return failure(error)


class _NoSuchPath(LegacyError):
    status = 404

    def __init__(self) -> None:
        super().__init__("There is no such path here.")


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
