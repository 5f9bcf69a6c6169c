"""The dial of the client class, which has an account of its own rather than callers."""

from __future__ import annotations

from functools import partial

from compat.config import Configuration
from compat.legacy.answer import Answer
from compat.legacy.routes import LegacyCall
from compat.migration.callers import Callers
from compat.migration.client_sides import AnswerSide, OldEndpoint, Sides
from compat.migration.dial import Dial
from compat.shim import Shim
from compat.upstream import StudentSessions, Upstream

__all__ = ["ClientDial"]


class ClientDial:
    """Answers a client's calls by their modes.

    Args:
        given: the client's upstream or configuration. Without a configuration there is no old endpoint.
        shim: asks the new endpoint.

    Raises:
        ConfigurationError: a mode needs the old endpoint, and no base URL or no account for it was named.
    """

    def __init__(self, given: Upstream | Configuration, shim: Shim) -> None:
        self._shim = shim
        self._old: OldEndpoint | None = None
        if not isinstance(given, Configuration):
            self.dial = Dial(legacy=False)
            token = given.account.api_token if isinstance(given, StudentSessions) else ""
            self._who = Callers(()).by_token(token)
            return
        base_url, account = given.legacy_base_url, given.legacy_account
        if base_url is not None and account is not None:
            self._old = OldEndpoint(base_url, account)
        lacking = "base_url in [legacy]" if base_url is None else "api_token and secret_key in [legacy]"
        self.dial = Dial.of(given, legacy=self._old is not None, lacking=lacking)
        self._who = Callers(given.callers).by_token(account.api_token if account is not None else "")

    def sides(self, call: LegacyCall) -> Sides:
        """Both endpoints, for a call."""
        new = AnswerSide(partial(self._shim.answer, call))
        # Where there is no old endpoint, no mode leads there.
        return Sides(new if self._old is None else AnswerSide(partial(self._old.answer, call)), new)

    def answer(self, call: LegacyCall, sides: Sides) -> Answer:
        """The answer to a call from one of its sides.

        Raises:
            LegacyError: what the endpoint that answers failed with.
            ConfigurationError: ``EXAM_COMPAT_MODE`` names no mode, or one that needs an old endpoint.
        """
        return self.dial.answer(call, self._who, sides.old, sides.new)
