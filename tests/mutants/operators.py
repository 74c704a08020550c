"""The one-token changes: cosmic-ray's operators, and one for the letters and digits of strings."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from cosmic_ray.operators.operator import Example, Operator
from cosmic_ray.plugins import get_operator

_BODY = re.compile(r"([a-zA-Z]*(\"\"\"|'''|\"|'))(.*)(\2)", re.DOTALL)
_SENTENCE = re.compile(r"\b[a-z]+,? [a-z]+,? [a-z]+\b")
_CHANGEABLE = re.compile(r"(?<!\\)[A-Za-z0-9]")
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_FSTRING = "fstring"
_PUNCTUATION = {*".,:()[]{}=@;", "->", "def", "return", "import", "from", "class", "self"}

Position = tuple[int, int]

# One change per operator: with all of cosmic-ray's 200, a token of a comparison would be drawn as
# often as ten strings, and `a < b` has six changes that the same test notices.
# ExceptionReplacer fails on a dotted name, `except errors.Missing`.
_OF_COSMIC_RAY = (
    *("ReplaceBinaryOperator_" + pair for pair in ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul")),
    *("ReplaceBinaryOperator_" + pair for pair in ("FloorDiv_Mul", "BitOr_BitAnd", "BitAnd_BitOr")),
    *("ReplaceComparisonOperator_" + pair for pair in ("Eq_NotEq", "NotEq_Eq", "Lt_LtE", "LtE_Lt")),
    *("ReplaceComparisonOperator_" + pair for pair in ("Gt_GtE", "GtE_Gt", "Is_IsNot", "IsNot_Is")),
    *("ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_USub_UAdd", "AddNot"),
    *("ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak"),
    *("NumberReplacer", "RemoveDecorator", "ZeroIterationForLoop"),
)


class StringReplacer(Operator):
    """Changes one letter or digit of a string: a host, a key, a CIDR, a type token.

    A neighbour of the same class takes its place, so that what has a form has it afterwards too.
    Docstrings and sentences are left out: people read them, no program does.
    """

    def mutation_positions(self, node: Any) -> Any:
        """One position per possible change, all of them the string's own."""
        if node.type in ("string", "fstring_string") and not _for_people(node):
            for _ in _changed(_parts(node)[1]):
                yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        """The string with the change of this number."""
        before, body, after = _parts(node)
        node.value = before + _changed(body)[index] + after
        return node

    @classmethod
    def examples(cls) -> Any:
        """What it does."""
        return (
            Example("x = '10.0'", "x = '20.0'"),
            Example("x = '10.0'", "x = '11.0'", occurrence=1),
            Example("x = 'z9'", "x = 'y9'"),
            Example("x = 'z9'", "x = 'z8'", occurrence=1),
            Example("x = r'\\d,a'", "x = r'\\d,b'"),
            Example("x = ', '", "x = ''"),
            Example("x = ''", "x = 'mutant'"),
            Example("x = f'kf-{name}'", "x = f'lf-{name}'"),
        )


@cache
def operators() -> dict[str, Any]:
    """Every operator by its name."""
    return {
        "StringReplacer": StringReplacer(),
        **{name: get_operator(f"core/{name}")() for name in _OF_COSMIC_RAY},
    }


def can_change(node: Any) -> bool:
    """Whether a node is more than a name or a comma, which no operator changes."""
    return node.type == "fstring_string" or (
        node.type not in ("name", "newline", "endmarker")
        and getattr(node, "value", "") not in _PUNCTUATION
    )


def never_executed(node: Any) -> bool:
    """Whether a token that looks like an operator is an annotation's ``|``, or a bare ``*``."""
    child, parent = node, node.parent
    if node.type != "operator" or parent is None:
        return False
    if parent.type in ("parameters", "lambdef"):
        return True
    while parent is not None:
        if parent.type == "annassign" and child is parent.children[1]:
            return True
        if parent.type == "tfpdef" or (
            parent.type == "funcdef" and child is getattr(parent, "annotation", None)
        ):
            return True
        child, parent = parent, parent.parent
    return False


def _parts(node: Any) -> tuple[str, str, str]:
    """What opens a string, what stands in it, and what closes it."""
    if node.type == "fstring_string":
        return "", node.value, ""
    found = _BODY.fullmatch(node.value)
    assert found is not None, node
    return found[1], found[3], found[4]


def _changed(body: str) -> list[str]:
    places = [found.start() for found in _CHANGEABLE.finditer(body)]
    if not places:
        return [""] if body else ["mutant"]
    return [body[:at] + _neighbour(body[at]) + body[at + 1 :] for at in places]


def _neighbour(character: str) -> str:
    return {"z": "y", "Z": "Y", "9": "8"}.get(character) or chr(ord(character) + 1)


def _for_people(node: Any) -> bool:
    whole = node
    while whole.parent.type in (_FSTRING, "strings"):
        whole = whole.parent
    if whole.parent.type == "simple_stmt":
        return True
    statement = whole.search_ancestor("expr_stmt")
    if statement is not None and statement.children[0].get_code(include_prefix=False) == "__all__":
        return True
    text = _PLACEHOLDER.sub("x", whole.get_code())
    return _SENTENCE.search(re.sub(r"[\s\"']+", " ", text)) is not None
