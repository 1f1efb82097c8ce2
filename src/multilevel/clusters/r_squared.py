"""How much of the variance does a mixed model explain? As a whole, and level by level.

Every measure is 1 - unexplained / total, with its own idea of what is to be explained:

marginal         of the variance of an observation, Var(X beta) + mean z' Sigma z + sigma^2, all but
                 Var(X beta) is left unexplained;
conditional      only sigma^2 is: the random effects explain, too;
raudenbush_bryk  each variance component against the same one of a null model without predictors;
snijders_bosker  the variance of what a prediction from the fixed part misses, of an observation and of the
                 mean of a group, against that of the null model.

A reduction of a variance component is not bound to lie between 0 and 1: a predictor that varies within groups
only leaves sigma^2 smaller and tau^2 larger. Snijders and Bosker's measures are rarely negative.

Nakagawa, S. and Schielzeth, H. (2013). Methods in Ecology and Evolution 4, 133-142.
Johnson, P. C. D. (2014). Methods in Ecology and Evolution 5, 944-946 (random slopes).
Nakagawa, S., Johnson, P. C. D. and Schielzeth, H. (2017). Journal of the Royal Society Interface 14.
Raudenbush, S. W. and Bryk, A. S. (2002). Hierarchical Linear Models, 2nd ed., 74-79. Sage.
Snijders, T. A. B. and Bosker, R. J. (1994). Modeled variance in two-level models. Sociological Methods &
Research 22, 342-363.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.clusters.variance_forms import (
    Covariances,
    VarianceForms,
    effect_forms,
    group_forms,
    group_mean_form,
    joined_forms,
    residual_form,
)
from multilevel.design.design import Design

ROUNDING = 1e-9  # a share that two searches, each ended at its optimum, leave where there is none
RESIDUAL, OBSERVATION = "Residual", "Observation"
RAUDENBUSH_BRYK, SNIJDERS_BOSKER = "raudenbush_bryk", "snijders_bosker"


@dataclass(frozen=True, slots=True)
class Label:
    """Which measure a row holds, and of what."""

    measure: str  # "marginal", "conditional", RAUDENBUSH_BRYK or SNIJDERS_BOSKER
    group: str  # what there is to explain the variance of: a grouping factor, RESIDUAL or OBSERVATION
    term: str | None = None  # random-effect column, where a grouping factor has several and each is compared
    averaged: bool = False  # whether mean variances stand for components that the two models do not share


@dataclass(frozen=True, slots=True)
class Reductions:
    """Variances of a model and of its null model that belong together, K in all."""

    labels: tuple[Label, ...]  # (K,)
    unexplained: VarianceForms  # of the model
    total: VarianceForms  # of the null model


@dataclass(frozen=True, slots=True)
class ExplainedVariance:
    """Totals and what is left unexplained, at B estimates, of R measures."""

    labels: tuple[Label, ...]  # (R,)
    total: Array  # (B, R)
    unexplained: Array  # (B, R)

    @property
    def estimate(self) -> Array:
        """The explained shares (B, R); NaN where there is nothing to explain."""
        safe = np.where(self.total > 0.0, self.total, np.nan)
        share = 1.0 - self.unexplained / safe
        return np.where(np.abs(share) < ROUNDING, 0.0, share)

    def __add__(self, other: ExplainedVariance) -> ExplainedVariance:
        """The measures of both."""
        return ExplainedVariance(
            self.labels + other.labels,
            np.hstack([self.total, other.total]),
            np.hstack([self.unexplained, other.unexplained]),
        )


def nakagawa(fixed: Array, random: Array, residual: Array) -> ExplainedVariance:
    """Marginal and conditional R2, from the variances (B,) of the three parts of the model."""
    unexplained = np.column_stack([random + residual, residual])
    total = np.broadcast_to((fixed + random + residual)[:, None], unexplained.shape)
    return ExplainedVariance(
        (Label("marginal", OBSERVATION), Label("conditional", OBSERVATION)), total, unexplained
    )


def mean_random_variance(design: Design, covariances: Covariances) -> Array:
    """Mean over observations of z' Sigma z, all terms together: (B,)."""
    return group_forms(design).total().at(covariances)[:, 0]


