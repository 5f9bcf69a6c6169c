"""A declaration that says too little, or something that is not so, is refused where it is read: at import."""

from __future__ import annotations

import pytest
from marshmallow import Schema, fields

from compat.schemas.fields import Integer, String
from compat.schemas.rules import Constant, Exact, Rule, SessionOnly, SessionText
from compat.schemas.student import check_declaration


class Session(Schema):
    id = String()
    own = String(SessionOnly())


def student(**declared: fields.Field) -> type[Schema]:
    return Schema.from_dict(dict(declared), name="Student")


def test_what_fits_is_read_in_its_order() -> None:
    declared = check_declaration(student(b=String(SessionText("id")), a=Integer(Constant(1))), Session)
    assert list(declared) == ["b", "a"]


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        ({"a": String()}, "Student.a says nothing of the session: give it a rule"),
        ({"a": fields.String()}, "Student.a says nothing of the session: give it a rule"),
        ({"a": String(SessionText("ID"))}, "Student.a: Session has no field 'ID'"),
        ({"a": String(Exact("id")), "b": String(Exact("id"))}, "Student: a and b both claim 'id'"),
        ({"a": Integer(Constant("1"))}, "Student.a: '1' is not an integer"),
        ({"a": Integer(Constant(1))}, "Session.id is known to no legacy field: give it a SessionOnly rule"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(declared: dict[str, fields.Field], text: str) -> None:
    with pytest.raises(TypeError) as caught:
        check_declaration(student(**declared), Session)
    assert str(caught.value) == text


def test_rules_are_data() -> None:
    rule: Rule = Exact("id")
    assert rule == Exact("id")
    assert hash(rule) == hash(Exact("id"))
    assert rule != Exact("own")
    with pytest.raises(AttributeError):
        rule.source = "own"  # type: ignore[attr-defined]
