"""How much of one answer is taken from an upstream, and how long a connection to it is trusted.

An upstream that is broken or hostile can send without an end, or send little that expands to much. No honest page comes
near these limits; each is a key of ``[upstream]`` and a keyword argument of an upstream.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypedDict

from compat.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AnswerLimits", "LimitKeys"]

_MIB = 1 << 20


class LimitKeys(TypedDict, total=False):
    """The keys of :class:`AnswerLimits`, for signatures."""

    keep_alive: float


@dataclass(frozen=True)
class AnswerLimits:
    """Limits on one answer.

    Attributes:
        keep_alive: seconds that an idle connection is trusted; 0 opens one for each request.
    """

    keep_alive: float = 15.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            least = 0 if each.name == "keep_alive" else 1
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < float("inf"):
                raise ConfigurationError(f"{each.name} = {value!r}: must be a number of at least {least}")

    @classmethod
    def of(cls, **keys: Unpack[LimitKeys]) -> AnswerLimits:
        """The limits of some keys, the others by default.

        Raises:
            ConfigurationError: a value that cannot be used; the text names its key.
        """
        return cls(**keys)
