"""One statement tested by a linear mixed model in many responses: t and F tests, and likelihood ratios."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from multilevel._typing import Array, Mask
from multilevel.design.design import Design
from multilevel.errors import MultilevelError, MultilevelWarning
from multilevel.estimation.lmm import WorkingModel, minimise, working_model
from multilevel.estimation.optimum import Optimum
from multilevel.estimation.refits import ResponseFits, fit_block, with_response
from multilevel.inference.coefficients import CoefficientInference
from multilevel.inference.hypotheses import Hypotheses
from multilevel.inference.monte_carlo import Outcomes, joined_outcomes, t_outcomes
from multilevel.inference.refit_inference import ManyInference, many_fits, refit_inference
from multilevel.inference.satterthwaite import common_df
from multilevel.kernels.threads import one_blas_thread
from multilevel.results.base import Fit
from multilevel.results.glmm import GLMMFit
from multilevel.results.lmm import LMMFit


@dataclass(frozen=True, slots=True)
class MixedTests:
    """t or F tests with the degrees of freedom of a method: "satterthwaite", "kenward-roger", "z"."""

    fit: LMMFit
    asked: Hypotheses
    method: str

    def outcomes(self, Y: Array) -> Outcomes:
        """Tests in the columns of Y (n, B)."""
        fit, design = self.fit, self.fit.design
        model = with_response(design, fit._working_model(), design.y)
        refits = fit_block(design, model, fit.optimum, Y, fit.reml)
        return self._tests(model, refits, Y)

    def own(self) -> Outcomes:
        """The test in the response that the fit has."""
        fit = self.fit
        found = ResponseFits(
            beta=fit.fixef[None],
            theta=fit.optimum.theta[None],
            sigma=np.array([fit.sigma]),
            criterion=np.array([fit.criterion]),
            converged=np.array([fit.converged]),
            singular=np.array([fit.singular]),
            evaluations=np.array([fit.optimum.evaluations], dtype=np.int32),
        )
        return self._tests(fit._working_model(), found, fit.design.y[:, None])

    def _tests(self, model: WorkingModel, refits: ResponseFits, Y: Array) -> Outcomes:
        """All at once where one factor holds the random effects; the rest one by one."""
        fit, design = self.fit, self.fit.design
        fits = None if self._joint_kenward_roger else many_fits(design, model, reml=fit.reml)
        if fits is None:
            return one_by_one(fit, self.asked, Y, self.method)
        with one_blas_thread(design.n_rows):
            many = refit_inference(
                fits, refits, Y, self.asked.L, kenward_roger=self.method == "kenward-roger"
            )
            found = many_outcomes(many, refits, self.asked, self.method)
        alone = ~many.known & np.isfinite(refits.sigma) & (self.method != "z")
        return put(found, alone, one_by_one(fit, self.asked, Y[:, alone], self.method))

    @property
    def _joint_kenward_roger(self) -> bool:
        """Whether the scaled F test is asked for, which is made one by one."""
        return self.method == "kenward-roger" and len(self.asked.L) > 1


@dataclass(frozen=True, slots=True)
class LikelihoodRatios:
    """Likelihood-ratio tests, both models by maximum likelihood, against chi-square."""

    design: Design
    model: WorkingModel
    optimum: Optimum
    smaller: Design  # the same rows with L beta = rhs
    smaller_model: WorkingModel
    smaller_optimum: Optimum
    asked: Hypotheses

    def outcomes(self, Y: Array) -> Outcomes:
        """Tests in the columns of Y (n, B)."""
        model = with_response(self.design, self.model, self.design.y)
        smaller = with_response(self.smaller, self.smaller_model, self.smaller.y)
        large = fit_block(self.design, model, self.optimum, Y, False)
        small = fit_block(self.smaller, smaller, self.smaller_optimum, Y, False)
        k = len(self.asked.L)
        ratio = np.maximum(small.criterion - large.criterion, 0.0)
        estimate = (large.beta @ self.asked.L.T - self.asked.rhs)[:, 0]
        nothing = np.full(Y.shape[1], np.nan)
        return Outcomes(
            estimate if k == 1 else nothing,
            nothing,
            np.full(Y.shape[1], np.inf),
            np.where(np.isfinite(ratio), special.chdtrc(k, np.nan_to_num(ratio)), np.nan),
            large.converged & small.converged,
            large.singular,
        )


def likelihood_ratios(design: Design, asked: Hypotheses) -> LikelihoodRatios:
    """Fit both models to the response of the design, where searches in others begin."""
    smaller = constrained(design, asked)
    model, smaller_model = working_model(design), working_model(smaller)
    return LikelihoodRatios(
        design,
        model,
        minimise(model, reml=False),
        smaller,
        smaller_model,
        minimise(smaller_model, reml=False),
        asked,
    )


def constrained(design: Design, asked: Hypotheses) -> Design:
    """The design under L beta = rhs: beta = b0 + N c, with the columns of N in the null space of L."""
    b0 = np.linalg.lstsq(asked.L, asked.rhs, rcond=None)[0]
    turn = np.linalg.svd(asked.L)[2]
    N = turn[np.linalg.matrix_rank(asked.L) :].T
    shift = design.X @ b0
    offset = design.offset if not shift.any() else shift + (0.0 if design.offset is None else design.offset)
    names = tuple(f"c{k + 1}" for k in range(N.shape[1]))
    return replace(design, X=np.asfortranarray(design.X @ N), coef_names=names, offset=offset)


@dataclass(frozen=True, slots=True)
class GeneralizedRatios:
    """The same for generalized mixed models."""

    fit: GLMMFit
    smaller: GLMMFit
    asked: Hypotheses

    def outcomes(self, Y: Array) -> Outcomes:
        """Tests in the columns of Y (n, B)."""
        large = self.fit.refit_many(Y, progress=False)
        small = self.smaller.refit_many(Y, progress=False)
        k, nothing = len(self.asked.L), np.full(Y.shape[1], np.nan)
        ratio = np.maximum(2.0 * (large.loglik - small.loglik), 0.0)
        estimate = (large.coefficients[:, : self.asked.L.shape[1]] @ self.asked.L.T - self.asked.rhs)[:, 0]
        return Outcomes(
            estimate if k == 1 else nothing,
            nothing,
            np.full(Y.shape[1], np.inf),
            np.where(np.isfinite(ratio), special.chdtrc(k, np.nan_to_num(ratio)), np.nan),
            large.converged & small.converged,
            large.singular,
        )


def generalized_ratios(fit: GLMMFit, asked: Hypotheses) -> GeneralizedRatios:
    """Fit the smaller model to the response of the fit, where searches in others begin."""
    main = constrained(fit.model.main, asked)
    return GeneralizedRatios(fit, fit._of_design(replace(fit.model, main=main)), asked)


def many_outcomes(many: ManyInference, refits: ResponseFits, asked: Hypotheses, method: str) -> Outcomes:
    """Tests of all refits from their joint inference; NaN where one is to be asked by itself."""
    distance = refits.beta @ asked.L.T - asked.rhs
    df = np.full_like(many.df, np.inf) if method == "z" else many.df
    flags = refits.converged, refits.singular
    if len(asked.L) == 1:
        return t_outcomes(distance[:, 0], many.std_error[:, 0], df[:, 0], *flags)
    turn, sizes, contrasts = np.linalg.svd(many.rows, full_matrices=False)
    t = np.einsum("bki,bk->bi", turn, distance) / sizes
    statistic = (t * t).mean(axis=1)
    if method == "z":
        below = np.full(len(t), np.inf)
    else:
        g = np.einsum("bip,bmpq,biq->bmi", contrasts, many.slopes, contrasts, optimize=True)
        each = 1.0 / np.einsum("bmi,bmn,bni->bi", g, many.inverse, g, optimize=True)
        below = np.array([common_df(row) for row in each])
        below[~many.known] = np.nan
    return f_outcomes(statistic, t.shape[1], below, *flags)


def f_outcomes(statistic: Array, df_num: int, df: Array, converged: Mask, singular: Mask) -> Outcomes:
    """F tests (B,), by chi-square where the denominator's degrees of freedom are infinite."""
    nothing = np.full(len(statistic), np.nan)
    finite = np.where(np.isinf(df), 1.0, df)
    p = np.where(
        np.isinf(df),
        special.chdtrc(df_num, df_num * statistic),
        special.fdtrc(float(df_num), finite, statistic),
    )
    return Outcomes(nothing, nothing, df, np.where(np.isnan(df), np.nan, p), converged, singular)


