"""What the interfaces share: the data, the checks of who calls, and the request at hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import tzinfo

from compat.testing.sandbox.dataset import Dataset
from compat.testing.sandbox.messages import Incoming
from compat.testing.sandbox.parameters import Merged
from compat.testing.sandbox.signature import SignatureCheck
from compat.testing.sandbox.tokens import Tokens


@dataclass(frozen=True)
class Context:
    """What every request meets."""

    dataset: Dataset
    zone: tzinfo
    clamp: int
    pushdown: frozenset[str]
    signatures: SignatureCheck
    tokens: Tokens


@dataclass(frozen=True)
class Exchange:
    """One request: as it came, merged, and whether it may use up its nonce."""

    incoming: Incoming
    path_parameters: Mapping[str, str]
    merged: Merged
    spend_nonce: bool


def signed_parameters(context: Context, exchange: Exchange) -> Mapping[str, str]:
    """The parameters of a request whose signature holds.

    The token comes first, then whatever leaves no single set of parameters to verify, then the signature,
    and only then parameters without a value.
    """
    context.signatures.check_token(exchange.incoming.authorization)
    exchange.merged.refuse_conflicts()
    context.signatures.check_parameters(exchange.merged.values, spend=exchange.spend_nonce)
    exchange.merged.refuse_empty()
    return exchange.merged.values
