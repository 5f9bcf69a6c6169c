"""The paginated sessions interface, and the tokens that it wants."""

from __future__ import annotations

from compat.testing.sandbox.context import Context, Exchange
from compat.testing.sandbox.dataset import Entry
from compat.testing.sandbox.messages import RefusalError, SandboxAnswer, text_answer
from compat.testing.sandbox.parameters import Reader, number, positive_number


def issue_token(context: Context, exchange: Exchange) -> SandboxAnswer:
    """A token for client credentials."""
    readable = not exchange.merged.conflicts
    return context.tokens.answer(exchange.incoming.authorization, exchange.merged.values, readable)


def list_all(context: Context, exchange: Exchange) -> SandboxAnswer:
    """The sessions of everybody."""
    context.tokens.check(exchange.incoming.authorization)
    return _page(context, exchange, context.dataset.entries_with_session())


def list_of_user(context: Context, exchange: Exchange) -> SandboxAnswer:
    """The sessions of one user."""
    context.tokens.check(exchange.incoming.authorization)
    entries = context.dataset.entries_of_user(exchange.path_parameters["userId"])
    if entries is None:
        raise RefusalError(404, "There is no such user.")
    return _page(context, exchange, entries)


def _page(context: Context, exchange: Exchange, entries: list[Entry]) -> SandboxAnswer:
    exchange.merged.refuse_conflicts()
    exchange.merged.refuse_empty()
    reader = Reader(exchange.merged.values)
    limit = min(reader.optional("limit", positive_number, context.clamp), context.clamp)
    offset = reader.optional("offset", number, 0)
    reader.finish()
    sessions = b",".join(entry.paginated_session_text for entry in entries[offset : offset + limit])
    head = f'{{"limit":{limit},"offset":{offset},"total":{len(entries)},"sessions":['
    return text_answer(200, head.encode() + sessions + b"]}")