def put(found: Outcomes, where: Mask, others: Outcomes) -> Outcomes:
    """Outcomes with those of some data sets in their places."""
    values = {}
    for name in Outcomes.__slots__:
        values[name] = getattr(found, name).copy()
        values[name][where] = getattr(others, name)
    return Outcomes(**values)


# ---- one after another ----


@dataclass(frozen=True, slots=True)
class Refitted:
    """Tests by any model that can be fitted to other responses."""

    fit: Fit[Any]
    asked: Hypotheses

    def outcomes(self, Y: Array) -> Outcomes:
        """Tests in the columns of Y (n, B)."""
        return one_by_one(self.fit, self.asked, Y, None)

    def own(self) -> Outcomes:
        """The test in the response that the fit has."""
        return outcome_of(self.fit, self.fit._inference(), self.asked)


def one_by_one(fit: Fit[Any], asked: Hypotheses, Y: Array, method: str | None) -> Outcomes:
    """Refit to one response after another; NaN where a response cannot be fitted."""
    found = [no_outcome(0)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MultilevelWarning)  # what they say is counted
        for y in Y.T:
            try:
                again = fit.refit(y)
                found.append(outcome_of(again, again._inference(method), asked))
            except MultilevelError:
                found.append(no_outcome(1))
    return joined_outcomes(found)


def outcome_of(fit: Fit[Any], inference: CoefficientInference, asked: Hypotheses) -> Outcomes:
    """The test in one fit."""
    converged = np.array([bool(fit.converged)])
    singular = np.array([bool(getattr(fit, "singular", False))])
    if len(asked.L) == 1:
        estimate = asked.L @ inference.beta - asked.rhs
        error = np.sqrt(np.diag(inference.covariance(asked.L)))
        return t_outcomes(estimate, error, inference.df(asked.L), converged, singular)
    test = inference.f_test(asked.L, asked.rhs)
    nothing = np.full(1, np.nan)
    return Outcomes(nothing, nothing, np.array([test.df_den]), np.array([test.p_value]), converged, singular)


def no_outcome(count: int) -> Outcomes:
    """What stands for data sets that cannot be analysed."""
    nothing, no = np.full(count, np.nan), np.zeros(count, dtype=np.bool_)
    return Outcomes(nothing, nothing, nothing, nothing, no, no)
