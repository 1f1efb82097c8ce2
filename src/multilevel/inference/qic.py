"""Which mean model, and which working correlation, suit the data? Criteria from the quasi-likelihood.

With Q the quasi-likelihood under independence at the estimates, over the scale phi, Omega the information of
the independence model over phi, and V the sandwich covariance,

    QIC  = -2 Q + 2 tr(Omega V)     for working correlations, and for mean models
    QICu = -2 Q + 2 p               for mean models
    CIC  = tr(Omega V)              for working correlations
    RJ   = |mean and mean square of the eigenvalues of V_model^-1 V against one|

Q depends on phi, so models are compared over one common scale; over their own, what is large in Q would
cancel.

References:
    Pan, W. (2001). Akaike's information criterion in generalized estimating equations. Biometrics 57,
    120-125. Hin, L.-Y. & Wang, Y.-G. (2009). Working-correlation-structure identification in generalized
    estimating equations. Statistics in Medicine 28, 642-658.
    Rotnitzky, A. & Jewell, N. P. (1990). Hypothesis testing of regression parameters in semiparametric
    generalized linear models for cluster correlated data. Biometrika 77, 485-497.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import xlogy

from multilevel._typing import Array
from multilevel.estimation.gee.independent import Independent
from multilevel.estimation.gee.problem import EstimatingProblem, working_rows_at
from multilevel.estimation.gee.solve import solve
from multilevel.families.family import Family
from multilevel.fitted.gee import GEERecord
from multilevel.kernels.gee import IndependentInverse, estimating_sums


@dataclass(frozen=True, slots=True)
class QIC:
    """The criteria of one fit."""

    scale: float  # phi that the quasi-likelihood was divided by
    quasi_likelihood: float  # Q
    n_coefficients: int
    n_parameters: int  # with those of the correlation
    n_clusters: int
    cic: float
    rj: float

    @property
    def qic(self) -> float:
        """-2 Q + 2 CIC."""
        return -2.0 * self.quasi_likelihood + 2.0 * self.cic

    @property
    def qicu(self) -> float:
        """-2 Q + 2 p."""
        return -2.0 * self.quasi_likelihood + 2.0 * self.n_coefficients

    @property
    def qicc(self) -> float:
        """QIC corrected for few clusters, as AIC is; infinite if there are too few."""
        k = self.n_parameters
        left = self.n_clusters - k - 1.0
        return self.qic + 2.0 * k * (k + 1.0) / left if left > 0.0 else np.inf


def qic_of(problem: EstimatingProblem, record: GEERecord, scale: float | None) -> QIC:
    """The criteria over a given scale, or over that of the independence model."""
    structure = Independent(problem.layout.start, problem.row_weights)
    independent = replace(problem, structure=structure, moments="geepack")
    alone = solve(independent)
    rows = working_rows_at(problem, alone.beta)
    A = estimating_sums(
        IndependentInverse(problem.layout.start), problem.X, rows.slope, rows.pearson
    ).information
    core = record.scores.T @ record.scores
    cic = float(np.trace(A @ record.root @ core @ record.root.T)) / alone.phi
    phi = alone.phi if scale is None else scale
    return QIC(
        scale=phi,
        quasi_likelihood=quasi_likelihood(problem, record) / phi,
        n_coefficients=record.n_coefficients,
        n_parameters=record.n_coefficients + len(record.alpha),
        n_clusters=record.n_clusters,
        cic=cic,
        rj=rotnitzky_jewell(core @ np.linalg.inv(record.bread) / record.phi),
    )


def rotnitzky_jewell(ratio: Array) -> float:
    """How far the eigenvalues of sandwich over model-based variance are from one."""
    p = len(ratio)
    first, second = float(np.trace(ratio)) / p, float(np.trace(ratio @ ratio)) / p
    return float(np.hypot(1.0 - first, 1.0 - second))


def quasi_likelihood(problem: EstimatingProblem, record: GEERecord) -> float:
    """Q at the estimates, over a scale of one."""
    order = problem.layout.order
    mu = record.fitted if order is None else record.fitted[order]
    return float(problem.row_weights @ quasi_of(problem.family, problem.y, mu))


def quasi_of(family: Family, y: Array, mu: Array) -> Array:
    """Row by row the integral of (y - t) / V(t), without what does not depend on mu: (n,)."""
    match family.name:
        case "gaussian":
            return np.asarray(-0.5 * (y - mu) ** 2)
        case "binomial":
            return np.asarray(xlogy(y, mu / (1.0 - mu)) + np.log1p(-mu))
        case "poisson":
            return np.asarray(y * np.log(mu) - mu)
        case "gamma":
            return np.asarray(-y / mu - np.log(mu))
        case "inverse_gaussian":
            return np.asarray(1.0 / mu - 0.5 * y / mu**2)
    return np.asarray(-0.5 * family.unit_deviance(y, mu))
