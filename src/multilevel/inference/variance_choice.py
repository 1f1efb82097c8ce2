"""Which variance of the coefficients does the user want?"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._options import checked_choice
from multilevel.design.design import Design, Grouping
from multilevel.errors import ModelError, MultilevelWarning
from multilevel.fitted.ols import OLSRecord
from multilevel.inference.cluster_adjustment import ADJUSTED_KINDS, adjusted_variance
from multilevel.inference.sandwich import CR_KINDS, HC_KINDS, cr_variance, hc_variance, scored_rows
from multilevel.inference.two_way import multiway_variance
from multilevel.inference.variance import Variance, model_variance

CLUSTER_KINDS = (*CR_KINDS, *ADJUSTED_KINDS)
KINDS = ("model", *HC_KINDS, *CLUSTER_KINDS)
FEW_CLUSTERS = 40  # below this, cluster variances tend to be too small (Cameron & Miller 2015, section VI)


@dataclass(frozen=True, slots=True)
class VarianceChoice:
    """A kind of variance, with the clusters that it needs."""

    kind: str
    clusters: tuple[Grouping, ...]  # one a way of clustering; none for kinds without clusters


def choose_variance(kind: str | None, clusters: tuple[Grouping, ...]) -> VarianceChoice:
    """Check that kind and clusters go together; CR1 for clusters alone, the model's for nothing."""
    if kind is None:
        kind = "CR1" if clusters else "model"
    kind = known_kind(kind)
    if kind in CLUSTER_KINDS and not clusters:
        raise ModelError(f'vcov="{kind}" needs to know the clusters: add cluster="<column>".')
    if kind not in CLUSTER_KINDS and clusters:
        raise ModelError(
            f"vcov=\"{kind}\" would ignore the clusters in '{clusters[0].name}'; "
            f"choose one of {', '.join(CLUSTER_KINDS)}, or leave out cluster=."
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
    if not choice.clusters:
        return hc_variance(rows, choice.kind)
    if len(choice.clusters) > 1:
        return multiway_variance(rows, choice.clusters, choice.kind)
    adjusted = choice.kind in ADJUSTED_KINDS
    return (adjusted_variance if adjusted else cr_variance)(rows, choice.clusters[0], choice.kind)


def few_clusters_notes(kind: str, ways: Sequence[tuple[str, int]], *, mixed: bool = False) -> list[str]:
    """What to know about a cluster variance from few clusters; nothing about those that are made for them.

    `ways` has name and number of clusters of each way of clustering. `mixed` says that the model is a mixed
    one, so that none need be advised.
    """
    cluster, n_clusters = min(ways, key=lambda way: way[1], default=("", FEW_CLUSTERS))
    if n_clusters >= FEW_CLUSTERS or kind in ADJUSTED_KINDS:
        return []
    groups = " + ".join(f"(1 | {name})" for name, _ in ways)
    advice = [
        *(['use vcov="CR2", which corrects them and has Satterthwaite df'] if len(ways) == 1 else []),
        *([] if mixed else [f"compare with a mixed model: ml.lmm with {groups}"]),
    ]
    either = ", or ".join(advice)
    return [
        f"'{cluster}' has {n_clusters} clusters; below {FEW_CLUSTERS} cluster-robust standard errors tend to "
        f"be too small, even with the t on {n_clusters - 1} df that goes with them. "
        f"{either[0].upper()}{either[1:]}."
    ]


def same_clusters(one: tuple[Grouping, ...], other: tuple[Grouping, ...]) -> bool:
    """Whether two clusterings put the same rows together."""
    return len(one) == len(other) and all(
        np.array_equal(a.codes, b.codes) for a, b in zip(one, other, strict=True)
    )


def warn_of_few_clusters(choice: VarianceChoice, *, mixed: bool = False) -> None:
    """Say so where a clustering is asked for first; the summary repeats it."""
    ways = [(way.name, way.n_levels) for way in choice.clusters]
    for note in few_clusters_notes(choice.kind, ways, mixed=mixed):
        warnings.warn(note, MultilevelWarning, stacklevel=3)
