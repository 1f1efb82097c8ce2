"""What would an expert see in a least-squares fit?"""

from __future__ import annotations

import numpy as np
from scipy.special import fdtrc

from multilevel._typing import Array
from multilevel.design.design import Design, Grouping
from multilevel.fitted.ols import OLSRecord
from multilevel.inference.design_checks import collinearity, dropped_columns, dropped_rows, scaling
from multilevel.inference.finding import Finding, by_p
from multilevel.inference.linear_influence import linear_influence_of_groups, linear_influence_of_rows
from multilevel.inference.lmm_checks import (
    influential,
    influential_rows,
    normal_residuals,
    repeated,
    uneven_spread,
    unusual_rows,
)
from multilevel.inference.residuals import pearson_residuals, studentized_residuals
from multilevel.inference.sandwich import scored_rows
from multilevel.inference.variance_choice import CLUSTER_KINDS


def linear_findings(design: Design, record: OLSRecord, vcov: str, clusters: Grouping | None) -> list[Finding]:
    """All looks at a least-squares fit with the variance `vcov`; at clusters, if any are known."""
    rows = scored_rows(design, record)
    z = studentized_residuals(rows, record.sigma)
    seen = ~np.isnan(z)
    findings = [
        dropped_rows(design),
        dropped_columns(design),
        *scaling(design),
        collinearity(design),
        uneven_spread(repeated(design, z, seen), repeated(design, record.fitted, seen), vcov),
        normal_residuals(repeated(design, z, seen)),
        unusual_rows(z, record.df_residual, design),
        influential_rows(linear_influence_of_rows(record, rows), design),
    ]
    if clusters is None:
        return findings
    found, _ = linear_influence_of_groups(design, record, rows, clusters)
    return [
        *findings,
        alike_in_clusters(design, record, vcov, clusters),
        influential("influential groups", found, design.coef_names, clusters.levels, clusters.name),
    ]


def alike_in_clusters(design: Design, record: OLSRecord, vcov: str, clusters: Grouping) -> Finding:
    """Whether residuals of one cluster are alike: the F test between clusters, and the ICC it implies."""
    residual = pearson_residuals(record.residuals, design.weights)
    statistic, p_value, icc = between_clusters(residual, design.freq_weights, clusters)
    return by_p(
        "alike within clusters",
        statistic,
        p_value,
        matters=vcov not in CLUSTER_KINDS,
        group=clusters.name,
        count=clusters.n_levels,
        icc=icc,
        robust=vcov in CLUSTER_KINDS,
    )


def between_clusters(residual: Array, counts: Array | None, clusters: Grouping) -> tuple[float, float, float]:
    """F, its p-value and the ANOVA estimate of the intraclass correlation of residuals (n,)."""
    weight = np.ones(len(residual)) if counts is None else counts
    size = np.bincount(clusters.codes, weight, clusters.n_levels)
    mean = np.bincount(clusters.codes, weight * residual, clusters.n_levels) / size
    n, G = float(size.sum()), clusters.n_levels
    grand = float(weight @ residual) / n
    within = float(weight @ (residual - mean[clusters.codes]) ** 2)
    if n <= G or within == 0.0:
        return np.nan, np.nan, np.nan
    between = float(size @ (mean - grand) ** 2) / (G - 1)
    within /= n - G
    typical = (n - float(size @ size) / n) / (G - 1)
    icc = (between - within) / (between + (typical - 1.0) * within)
    return between / within, float(fdtrc(G - 1, n - G, between / within)), float(icc)
