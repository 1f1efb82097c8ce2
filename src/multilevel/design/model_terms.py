"""Which terms does one side of a formula have once `*`, `/`, `^` and `-` are expanded? formulaic says."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import chain
from typing import TypeAlias

from formulaic import Formula as FormulaicFormula
from formulaic.errors import FormulaicError
from formulaic.parser.types import Factor

from multilevel.design.expressions import columns_of, plain_name
from multilevel.errors import FormulaError
from multilevel.formula.terms import Formula

Term: TypeAlias = tuple[str, ...]  # expressions whose product it is; () is the intercept


@lru_cache(maxsize=512)
def expand_terms(side: str) -> tuple[Term, ...]:
    """The terms of a formulaic right-hand side, lower orders first.

    >>> expand_terms("1 + a * b")
    ((), ('a',), ('b',), ('a', 'b'))
    """
    try:
        terms = list(FormulaicFormula(side))
    except (FormulaicError, ValueError) as error:
        problem = str(error).partition("\n")[0]
        raise FormulaError(f"'{plain_name(side)}' cannot be read: {problem}") from error
    return tuple(tuple(factor.expr for factor in _factors(term.factors, side)) for term in terms)


def formula_sides(formula: Formula) -> tuple[str, ...]:
    """The fixed part and what stands left of each bar."""
    return (formula.fixed, *(bar.effects for bar in formula.bars))


def columns_of_sides(sides: Iterable[str], available: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that right-hand sides need."""
    terms = chain.from_iterable(expand_terms(side) for side in sides)
    return columns_of_all(chain.from_iterable(terms), available)


def columns_of_all(expressions: Iterable[str], available: tuple[str, ...]) -> tuple[str, ...]:
    """The columns that expressions need; a column's name stands for itself, however it is spelled."""
    found = (
        (expression,) if expression in available else columns_of(expression, available)
        for expression in expressions
    )
    return tuple(dict.fromkeys(chain.from_iterable(found)))


def _factors(factors: tuple[Factor, ...], side: str) -> tuple[Factor, ...]:
    literal = Factor.EvalMethod.LITERAL
    if any(factor.eval_method is literal and factor.expr != "1" for factor in factors):
        raise FormulaError(f"'{plain_name(side)}' multiplies a term by a number; write I(2 * x) for that.")
    return tuple(factor for factor in factors if factor.eval_method is not literal)
