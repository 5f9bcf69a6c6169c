"""What a rewrite changes and what it leaves, and what goes with the old calls: the shim, and imports.

Changes are gathered first and made at once, and no comment is lost.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import takewhile
from typing import Any

import libcst as cst
import libcst.matchers as m
from libcst.metadata import Assignment, BaseAssignment, ImportAssignment

from compat.migration.codemod.sends import sends_of
from compat.migration.program.definitions import Program
from compat.migration.program.module import Module, inside

__all__ = [
    "Change",
    "Edits",
    "Left",
    "is_idle",
    "only_read_by",
    "remove_shim_calls",
    "with_imports",
    "without_unused_imports",
]

_ENTRANCES = {
    *("compat.install", "compat.mount", "compat.uninstall"),
    *("compat.entrances.install.install", "compat.entrances.install.uninstall", "compat.entrances.adapter.mount"),
}
_BY_HAND = "take it out once no old call is left behind it"
_SENDING = m.OneOf(*map(m.Name, ("post", "put", "patch", "request", "send")))
_MAKING = (
    *("compat.StudentSessions", "compat.PaginatedSessions", "compat.load_config"),
    *("requests.Session", "requests.session", "requests.adapters.", "urllib3.util.", "urllib3.Retry"),
    *("os.environ.get", "os.getenv", "os.urandom", "json.dumps", "json.loads", "urllib.parse.", "datetime.", "math."),
    *("time.time", "time.monotonic", "time.perf_counter", "hmac.", "hashlib.", "base64.", "uuid.", "secrets."),
    *("random.rand", "random.getrandbits", "random.choice", "random.sample", "random.uniform", "string."),
)
"""What only makes a value, or something that calls could go through."""
_MAKING_BUILTINS = frozenset(
    ("str", "int", "dict", "bytes", "float", "hash", "len", "list", "map", "round", "set", "sorted", "tuple", "zip")
)
_METHODS = frozenset(
    ("strip", "rstrip", "lstrip", "format", "join", "encode", "decode", "lower", "upper", "replace", "items")
) | {"keys", "values", "copy", "digest", "hexdigest", "hex", "isoformat", "timestamp", "total_seconds"}
_DEEPEST = 4
_ITEM = m.Arg(m.SimpleString(m.MatchRegex(r"[\"'][^/:]*[\"']")))
_HEAD = m.SimpleStatementLine(
    [m.OneOf(m.Expr(m.SimpleString()), m.Import(), m.ImportFrom()), m.ZeroOrMore(m.OneOf(m.Import(), m.ImportFrom()))]
)
_OURS = m.SimpleStatementLine(
    [m.ImportFrom(module=m.Name("compat"), relative=[], names=[m.AtLeastN(m.ImportAlias(asname=None), n=1)], lpar=None)]
)


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
        lost = _comments(original)
        for comment in _comments(updated):
            if comment in lost:
                lost.remove(comment)
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


def remove_shim_calls(
    module: Module, edits: Edits, rewritten: Collection[cst.Call], *, all_gone: bool
) -> tuple[list[Change], list[Left]]:
    """Take the shim out of a module, if all that it could answer is gone.

    Args:
        module: the module.
        edits: where to put the changes.
        rewritten: the calls that are gone.
        all_gone: whether no use of the old interface is left.
    """
    calls = [call for call in module.all(cst.Call) if module.dotted(call.func) in _ENTRANCES]
    if not calls:
        return [], []
    reason = _reason(module, calls, rewritten, all_gone)
    if reason:
        return [], [Left(module.line(call), reason, _BY_HAND, False) for call in calls]
    statements = [statement for call in calls if isinstance(statement := module.parent(call), cst.Expr)]
    for statement in (*statements, *only_read_by(module, statements)):
        edits.remove(statement)
    return [Change(module.line(call), f"{module.code(call.func)} is not needed") for call in calls], []


def _reason(module: Module, calls: Collection[cst.Call], rewritten: Collection[cst.Call], all_gone: bool) -> str:
    """Why the shim may still be needed; empty where it is not."""
    if not all_gone:
        return "old calls are left in this file"
    if any(not isinstance(module.parent(call), cst.Expr) for call in calls):
        return "what it returns is used"
    strange = [name for name in _imports(module) if name not in sys.stdlib_module_names | {"compat", "requests"}]
    if strange:
        return f"`{strange[0]}`, which is imported here, may make old calls"
    sends = {each.call for each in sends_of(Program([module]), module)}
    for call in module.all(cst.Call):
        may_send = call in sends or m.matches(call.func, m.Attribute(attr=_SENDING))
        if may_send and call not in (*rewritten, *calls):
            return f"line {module.line(call)} may make an old call"
    return ""


def _imports(module: Module) -> list[str]:
    """The packages that a module imports, a dot for one of its own."""
    names: list[str] = []
    for node in module.nodes:
        if isinstance(node, cst.Import):
            names += [alias.evaluated_name for alias in node.names]
        elif isinstance(node, cst.ImportFrom):
            names.append("." if node.relative else module.code(node.module or node))
    return [name.partition(".")[0] or "." for name in names]


def only_read_by(
    module: Module, gone: Sequence[cst.CSTNode], *, keep_reads: bool = False
) -> list[cst.BaseSmallStatement]:
    """The assignments whose names nothing reads but what is gone, and each other.

    With ``keep_reads`` what the module itself reads of the environment stays: it ends where that is missing.
    """
    found: list[cst.BaseSmallStatement] = []
    waiting = list(gone)
    while waiting:
        for name in inside(waiting.pop(), cst.Name):
            bindings = module.bindings(name)
            statements = [_plain_assignment(module, binding, keep_reads) for binding in bindings]
            reads = [access.node for each in bindings if isinstance(each, Assignment) for access in each.references]
            own = [each for each in statements if each is not None and each not in found]
            dead = (*gone, *found, *own)
            if None not in statements and all(any(module.within(read, each) for each in dead) for read in reads):
                waiting += own
                found += own
    return found


def _plain_assignment(module: Module, binding: BaseAssignment, keep_reads: bool) -> cst.BaseSmallStatement | None:
    """The statement of a binding, where nothing but the value of it counts, and nobody may import it."""
    holder = module.parent(binding.node) if isinstance(binding, Assignment) else None
    value = holder.value if isinstance(holder, cst.AugAssign) else module.assigned(binding)
    is_outer = module.is_module_level(binding)
    reads = value is not None and m.findall(value, m.Subscript(value=m.Attribute(attr=m.Name("environ"))))
    if value is None or (is_outer and (binding.name.isupper() or (keep_reads and reads))):
        return None
    statement = module.enclosing(value, cst.Assign, cst.AnnAssign, cst.AugAssign)
    is_alone = statement is not None and isinstance(module.parent(statement), cst.SimpleStatementLine)
    return statement if is_alone and is_idle(module, value) else None


def is_idle(module: Module, node: cst.CSTNode, depth: int = 0) -> bool:
    """Whether nothing but the value of an expression, or of a function's calls, counts."""
    acts = m.Await() | m.Yield() | m.NamedExpr() | m.Global() | m.Nonlocal() | m.Raise() | m.With() | m.Del()
    if depth > _DEEPEST or m.findall(node, acts):
        return False
    if isinstance(node, cst.FunctionDef):
        targets: Iterator[cst.AssignTarget | cst.AugAssign] = inside(node, cst.AssignTarget, cst.AugAssign)
        defaults = (each.default for each in node.params.params if each.default is not None)
        plain = (cst.Name, cst.SimpleString, cst.BaseNumber)
        if node.decorators or not all(isinstance(each.target, cst.Name) for each in targets):
            return False
        if not all(isinstance(each, plain) for each in defaults):
            return False
    return all(_only_makes(module, call, depth) for call in inside(node, cst.Call))


