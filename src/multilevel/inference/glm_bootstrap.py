"""Replicates of a generalized linear model: fits to simulated responses, or to drawn rows or clusters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from multilevel._typing import Array, Codes, Mask
from multilevel.design.design import Grouping
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import MultilevelError
from multilevel.estimation.glm import solve_glm
from multilevel.estimation.glmm_prior import WeakPrior
from multilevel.fitted.glm import GLMRecord
from multilevel.inference.bootstrap import JACKKNIFE_BLOCKS, Replicates, Streams
from multilevel.inference.glm_influence import without_rows
from multilevel.inference.parameters import Parameter
from multilevel.simulation.clusters import draw_clusters, without_each
from multilevel.simulation.families import draw
from multilevel.simulation.glmm import density_of, stacked


@dataclass(frozen=True, slots=True)
class Source:
    """What replicates are made from."""

    model: GLMMDesign
    record: GLMRecord
    prior: WeakPrior | None
    clusters: Grouping | None  # drawn as wholes by a case bootstrap; None for single rows


def glm_parameters(record: GLMRecord) -> tuple[Parameter, ...]:
    """Coefficients of all parts: those beside the mean's carry the part's name, `disp~Intercept`."""
    named = [
        name if part.component == "cond" else f"{part.component}~{name}"
        for part in record.parts
        for name in part.names
    ]
    return tuple(Parameter(name, "fixed", None, name, place) for place, name in enumerate(named))


def parameter_estimates(record: GLMRecord) -> Array:
    """Their values (K,)."""
    return np.concatenate([part.estimate for part in record.parts])


def response_designs(source: Source, streams: Streams) -> list[GLMMDesign]:
    """The design with new responses from the model."""
    density = density_of(source.model, source.record)
    predictors = stacked(source.model, source.record, source.record.eta, None)
    main = source.model.main
    drawn = (draw(density, predictors, main.trials, stream) for stream in streams)
    return [replace(source.model, main=replace(main, y=y)) for y in drawn]


def case_designs(source: Source, streams: Streams) -> list[GLMMDesign]:
    """The design with rows, or clusters, as often as they are drawn."""
    return [present(each) for each in counted_designs(source, streams)]


def counted_designs(source: Source, streams: Streams) -> list[GLMMDesign]:
    """The same with all rows in their places, those not drawn with a count of zero."""
    count = source.model.main.n_rows if source.clusters is None else source.clusters.n_levels
    times = draw_clusters(count, streams)
    return [counted(source, times[:, k]) for k in range(times.shape[1])]


def counted(source: Source, times: Codes) -> GLMMDesign:
    """The design with units as often as `times` (K,) says."""
    counts = (times if source.clusters is None else times[source.clusters.codes]).astype(np.float64)
    return replace(source.model, main=replace(source.model.main, freq_weights=counts))


def present(model: GLMMDesign) -> GLMMDesign:
    """The rows of a design that count."""
    counts = model.main.freq_weights
    return model if counts is None else without_rows(model, counts > 0.0)


def replicates_of(
    source: Source, designs: Callable[[Source, Streams], Sequence[GLMMDesign]]
) -> Callable[[Streams], Replicates]:
    """What turns random streams into replicates of the parameters."""

    def fits(streams: Streams) -> Replicates:
        return as_replicates(np.array([coefficients(source, each) for each in designs(source, streams)]))

    return fits


def as_replicates(values: Array) -> Replicates:
    """Values (B, K) with the flags that bootstraps carry; NaN where there was no fit."""
    known: Mask = np.asarray(np.isfinite(values).any(axis=1), dtype=np.bool_)
    return Replicates(
        values=values,
        converged=known,
        singular=np.zeros(len(values), dtype=np.bool_),
        theta=np.zeros((len(values), 0)),
        sigma=np.where(known, 1.0, np.nan),
        std_errors=None,
    )


def coefficients(source: Source, design: GLMMDesign) -> Array:
    """Coefficients (K,) of all parts; NaN where the sample cannot be fitted."""
    try:
        return solve_glm(design, source.record.family, source.prior).coefficients
    except (MultilevelError, np.linalg.LinAlgError):
        return np.full(len(parameter_estimates(source.record)), np.nan)


def jackknife(source: Source) -> Array:
    """Coefficients (m, K) without each row or cluster, or without sets of them."""
    count = source.model.main.n_rows if source.clusters is None else source.clusters.n_levels
    times = without_each(count, JACKKNIFE_BLOCKS)
    return np.array(
        [coefficients(source, present(counted(source, times[:, k]))) for k in range(times.shape[1])]
    )
