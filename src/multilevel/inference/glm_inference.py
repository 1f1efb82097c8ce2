"""How sure are the coefficients of a generalized linear model?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Grouping
from multilevel.errors import ModelError
from multilevel.fitted.glm import GLMRecord
from multilevel.inference.cluster_adjustment import ADJUSTED_KINDS, WorkingRows, adjusted_clusters
from multilevel.inference.cluster_stacks import stacks
from multilevel.inference.coefficients import CoefficientInference, KnownDf
from multilevel.inference.robust_inference import ols_inference, with_df
from multilevel.inference.sandwich import HC_KINDS, ScoredRows, refuse_one_cluster, scored_rows
from multilevel.inference.variance import Variance
from multilevel.inference.variance_choice import VarianceChoice, estimate_variance

LARGEST = 4000  # rows of a cluster that CR2 takes


def glm_variance(record: GLMRecord, choice: VarianceChoice, df: str | None) -> Variance | None:
    """The variance chosen, in the basis of the weighted regression; None where the fit is none.

    Where the family fixes the scale tests are normal, as they are with HC variances; where it is estimated
    they are t on the residual degrees of freedom.
    """
    if record.regression is None or record.prior:
        refuse_sandwich(record, choice)
        return None
    design, linear = record.regression
    if choice.kind == "model":
        known = record.df_residual if record.free_scale else np.inf
        variance = Variance("model", record.scale * np.eye(linear.n_coefficients), known)
    elif choice.kind in ADJUSTED_KINDS and len(choice.clusters) == 1:
        variance = adjusted_by_model(scored_rows(design, linear), choice.clusters[0], choice.kind)
    else:
        variance = estimate_variance(design, linear, choice)
        if choice.kind in HC_KINDS:
            variance = replace(variance, df=np.inf)
    if df == "satterthwaite" and variance.adjusted is None and len(choice.clusters) == 1:
        rows, clusters = scored_rows(design, linear), choice.clusters[0]
        pieces = weighted_rows(rows, clusters)
        adjusted = adjusted_clusters(choice.kind, pieces, None, clusters.n_levels, rows.n_coefficients)
        return replace(variance, adjusted=adjusted)
    return with_df(design, linear, choice, variance, df)


def adjusted_by_model(rows: ScoredRows, clusters: Grouping, kind: str) -> Variance:
    """CR2 or CR3 with independent responses of the family's own variances as the working model."""
    refuse_one_cluster(clusters)
    if kind == "CR2":
        refuse_large(clusters)
    adjusted = adjusted_clusters(
        kind, weighted_rows(rows, clusters), None, clusters.n_levels, rows.n_coefficients
    )
    core = adjusted.scores.T @ adjusted.scores
    return Variance(kind, core, clusters.n_levels - 1.0, clusters.name, clusters.n_levels, adjusted)


def weighted_rows(rows: ScoredRows, clusters: Grouping) -> Iterator[WorkingRows]:
    """The rows cluster by cluster, with the inverses of their weights for variances; counts lengthen rows."""
    precision = np.ones(len(rows.residuals)) if rows.precision is None else rows.precision
    root_counts = 1.0 if rows.counts is None else np.sqrt(rows.counts)
    X = np.ascontiguousarray((rows.basis.T * root_counts).T)
    residuals = rows.residuals * root_counts
    for stack in stacks(clusters.codes, clusters.n_levels, None):
        here, weights = X[stack.rows], precision[stack.rows]
        variances = np.eye(weights.shape[1]) / weights[:, None, :]
        yield WorkingRows(stack.clusters, here, here * weights[:, :, None], residuals[stack.rows], variances)


def refuse_large(clusters: Grouping) -> None:
    """CR2 takes a matrix of a cluster's size where its variances are unequal."""
    size = int(np.bincount(clusters.codes).max())
    if size > LARGEST:
        raise ModelError(
            f"CR2 needs a matrix of {size} x {size} for the largest cluster of '{clusters.name}', more than "
            f'{LARGEST} x {LARGEST}; use vcov="CR3" or "CR1".'
        )


def glm_inference(record: GLMRecord, variance: Variance | None) -> CoefficientInference:
    """What the fit says of its coefficients, with a variance and its degrees of freedom."""
    if record.regression is None or variance is None:
        return KnownDf("model", record.beta, root_of_vcov(record), np.inf)
    return ols_inference(record.regression[1], variance)


def root_of_vcov(record: GLMRecord) -> Array:
    """A root of the covariance of the mean's coefficients."""
    values, vectors = np.linalg.eigh(record.vcov)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def refuse_sandwich(record: GLMRecord, choice: VarianceChoice) -> None:
    """Families that are no weighted regressions have the variance of their likelihood."""
    if choice.kind != "model" and record.prior:
        raise ModelError(
            f'vcov="{choice.kind}" is a variance of maximum likelihood; with prior= use the posterior\'s, '
            'vcov="model".'
        )
    if choice.kind != "model":
        raise ModelError(
            f'vcov="{choice.kind}" belongs to families that are a weighted regression (binomial, poisson, '
            f"gaussian, gamma, inverse_gaussian, negative_binomial); the {record.family.name} family has its "
            'likelihood\'s own, vcov="model".'
        )