def _only_makes(module: Module, call: cst.Call, depth: int) -> bool:
    dotted = module.dotted(call.func)
    if dotted:
        package, _, name = dotted.partition(".")
        return dotted.startswith(_MAKING) or (package == "builtins" and name in _MAKING_BUILTINS)
    function = module.called(call)
    if function is not None:
        return is_idle(module, function, depth + 1)
    # A session, too, has a get.
    is_item = m.matches(call, m.Call(m.Attribute(attr=m.Name("get")), [_ITEM, m.ZeroOrOne(m.Arg())]))
    return is_item or (isinstance(call.func, cst.Attribute) and call.func.attr.value in _METHODS)


def with_imports(tree: cst.Module, imported: Collection[str], others: Collection[tuple[str, str]] = ()) -> cst.Module:
    """The module with names of ``compat`` and of other modules of the program imported, behind its imports."""
    body = list(tree.body)
    place = len(list(takewhile(lambda each: m.matches(each, _HEAD), body)))
    own = next((number for number, each in enumerate(body) if m.matches(each, _OURS)), None)
    lines = [f"from {module} import {name}" for module, name in others]
    if imported and own is not None:
        line = cst.ensure_type(body[own], cst.SimpleStatementLine)
        found = cst.ensure_type(line.body[0], cst.ImportFrom)
        had = {alias.evaluated_name for alias in inside(found, cst.ImportAlias)}
        names = [cst.ImportAlias(cst.Name(name)) for name in sorted({*had, *imported})]
        body[own] = line.with_changes(body=[found.with_changes(names=names)])
    elif imported:
        lines.insert(0, f"from compat import {', '.join(sorted(imported))}")
    body[place:place] = [cst.parse_statement(line) for line in lines]
    return tree.with_changes(body=body)


