"""Where the pairs of answers go that shadow and canary make: one place for every entrance to ask."""

from __future__ import annotations

from collections.abc import Callable

from compat.config import Configuration
from compat.regression.pairs import Pair

__all__ = ["Sink", "sinks_of"]

Sink = Callable[[Pair], None]
"""Takes a pair; called from a thread behind the calls, several at once. What it raises costs that pair alone."""


def sinks_of(configuration: Configuration) -> tuple[Sink, ...]:
    """What a configuration has pairs kept by; made when there is a first pair.

    Raises:
        ConfigurationError: it cannot be made.
    """
    if "record" not in configuration.regression:
        return ()
    # Imported here: most processes keep nothing.
    from compat.regression.traffic import TrafficRecorder

    return (TrafficRecorder(configuration),)
