"""What a rewrite changes and what it leaves; changes are gathered first and made at once, and no comment is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from typing import Any

import libcst as cst

from compat.migration.program.module import Module, inside

__all__ = ["Change", "Edits", "Left"]


@dataclass(frozen=True, order=True)
class Change:
    """What became of a place; its line from 1, before the rewrite."""

    line: int
    what: str


@dataclass(frozen=True, order=True)
class Left:
    """A place that was left as it is.

    Attributes:
        line: from 1, before the rewrite.
        reason: why it is not certain what to write.
        by_hand: what to do instead.
        needed: whether the old interface is still used there; else the script is done, and this only tidies it.
        last: the last line of the place.
        way: how the route comes there, an expression a line.
        snippet: the code to write there, as far as it can be told.
    """

    line: int
    reason: str
    by_hand: str
    needed: bool = True
    last: int = 0
    way: tuple[str, ...] = ()
    snippet: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        told = {**asdict(self), "way": list(self.way)}
        del told["last"]
        return told


class Edits:
    """What is to become of some nodes of a module."""

    def __init__(self) -> None:
        self.replaced: dict[cst.CSTNode, Callable[[Any], cst.BaseExpression]] = {}
        self.removed: set[cst.CSTNode] = set()
        self.inserted: dict[cst.CSTNode, str] = {}
        self.imported: set[str] = set()
        self.others: dict[tuple[str, str], None] = {}

    def replace(self, node: cst.CSTNode, replacement: Callable[[Any], cst.BaseExpression]) -> None:
        """Put another node in a node's place, made from that one with all changes inside it."""
        self.replaced[node] = replacement

    def remove(self, statement: cst.BaseSmallStatement | cst.FunctionDef) -> None:
        """Take a small statement or a function out; its comments stay."""
        self.removed.add(statement)

    def insert(self, line: cst.CSTNode, code: str) -> None:
        """Put a line before another, whose comments stay above both."""
        self.inserted[line] = code

    def take(self, other: Edits) -> None:
        """Let another's changes be made too."""
        self.replaced.update(other.replaced)
        self.removed |= other.removed
        self.imported |= other.imported
        self.others.update(other.others)

    def apply(self, module: Module) -> cst.Module:
        """The tree with the changes made."""
        return module.tree.visit(_Editor(module, self))


class _Editor(cst.CSTTransformer):
    def __init__(self, module: Module, edits: Edits) -> None:
        super().__init__()
        self._module = module
        self._edits = edits

    def on_leave(self, original: cst.CSTNode, updated: Any) -> Any:
        updated = super().on_leave(original, updated)
        if isinstance(original, cst.SimpleStatementLine):
            return self._line(original, updated)
        if isinstance(original, cst.IndentedBlock | cst.Module):
            return self._block(original, updated)
        replacement = self._edits.replaced.get(original)
        return updated if replacement is None else replacement(updated)

    def _line(self, original: cst.SimpleStatementLine, updated: cst.SimpleStatementLine) -> cst.SimpleStatementLine:
        """A line without its statements that go; one of which all go is left to its block."""
        gone = [each in self._edits.removed for each in original.body]
        if all(gone):
            return original
        kept = [after for after, goes in zip(updated.body, gone, strict=True) if not goes]
        if any(gone):
            kept[-1] = kept[-1].with_changes(semicolon=cst.MaybeSentinel.DEFAULT)
            return updated.with_changes(body=kept)
        lost = (Counter(_comments(original)) - Counter(_comments(updated))).elements()
        return updated.with_changes(leading_lines=[*updated.leading_lines, *map(_comment_line, lost)])

    def _block(self, original: cst.IndentedBlock | cst.Module, updated: Any) -> Any:
        """A block whose lines carry the comments of those that were taken out before them."""
        body: list[Any] = []
        held: list[cst.EmptyLine] = []
        for before, after in zip(original.body, updated.body, strict=True):
            small = before.body if isinstance(before, cst.SimpleStatementLine) else [before]
            lines = list(getattr(after, "leading_lines", ()))
            if all(each in self._edits.removed for each in small):
                held = _together(held, [*_leading_blanks(lines), *map(_comment_line, _comments(before))])
                continue
            above = _together(held, lines) if held else lines
            if before in self._edits.inserted:
                first = cst.parse_statement(self._edits.inserted[before], self._module.tree.config_for_parsing)
                body.append(first.with_changes(leading_lines=above))
                above = []
            body.append(after.with_changes(leading_lines=above) if hasattr(after, "leading_lines") else after)
            held = []
        comments = [line for line in held if line.comment is not None]
        if comments:
            updated = updated.with_changes(footer=[*comments, *updated.footer])
        if not body and isinstance(original, cst.IndentedBlock):
            body = [cst.SimpleStatementLine([cst.Pass()])]
        return updated.with_changes(body=body)


def _together(held: Sequence[cst.EmptyLine], lines: Sequence[cst.EmptyLine]) -> list[cst.EmptyLine]:
    """The lines of statements that are gone and of the one behind them: no more blank ones than the more of either."""
    comments = [line for line in held if line.comment is not None]
    before, own = _leading_blanks(held), _leading_blanks(lines)
    return [*max(before, own, key=len), *comments, *lines[len(own) :]]


def _leading_blanks(lines: Sequence[cst.EmptyLine]) -> list[cst.EmptyLine]:
    return list(takewhile(lambda line: line.comment is None, lines))


def _comment_line(comment: str) -> cst.EmptyLine:
    return cst.EmptyLine(comment=cst.Comment(comment))


def _comments(node: cst.CSTNode) -> list[str]:
    """The texts of the comments in a node, in their order."""
    return [each.value for each in inside(node, cst.Comment)]