def without_unused_imports(before: Module, tree: cst.Module) -> cst.Module:
    """The module without the imports that were used before and are not now."""
    # Importing a package of one's own may do something by itself.
    was_used = {name for name, used in _imported(before).items() if used and _only_gives_names(before, name)}
    after = Module(tree.code)
    unused = {name for name, used in _imported(after).items() if not used and name in was_used | _old_names(after)}
    if not unused:
        return after.tree
    edits = Edits()
    statements: Iterator[cst.Import | cst.ImportFrom] = after.all(cst.Import, cst.ImportFrom)
    for statement in statements:
        # One that may fail is followed by what is done then.
        if isinstance(statement.names, cst.ImportStar) or after.enclosing(statement, cst.Try):
            continue
        rest = [alias for alias in statement.names if _bound_name(alias) not in unused]
        if not rest:
            edits.remove(statement)
        elif len(rest) < len(statement.names):
            rest[-1] = rest[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
            edits.replace(statement, lambda updated, names=tuple(rest): updated.with_changes(names=names))  # type: ignore[misc]
    return edits.apply(after)


def _only_gives_names(module: Module, name: str) -> bool:
    packages = {each.partition(".")[0] for each in module.exported(name)}
    return packages <= sys.stdlib_module_names | {"requests", "urllib3", "compat"}


def _imported(module: Module) -> dict[str, bool]:
    """Name to whether it is used, of what the module imports at its top level."""
    scope = module.scope(module.tree)
    found = [each for each in scope.assignments if isinstance(each, ImportAssignment)] if scope is not None else []
    return {each.name.partition(".")[0]: bool(each.references) for each in found}


def _old_names(module: Module) -> set[str]:
    """What the module calls the old client and its pages."""
    aliases = (alias for statement in module.all(cst.ImportFrom) for alias in inside(statement, cst.ImportAlias))
    return {_bound_name(alias) for alias in aliases if alias.evaluated_name in ("ExamStudentsClient", "StudentsPage")}


def _bound_name(alias: cst.ImportAlias) -> str:
    bound = alias.evaluated_alias or alias.evaluated_name
    return bound.partition(".")[0]
