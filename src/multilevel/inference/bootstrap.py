"""What would a mixed model's estimates have been in other samples? Bootstrap replicates.

Responses are drawn from the model (parametric), put together from reflated residuals, or clusters are drawn
with replacement (case). Each replicate has a random stream of its own, and blocks of replicates are fitted
in the compiled core.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from multilevel._typing import Array, Mask
from multilevel.design.design import Design
from multilevel.errors import DataTypeError
from multilevel.estimation.lmm import WorkingModel
from multilevel.estimation.optimum import Optimum
from multilevel.estimation.refits import (
    ResponseFits,
    fit_block,
    fit_cases,
    fixed_std_errors,
    refit_starts,
)
from multilevel.fitted.assemble import user_roots
from multilevel.fitted.lmm import LMMRecord
from multilevel.inference.parameters import Parameter, parameter_values
from multilevel.simulation.clusters import (
    IndependentClusters,
    draw_clusters,
    independent_clusters,
    without_each,
)
from multilevel.simulation.lmm import draw_responses, refuse_counted_rows
from multilevel.simulation.resampling import draw_from_residuals, reflated_residuals

BootstrapKind = Literal["parametric", "residual", "case"]
Streams = Sequence[np.random.Generator]

FIRST_BLOCK = 16  # replicates, from which blocks grow while they are quick
QUICK = 0.2  # seconds for a block: how long Ctrl-C may have to wait, about
BLOCK_BYTES = 64e6  # of responses at once
DELAY = 1.0  # seconds before a progress bar is shown unless told
JACKKNIFE_BLOCKS = 400  # clusters left out one by one up to here; more are left out in sets


@dataclass(frozen=True, slots=True)
class Replicates:
    """Estimates from B samples, a row each; NaN where a sample could not be fitted."""

    values: Array  # (B, K)
    converged: Mask  # (B,)
    singular: Mask  # (B,)
    theta: Array  # (B, k) internal covariance parameters
    sigma: Array  # (B,)
    std_errors: Array | None  # (B, p) of the coefficients, where they came with the fits


FitReplicates = Callable[[Streams], Replicates]


# ---- in blocks, until done or interrupted ----


def in_blocks(fit: FitReplicates, streams: Streams, n_rows: int, progress: bool | None) -> Replicates:
    """All replicates, or those that were done when Ctrl-C was pressed, if there are any."""
    done: list[Replicates] = []
    bar = tqdm(
        total=len(streams),
        desc="bootstrap",
        disable=progress is False,
        delay=0.0 if progress else DELAY,
        leave=False,
    )
    try:
        with bar:
            for block in growing_blocks(len(streams), max(1, int(BLOCK_BYTES / (8 * n_rows)))):
                done.append(fit(streams[block]))
                bar.update(block.stop - block.start)
    except KeyboardInterrupt:
        if not done:
            raise
    return stacked(done)


def growing_blocks(count: int, largest: int) -> Iterator[slice]:
    """Blocks of replicates that double while one takes little time."""
    size, first = min(FIRST_BLOCK, largest), 0
    while first < count:
        begun = time.perf_counter()
        last = min(first + size, count)
        yield slice(first, last)
        first = last
        if time.perf_counter() - begun < QUICK:
            size = min(2 * size, largest)


def stacked(parts: Sequence[Replicates]) -> Replicates:
    """Replicates of several blocks below each other."""

    def column(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    errors = None if parts[0].std_errors is None else column("std_errors")
    return Replicates(
        column("values"), column("converged"), column("singular"), column("theta"), column("sigma"), errors
    )


# ---- the parameters of the model, in the core ----


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """A fitted model whose replicates are asked for."""

    design: Design
    record: LMMRecord
    model: WorkingModel
    parameters: tuple[Parameter, ...]

    @property
    def optimum(self) -> Optimum:
        """Where the fit's search ended, and the replicates' begin."""
        return self.record.optimum


def replicate_fits(fitted: Bootstrapped, kind: BootstrapKind) -> FitReplicates:
    """What turns random streams into replicates of the parameters."""
    if kind == "case":
        clusters = independent_clusters(fitted.design)
        return lambda streams: case_replicates(fitted, clusters, draw_clusters(clusters.count, streams))
    draw = response_draws(fitted, kind)

    def fit(streams: Streams) -> Replicates:
        model, optimum, reml = fitted.model, fitted.optimum, fitted.record.reml
        return as_replicates(fitted, fit_block(fitted.design, model, optimum, draw(streams), reml), None)

    return fit


def response_draws(fitted: Bootstrapped, kind: BootstrapKind) -> Callable[[Streams], Array]:
    """What turns random streams into responses (n, b)."""
    refuse_counted_rows(fitted.design)
    if kind == "parametric":
        return lambda streams: draw_responses(fitted.design, fitted.record, streams, keep=False)
    residuals = reflated_residuals(fitted.design, fitted.record, fitted.model)
    return lambda streams: draw_from_residuals(residuals, streams)


def case_replicates(
    fitted: Bootstrapped, clusters: IndependentClusters, times: npt.NDArray[np.int32]
) -> Replicates:
    """Fits to samples of clusters, the columns of `times` (clusters, B)."""
    starting = refit_starts(fitted.model, fitted.optimum)
    fits, errors = fit_cases(
        fitted.design, fitted.model, starting, clusters.codes, times, clusters.n_obs, fitted.record.reml
    )
    return as_replicates(fitted, fits, errors)


def as_replicates(fitted: Bootstrapped, fits: ResponseFits, std_errors: Array | None) -> Replicates:
    """Standard deviations and correlations beside the coefficients."""
    values = np.full((len(fits.beta), len(fitted.parameters)), np.nan)
    good = np.isfinite(fits.sigma) & np.isfinite(fits.theta).all(axis=1)
    if good.any():
        values[good] = parameter_values(
            fitted.parameters, fits.beta[good], roots_of(fitted.model, fits.theta[good]), fits.sigma[good]
        )
    return Replicates(values, fits.converged & good, fits.singular & good, fits.theta, fits.sigma, std_errors)


def roots_of(model: WorkingModel, theta: Array) -> list[Array]:
    """Roots (B, q, q) of each term's relative covariance, on the user's columns."""
    roots = [user_roots(model, model.kernel.term_factors(row)) for row in theta]
    return [np.array(of_term) for of_term in zip(*roots, strict=True)]


def replicate_std_errors(fitted: Bootstrapped, replicates: Replicates) -> Array:
    """Standard errors (B, p) of the coefficients in each replicate."""
    if replicates.std_errors is not None:
        return replicates.std_errors
    factors = np.array([fitted.model.kernel.solution(theta).fixed_factor for theta in replicates.theta])
    return fixed_std_errors(fitted.model, factors, replicates.sigma)


def jackknife(fitted: Bootstrapped) -> Array:
    """Estimates (m, K) with one cluster left out in turn, or one of 400 sets of clusters."""
    clusters = independent_clusters(fitted.design)
    return case_replicates(fitted, clusters, without_each(clusters.count, JACKKNIFE_BLOCKS)).values


# ---- a statistic of the user's own ----


def named_statistic(value: object) -> dict[str, float]:
    """What a statistic returned, as numbers by name."""
    if isinstance(value, Mapping):
        return {str(name): float(number) for name, number in value.items()}
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        numbers = np.empty((0, 0))
    if numbers.ndim == 0:
        return {"statistic": float(numbers)}
    if numbers.ndim != 1:
        raise DataTypeError(
            "statistic= returns a number, a one-dimensional array or a mapping of names to numbers, "
            f"got {type(value).__name__}."
        )
    return {f"statistic[{k}]": float(number) for k, number in enumerate(numbers)}


def statistic_replicates(
    refits: Callable[[np.random.Generator], Any], statistic: Callable[[Any], object], names: Sequence[str]
) -> FitReplicates:
    """What turns random streams into replicates of a statistic of whole refitted fits, one after another.

    A fit that is None could not be made.
    """

    def fit(streams: Streams) -> Replicates:
        fits = [refits(rng) for rng in streams]
        rows = [{} if fit is None else named_statistic(statistic(fit)) for fit in fits]
        n_theta = max((len(fit.theta) for fit in fits if fit is not None), default=0)
        nothing = np.full(n_theta, np.nan)
        return Replicates(
            values=np.array([[row.get(name, np.nan) for name in names] for row in rows]),
            converged=np.array([fit is not None and fit.converged for fit in fits]),
            singular=np.array([fit is not None and fit.singular for fit in fits]),
            theta=np.array([nothing if fit is None else fit.theta for fit in fits]),
            sigma=np.array([np.nan if fit is None else fit.sigma for fit in fits]),
            std_errors=None,
        )

    return fit
