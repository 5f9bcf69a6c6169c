"""The gateway's request path: a request in, a legacy call to the core, the answer out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import NoReturn, TypeVar

from compat.config.settings import Configuration
from compat.core.call import Admitted, Shim
from compat.core.walks import ASKS_UPSTREAM, Steps
from compat.errors import LegacyError, UpstreamError
from compat.gateway.limits import Bodies, CallSlots, GatewaySettings, check_head, deprecation_headers, make_verifier
from compat.gateway.modes import PartialAnswer, TwoEndpointCalls
from compat.gateway.observers import ObserverQueue, count_calls, describe, source_line
from compat.gateway.passing import PassThrough
from compat.gateway.request import (
    CALLER_GONE,
    GATEWAY_FAILED,
    MISSPELT_PATH,
    NO_SUCH_PATH,
    NOTHING_PASSES_THROUGH,
    Exchange,
    Headers,
    Observer,
    Receive,
    Scope,
    Send,
    TooManyCalls,
    by_name,
    disconnected,
    method_not_allowed,
    note_failure,
    request_id,
    send_answer,
)
from compat.gateway.threads import Threads
from compat.legacy import routes
from compat.legacy.routes import ANSWERED_BY, Answer, LegacyCall, Route, failure, match_route
from compat.legacy.verifier import Refused
from compat.migration.inventory.recorder import inventory_of
from compat.migration.modes.router import ONLY_NEW, Identity, ModeRouter
from compat.stores import Store, open_store
from compat.stores.walks import walks_of
from compat.upstream.retries import Cancelled
from compat.upstream.transport import CallOptions

_T = TypeVar("_T")
_WATCHED_AFTER = 0.2  # seconds that a call takes before it is noticed that its caller went away
_log = logging.getLogger("compat.gateway")


def make_application(
    configuration: Configuration, store: Store | None = None, observe: Observer | None = None
) -> Gateway:
    """The gateway of a configuration, an ASGI application; with None for a store, with the configured one.

    Raises:
        ConfigurationError: nobody may call, or a setting cannot be used.
    """
    return Gateway(configuration, store or open_store(configuration.store, configuration.when_store_down), observe)


class Gateway:
    """Answers the deprecated routes, and passes on the rest; one for each worker process.

    The core is synchronous and may wait long for an upstream, so calls are answered in threads. What is passed on
    waits in none.
    """

    def __init__(self, configuration: Configuration, store: Store, observe: Observer | None = None) -> None:
        self.settings = GatewaySettings.of(configuration)
        self._store = store
        self._walks = walks_of(configuration, store)
        self._slots = CallSlots(self.settings.calls_per_caller)
        verifier = make_verifier(configuration, store, self._slots)
        self._shim = Shim(configuration.upstream, configuration.settings, verifier, self._walks)
        self.router = ModeRouter.of(configuration, read_environment_once=True)
        self._bodies = Bodies(self.settings)
        self._threads = Threads(self.settings.threads)
        self._inventory = inventory_of(configuration)
        observers = [] if observe is None else [observe]
        if self._inventory is not None:
            observers.append(partial(count_calls, self._inventory))
        self._observers = ObserverQueue(configuration.callers, observers) if observers else None
        self._deprecation = deprecation_headers(configuration, self.settings)
        upstream = configuration.upstream
        silence = self.settings.body_silence
        passes = upstream.takes_other_calls and self.settings.pass_through
        self._new = PassThrough(upstream.base_url, "new", silence, upstream.keep_alive) if passes else None
        # Where there is no old endpoint, no caller has a mode that leads there.
        self._legacy = PassThrough(configuration.legacy_base_url or "", "legacy", silence)
        self._two_endpoints = TwoEndpointCalls(self.router, self._shim, self._slots, self._legacy)

    @property
    def walks_kept(self) -> int:
        return self._walks.number

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def would_answer(self) -> None:
        """Wait until a call that comes now would be answered: its thread is there."""
        await self._threads.run(_nothing)

    async def close(self) -> None:
        """Wait for the calls that run, and let go of threads, connections and the store."""
        await self._threads.close()
        # What is compared asks the old endpoint through this loop.
        await asyncio.get_running_loop().run_in_executor(None, self.router.close)
        if self._observers is not None:
            await self._observers.close()
        if self._inventory is not None:
            await asyncio.get_running_loop().run_in_executor(None, self._inventory.close)
        for passing in filter(None, (self._new, self._legacy)):
            await passing.close()
        self._shim.upstream.close()
        self._store.close()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.router.start()
            else:
                await self.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        given = by_name(scope["headers"])
        exchange = Exchange(request_id(given.get(b"x-request-id")), scope["method"])
        request = Request(scope, receive, send, given, exchange, [(b"X-Request-Id", exchange.request_id.encode())])
        try:
            await self._answer(request)
        except _CallerGone:
            # A server may still want an answer.
            await request.answer(failure(CALLER_GONE()))
            exchange.status = 0
        except LegacyError as error:
            note_failure(exchange, error)
            answer = failure(error)
            if exchange.answered_by == "legacy":
                answer = replace(answer, headers={**answer.headers, ANSWERED_BY: "legacy"})
            await request.answer(answer)
        finally:
            exchange.seconds = time.perf_counter() - begun
            if self._observers is not None:
                self._observers.ended(exchange, request.legacy_call)

    async def _answer(self, request: Request) -> None:
        path = request.scope["raw_path"].decode("latin-1")
        matched = match_route(request.scope["method"], path)
        if matched is None:
            check_head(request.scope, self.settings)
            request.exchange.refusal = routes.misspelt_route(path)
            if request.exchange.refusal is not None:
                raise MISSPELT_PATH(request.exchange.refusal, ", ".join(route.action for route in routes.ROUTES))
            await request.pass_on(self._new or self._no_other_endpoint(path))
            return
        route, exam_id = matched
        exchange = request.exchange
        exchange.route, exchange.slash = route.action, path.endswith("/")
        exchange.user_agent = _text(request.given.get(b"user-agent"))
        request.further += self._deprecation
        check_head(request.scope, self.settings)
        call = request.legacy_call = await request.call(route, exam_id, self._bodies)
        running = self._threads.run(partial(self._answer_call, call, exchange), self._two_endpoints.give_back)
        answer = await _unless_gone(running, request.receive)
        if isinstance(answer, Answer):
            await request.answer(answer)
        else:
            await self._two_endpoints.finish(request, answer)

    def _no_other_endpoint(self, path: str) -> NoReturn:
        if methods := routes.methods_of(path):
            raise method_not_allowed(methods)
        raise (NO_SUCH_PATH if self.settings.pass_through else NOTHING_PASSES_THROUGH)()

    def _answer_call(
        self, call: LegacyCall, exchange: Exchange, cancelled: Callable[[], bool]
    ) -> Steps[Answer | PartialAnswer]:
        """The answer to a call, in a thread; or what there is of it where the old endpoint has a part in it."""
        try:
            admitted = self._shim.admit(call)
            name = admitted.caller.name if admitted.caller is not None else ""
            part: Answer | PartialAnswer | None = None
            try:
                options = CallOptions(attempted=exchange.attempted, cancelled=cancelled)
                part = yield from self._answer_admitted(admitted, name, exchange, options)
            finally:
                # Where the old endpoint is to answer, the call is still running.
                if not isinstance(part, PartialAnswer) or part.answer is not None:
                    self._slots.give_back(name)
            return part
        except Refused as refused:
            exchange.caller, exchange.refusal = refused.caller, refused.reason
            return failure(refused)
        except LegacyError as error:
            if isinstance(error, TooManyCalls):
                exchange.caller = error.caller
            note_failure(exchange, error)
            return failure(error)
        except Cancelled:
            raise
        except Exception as error:  # noqa: BLE001 - an error of ours has an answer too, and its text may hold anything
            _log.error("a call of %s failed by %s at %s", call.route.action, type(error).__name__, source_line(error))
            return failure(GATEWAY_FAILED())

    def _answer_admitted(
        self, admitted: Admitted, name: str, exchange: Exchange, options: CallOptions
    ) -> Steps[Answer | PartialAnswer]:
        call = admitted.call
        exchange.caller, exchange.exam_id, exchange.answered_by = name, call.exam_id, "new"
        if self._inventory is not None:
            describe(exchange, admitted)
        decision = self.router.decide(call, Identity(name, name))
        if decision is not ONLY_NEW:
            return (yield from self._two_endpoints.begin(decision, admitted, exchange, options))
        return (yield from self._shim.steps(admitted, options))


@dataclass
class Request:
    scope: Scope
    receive: Receive
    send: Send
    given: Mapping[bytes, bytes]
    exchange: Exchange
    further: Headers
    legacy_call: LegacyCall | None = None

    async def answer(self, answer: Answer) -> None:
        """Send an answer of the gateway's own."""
        self.exchange.status = answer.status
        await send_answer(self.send, answer, self.further)

    async def pass_on(self, passing: PassThrough, body: bytes | None = None) -> None:
        further = [*self.further, (ANSWERED_BY.encode(), passing.answers_as.encode())]
        self.exchange.answered_by = passing.answers_as
        try:
            self.exchange.status = await passing.pass_on(self.scope, self.receive, self.send, further, body)
        except UpstreamError:
            self._attempted(passing, None)
            raise
        self._attempted(passing, self.exchange.status)

    def _attempted(self, passing: PassThrough, status: int | None) -> None:
        # What the old endpoint answers says nothing of the upstream.
        if passing.answers_as == "new":
            self.exchange.attempted(status)

    async def call(self, route: Route, exam_id: str, bodies: Bodies) -> LegacyCall:
        """The deprecated call that it is; LegacyError where its body is too long or too slow."""
        return LegacyCall(
            route=route,
            exam_id=exam_id,
            query=self.scope["query_string"].decode("latin-1"),
            content_type=_all(self.scope["headers"], b"content-type"),
            body=await bodies.read(self.scope, self.given, self.receive),
            authorization=_text(self.given.get(b"authorization")),
            method=self.scope["method"].upper(),
            content_encoding=_all(self.scope["headers"], b"content-encoding"),
        )


def _nothing(cancelled: Callable[[], bool]) -> Steps[None]:
    yield ASKS_UPSTREAM


class _CallerGone(Exception):
    pass


async def _unless_gone(running: asyncio.Future[_T], receive: Receive) -> _T:
    """What a call leads to; where its caller goes away meanwhile, it is cancelled, and _CallerGone is raised."""
    watching: list[asyncio.Task[None]] = []

    def watch() -> None:
        watching.append(asyncio.ensure_future(disconnected(receive)))
        watching[0].add_done_callback(lambda _: running.cancel())

    # Most calls are answered sooner, and watching costs something.
    later = asyncio.get_running_loop().call_later(_WATCHED_AFTER, watch)
    try:
        return await running
    except asyncio.CancelledError:
        if watching and watching[0].done():
            raise _CallerGone from None
        raise
    finally:
        later.cancel()
        for task in watching:
            task.cancel()


def _all(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    """All values of a header that should come once, each once: whoever sent two that differ meant neither alone."""
    values = dict.fromkeys(value.decode("latin-1") for given, value in headers if given.lower() == name)
    return ", ".join(values) if values else None


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
