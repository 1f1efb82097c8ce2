"""Does each term of a generalized linear model matter? By how much the fit worsens without it.

A test compares two fits: of type 2 all terms that do not contain the term, with and without it; of type 1 the
terms up to it; of type 3 the whole model with and without what the term says on average over the cells of
terms that contain it, each cell counting alike. Where the family fixes the scale twice the difference of the
log-likelihoods is nearly chi-square; where it is estimated, the difference of the deviances per degree of
freedom, over the scale of the whole model, is nearly F (McCullagh and Nelder 1989, sections 2.3 and 4.4; Fox
2016, section 15.3).

References:
    McCullagh, P. & Nelder, J. A. (1989). Generalized Linear Models, 2nd ed. Chapman & Hall.
    Fox, J. (2016). Applied Regression Analysis and Generalized Linear Models, 3rd ed. Sage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from scipy.linalg import null_space
from scipy.special import chdtrc

from multilevel._typing import Array
from multilevel.design.fixed_terms import FixedTerm, fixed_terms, term_cells
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import ModelError
from multilevel.estimation.glm import solve_glm
from multilevel.fitted.glm import GLMRecord, solution_deviance
from multilevel.inference.anova import UNTESTED, TermTests
from multilevel.inference.coefficients import FTest, f_result
from multilevel.inference.term_contrasts import Type, metric_of_rows, term_hypotheses
from multilevel.inference.wald_terms import ChiSquareTests, relatives


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a comparison needs of a fit."""

    n_coefficients: int
    loglik: float
    deviance: float


def deviance_tests(model: GLMMDesign, record: GLMRecord, kind: Type) -> TermTests:
    """Test each term but the intercept: F, or with infinite degrees of freedom below chi-square over df."""
    terms = fixed_terms(model.main)
    tested = [number for number, term in enumerate(terms) if not term.is_constant]
    if not tested:
        raise ModelError("the mean has no terms beside the intercept, so there is nothing to test.")
    pairs = constrained(model, terms) if kind == 3 else with_and_without(terms, kind)
    whole = np.eye(len(record.beta))
    fitted = {whole.tobytes(): Outcome(len(record.beta), record.loglik, record.deviance)}

    def fit(basis: Array) -> Outcome:
        key = basis.tobytes()
        if key not in fitted:
            fitted[key] = fit_of(model, record, basis)
        return fitted[key]

    tests = [
        UNTESTED
        if pairs[number] is None
        else difference_test(record, *(fit(each) for each in pairs[number] or ()))
        for number in tested
    ]
    return TermTests(tuple(terms[number].name for number in tested), tuple(tests), None)


def with_and_without(terms: Sequence[FixedTerm], kind: Type) -> dict[int, tuple[Array, Array] | None]:
    """By term, the columns of two models, as bases (p, q) of coefficients."""
    p = sum(len(term.columns) for term in terms)
    pairs: dict[int, tuple[Array, Array] | None] = {}
    for number, term in enumerate(terms):
        left_out = {column for other in relatives(terms, number, kind) for column in other.columns}
        larger = [j for j in range(p) if j not in left_out]
        smaller = [j for j in larger if j not in term.columns]
        pairs[number] = (np.eye(p)[:, larger], np.eye(p)[:, smaller]) if term.columns else None
    return pairs


def constrained(model: GLMMDesign, terms: Sequence[FixedTerm]) -> dict[int, tuple[Array, Array] | None]:
    """By term, the whole model, and coefficients b = N c for which the hypothesis L b = 0 holds."""
    main = model.main
    rows = partial(metric_of_rows, main.X, main.freq_weights)
    hypotheses = term_hypotheses(terms, term_cells(main), rows, 3)
    whole = np.eye(len(main.coef_names))
    return {number: (whole, null_space(L)) if len(L) else None for number, L in enumerate(hypotheses)}


def fit_of(model: GLMMDesign, record: GLMRecord, basis: Array) -> Outcome:
    """The model whose coefficients are basis c, with c (q,) free."""
    main, names = model.main, tuple(f"column {j + 1}" for j in range(basis.shape[1]))
    smaller = replace(model, main=replace(main, X=np.asfortranarray(main.X @ basis), coef_names=names))
    solution = solve_glm(smaller, record.family)
    lost = solution_deviance(smaller, record.family, solution) if record.free_scale else np.nan
    return Outcome(basis.shape[1], solution.loglik, lost)


def difference_test(whole: GLMRecord, larger: Outcome, smaller: Outcome) -> FTest:
    """How much worse the smaller model fits, by the scale of the whole one."""
    df = float(larger.n_coefficients - smaller.n_coefficients)
    if whole.free_scale:
        drop = max(smaller.deviance - larger.deviance, 0.0)
        return f_result(drop / df / whole.scale, df, whole.df_residual)
    return f_result(max(2.0 * (larger.loglik - smaller.loglik), 0.0) / df, df, np.inf)


def as_chi_squares(tests: TermTests) -> ChiSquareTests | None:
    """Chi-squares in the place of F tests, where all have infinite degrees of freedom below."""
    df_den = np.array([test.df_den for test in tests.tests])
    if np.isfinite(df_den).any():
        return None
    df = np.array([test.df_num for test in tests.tests])
    statistic = df * np.array([test.statistic for test in tests.tests])
    return ChiSquareTests(tests.term, statistic, df, np.asarray(chdtrc(df, statistic), dtype=float))
