"""What signed the old calls by hand goes, where nothing else can need it: ``StudentSessionsHTTP`` signs by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress

import libcst as cst
import libcst.matchers as m

from compat.migration.codemod.edits import Edits, is_idle, only_read_by, without_unused_imports
from compat.migration.codemod.sends import HMACS, NEW
from compat.migration.program.definitions import Program, bind
from compat.migration.program.flow import Sources, sources
from compat.migration.program.module import Module, Unsure, inside
from compat.migration.scan.rules import ACTIONS
from compat.processes import cached_property

__all__ = ["new_sends", "without_signing"]

_NAMES = frozenset(("timestamp", "nonce", "signature"))
_ROUTE = re.compile(rf"student_sessions|(?:{'|'.join(ACTIONS)})\b")
_DEEPEST = 4
_VALUED = (cst.Assign, cst.DictElement, cst.Arg)
_LOOKING: dict[type[cst.CSTNode], str] = {
    **dict.fromkeys((cst.If, cst.While, cst.IfExp, cst.CompIf), "test"),
    cst.For: "iter",
    cst.CompFor: "iter",
    cst.Match: "subject",
    cst.Index: "value",
    **dict.fromkeys((cst.Call, cst.Comparison), ""),
}
"""What may see what is in a value, and the attribute that holds it; of the last two all parts do."""
_Removed = cst.BaseSmallStatement | cst.FunctionDef | cst.DictElement | cst.Arg


def without_signing(code: str) -> str:
    """A module that no other imports, without its signing; as it was where that may be of use or be seen."""
    module = Module(code)
    signing = _Signing(module)
    if not signing.is_needless():
        return code
    tree = without_unused_imports(module, signing.edits().apply(module))
    return _without_hollow_functions(tree.code, signing.functions)


def new_sends(module: Module) -> list[cst.Call]:
    """The calls through ``StudentSessionsHTTP``; what makes one and does not call it is in their place."""
    found: list[cst.Call] = []
    for made in module.all(cst.Call):
        if module.dotted(made.func) in NEW:
            above: cst.CSTNode | None = module.parent(made)
            while isinstance(above, cst.Attribute):
                above = module.parent(above)
            found.append(above if isinstance(above, cst.Call) and module.within(made, above.func) else made)
    return found


class _Signing:
    """What signs in a module, and whether anything else has to do with it."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._program = Program([module])
        self._sends = new_sends(module)
        self._parts = list(self._found())
        self._gone: list[_Removed] = [*self._parts, *only_read_by(module, self._parts, keep_reads=True)]
        self._gone += self._unused_functions()

    def is_needless(self) -> bool:
        """Whether nobody would see that it is gone."""
        module = self._module
        told = [node for node in module.all(cst.SimpleString) if node.raw_value in _NAMES]
        named = [node for node in module.all(cst.Arg) if _is_named(node)]
        signs = [call for call in module.all(cst.Call) if module.dotted(call.func) in HMACS]
        return (
            bool(signs and self._sends)
            # Whoever begins a row of random numbers goes on with the next one.
            and not re.search(r"\bseed\b", module.tree.code)
            and all(self._is_gone(node) for node in (*told, *named, *signs))
            and all(self._asks_only_sessions(send) for send in self._sends)
            and self._is_sent()
            and not any(value in self._flow(node).nodes for node in self._lookers() for value in self._values)
        )

    def _found(self) -> Iterator[_Removed]:
        """Where the three parameters are put among the others."""
        module = self._module
        for assign in module.all(cst.Assign):
            target = assign.targets[0].target
            places = [each.value for each in target.elements] if isinstance(target, cst.Tuple) else [target]
            is_alone = len(assign.targets) == 1 and isinstance(module.parent(assign), cst.SimpleStatementLine)
            if is_alone and all(map(_is_item, places)) and self._is_idle(assign.value):
                yield assign
        for element in module.all(cst.DictElement):
            if isinstance(element.key, cst.SimpleString) and element.key.raw_value in _NAMES:
                yield from [element] if self._is_idle(element.value) else []
        for call in module.all(cst.Call):
            if module.dotted(call.func) == "builtins.dict" or m.matches(call.func, m.Attribute(attr=m.Name("update"))):
                given = [each for each in call.args if _is_named(each) and self._is_idle(each.value)]
                statement = module.parent(call)
                is_all = bool(given) and len(given) == len(call.args)
                yield from [statement] if is_all and isinstance(statement, cst.Expr) else given

    def _is_idle(self, value: cst.CSTNode) -> bool:
        """Whether evaluating it does nothing: what it reads of the environment is still read, for the key."""
        read = m.findall(value, m.Subscript(value=m.Attribute(value=m.Name("os"), attr=m.Name("environ"))))
        keys = " ".join(self._module.code(send.func) for send in self._sends)
        return all(self._module.code(each) in keys for each in read) and is_idle(self._module, value)

    def _unused_functions(self) -> Iterator[cst.FunctionDef]:
        """The module's functions that only what is gone calls, the outer ones first."""
        found: list[cst.FunctionDef] = []
        waiting = [each for each in self._module.tree.body if isinstance(each, cst.FunctionDef)]
        for each in (*reversed(waiting), *waiting):
            uses = self._module.uses(each)
            used = any(not self._is_gone(use) and not any(self._module.within(use, f) for f in found) for use in uses)
            if each not in found and uses and not used and self._is_idle(each):
                found.append(each)
        yield from found

    def _is_gone(self, node: cst.CSTNode) -> bool:
        return any(above in self._gone for above in (node, *self._module.above(node)))

    def _asks_only_sessions(self, send: cst.Call) -> bool:
        """Whether a call never goes to another route, which would want a signature."""
        urls = [each.value for each in send.args if each.keyword is None or each.keyword.value == "url"]
        return any(self._names_route(each, 0) for each in urls)

    def _names_route(self, node: cst.BaseExpression, depth: int) -> bool:
        """Whether a text names a route, and is not one of several."""
        module = self._module
        if depth > _DEEPEST or m.findall(node, m.OneOf(m.IfExp(), m.BooleanOperation(), m.Dict(), m.Lambda())):
            return False
        if _ROUTE.search(module.code(node)):
            return not (depth and isinstance(node, cst.List | cst.Tuple | cst.Set))
        values = [(name, module.value(name)) for name in inside(node, cst.Name) if len(module.bindings(name)) == 1]
        return any(
            self._names_route(value, depth + 1) if value is not None else self._is_given_route(name, depth)
            for name, value in values
        )

    def _is_given_route(self, name: cst.Name, depth: int) -> bool:
        """Whether a name is a parameter that every call gives a route."""
        module, parameter = self._module, getattr(self._module.bindings(name)[0], "node", None)
        function = module.function(name)
        if not isinstance(parameter, cst.Param) or function is None or module.function(parameter) is not function:
            return False
        with suppress(Unsure):
            given = [bind(call, function).get(name.value) for call in module.calls(function) or ()]
            return bool(given) and all(each is not None and self._names_route(each, depth + 1) for each in given)
        return False

    def _lookers(self) -> Iterator[cst.BaseExpression]:
        """Whatever may see what is in a value: calls that are not ours, comparisons, loops, and what was asked."""
        module = self._module
        for node in module.nodes:
            if type(node) not in _LOOKING or node in self._sends or self._is_gone(node):
                continue
            if isinstance(node, cst.Call):
                adds = m.matches(node.func, m.Attribute(m.Name(), m.Name("update")))
                if not adds and not self._program.named(module, node.func) and not is_idle(module, node):
                    yield from (each.value for each in node.args)
            elif isinstance(node, cst.Comparison):
                yield from (node.left, *(each.comparator for each in node.comparisons))
            else:
                yield getattr(node, _LOOKING[type(node)])

    def _flow(self, *values: cst.BaseExpression) -> Sources:
        return sources(self._program, self._module, *values, stop=self._sends)

    def _is_sent(self) -> bool:
        """Whether all of it goes into the calls."""
        flow = self._flow(*(each.value for send in self._sends for each in send.args))
        # What is given to several at once is not followed; the signature, which goes with it, is.
        return all(value in flow.nodes or isinstance(value, cst.Tuple) for value in self._values)

    @cached_property
    def _values(self) -> list[cst.BaseExpression]:
        """What the three parameters are given."""
        calls = [each.value for each in self._parts if isinstance(each, cst.Expr)]
        inner = [arg.value for call in calls for arg in cst.ensure_type(call, cst.Call).args]
        return [*(each.value for each in self._parts if isinstance(each, _VALUED)), *inner]

    @property
    def functions(self) -> set[str]:
        """The names of the functions that signed."""
        around = [self._module.function(each) for each in self._gone]
        return {each.name.value for each in around if each is not None}

    def edits(self) -> Edits:
        """The changes."""
        edits = Edits()
        for each in self._gone:
            if isinstance(each, cst.BaseSmallStatement | cst.FunctionDef):
                edits.remove(each)
        for holder in self._module.nodes:
            items = holder.elements if isinstance(holder, cst.Dict) else getattr(holder, "args", ())
            if any(each in self._gone for each in items):
                edits.replace(holder, _without([each in self._gone for each in items]))
        return edits


