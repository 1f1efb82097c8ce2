"""How does a generalized mixed model fit samples of its clusters, drawn with replacement or some left out?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.estimation.glmm import WorkingGLMM, search_from
from multilevel.estimation.glmm_refits import GLMMFits, is_singular, joined, no_fit, off_the_boundary
from multilevel.estimation.glmm_subsets import Indices, SomeRows, kernel_of, rows_by_cluster

FLATTEST = 2e-6  # least curvature of the mean's coefficients: a standard error of 1,000 in working units


def fit_samples(model: WorkingGLMM, psi: Array, clusters: Codes, times: Codes) -> GLMMFits:
    """Fit samples in which cluster k comes `times` (K, B) often, each copy with levels of its own.

    Searches begin at the optimum `psi` of the whole. The log-likelihoods are of no use across samples. NaN
    where the coefficients of a sample are not determined, or have no finite estimates.
    """
    rows_of = rows_by_cluster(clusters, len(times))
    start = off_the_boundary(model, psi)
    return joined([fit_sample(model, start, sampled_rows(rows_of, column)) for column in times.T])


def sampled_rows(rows_of: Sequence[Indices], times: Codes) -> SomeRows:
    """The rows of clusters that come `times` (K,) often, copy by copy."""
    drawn = np.repeat(np.arange(len(times)), times).tolist()
    sizes = [len(rows_of[cluster]) for cluster in drawn]
    rows = np.concatenate([rows_of[cluster] for cluster in drawn])
    return SomeRows(rows, np.repeat(np.arange(len(drawn)), sizes))


def fit_sample(model: WorkingGLMM, start: Array, some: SomeRows) -> GLMMFits:
    """Fit one sample, from elsewhere where the search from `start` does not converge."""
    nothing = no_fit(len(start), len(model.rows.constant))
    if len(np.unique(model.rows.y[some.rows])) < model.rows.density.categories:
        return nothing  # a threshold between none and some is infinite
    sample = replace(model, kernel=kernel_of(model, some, prior=True))
    try:
        found = search_from(sample, start)
        if not found.converged:
            again = search_from(sample, sample.kernel.start(model.fixed.gamma))
            found = again if again.converged or again.criterion < found.criterion else found
        if not np.isfinite(found.criterion) or least_curvature(sample, found.psi) < FLATTEST:
            return nothing
    except ValueError:  # the core's: the criterion is not defined there
        return nothing
    return GLMMFits(
        psi=found.psi[None],
        coefficients=model.rows.coefficients(found.psi[model.n_theta :])[None],
        loglik=np.array([-0.5 * found.criterion]),
        converged=np.array([found.converged]),
        singular=np.array([is_singular(model, found.psi)]),
    )


def least_curvature(model: WorkingGLMM, psi: Array) -> float:
    """The least second derivative of the criterion in a direction of the mean's coefficients."""
    places = np.arange(len(model.rows.parts[0].names)) + model.n_theta
    if not len(places):
        return np.inf
    curvature = model.kernel.derivatives(psi)[2][np.ix_(places, places)]
    return float(np.linalg.eigvalsh(curvature)[0])
