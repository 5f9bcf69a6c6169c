"""Calls of the deprecated routes through ``requests``, signed by hand, become calls of the new client."""

from __future__ import annotations

from dataclasses import dataclass, field

import libcst as cst

from compat.migration.codemod.additions import client_code, free_name
from compat.migration.codemod.answers import Answers, Flow, demand_same_end
from compat.migration.codemod.credentials import Credentials, find_credentials
from compat.migration.codemod.edits import Edits
from compat.migration.codemod.parameters import Given, Parameters
from compat.migration.codemod.results import Change, Left
from compat.migration.codemod.sent_calls import NEW_METHODS, SentCall, in_lines, new_call, sent_calls
from compat.migration.codemod.sweep import sweep
from compat.migration.program.definitions import Program
from compat.migration.program.module import Module, Unsure
from compat.migration.scan.text_uses import route_in

__all__ = ["RequestsRewrite"]

_BY_HAND = "call page, get, create or delete of a StudentSessionsClient here"


@dataclass
class _Plan:
    call: SentCall
    credentials: Credentials
    arguments: list[str]
    kept: list[cst.CSTNode]
    flow: Flow


@dataclass
class RequestsRewrite:
    """What becomes of the calls through ``requests`` in one module.

    Attributes:
        program: its first module is the one.
        edits: the changes.
        changes: what they are, for people.
        left: what is not changed.
        client: the code that makes the client; empty where none is needed.
        names: the module's names in it.
        touched: nodes in whose lines no old call is left.
        refused: call to why it stays.
    """

    program: Program
    edits: Edits = field(default_factory=Edits)
    changes: list[Change] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    client: str = ""
    names: frozenset[str] = frozenset()
    touched: list[cst.CSTNode] = field(default_factory=list)
    refused: dict[cst.Call, Unsure] = field(default_factory=dict)

    @property
    def module(self) -> Module:
        """The module that is rewritten."""
        return self.program.modules[0]

    def run(self) -> None:
        """Plan the changes."""
        plans = [plan for node, read in sent_calls(self.module) if (plan := self._planned(node, read)) is not None]
        plans = self._with_all_they_need(plans)
        plans = self._with_one_client(plans)
        if plans:
            self._apply(plans)

    def _planned(self, node: cst.Call, read: SentCall | Unsure) -> _Plan | None:
        try:
            if isinstance(read, Unsure):
                raise read
            return self._plan(read)
        except Unsure as unsure:
            self.refused[node] = unsure
            return None

    def _plan(self, call: SentCall) -> _Plan:
        self._untouched_library()
        demand_same_end(self.module, call.node)
        sent = Parameters(self.module).at(call.parameters) if call.parameters is not None else Given()
        arguments, kept = new_call(self.module, call, sent)
        flow = Answers(self.module).flow(call.node, call.action)
        for statement in flow.edits.removed:
            if not isinstance(self.module.parent(statement), cst.SimpleStatementLine):
                raise Unsure("a statement shares its line with the head of its block", _BY_HAND, statement)
        return _Plan(call, find_credentials(self.program, call.base), arguments, kept, flow)

    def _untouched_library(self) -> None:
        for target in self.module.all(cst.AssignTarget):
            if self.module.dotted(target.target).startswith("requests."):
                raise Unsure("the script changes requests itself", "undo that first", target)

    def _with_all_they_need(self, plans: list[_Plan]) -> list[_Plan]:
        """Only plans whose answers go where nothing but such answers go."""
        while True:
            answers = {node: plan.call.action for plan in plans for node in plan.flow.answers}
            kept = []
            for plan in plans:
                strange = [node for node in plan.flow.others if answers.get(node) != plan.call.action]
                if strange:
                    told = self.module.code(strange[0]).partition("\n")[0]
                    self.refused[plan.call.node] = Unsure(f"`{told}` goes where the answer goes", _BY_HAND, strange[0])
                else:
                    kept.append(plan)
            if len(kept) == len(plans):
                return plans
            plans = kept

    def _with_one_client(self, plans: list[_Plan]) -> list[_Plan]:
        if not plans:
            return plans
        first = plans[0].credentials
        for plan in plans:
            if plan.credentials != first:
                self.refused[plan.call.node] = Unsure("this call has another base URL than the first", _BY_HAND)
        return [plan for plan in plans if plan.credentials == first]

    def _apply(self, plans: list[_Plan]) -> None:
        credentials, name = plans[0].credentials, free_name(self.module)
        self.client, self.names = client_code(name, credentials), credentials.names
        reached = name if credentials.are_names else f"{name}()"
        self.edits.imported.add("StudentSessionsClient")
        gone: list[cst.CSTNode] = []
        for plan in plans:
            self.edits.take(plan.flow.edits)
            method = NEW_METHODS[plan.call.action]
            indent = self.module.start(self.module.statement(plan.call.node))[1]
            code = in_lines(f"{reached}.{method}", plan.arguments, indent)
            made = cst.parse_expression(code, self.module.tree.config_for_parsing)
            self.edits.replace(plan.call.node, lambda updated, made=made: made)  # type: ignore[misc]
            gone += [plan.call.node, *plan.flow.edits.removed]
            self.changes.append(Change(self.module.line(plan.call.node), f"{plan.call.action} → {reached}.{method}"))
        kept = {node for plan in plans for node in plan.kept} | _inner_kept(plans)
        self.edits.kept |= kept
        swept = sweep(self.module, gone, kept, self.names)
        for statement in swept.statements:
            self.edits.remove(statement)
        self.touched = [*gone, *swept.statements]
        for node in swept.unused:
            self._note_unused(node)

    def _note_unused(self, node: cst.CSTNode) -> None:
        """A function or a constant that only the old calls needed stays, since another module may import it."""
        is_function = isinstance(node, cst.FunctionDef)
        statement = node if is_function else self.module.statement(node)
        names_a_route = not is_function and route_in(self.module.code(statement)) is not None
        told = node.name.value if isinstance(node, cst.FunctionDef) else self.module.code(node)
        by_hand = "delete it, unless another module imports it"
        line, last = self.module.line(node), self.module.end(statement)[0]
        self.left.append(Left(line, f"`{told}` is not used here any more", by_hand, names_a_route, last))
        if not is_function:
            self.touched.append(statement)


def _inner_kept(plans: list[_Plan]) -> set[cst.CSTNode]:
    """The parts of values that were put together of several."""
    found: set[cst.CSTNode] = set()
    for plan in plans:
        for node in plan.kept:
            found |= {node.test, node.body, node.orelse} if isinstance(node, cst.IfExp) else set()
    return found
