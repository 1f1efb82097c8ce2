"""Power without simulation: the noncentral t or F of a test where the variances are what they are said to be.

The estimate of L beta is normal with the covariance of generalized least squares at the true variances; its
estimated variance has about a chi-square distribution with Satterthwaite's degrees of freedom, here from the
expected information. In balanced designs both are exact, and for clusters of m, assigned whole, the formula
is that of the design effect, DEFF = 1 + (m - 1) ICC, with a t on J - 2 degrees of freedom.

Donner, A. & Klar, N. (2000). Design and Analysis of Cluster Randomization Trials in Health Research.
Arnold. Snijders, T. A. B. & Bosker, R. J. (1993). Standard errors and sample sizes for two-level research.
Journal of Educational Statistics 18, 237-259. Stroup, W. W. (2002). Power analysis based on spatial effects
mixed models. Journal of Agricultural, Biological, and Environmental Statistics 7, 491-511.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.errors import ModelError
from multilevel.estimation.lmm import working_model
from multilevel.fitted.assemble import factor_root
from multilevel.inference.hypotheses import Hypotheses
from multilevel.inference.planned_dense import dense_inference
from multilevel.inference.refit_inference import ManyInference, many_fits, planned_inference
from multilevel.inference.satterthwaite import common_df
from multilevel.simulation.truth import Truth, random_variance


@dataclass(frozen=True, slots=True)
class PlannedTest:
    """The test of k statements L beta = rhs where the variances are known to be true."""

    std_error: Array  # (k,)
    df: float  # of the denominator; infinite for the normal
    noncentrality: float  # of the F statistic: squared distance from the hypothesis
    df_num: int
    design_effect: float = float("nan")  # variance over that from as many independent rows; of one statement

    def power(self, alpha: float) -> float:
        """Probability of rejection.

        >>> round(PlannedTest(np.array([1.0]), 18.0, 9.0, 1).power(0.05), 4)
        0.8097
        """
        if np.isinf(self.df):
            bound = float(special.chdtri(self.df_num, alpha))
            return 1.0 - float(special.chndtr(bound, self.df_num, self.noncentrality))
        bound = float(special.fdtri(self.df_num, self.df, 1.0 - alpha))
        return 1.0 - float(special.ncfdtr(self.df_num, self.df, self.noncentrality, bound))


def planned_test(design: Design, truth: Truth, asked: Hypotheses, *, normal: bool) -> PlannedTest | None:
    """The test of a linear mixed model, or of independent rows; None where the design has no formula."""
    found = inference_at_truth(design, truth, asked.L)
    if found is None:
        return None
    if not found.known.all():
        levels = ", ".join(f"{g.n_levels} of '{g.name}'" for g in design.groupings)
        raise ModelError(
            f"with {levels} the variances of the random effects cannot be told from the coefficients; plan "
            "more units."
        )
    distance = asked.L @ truth.beta - asked.rhs
    turn, sizes, contrasts = np.linalg.svd(found.rows[0], full_matrices=False)
    t = turn.T @ distance / sizes
    df = np.inf if normal else common_df(contrast_df(contrasts, found))
    effect = design_effect(design, truth, asked.L, found.std_error[0])
    return PlannedTest(found.std_error[0], df, float((t * t).sum()), len(asked.L), effect)


def design_effect(design: Design, truth: Truth, L: Array, std_error: Array) -> float:
    """How much larger the variance of L beta (1, p) is than from independent rows of the same total variance.

    For clusters of m that have one value of the predictor it is Kish's 1 + (m - 1) ICC.
    """
    if len(L) > 1 or design.weights is not None or not design.terms:
        return float("nan")
    total = truth.sigma**2 + float(random_variance(design, truth).mean())
    half = np.linalg.solve(np.linalg.cholesky(design.X.T @ design.X), L[0])
    return float(std_error[0] ** 2 / (total * (half @ half)))


def contrast_df(contrasts: Array, found: ManyInference) -> Array:
    """Degrees of freedom (k,) of uncorrelated contrasts (k, p)."""
    g = np.einsum("ip,mpq,iq->mi", contrasts, found.slopes[0], contrasts)
    return np.asarray(1.0 / np.einsum("mi,mn,ni->i", g, found.inverse[0], g))


def inference_at_truth(design: Design, truth: Truth, L: Array) -> ManyInference | None:
    """Standard errors and degrees of freedom where the variances are true."""
    if not design.terms:
        return dense_inference(design, truth, L)
    model = working_model(design)
    fits = many_fits(design, model, reml=True)
    if fits is None:
        return dense_inference(design, truth, L)
    blocks = [
        np.asarray(np.linalg.solve(working.back, term.root / truth.sigma))
        for working, term in zip(model.terms, truth.terms, strict=True)
    ]
    return planned_inference(fits, factor_root(model, blocks, 0), truth.sigma, L)
