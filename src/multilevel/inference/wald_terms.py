"""Does each term of a generalized linear model matter? Wald's chi-square, by the marginality of terms.

With W(S) the statistic that the coefficients S are all zero, a term's test of type 2 is W(term and its
relatives) less W(relatives), its relatives being the terms that contain it: what it adds where they are
left out. Type 3 is W(term), beside everything else; where it has relatives it depends on the coding of
factors (sum contrasts make main effects averages). Type 1 leaves out the terms after it.

Fox, J. (2016). Applied Regression Analysis and Generalized Linear Models, 3rd ed., sections 8.2 and
15.3. Sage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtrc

from multilevel._typing import Array
from multilevel.design.fixed_terms import FixedTerm
from multilevel.errors import ModelError
from multilevel.inference.term_contrasts import Type


@dataclass(frozen=True, slots=True)
class ChiSquareTests:
    """A chi-square test for each of m terms."""

    term: tuple[str, ...]  # (m,)
    statistic: Array  # (m,)
    df: Array  # (m,)
    p_value: Array  # (m,)


def wald_terms(terms: Sequence[FixedTerm], beta: Array, vcov: Array, kind: Type) -> ChiSquareTests:
    """Test each term but the intercept."""
    tested = [term for term in terms if not term.is_constant]
    if not tested:
        raise ModelError("the mean has no terms beside the intercept, so there is nothing to test.")
    statistic, df = [], []
    for number, term in enumerate(tested):
        others = relatives(tested, number, kind)
        columns = [*term.columns, *(column for other in others for column in other.columns)]
        without = [column for column in columns if column not in term.columns]
        statistic.append(wald(beta, vcov, columns) - wald(beta, vcov, without))
        df.append(len(term.columns))
    found = np.where(np.array(df) > 0, np.maximum(statistic, 0.0), np.nan)
    counts = np.array(df, dtype=float)
    return ChiSquareTests(
        tuple(term.name for term in tested), found, counts, np.asarray(chdtrc(counts, found), dtype=float)
    )


def relatives(terms: Sequence[FixedTerm], number: int, kind: Type) -> list[FixedTerm]:
    """The terms that are left out when a term is tested."""
    term = terms[number]
    if kind == 3:
        return []
    if kind == 2:
        return [other for other in terms if factors(term) < factors(other)]
    return list(terms[number + 1 :])


def factors(term: FixedTerm) -> frozenset[str]:
    """All that a term multiplies."""
    return term.categorical | term.numeric


def wald(beta: Array, vcov: Array, columns: Sequence[int]) -> float:
    """b' V^-1 b of some coefficients; zero for none."""
    if not columns:
        return 0.0
    which = sorted(columns)
    covariance, b = vcov[np.ix_(which, which)], beta[which]
    se = np.sqrt(np.diag(covariance))
    return float(b / se @ np.linalg.solve(covariance / np.outer(se, se), b / se))