def _is_named(argument: cst.Arg) -> bool:
    return argument.keyword is not None and argument.keyword.value in _NAMES


def _is_item(node: cst.CSTNode) -> bool:
    """Whether a node is ``name["signature"]``, or the like."""
    name = m.SimpleString(m.MatchRegex(rf"[\"'](?:{'|'.join(sorted(_NAMES))})[\"']"))
    return m.matches(node, m.Subscript(m.Name(), [m.SubscriptElement(m.Index(name))]))


def _without(gone: Sequence[bool]) -> Callable[..., cst.BaseExpression]:
    """What leaves some elements or arguments out; the last one ends as the last one did."""

    def shortened(updated: cst.Dict | cst.Call) -> cst.BaseExpression:
        name = "elements" if isinstance(updated, cst.Dict) else "args"
        items = list(getattr(updated, name))
        kept = [each for each, goes in zip(items, gone, strict=True) if not goes]
        if kept:
            kept[-1] = kept[-1].with_changes(comma=items[-1].comma)
        return updated.with_changes(**{name: kept})

    return shortened


def _without_hollow_functions(code: str, names: Collection[str]) -> str:
    """The module without those functions that, now, only return what they get: it stands where they are called."""
    module, edits = Module(code), Edits()
    for function in module.all(cst.FunctionDef):
        calls = (module.calls(function) if function.name.value in names else None) or []
        made = [given for call in calls if (given := _given(module, function, call))]
        if made and len(made) == len(calls) and not function.decorators and not function.asynchronous:
            edits.remove(function)
            for call, given in zip(calls, made, strict=True):
                edits.replace(call, given)
                line = module.parent(call)
                if isinstance(line, cst.Assign) and re.fullmatch(r"(\w+) = \w+\(\1\b.*", module.code(line)):
                    edits.remove(line)
    return without_unused_imports(module, edits.apply(module)).code if edits.removed else code


