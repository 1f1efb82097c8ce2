"""What do estimating equations say of linear functions of the coefficients? By one variance and its df."""

from __future__ import annotations

import numpy as np

from multilevel._typing import Array
from multilevel.errors import ModelError
from multilevel.estimation.gee.problem import EstimatingProblem
from multilevel.estimation.gee.solve import EstimatingSolution
from multilevel.fitted.gee import GEERecord
from multilevel.inference.coefficients import CoefficientInference, KnownDf
from multilevel.inference.gee_corrections import (
    CorrectedClusters,
    cluster_informations,
    corrected,
    gosho,
    morel_bokossa_neerchal,
)
from multilevel.inference.gee_degrees import FayGraubard, PanWall, satterthwaite_clusters
from multilevel.inference.gee_jackknife import jackknife_covariance, one_step_coefficients
from multilevel.inference.gee_kinds import CORRECTED, NAMES, chosen_df
from multilevel.inference.robust_tests import ClusterRobust
from multilevel.inference.variance import symmetric_root

DF_NAMES = {"satterthwaite": "Satterthwaite", "fay-graubard": "Fay-Graubard", "pan-wall": "Pan-Wall"}


def gee_inference(
    problem: EstimatingProblem, solution: EstimatingSolution, record: GEERecord, kind: str, df: str | None
) -> CoefficientInference:
    """The coefficients with a kind of variance and a method for degrees of freedom."""
    method = chosen_df(kind, df)
    if method in DF_NAMES or kind in CORRECTED:
        return by_clusters(problem, solution, record, kind, method)
    core = np.asarray(core_of(problem, solution, record, kind))
    return known(record, NAMES[kind], core, method)


def by_clusters(
    problem: EstimatingProblem, solution: EstimatingSolution, record: GEERecord, kind: str, method: str
) -> CoefficientInference:
    """Where contributions of clusters are corrected, or degrees of freedom come from them."""
    name = method_name(kind, method)
    if method == "pan-wall":
        return PanWall(name, record.beta, record.centring, record.root, record.scores)
    clusters = corrected(record, cluster_informations(problem, record, solution.beta), kind)
    core = contributions_core(clusters)
    match method:
        case "satterthwaite":
            adjusted = satterthwaite_clusters(clusters)
            return ClusterRobust(name, record.beta, record.centring, record.root, core, adjusted)
        case "fay-graubard":
            return FayGraubard(name, record.beta, record.centring, record.root, core, clusters)
    return known(record, name, core, method)


def contributions_core(clusters: CorrectedClusters) -> Array:
    """Sum of squares of what clusters contribute: (p, p) in the basis."""
    contributions = clusters.contributions
    return np.asarray(contributions.T @ contributions)


def core_of(problem: EstimatingProblem, solution: EstimatingSolution, record: GEERecord, kind: str) -> Array:
    """A covariance (p, p) in the basis that is not a sum over corrected clusters."""
    match kind:
        case "model":
            return record.phi * record.bread
        case "sandwich":
            return np.asarray(record.scores.T @ record.scores)
        case "morel-bokossa-neerchal":
            return morel_bokossa_neerchal(record)
        case "gosho":
            return gosho(problem, record, solution.beta)
        case "one-step":
            return in_basis(record, one_step_variance(problem, solution))
    p = record.n_coefficients
    return in_basis(record, jackknife_covariance(problem, solution, "jackknife")[:p, :p])


def one_step_variance(problem: EstimatingProblem, solution: EstimatingSolution) -> Array:
    """Of the coefficients of the moved columns (p, p), without the other parameters' part."""
    K, P = problem.layout.n_clusters, problem.n_coefficients + 1 + len(solution.alpha)
    if K <= P:
        raise ModelError(
            f"a jackknife needs more clusters than parameters, and there are {K} and {P}; use "
            "vcov='fay-graubard', or a correlation with fewer parameters."
        )
    changes = one_step_coefficients(problem, solution)
    return np.asarray((K - P) / K * (changes.T @ changes))


def in_basis(record: GEERecord, V: Array) -> Array:
    """A covariance (p, p) of the coefficients of the moved columns, in the basis."""
    inverse = np.linalg.inv(record.root)
    return np.asarray(inverse @ V @ inverse.T)


def known(record: GEERecord, name: str, core: Array, method: str) -> CoefficientInference:
    """A covariance in the basis with degrees of freedom that do not depend on the question."""
    if method == "z":
        df = np.inf
    else:
        df = float(record.n_clusters - record.n_coefficients)
        if df <= 0.0:
            raise ModelError(
                f"{record.n_clusters} clusters leave no degrees of freedom beside {record.n_coefficients} "
                "coefficients; use fewer terms, or vcov='fay-graubard'."
            )
    root = record.to_coefficients @ covariance_root(core)
    return KnownDf(name, record.beta, root, df)


def covariance_root(core: Array) -> Array:
    """S with S S' = core; negative eigenvalues, of a model-based variance that is none, are refused."""
    if float(np.linalg.eigvalsh(core)[0]) < -1e-8 * float(np.abs(core).max()):
        raise ModelError(
            "the model-based variance is not positive, because the estimated working correlation is none; "
            "use vcov='sandwich', or another corr=."
        )
    return symmetric_root(core)


def method_name(kind: str, method: str) -> str:
    """Variance and degrees of freedom, as a summary says them."""
    if method not in DF_NAMES:
        return NAMES[kind]
    return f"{NAMES[kind]}, {'its own' if method == kind else DF_NAMES[method]} df"
