"""What to know about the clusters of a robust variance, in the summary that uses it."""

from __future__ import annotations

from collections.abc import Sequence

from multilevel._typing import Mask
from multilevel.fitted.ols import OLSRecord
from multilevel.inference.robust_tests import resting_on_one_cluster
from multilevel.inference.two_way import MENDED
from multilevel.inference.variance import Variance
from multilevel.inference.variance_choice import few_clusters_notes
from multilevel.inference.wald import CoefficientTable

ROUGH_DF = 4.0  # below this even Satterthwaite's t rejects too often (Tipton 2015)
ROUNDING = 1e-6  # by which four degrees of freedom may fall short of four
MOST_NAMES = 5  # terms named in a note


def cluster_notes(record: OLSRecord, variance: Variance, coefficients: CoefficientTable) -> list[str]:
    """Few clusters, few degrees of freedom, coefficients of one cluster, a variance that was mended."""
    if variance.adjusted is None:
        return [*few_clusters_notes(variance.kind, variance.clusterings), *mended_notes(variance)]
    alone = resting_on_one_cluster(variance.adjusted, record.to_coefficients)
    return [
        *rough_notes(coefficients, ~alone),
        *lone_notes(coefficients, alone, variance.cluster),
    ]


def rough_notes(coefficients: CoefficientTable, known: Mask) -> list[str]:
    """Coefficients whose degrees of freedom are too few even for the correction."""
    if coefficients.df is None:
        return []
    few = known & (coefficients.df < ROUGH_DF - ROUNDING)
    if not few.any():
        return []
    return [
        f"Fewer than {ROUGH_DF:g} degrees of freedom ({names(coefficients.term, few)}): too few "
        "clusters bear on this for any cluster-robust test to be trusted; its p-values tend to be too small."
    ]


def lone_notes(coefficients: CoefficientTable, alone: Mask, cluster: str | None) -> list[str]:
    """Coefficients that one cluster determines, whose residuals then say nothing about them."""
    if not alone.any():
        return []
    return [
        f"Resting on one '{cluster}' each: {names(coefficients.term, alone)}. Nothing can be seen to vary "
        "between clusters there: these standard errors are too small, or missing; do not use them."
    ]


def mended_notes(variance: Variance) -> list[str]:
    """A difference of variances that was none."""
    return [MENDED] if variance.mended else []


def names(terms: Sequence[str], chosen: Mask) -> str:
    """The chosen terms, the first few of them if they are many."""
    found = [term for term, one in zip(terms, chosen, strict=True) if one]
    rest = len(found) - MOST_NAMES
    return ", ".join(found[:MOST_NAMES]) + (f" and {rest} more" if rest > 0 else "")
