"""Does each term of the fixed part matter? And do linear functions of the coefficients have given values?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.design.fixed_terms import fixed_terms, term_cells
from multilevel.errors import DataError, ModelError
from multilevel.inference.coefficients import CoefficientInference, FTest, difference, wald_test
from multilevel.inference.hypotheses import Hypotheses
from multilevel.inference.term_contrasts import Type, metric_of_fit, metric_of_rows, term_hypotheses
from multilevel.inference.wald import critical_value, two_sided_p

TYPES: dict[object, Type] = {
    1: 1,
    2: 2,
    3: 3,
    "1": 1,
    "2": 2,
    "3": 3,
    "I": 1,
    "II": 2,
    "III": 3,
    "sequential": "sequential",
}
UNTESTED = FTest(np.nan, 0.0, np.nan, np.nan)  # of a term of which all columns were dropped


@dataclass(frozen=True, slots=True)
class TermTests:
    """An F test for each term but the constant, and Wald's statistic, which Kenward and Roger scale to F."""

    term: tuple[str, ...]  # (m,)
    tests: tuple[FTest, ...]  # (m,)
    wald: Array  # (m,) per degree of freedom; times the residual variance it is a mean square


@dataclass(frozen=True, slots=True)
class HypothesisTests:
    """A t test for each of k hypotheses, and limits for what each says is `null`."""

    term: tuple[str, ...]  # (k,)
    null: Array  # (k,)
    estimate: Array  # (k,)
    std_error: Array  # (k,)
    statistic: Array  # (k,)
    df: Array  # (k,) infinite for the normal
    p_value: Array  # (k,)
    conf_low: Array  # (k,)
    conf_high: Array  # (k,)


def checked_type(kind: object) -> Type:
    """A type of hypothesis as it is called here."""
    if isinstance(kind, bool) or not isinstance(kind, int | str) or kind not in TYPES:
        raise DataError(f"type={kind!r} does not exist; choose 1, 2 or 3 (I, II or III), or 'sequential'.")
    return TYPES[kind]


def tests_of_terms(
    design: Design, inference: CoefficientInference, kind: Type, counts: Array | None
) -> TermTests:
    """Test each term; types 1 and 2 take each row as often as `counts` (n,) says, once if not given."""
    terms = fixed_terms(design)
    if all(term.is_constant for term in terms):
        raise ModelError("the fixed part has no terms beside the intercept, so there is nothing to test.")
    sequential = kind == "sequential"
    metric = metric_of_fit(design.X, inference) if sequential else metric_of_rows(design.X, counts)
    hypotheses = term_hypotheses(terms, term_cells(design), metric, kind)
    tested = {term.name: L for term, L in zip(terms, hypotheses, strict=True) if not term.is_constant}
    return TermTests(
        term=tuple(tested),
        tests=tuple(inference.f_test(L) if len(L) else UNTESTED for L in tested.values()),
        wald=np.array([wald_statistic(inference, L) for L in tested.values()]),
    )


def wald_statistic(inference: CoefficientInference, L: Array) -> float:
    """The size of L beta-hat by its covariance, per row of L (k, p) that says something new."""
    if len(L) == 0:
        return np.nan
    return wald_test(L @ inference.beta, inference.covariance(L), np.inf).statistic


def tests_of_hypotheses(
    hypotheses: Hypotheses, inference: CoefficientInference, level: float
) -> HypothesisTests:
    """Each hypothesis alone, by its estimate and standard error."""
    estimate = np.asarray(hypotheses.L @ inference.beta)
    std_error = np.sqrt([float(inference.covariance(row[None, :])[0, 0]) for row in hypotheses.L])
    statistic = difference(inference.beta, hypotheses.L, hypotheses.rhs) / std_error
    df = inference.df(hypotheses.L)
    t_like = None if np.isinf(df).all() else df
    half = critical_value(level, t_like) * std_error
    return HypothesisTests(
        term=hypotheses.labels,
        null=hypotheses.rhs,
        estimate=estimate,
        std_error=std_error,
        statistic=statistic,
        df=df,
        p_value=two_sided_p(statistic, t_like),
        conf_low=estimate - half,
        conf_high=estimate + half,
    )
