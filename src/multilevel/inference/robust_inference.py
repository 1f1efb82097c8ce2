"""Which degrees of freedom go with a robust variance of the coefficients?

One factor before a sandwich mends its size on average, and t on one df fewer than there are clusters is what
goes with it everywhere; CR2 and CR3 are made for few clusters, and have Satterthwaite's. Either can be
asked for the other.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from multilevel._options import checked_choice
from multilevel._typing import Frame
from multilevel.design.design import Design, Grouping
from multilevel.errors import ModelError
from multilevel.fitted.lmm import LMMRecord
from multilevel.fitted.ols import OLSRecord
from multilevel.inference.adjusted_clusters import AdjustedClusters
from multilevel.inference.cluster_adjustment import ADJUSTED_KINDS, independent_clusters
from multilevel.inference.clustering import Clustering, read_ways
from multilevel.inference.coefficients import CoefficientInference, KnownDf
from multilevel.inference.lmm_sandwich import lmm_clusters, outermost_factor, refuse_split_levels
from multilevel.inference.robust_tests import ClusterRobust
from multilevel.inference.sandwich import few_clusters_factor, refuse_one_cluster, scored_rows
from multilevel.inference.variance import Variance, symmetric_root
from multilevel.inference.variance_choice import VarianceChoice, choose_variance, warn_of_few_clusters

DF_METHODS = (None, "residual", "satterthwaite", "z")


def with_df(
    design: Design, record: OLSRecord, choice: VarianceChoice, variance: Variance, df: str | None
) -> Variance:
    """A variance of least squares, with the degrees of freedom that were asked for."""
    match chosen_method(choice.kind, df):
        case "satterthwaite":
            return replace(variance, adjusted=ols_clusters(design, record, choice, variance))
        case "z":
            return replace(variance, adjusted=None, df=np.inf)
    return replace(variance, adjusted=None)


def ols_inference(record: OLSRecord, variance: Variance) -> CoefficientInference:
    """What a least-squares fit says of its coefficients, with a variance and its degrees of freedom."""
    if variance.adjusted is not None:
        method = f"{variance.kind}, Satterthwaite"
        return ClusterRobust(
            method, record.beta, record.centring, record.root, variance.core, variance.adjusted
        )
    root = record.to_coefficients @ symmetric_root(variance.core)
    return KnownDf(variance.kind, record.beta, root, variance.df)


def lmm_inference(
    design: Design,
    record: LMMRecord,
    data: Frame,
    df: str | None,
    vcov: str | None,
    cluster: Clustering | None,
) -> CoefficientInference:
    """What a mixed model says of its coefficients with a cluster-robust variance; CR1 if none is named."""
    if design.X.shape[1] == 0:
        raise ModelError("the model has no coefficients, and so no variance of them; leave out vcov=.")
    choice = choose_variance(vcov, read_ways(cluster, data, design) or (outermost_factor(design),))
    method = chosen_method(choice.kind, df)
    clusters = checked_clusters(design, choice)
    warn_of_few_clusters(choice, mixed=True)
    found = lmm_clusters(design, record, clusters, choice.kind)
    scores, n_clusters = found.adjusted.scores, clusters.n_levels
    core = lmm_factor(choice.kind, n_clusters, design) * (scores.T @ scores)
    if method == "satterthwaite":
        name = f"{choice.kind}, Satterthwaite"
        return ClusterRobust(name, record.beta, found.centring, found.root, core, found.adjusted)
    root = found.centring.contrasts(np.eye(len(core))) @ found.root @ symmetric_root(core)
    return KnownDf(choice.kind, record.beta, root, np.inf if method == "z" else n_clusters - 1.0)


def lmm_factor(kind: str, n_clusters: int, design: Design) -> float:
    """What stands before the sandwich."""
    if kind in ADJUSTED_KINDS:
        return 1.0
    return few_clusters_factor(kind, n_clusters, design.n_obs, design.X.shape[1])


def checked_clusters(design: Design, choice: VarianceChoice) -> Grouping:
    """The clusters in one way that hold whole levels of the model's grouping factors, two at least."""
    clusters = choice.clusters[0]
    if len(choice.clusters) > 1:
        raise ModelError(
            "a mixed model's variance takes clusters in one way; crossed groupings belong in its formula, "
            f"as (1 | {choice.clusters[0].name}) + (1 | {choice.clusters[1].name})."
        )
    refuse_split_levels(design, clusters)
    refuse_one_cluster(clusters)
    return clusters


def chosen_method(kind: str, df: str | None) -> str:
    """The method for degrees of freedom that was asked for, or the one that goes with the variance."""
    checked_choice("df", df, DF_METHODS)
    if df is not None:
        return df
    return "satterthwaite" if kind in ADJUSTED_KINDS else "residual"


def ols_clusters(
    design: Design, record: OLSRecord, choice: VarianceChoice, variance: Variance
) -> AdjustedClusters:
    """The clusters that Satterthwaite's degrees of freedom come from."""
    if variance.adjusted is not None:
        return variance.adjusted
    if len(choice.clusters) != 1:
        why = "clusters in several ways have none" if choice.clusters else f'vcov="{choice.kind}" has none'
        raise ModelError(
            f'df="satterthwaite" belongs to a variance with clusters in one way, and {why}; '
            'use df="residual", or vcov="CR2" with one cluster=.'
        )
    return independent_clusters(scored_rows(design, record), choice.clusters[0], choice.kind)