def _given(module: Module, function: cst.FunctionDef, call: cst.Call) -> Callable[..., cst.BaseExpression] | None:
    """What makes of a call what its function, which only returns a parameter or a copy of it, gets for that."""
    copied = m.OneOf(m.Call(m.Name("dict"), [m.Arg(m.Name(), keyword=None)]), m.Dict([m.StarredDictElement()]))
    lines = [m.Expr(m.SimpleString()), m.Assign([m.AssignTarget(m.Name())], value=copied)]
    ended = m.SimpleStatementLine([m.Return(value=m.OneOf(m.Name(), copied))])
    body = m.IndentedBlock([*(m.ZeroOrOne(m.SimpleStatementLine([each])) for each in lines), ended])
    names = {each.value for each in inside(function.body, cst.Name)} - {"dict"}
    idle = all(is_idle(module, each) and each.star != "*" for each in call.args)
    if not m.matches(function.body, body) or len(names) != 1 or not idle:
        return None
    plain, rest = function.params.params, function.params.star_kwarg
    own = {each.name.value for each in (*plain, *function.params.kwonly_params)}
    if rest is not None and {rest.name.value} == names:
        kept = [each.star == "**" or (each.keyword is not None and each.keyword.value not in own) for each in call.args]
        shortened = _without([not each for each in kept])
        return lambda updated: shortened(updated.with_changes(func=cst.Name("dict")))
    place = next((number for number, each in enumerate(plain) if {each.name.value} == names), len(call.args))
    if place >= len(call.args) or any(each.keyword or each.star for each in call.args[: place + 1]):
        return None
    first, holder = call.args[place].value, module.parent(call)
    if isinstance(holder, cst.Arg) or isinstance(first, cst.Dict) or not m.findall(function.body, copied):
        return lambda updated: updated.args[place].value
    return lambda updated: cst.Call(cst.Name("dict"), [cst.Arg(updated.args[place].value)])
