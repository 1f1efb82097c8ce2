"""Change a formula as R's `update()` does: `. ~ . + x` keeps both sides and adds a term."""

from __future__ import annotations

import re
from collections.abc import Hashable

from multilevel.errors import FormulaError
from multilevel.formula.parse import parse_formula

_OPENING, _CLOSING = "([{", ")]}"
_NAME_OR_CALL = re.compile(r"[\w.]+(?:\([^()]*\))?|`[^`]*`")
_WORD = re.compile(r"`[^`]*`|[^\W\d][\w.]*")
_LONE_DOT = re.compile(r"(?<![\w.`])\.(?![\w.`])")


Signed = tuple[str, str]  # "+" or "-", and a term


def update_formula(old: str, new: str) -> str:
    """Formula text in which each dot of `new` stands for that side of `old`; `- term` takes a term away.

    Inside a term, as in `.*x`, the dot stands for the fixed effects alone: random effects stay beside it.

    >>> update_formula("y ~ a + b + (1 | g)", "log(.) ~ . - b + log(c)")
    'log(y) ~ a + (1 | g) + log(c)'
    """
    old_left, old_right = _sides(old)
    new_left, new_right = _sides(new)
    before = signed_terms(old_right)
    terms: list[Signed] = []
    for sign, term in signed_terms(new_right):
        terms = _with_terms(terms, _meant(sign, term, before, terms), new)
    return f"{_with_dot(new_left, old_left)} ~ {_join(terms)}"


def signed_terms(right: str) -> list[Signed]:
    """Split a right-hand side at the plus and minus signs outside brackets and quotes."""
    terms: list[Signed] = []
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


def _meant(sign: str, term: str, before: list[Signed], so_far: list[Signed]) -> list[Signed]:
    """What a term of the new formula asks for, its dot replaced by the terms there were before."""
    if term == ".":
        return before
    if not _LONE_DOT.search(term):
        return [(sign, term)]
    beside = [each for each in before if _stays_beside(each[1])]
    fixed = [each for each in before if each not in beside]
    return [(sign, _with_dot(term, _join(fixed))), *(each for each in beside if each not in so_far)]


def _stays_beside(term: str) -> bool:
    """Whether a term is none that others can be multiplied by: a bar, an offset, an intercept."""
    return "|" in term or term.startswith("offset(") or term in ("0", "1")


def _with_dot(text: str, meaning: str) -> str:
    """The text with its lone dots replaced, in parentheses where signs could bind otherwise."""
    if text == ".":
        return meaning
    bare = _NAME_OR_CALL.fullmatch(meaning)
    return _LONE_DOT.sub(lambda _: meaning if bare else f"({meaning})", text)


def _with_terms(terms: list[Signed], added: list[Signed], text: str) -> list[Signed]:
    for sign, term in added:
        known = [_key(each) for _, each in terms]
        if sign == "-" and term == "1":  # the intercept is implied, so its removal must stay written
            terms = [*(each for each in terms if each[1] != "1"), (sign, term)]
        elif sign == "-" and _key(term) in known:
            terms = [each for each in terms if _key(each[1]) != _key(term)]
        elif sign == "-" and term != "0" and not _is_mentioned(term, terms):
            has = ", ".join(each for plus, each in terms if plus == "+") or "none"
            raise FormulaError(f"'{text}' takes away {term}, which the formula does not have; it has {has}.")
        elif sign == "-" and "|" in term:
            raise FormulaError(f"'{text}' takes away {term}, which the formula does not have{_has(terms)}.")
        else:
            terms = [*terms, (sign, term)]
    return terms


def _is_mentioned(term: str, terms: list[Signed]) -> bool:
    """Whether something in a formula may hold a term to be taken away: `a:b` is in `a * b`."""
    if "|" in term:  # bars are compared as wholes
        return True
    names = _WORD.findall(term)
    written = {name for _, each in terms for name in _WORD.findall(each)}
    return not names or written.issuperset(names)


def _has(terms: list[Signed]) -> str:
    bars = [term for _, term in terms if "|" in term]
    return f"; it has {', '.join(bars)}" if bars else ""


def _key(term: str) -> Hashable:
    """What a term means, to compare: `a:b` is `b:a`, `(x | g)` is `(1 + x | g)`."""
    if "|" not in term:
        return frozenset("".join(term.split()).split(":"))
    return frozenset(
        (frozenset(signed_terms(bar.effects)), frozenset(bar.factor), bar.structure, bar.hom)
        for bar in parse_formula(f"y ~ {term}").bars
    )


def _join(terms: list[Signed]) -> str:
    if not terms:
        return "1"
    (sign, first), *rest = terms
    head = first if sign == "+" else f"-{first}"
    return " ".join([head, *(f"{sign} {term}" for sign, term in rest)])
