"""Which argument of a call each parameter of a function gets."""

from __future__ import annotations

from dataclasses import dataclass, field

import libcst as cst

from compat.migration.program.module import Unsure

__all__ = ["Bound", "bind", "keyword", "positional_or_keyword"]

_NAMED = "give each argument by itself"


@dataclass(frozen=True)
class Bound:
    """What the parameters of a function get in one call.

    Attributes:
        values: parameter to expression; a default where the call gives none.
        rest: what goes into the parameter of the form ``**rest``.
        rest_name: that parameter, or empty.
    """

    values: dict[str, cst.BaseExpression]
    rest: dict[str, cst.BaseExpression] = field(default_factory=dict)
    rest_name: str = ""


def bind(call: cst.Call, function: cst.FunctionDef) -> Bound:
    """Tie a call's arguments to the function's parameters.

    Raises:
        Unsure: an argument is starred, or fits no parameter.
    """
    parameters = function.params
    if isinstance(parameters.star_arg, cst.Param):
        raise Unsure(f"{function.name.value} takes any number of arguments", _NAMED, call)
    plain = [*parameters.posonly_params, *parameters.params]
    every = [*plain, *parameters.kwonly_params]
    values: dict[str, cst.BaseExpression] = {each.name.value: each.default for each in every if each.default}
    rest: dict[str, cst.BaseExpression] = {}
    names = {each.name.value for each in every}
    for place, argument in enumerate(call.args):
        if argument.star:
            raise Unsure("arguments are passed on by a star", _NAMED, call)
        if argument.keyword is None:
            if place >= len(plain):
                raise Unsure(f"{function.name.value} is called with too many arguments", _NAMED, call)
            values[plain[place].name.value] = argument.value
        elif argument.keyword.value in names:
            values[argument.keyword.value] = argument.value
        else:
            rest[argument.keyword.value] = argument.value
    starred = parameters.star_kwarg
    if rest and starred is None:
        raise Unsure(f"{function.name.value} is called with an argument that it does not take", _NAMED, call)
    return Bound(values, rest, starred.name.value if starred else "")


def keyword(call: cst.Call, name: str) -> cst.BaseExpression | None:
    """A call's argument of that name."""
    return next((each.value for each in call.args if each.keyword and each.keyword.value == name), None)


def positional_or_keyword(call: cst.Call, place: int, name: str) -> cst.BaseExpression | None:
    """A call's argument at a place, or of a name."""
    plain = [each.value for each in call.args if each.keyword is None]
    return plain[place] if place < len(plain) else keyword(call, name)
