"""A search for the best optimum that shares nothing with ours but the criterion: BFGS from several starts."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from multilevel.design.design import Design
from multilevel.estimation.lmm import WorkingModel, working_model
from multilevel.estimation.lmm import minimise as our_search
from multilevel.estimation.optimum import Optimum

WORSE = 1e-6  # the criterion may end above the reference search's by this
SINGULAR, REGULAR = (
    1e-7,
    1e-5,
)  # least eigenvalue of T T': surely lost below the one, surely there above the other


def reference_search(model: WorkingModel, reml: bool, seed: int) -> OptimizeResult:
    """The best of BFGS runs from our start and four random ones, each restarted until it stays."""
    rng = np.random.default_rng(seed)
    kernel = model.kernel

    def criterion(theta):
        value, gradient, _ = kernel.derivatives(theta, reml=reml)
        if not (np.isfinite(value) and np.isfinite(gradient).all()):
            return 1e12, np.zeros_like(theta)
        return value, gradient

    starts = [kernel.start(), *(size * rng.normal(size=kernel.n_parameters) for size in (0.3, 1.0, 3.0, 1.0))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # BFGS on the flats of a singular criterion
        return min((restarted(criterion, start) for start in starts), key=lambda found: found.fun)


def restarted(criterion, theta: np.ndarray) -> OptimizeResult:
    for _ in range(3):
        found = minimize(criterion, theta, jac=True, method="BFGS", options={"gtol": 1e-6, "maxiter": 400})
        if criterion(theta)[0] - found.fun < 1e-9:
            break
        theta = found.x
    return found


def complaints(design: Design, seed: int) -> list[str]:
    """What our search got wrong on a design; empty when all is well."""
    reml = bool(seed % 2)
    model = working_model(design)
    ours = our_search(model, reml=reml)
    best = reference_search(model, reml, seed)
    found = []
    if ours.criterion > best.fun + WORSE:
        found.append(f"worse by {ours.criterion - best.fun:.2g}")
    if not (ours.converged and ours.certificate.holds):
        found.append(f"not certified: {ours.certificate}")
    if best.fun > ours.criterion - WORSE:  # both are at the optimum: the ranks must agree
        found += wrong_ranks(model, ours, best.x)
    return found


def wrong_ranks(model: WorkingModel, ours: Optimum, theta: np.ndarray) -> list[str]:
    found = []
    for rank, factor in zip(ours.rank, model.kernel.term_factors(theta), strict=True):
        eigenvalues = np.linalg.eigvalsh(factor @ factor.T)
        least = eigenvalues[0] / max(1.0, eigenvalues[-1])
        if least < SINGULAR and rank == len(eigenvalues):
            found.append(f"a singular term was not seen ({least:.1e})")
        if least > REGULAR and rank < len(eigenvalues):
            found.append(f"a regular term was called singular ({least:.1e})")
    return found
