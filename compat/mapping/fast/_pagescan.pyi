from collections.abc import Sequence
from typing import Any

class Declaration: ...

def declare(
    fields: tuple[tuple[bytes, int, int, int, tuple[Any, ...] | None], ...], others: bool, /
) -> Declaration: ...
def scan(
    declaration: Declaration,
    body: bytes,
    name: bytes,
    columns: tuple[list[Any], ...],
    absent: object,
    most: int,
    /,
) -> tuple[bytes, Sequence[tuple[int, int]], bytes, list[tuple[str, bytes]]] | None: ...
