"""Which variance of the coefficients does the user want?"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from multilevel._options import checked_choice
from multilevel.design.design import Design, Grouping
from multilevel.errors import ModelError, MultilevelWarning
from multilevel.fitted.ols import OLSRecord
from multilevel.inference.sandwich import CR_KINDS, HC_KINDS, cr_variance, hc_variance, scored_rows
from multilevel.inference.variance import Variance, model_variance

KINDS = ("model", *HC_KINDS, *CR_KINDS)
FEW_CLUSTERS = 40  # below this, cluster variances tend to be too small (Cameron & Miller 2015, section VI)


@dataclass(frozen=True, slots=True)
class VarianceChoice:
    """A kind of variance, with the clusters that it needs."""

    kind: str
    clusters: Grouping | None


def choose_variance(kind: str | None, clusters: Grouping | None) -> VarianceChoice:
    """Check that kind and clusters go together; CR1 for clusters alone, the model's for nothing."""
    if kind is None:
        kind = "model" if clusters is None else "CR1"
    kind = known_kind(kind)
    if kind in CR_KINDS and clusters is None:
        raise ModelError(f'vcov="{kind}" needs to know the clusters: add cluster="<column>".')
    if kind not in CR_KINDS and clusters is not None:
        raise ModelError(
            f"vcov=\"{kind}\" would ignore the clusters in '{clusters.name}'; "
            f"choose one of {', '.join(CR_KINDS)}, or leave out cluster=."
        )
    return VarianceChoice(kind, clusters)


def known_kind(kind: str) -> str:
    """A kind of variance as it is written here; capitals do not matter."""
    if isinstance(kind, str):
        kind = {known.casefold(): known for known in KINDS}.get(kind.casefold(), kind)
    checked_choice("vcov", kind, KINDS)
    return kind


def estimate_variance(design: Design, record: OLSRecord, choice: VarianceChoice) -> Variance:
    """The variance that was chosen."""
    if choice.kind == "model":
        return model_variance(record)
    rows = scored_rows(design, record)
    if choice.clusters is None:
        return hc_variance(rows, choice.kind)
    return cr_variance(rows, choice.clusters, choice.kind)


def few_clusters_notes(cluster: str | None, n_clusters: int | None) -> list[str]:
    """What to know about a cluster variance from few clusters; nothing about others."""
    if n_clusters is None or n_clusters >= FEW_CLUSTERS:
        return []
    return [
        f"'{cluster}' has {n_clusters} clusters; below {FEW_CLUSTERS} cluster-robust standard errors tend to "
        f"be too small, even with the t on {n_clusters - 1} df that is used here. "
        f"Compare with a mixed model: ml.lmm with (1 | {cluster})."
    ]


def same_clusters(one: Grouping | None, other: Grouping | None) -> bool:
    """Whether two clusterings put the same rows together."""
    if one is None or other is None:
        return one is other
    return np.array_equal(one.codes, other.codes)


def warn_of_few_clusters(choice: VarianceChoice) -> None:
    """Say so where a clustering is asked for first; the summary repeats it."""
    if choice.clusters is not None:
        for note in few_clusters_notes(choice.clusters.name, choice.clusters.n_levels):
            warnings.warn(note, MultilevelWarning, stacklevel=3)
