"""How do all estimates of a mixed model change without each row, or each cluster?

Refitted without the rows, which is full case deletion; or with the covariance parameters held relative to
sigma, where algebra serves single rows and the levels of an only grouping factor, and the core the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.design.design import Design, Grouping
from multilevel.estimation.deletions import (
    cluster_sets,
    fit_without_each,
    impossible,
    sets_kept,
    single_sets,
)
from multilevel.estimation.lmm import WorkingModel
from multilevel.fitted.lmm import LMMRecord
from multilevel.inference.case_deletion import influence_of_levels, influence_of_rows
from multilevel.inference.influence import (
    Influence,
    influence_of_refits,
    standard_deviations,
    whole_fit,
)
from multilevel.inference.leverage import leverages
from multilevel.kernels.gaussian import RowSets


@dataclass(frozen=True, slots=True)
class LMMInfluence:
    """What G deletions do to a mixed model."""

    found: Influence
    deviations: Array  # (G, v) standard deviations of the random effects without the rows, term by term
    notes: dict[int, str]  # deletions after which nothing can be estimated, with the reason


def influence_by_row(
    design: Design, record: LMMRecord, model: WorkingModel, *, refit: bool, progress: bool | None = None
) -> LMMInfluence:
    """Leave out one observation of each row."""
    sets = single_sets(design)
    notes = impossible(design, model, sets)
    if refit:
        return refitted(design, record, model, sets, notes, hold_theta=False, progress=progress)
    h = leverages(design, record, model)
    found = influence_of_rows(design, record, model, whole_fit(design, record, model), h)
    possible = possible_ones(len(h), notes)
    return with_held_deviations(model, record, spread_out(kept(found, possible), possible), notes)


def influence_by_group(
    design: Design,
    record: LMMRecord,
    model: WorkingModel,
    clusters: Grouping,
    *,
    refit: bool,
    progress: bool | None = None,
) -> LMMInfluence:
    """Leave out one cluster at a time."""
    sets = cluster_sets(design, clusters.codes, clusters.n_levels)
    notes = impossible(design, model, sets)
    if refit or not is_only_factor(design, clusters):
        return refitted(design, record, model, sets, notes, hold_theta=not refit, progress=progress)
    possible = possible_ones(clusters.n_levels, notes)
    found = influence_of_levels(design, record, model, whole_fit(design, record, model), possible)
    return with_held_deviations(model, record, spread_out(found, possible), notes)


def is_only_factor(design: Design, clusters: Grouping) -> bool:
    """Whether the clusters are the levels of the model's one grouping factor."""
    return len(design.groupings) == 1 and np.array_equal(design.groupings[0].codes, clusters.codes)


def refitted(
    design: Design,
    record: LMMRecord,
    model: WorkingModel,
    sets: RowSets,
    notes: dict[int, str],
    *,
    hold_theta: bool,
    progress: bool | None,
) -> LMMInfluence:
    """Fit without each set; sets that leave no model are not tried."""
    possible = possible_ones(len(sets.n_obs), notes)
    tried = sets_kept(sets, possible)
    whole = whole_fit(design, record, model)
    fits = fit_without_each(
        model, record.optimum, tried, reml=record.reml, hold_theta=hold_theta, progress=progress
    )
    found = influence_of_refits(record, model, whole, tried, fits)
    deviations = np.full((len(possible), sum(term.n_columns for term in design.terms)), np.nan)
    deviations[possible] = standard_deviations(model, fits.theta, found.sigma)
    unfinished = {int(k): "the search did not converge" for k in np.flatnonzero(possible)[~fits.converged]}
    return LMMInfluence(spread_out(found, possible), deviations, {**notes, **unfinished})


def with_held_deviations(
    model: WorkingModel, record: LMMRecord, found: Influence, notes: dict[int, str]
) -> LMMInfluence:
    """Standard deviations that keep their ratio to sigma."""
    relative = standard_deviations(model, record.optimum.theta[None, :], np.ones(1))[0]
    return LMMInfluence(found, np.outer(found.sigma, relative), notes)


def possible_ones(count: int, notes: dict[int, str]) -> Mask:
    """Deletions (count,) that leave a model to estimate."""
    possible = np.ones(count, dtype=bool)
    possible[list(notes)] = False
    return possible


def kept(found: Influence, which: Mask) -> Influence:
    """Some of the deletions."""
    return Influence(
        found.dfbeta[which],
        found.std_error[which],
        found.cooks_distance[which],
        found.covratio[which],
        found.sigma[which],
    )


def spread_out(found: Influence, possible: Mask) -> Influence:
    """All deletions, NaN where none was possible."""
    if possible.all():
        return found

    def spread(values: Array) -> Array:
        out = np.full((len(possible), *values.shape[1:]), np.nan)
        out[possible] = values
        return out

    return Influence(
        spread(found.dfbeta),
        spread(found.std_error),
        spread(found.cooks_distance),
        spread(found.covratio),
        spread(found.sigma),
    )
