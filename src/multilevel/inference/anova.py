"""Does each term of the fixed part matter? And do linear functions of the coefficients have given values?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.design.fixed_terms import fixed_terms, term_cells
from multilevel.errors import DataError, DataTypeError, ModelError
from multilevel.inference.coefficients import CoefficientInference, FTest, difference
from multilevel.inference.hypotheses import Hypotheses
from multilevel.inference.overall import quadratic_form
from multilevel.inference.term_contrasts import Metric, Type, term_hypotheses
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
    """An F test for each of m terms, and its size on the scale of the response."""

    term: tuple[str, ...]  # (m,)
    tests: tuple[FTest, ...]  # (m,)
    mean_sq: Array | None  # (m,) before Kenward and Roger scale it to F; None without a residual variance


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
    if kind is not None and not isinstance(kind, int | float | str):
        raise DataTypeError(
            "anova() tests the terms of one fit, and its first argument is type= (1, 2 or 3); to test fits "
            "against each other write ml.compare(fit, other)."
        )
    if isinstance(kind, bool) or not isinstance(kind, int | str) or kind not in TYPES:
        raise DataError(f"type={kind!r} does not exist; choose 1, 2 or 3 (I, II or III), or 'sequential'.")
    return TYPES[kind]


def tests_of_terms(
    design: Design,
    inference: CoefficientInference,
    kind: Type,
    metric: Callable[[], Metric],
    residual_variance: float | None,
) -> TermTests:
    """Test each term; `metric` is how rows count in types 1, 2 and sequential."""
    terms = fixed_terms(design)
    if all(term.is_constant for term in terms):
        raise ModelError("the fixed part has no terms beside the intercept, so there is nothing to test.")
    hypotheses = term_hypotheses(terms, term_cells(design), metric, kind)
    tested = {term.name: L for term, L in zip(terms, hypotheses, strict=True) if not term.is_constant}
    return TermTests(
        term=tuple(tested),
        tests=tuple(joint_test(name, L, len(L), inference) for name, L in tested.items()),
        mean_sq=None
        if residual_variance is None
        else residual_variance * np.array([wald_statistic(inference, L) for L in tested.values()]),
    )


def joint_test(
    what: str, L: Array, rank: int, inference: CoefficientInference, at: Array | None = None
) -> FTest:
    """Test L beta = at (k,) at once, for L (k, p) of known rank; refused if the variance is of lower rank."""
    if rank == 0:
        return UNTESTED
    test = inference.f_test(L, at)
    if round(test.df_num) < rank:
        raise ModelError(
            f"{what} says {rank} things at once, and a variance by {inference.method} knows {test.df_num:g} "
            'directions here (no more than it has clusters); use vcov="model", or test() fewer hypotheses.'
        )
    return test


def wald_statistic(inference: CoefficientInference, L: Array) -> float:
    """The squared size of L beta-hat by its covariance, per row of L (k, p)."""
    return quadratic_form(inference.covariance(L), L @ inference.beta) / len(L) if len(L) else np.nan


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
