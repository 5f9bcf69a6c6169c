"""Who may call (contract, section 6): the callers by token, and the record of what they spent."""

from __future__ import annotations

import hashlib

from compat.config import CallerSettings, Configuration
from compat.errors import ConfigurationError
from compat.gateway.limits import Slots
from compat.legacy.signature import Caller
from compat.legacy.verifier import Verifier
from compat.stores import Store

__all__ = ["make_verifier"]


def make_verifier(configuration: Configuration, store: Store, slots: Slots) -> Verifier:
    """The verifier of the configured callers.

    Args:
        configuration: whose ``callers`` may call.
        store: where nonces and signatures are recorded; of a caller whose nonces are seconds, the signature alone.
        slots: of the callers. A call that holds has taken one, which is given back when the call has ended. It is
            taken before the nonce is recorded: a call that is refused for load may be sent again as it is.

    Raises:
        ConfigurationError: there are none, or two that could not be told apart.
    """
    callers = configuration.callers
    if not callers:
        raise ConfigurationError("[[callers]]: the gateway knows nobody who may call; name at least one")
    _refuse_twins(callers)
    digests = {each.caller.api_token: hashlib.sha256(each.caller.api_token.encode()).digest() for each in callers}
    tolerant = {each.caller.api_token for each in callers if each.replay == "signature"}

    def spend(caller: Caller, nonce: str, signature: str) -> bool:
        token = caller.api_token
        slots.take(caller.name)
        new = False
        try:
            new = store.spend(digests[token], None if token in tolerant else nonce, signature)
        finally:
            if not new:
                slots.give_back(caller.name)
        return new

    return Verifier([each.caller for each in callers], spend=spend, born=store.born)


def _refuse_twins(callers: tuple[CallerSettings, ...]) -> None:
    names: set[str] = set()
    tokens: set[str] = set()
    for each in callers:
        if each.caller.name in names:
            raise ConfigurationError(f"[[callers]]: two are called {each.caller.name!r}")
        if each.caller.api_token in tokens:
            raise ConfigurationError(f"[[callers]]: {each.caller.name!r} has the api_token of another one")
        names.add(each.caller.name)
        tokens.add(each.caller.api_token)