def by_level(reductions: Reductions, covariances: Covariances, null: Covariances) -> ExplainedVariance:
    """Proportional reductions against the null model."""
    return ExplainedVariance(
        reductions.labels, reductions.total.at(null), reductions.unexplained.at(covariances)
    )


def fixed_root(X: Array, counts: Array | None) -> Array:
    """Triangle R (p, p) for which |R beta|^2 is the sample variance of X beta over observations."""
    weights = np.ones(len(X)) if counts is None else counts
    centred = np.sqrt(weights)[:, None] * (X - np.average(X, axis=0, weights=weights))
    return np.asarray(np.linalg.qr(centred, mode="r") / np.sqrt(weights.sum() - 1.0))


# ---- which variances belong together ----


def level_reductions(design: Design, null: Design) -> Reductions:
    """All variances that a model and a null model on the same rows share."""
    parts = [
        *(component_reduction(design, null, group) for group in shared_groups(design, null)),
        Reductions((Label(RAUDENBUSH_BRYK, RESIDUAL),), residual_form(design), residual_form(null)),
        *(mean_reduction(design, null, group) for group in range(len(design.groupings))),
        Reductions((Label(SNIJDERS_BOSKER, OBSERVATION),), observation_form(design), observation_form(null)),
    ]
    return Reductions(
        tuple(label for part in parts for label in part.labels),
        joined_forms([part.unexplained for part in parts]),
        joined_forms([part.total for part in parts]),
    )


def shared_groups(design: Design, null: Design) -> list[tuple[int, int]]:
    """Grouping factors that both models have, by their numbers in either."""
    there = {grouping.name: number for number, grouping in enumerate(null.groupings)}
    return [(k, there[g.name]) for k, g in enumerate(design.groupings) if g.name in there]


def component_reduction(design: Design, null: Design, group: tuple[int, int]) -> Reductions:
    """Raudenbush and Bryk's, of each random effect if both models have the same ones, else of their mean."""
    own, other = group
    name = design.groupings[own].name
    columns = effect_names(design, own)
    if columns != effect_names(null, other):
        label = Label(RAUDENBUSH_BRYK, name, averaged=True)
        return Reductions((label,), group_form(design, own), group_form(null, other))
    several = len(columns) > 1
    labels = tuple(Label(RAUDENBUSH_BRYK, name, column if several else None) for column in columns)
    return Reductions(labels, effects_of_group(design, own), effects_of_group(null, other))


def effect_names(design: Design, group: int) -> tuple[str, ...]:
    """Random-effect columns of one grouping factor."""
    return tuple(name for term in design.terms if term.grouping == group for name in term.names)


def effects_of_group(design: Design, group: int) -> VarianceForms:
    """The variance of each random effect of one grouping factor."""
    return joined_forms([effect_forms(design, t) for t, m in enumerate(design.terms) if m.grouping == group])


def group_form(design: Design, group: int) -> VarianceForms:
    """The mean variance that one grouping factor contributes."""
    return group_forms(design).split(len(design.groupings))[group]


def mean_reduction(design: Design, null: Design, group: int) -> Reductions:
    """Snijders and Bosker's at a higher level: of the variance of a group's mean about its fixed part."""
    grouping = design.groupings[group]
    label = Label(SNIJDERS_BOSKER, grouping.name)
    return Reductions(
        (label,), group_mean_form(design, grouping.codes), group_mean_form(null, grouping.codes)
    )


def observation_form(design: Design) -> VarianceForms:
    """Mean variance of an observation about its fixed part."""
    return group_forms(design).total() + residual_form(design)
