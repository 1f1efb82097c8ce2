"""How uncertain are a generalized mixed model's parameters if the model is not quite true?

The log-likelihood is a sum over independent clusters, l = sum_g l_g, each with its random effects
integrated out. With the scores s_g = dl_g / dpsi in all parameters (coefficients of all parts,
covariances, dispersion) and H minus the second derivatives of l, both exact,

    V = H^-1 (sum_g s_g s_g') H^-1

is right whatever the clusters look like inside, as long as they are independent of each other. It is the
variance of the estimates about the parameters that come nearest to the truth; of a wrong model these
are not those of the right one. With few clusters it is too small, for the estimates follow the clusters whose
scores it takes. CR3, the jackknife, sums the changes of the estimates without each cluster instead, by one
Newton step (H - H_g)^-1 s_g.

References:
    White, H. (1982). Maximum likelihood estimation of misspecified models. Econometrica 50, 1-25.
    Wang, T. & Merkle, E. C. (2018). merDeriv: derivative computations for linear mixed effects models with
    application to robust standard errors. Journal of Statistical Software 87(1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from multilevel._options import checked_choice
from multilevel._typing import Array, Frame, Mask
from multilevel.design.design import Grouping
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import ModelError
from multilevel.estimation.glmm import WorkingGLMM
from multilevel.estimation.glmm_deletions import group_deletions, impossible
from multilevel.estimation.glmm_one_step import hardly_known, one_step, scale_parameters, without_held
from multilevel.estimation.glmm_subsets import cluster_scores
from multilevel.fitted.glmm import GLMMRecord
from multilevel.fitted.joint_covariance import theta_slopes, user_jacobian, working_covariance
from multilevel.inference.clustering import Clustering, read_ways
from multilevel.inference.coefficients import KnownDf
from multilevel.inference.lmm_sandwich import outermost, refuse_split
from multilevel.inference.sandwich import CR_KINDS, few_clusters_factor, refuse_one_cluster
from multilevel.inference.variance_choice import FEW_CLUSTERS, KINDS, known_kind

LIKELIHOOD_KINDS = (*CR_KINDS, "CR3")
BOUNDLESS = 1e2  # standard error in working units of a dispersion or shape that the data do not bound
DF_METHODS = (None, "residual", "z")


@dataclass(frozen=True, slots=True)
class GLMMSandwich:
    """A cluster-robust covariance of (coefficients of all parts, theta), P parameters, G clusters."""

    kind: str
    cluster: str
    n_clusters: int
    root: Array  # (P, G or more) whose product with its transpose is the covariance
    df: float  # of t; infinite for the normal

    @property
    def covariance(self) -> Array:
        """The joint covariance (P, P)."""
        return np.asarray(self.root @ self.root.T)


def glmm_sandwich(
    design: GLMMDesign,
    record: GLMMRecord,
    model: WorkingGLMM,
    data: Frame,
    kind: str | None,
    cluster: Clustering | None,
    df: str | None,
) -> GLMMSandwich:
    """The sandwich of the marginal likelihood: CR1 if no kind is named, t on one df fewer than clusters."""
    if record.prior:
        raise ModelError(
            f'vcov="{kind or "CR1"}" is a variance of maximum likelihood; with prior= use the posterior\'s, '
            'vcov="model".'
        )
    name = checked_kind(kind)
    checked_choice("df", df, DF_METHODS)
    refuse_joint_fits(record, f'vcov="{name}"')
    clusters = chosen_clusters(model, read_ways(cluster, data, design.main))
    back = user_jacobian(model, record.optimum.theta, theta_slopes(model, record.optimum.theta))
    if name == "CR3":
        steps = steps_without_each(design, record, model, clusters)
    else:
        factor = few_clusters_factor(name, clusters.n_levels, design.main.n_obs, design.main.X.shape[1])
        steps = np.sqrt(factor) * steps_of_scores(record, model, clusters)
    known_df = np.inf if df == "z" else clusters.n_levels - 1.0
    return GLMMSandwich(name, clusters.name, clusters.n_levels, back @ steps.T, known_df)


def refuse_joint_fits(record: GLMMRecord, what: str) -> None:
    """What rests on the scores of the likelihood has no place where it is not at its maximum."""
    if not record.nodes:
        raise ModelError(
            f"{what} rests on the slopes of a likelihood at its maximum, and with nagq=0 the fixed effects "
            "are not there; ask fit.update(nagq=1) for it."
        )


def steps_of_scores(record: GLMMRecord, model: WorkingGLMM, clusters: Grouping) -> Array:
    """H^-1 s_g of each cluster: (G, k), and below, a row for each parameter without bounds."""
    psi = record.optimum.theta
    hessian = model.kernel.hessian(psi)
    variance = np.diag(working_covariance(hessian, model.n_theta))
    boundless = scale_parameters(model) & (variance > BOUNDLESS**2)
    scores = cluster_scores(model, psi, clusters.codes, clusters.n_levels)
    bread = working_covariance(without_held(hessian, boundless), model.n_theta)
    return np.vstack([np.where(boundless, 0.0, scores) @ bread, held_steps(boundless, variance)])


def held_steps(held: Mask, variance: Array) -> Array:
    """For each parameter (k,) that no step is taken of, one that gives it the model's variance."""
    return np.asarray(np.diag(np.sqrt(np.maximum(variance, 0.0)))[held])


