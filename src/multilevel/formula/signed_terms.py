"""Which terms does one side of a formula add up, and does it keep its intercept?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from multilevel.formula.syntax import Binary, Group, Node, Number, Unary
from multilevel.formula.translate import formula_text


@dataclass(frozen=True, slots=True)
class SignedTerm:
    """A term that is added or taken away."""

    sign: str  # "+" or "-"
    node: Node


def signed_terms(node: Node, sign: str = "+") -> Iterator[SignedTerm]:
    """The terms of a sum, with parentheses around an added sum opened."""
    match node:
        case Binary(sign="+" | "-"):
            yield from signed_terms(node.left, sign)
            yield from signed_terms(node.right, _times(sign, node.sign))
        case Unary(sign="+" | "-"):
            yield from signed_terms(node.operand, _times(sign, node.sign))
        case Group(inner=Binary(sign="+" | "-") | Group() | Number() | Unary()) if sign == "+":
            yield from signed_terms(node.inner, sign)
        case _:
            yield SignedTerm(sign, node)


def explicit_sum(terms: list[SignedTerm], source: str) -> str:
    """The terms as formulaic writes them, opened by `1` or `0` for the intercept.

    As in R an intercept is there unless taken away, and the last word counts: `0 + x`, `x - 1` and
    `-1 + x` have none, `x - 1 + 1` has one.
    """
    intercept, others = True, []
    for term in terms:
        if isinstance(term.node, Number) and term.node.digits in ("0", "1"):
            intercept = (term.node.digits == "1") == (term.sign == "+")
        else:
            others.append(f"{term.sign} {formula_text(term.node, source)}")
    return " ".join(["1" if intercept else "0", *others])


def _times(sign: str, other: str) -> str:
    return "+" if sign == other else "-"
