"""JSON read so that nothing is lost: numbers keep their text, and a key given twice is noticed."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class Number:
    """A JSON number by its own text, so that ``70.0`` and ``70`` stay apart."""

    text: str


@dataclass(frozen=True)
class Pairs:
    """A JSON object as its pairs, in the order and number they were written."""

    items: tuple[tuple[str, object], ...]

    def doubled(self) -> list[str]:
        """The keys that stand more than once."""
        counts = Counter(key for key, _ in self.items)
        return [key for key, count in counts.items() if count > 1]


def _refuse_constant(text: str) -> object:
    raise ValueError(f"{text} is not JSON.")


def _pairs(items: list[tuple[str, object]]) -> Pairs:
    return Pairs(tuple(items))


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=Number, parse_float=Number, parse_constant=_refuse_constant
)


def read_json(text: str) -> object:
    """Read a JSON text into Pairs, lists, str, Number, bool and None; ValueError where it is not JSON."""
    try:
        value: object = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"Must be JSON: {error}.") from error
    except RecursionError as error:
        raise ValueError("Must be JSON that is less deeply nested.") from error
    return value


def read_strict_json(text: str) -> object:
    """The same, and a key given twice anywhere is a ValueError."""
    value = read_json(text)
    _refuse_doubled(value)
    return value


def _refuse_doubled(value: object) -> None:
    # A work list and not recursion: what the decoder just managed to nest must not overflow here.
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, list):
            waiting.extend(current)
        if isinstance(current, Pairs):
            if current.doubled():
                raise ValueError(f"The key {current.doubled()[0]!r} is given twice.")
            waiting.extend(inner for _, inner in current.items)