def steps_without_each(
    design: GLMMDesign, record: GLMMRecord, model: WorkingGLMM, clusters: Grouping
) -> Array:
    """How far psi moves without each cluster, by one Newton step: (G, k), and rows as above."""
    for k, reason in impossible(design, model, clusters.codes, clusters.n_levels).items():
        raise ModelError(
            f"CR3 leaves out each '{clusters.name}' in turn, and without {clusters.levels[k]} {reason}; "
            'use vcov="CR1".'
        )

    def inverse(hessian: Array) -> Array:
        return 0.5 * working_covariance(hessian, model.n_theta)

    psi = record.optimum.theta
    deletions = group_deletions(clusters.codes, clusters.n_levels)
    moved = one_step(model, psi, deletions, clusters.codes, inverse, progress=False)
    if any(each.note is not None for each in moved):
        raise ModelError(
            f"CR3 leaves out each '{clusters.name}' in turn, and without one of them the likelihood is not "
            'defined at the estimates; use vcov="CR1".'
        )
    variance = np.diag(working_covariance(model.kernel.hessian(psi), model.n_theta))
    steps = np.array([each.psi - psi for each in moved])
    return np.vstack([steps, held_steps(hardly_known(model, variance), variance)])


def robust_record(record: GLMMRecord, sandwich: GLMMSandwich) -> GLMMRecord:
    """The same estimates with another covariance, of each part and of all together."""
    joint = sandwich.covariance
    ends = np.cumsum([len(part.names) for part in record.parts])
    parts = tuple(
        replace(part, vcov=joint[end - len(part.names) : end, end - len(part.names) : end])
        for part, end in zip(record.parts, ends.tolist(), strict=True)
    )
    return replace(record, joint_vcov=joint, parts=parts)


def sandwich_inference(record: GLMMRecord, sandwich: GLMMSandwich) -> KnownDf:
    """What the sandwich says of the mean's coefficients, which come first."""
    return KnownDf(sandwich.kind, record.beta, sandwich.root[: len(record.beta)], sandwich.df)


# ---- kinds and clusters ----


def checked_kind(kind: str | None) -> str:
    """A kind that a likelihood has; CR1 if none is named."""
    name = "CR1" if kind is None else kind
    if str(name).casefold() not in {known.casefold() for known in KINDS}:
        checked_choice("vcov", name, ("model", *LIKELIHOOD_KINDS))
    name = known_kind(name)
    if name in LIKELIHOOD_KINDS:
        return name
    if name == "model":
        raise ModelError('vcov="model" takes no clusters; leave out cluster=, or use vcov="CR1".')
    if name.startswith("HC"):
        raise ModelError(
            f'vcov="{name}" takes rows for independent, and random effects relate them; use vcov="CR1", '
            "whose clusters hold whole levels of the grouping factors."
        )
    raise ModelError(
        f'vcov="{name}" corrects the residuals of a linear working model by their leverages, and a '
        'likelihood with its random effects integrated out has scores instead; use vcov="CR3" '
        'with few clusters, or "CR1".'
    )


def chosen_clusters(model: WorkingGLMM, ways: Sequence[Grouping]) -> Grouping:
    """The clusters that were asked for, or the outermost factor; two at least, and independent."""
    if len(ways) > 1:
        raise ModelError(
            "a mixed model's variance takes clusters in one way; crossed groupings belong in its formula, "
            f"as (1 | {ways[0].name}) + (1 | {ways[1].name})."
        )
    fewest_first = model.factors[::-1]
    clusters = ways[0] if ways else outermost(fewest_first)
    refuse_split(fewest_first, clusters)
    refuse_one_cluster(clusters)
    return clusters


def few_clusters_note(sandwich: GLMMSandwich) -> list[str]:
    """What to know about a sandwich from few clusters."""
    if sandwich.n_clusters >= FEW_CLUSTERS or sandwich.kind == "CR3":
        return []
    return [
        f"'{sandwich.cluster}' has {sandwich.n_clusters} clusters; below {FEW_CLUSTERS} cluster-robust "
        "standard errors tend to be too small, even with a t on one df fewer than clusters. Use "
        'vcov="CR3", the jackknife, or bootstrap(kind="case"), which draws whole clusters.'
    ]
