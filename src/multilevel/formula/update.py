"""Change a formula as R's `update()` does: `. ~ . + x` keeps both sides and adds a term."""

from __future__ import annotations

import re

from multilevel.errors import FormulaError

_OPENING, _CLOSING = "([{", ")]}"
_LONE_DOT = re.compile(r"(?<![\w.`])\.(?![\w.`])")


def update_formula(old: str, new: str) -> str:
    """Formula text in which each dot of `new` stands for that side of `old`; `- term` takes a term away.

    >>> update_formula("y ~ a + b + (1 | g)", ". ~ . - b + log(c)")
    'y ~ a + (1 | g) + log(c)'
    """
    old_left, old_right = _sides(old)
    new_left, new_right = _sides(new)
    left = old_left if new_left == "." else new_left
    terms: list[tuple[str, str]] = []
    for sign, term in signed_terms(new_right):
        _refuse_buried_dot(term, new)
        replacement = signed_terms(old_right) if term == "." else [(sign, term)]
        terms = _with_terms(terms, replacement, new)
    return f"{left} ~ {_join(terms)}"


def signed_terms(right: str) -> list[tuple[str, str]]:
    """Split a right-hand side at the plus and minus signs outside brackets and quotes."""
    terms: list[tuple[str, str]] = []
    sign, start = "+", 0
    for position in [*_signs(right), len(right)]:
        term = " ".join(right[start:position].split())
        if term:
            terms.append((sign, term))
        sign, start = right[position : position + 1], position + 1
    return terms


def _signs(text: str) -> list[int]:
    """Positions of the plus and minus signs that separate terms."""
    positions, depth, quote = [], 0, ""
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "`'\"":
            quote = character
        elif character in "+-" and depth == 0:
            positions.append(position)
        depth += (character in _OPENING) - (character in _CLOSING) if not quote else 0
    return positions


def _sides(formula: str) -> tuple[str, str]:
    left, tilde, right = formula.partition("~")
    if not tilde:
        raise FormulaError(f"'{formula}' has no '~'; write changes as '. ~ . + x', a dot for what stays.")
    return left.strip() or ".", right.strip()


def _with_terms(
    terms: list[tuple[str, str]], added: list[tuple[str, str]], text: str
) -> list[tuple[str, str]]:
    for sign, term in added:
        known = [_key(each) for _, each in terms]
        if sign == "-" and term == "1":  # the intercept is implied, so its removal must stay written
            terms = [*(each for each in terms if each[1] != "1"), (sign, term)]
        elif sign == "-" and _key(term) in known:
            terms = [each for each in terms if _key(each[1]) != _key(term)]
        elif sign == "-" and "|" in term:
            raise FormulaError(f"'{text}' takes away {term}, which the formula does not have.")
        else:
            terms = [*terms, (sign, term)]
    return terms


def _refuse_buried_dot(term: str, text: str) -> None:
    if term != "." and _LONE_DOT.search(term):
        raise FormulaError(
            f"in '{text}' a dot may only stand alone, as in '. + x'; write '{term}' out in full."
        )


def _key(term: str) -> str:
    """A term without its blanks, to compare."""
    return "".join(term.split())


def _join(terms: list[tuple[str, str]]) -> str:
    if not terms:
        return "1"
    (sign, first), *rest = terms
    head = first if sign == "+" else f"-{first}"
    return " ".join([head, *(f"{sign} {term}" for sign, term in rest)])
