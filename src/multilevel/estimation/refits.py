"""How does the same model fit other responses? One response, or thousands on all threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, fields, replace

import numpy as np
import numpy.typing as npt
from tqdm.auto import tqdm

from multilevel._typing import Array, Codes
from multilevel.design.design import Design
from multilevel.estimation.lmm import MAX_EVALUATIONS, TOLERANCE, WorkingModel, starts
from multilevel.estimation.optimum import Optimum
from multilevel.estimation.working import effective_weights, working_response
from multilevel.kernels.gaussian import SearchOutcomes, StructureCode

LEAST_START = (
    0.1  # standard deviation, in working units, from which a search can find its way off the boundary
)
LONG = 5e7  # rows times responses from which a progress bar is shown unless told
BLOCK_BYTES = 64e6  # of responses handed to the core between two looks at the keyboard


@dataclass(frozen=True, slots=True)
class ResponseFits:
    """Estimates of one model from B responses, a row each."""

    beta: Array  # (B, p) on the user's columns
    theta: Array  # (B, k) internal covariance parameters
    sigma: Array  # (B,)
    criterion: Array  # (B,)
    converged: npt.NDArray[np.bool_]  # (B,)
    singular: npt.NDArray[np.bool_]  # (B,)
    evaluations: npt.NDArray[np.int32]  # (B,)


def with_response(design: Design, model: WorkingModel, y: Array) -> WorkingModel:
    """The working model with another response in the place of the design's."""
    effective = y if design.offset is None else y - design.offset
    centred = model.fixed.centring.one is not None
    response = working_response(effective, effective_weights(design), centred)
    model.kernel.set_response(np.ascontiguousarray(effective), response.shift, response.scale)
    return replace(model, response=response)


def warm_start(model: WorkingModel, optimum: Optimum) -> Array:
    """Where searches for similar responses begin: the optimum, moved off the boundary if it lies there."""
    theta = optimum.theta.copy()
    at = 0
    for layout, factor in zip(model.layouts, model.kernel.term_factors(theta), strict=True):
        mine = theta[at : at + layout.n_parameters]
        if layout.structure is StructureCode.us:
            mine[:] = inner_factor(factor)
        else:
            n_sd = 1 if layout.hom else layout.width
            mine[:n_sd] = np.maximum(np.abs(mine[:n_sd]), LEAST_START)
            mine[n_sd:] = [off_the_ends(angle) for angle in mine[n_sd:]]
        at += layout.n_parameters
    return theta


def off_the_ends(angle: float) -> float:
    """An angle moved off the quarter turns, at which a correlation may stand at an end of its range."""
    end = round(angle / (np.pi / 2.0)) * np.pi / 2.0
    return end + LEAST_START if abs(angle - end) < LEAST_START else angle


def inner_factor(factor: Array) -> Array:
    """Lower triangle, column by column, of a factor whose variances are none of them nearly zero."""
    values, vectors = np.linalg.eigh(factor @ factor.T)
    if values[0] >= LEAST_START**2:
        inner = factor
    else:
        inner = np.linalg.cholesky((vectors * np.maximum(values, LEAST_START**2)) @ vectors.T)
    return np.asarray(inner.T[np.triu_indices(len(factor))])


def fit_all_responses(
    design: Design, model: WorkingModel, optimum: Optimum, Y: Array, reml: bool, progress: bool | None
) -> ResponseFits:
    """Fit the columns of Y (n, B), block by block, with a progress bar if it will be long."""
    n_rows, count = Y.shape
    blocks = []
    with tqdm(total=count, disable=not (n_rows * count > LONG if progress is None else progress)) as bar:
        for block in response_blocks(n_rows, count):
            blocks.append(fit_block(design, model, optimum, Y[:, block], reml))
            bar.update(block.stop - block.start)
    return joined_fits(blocks)


def joined_fits(blocks: Sequence[ResponseFits]) -> ResponseFits:
    """The fits of several blocks of responses in one."""
    return ResponseFits(*(np.concatenate(parts) for parts in zip(*map(astuple, blocks), strict=True)))


def response_blocks(n_rows: int, count: int) -> Iterator[slice]:
    """Blocks of responses small enough to be copied, and to be stopped between."""
    step = max(1, int(BLOCK_BYTES / (8 * n_rows)))
    return (slice(begin, min(begin + step, count)) for begin in range(0, max(count, 1), step))


def fit_block(design: Design, model: WorkingModel, optimum: Optimum, Y: Array, reml: bool) -> ResponseFits:
    """Fit some responses (n, b) in the core: from every start, keeping the best."""
    several = [fit_block_from(design, model, start, Y, reml) for start in refit_starts(model, optimum)]
    return several[0] if len(several) == 1 else best_of(several)


def refit_starts(model: WorkingModel, optimum: Optimum) -> list[Array]:
    """The optimum, and the other places that a search for the fit itself would begin from."""
    return [warm_start(model, optimum), *starts(model)[1:]]


def best_of(several: Sequence[ResponseFits]) -> ResponseFits:
    """Of fits to the same responses from several starts, for each response the one of least criterion."""
    criteria = np.array([np.where(np.isnan(fits.criterion), np.inf, fits.criterion) for fits in several])
    best = criteria.argmin(axis=0)
    rows = np.arange(len(best))
    columns = {
        field.name: np.array([getattr(fits, field.name) for fits in several])[best, rows]
        for field in fields(ResponseFits)
    }
    return ResponseFits(**columns)


def fit_block_from(design: Design, model: WorkingModel, start: Array, Y: Array, reml: bool) -> ResponseFits:
    """Fit some responses (n, b) in the core, all from one start."""
    effective = Y if design.offset is None else Y - design.offset[:, None]
    found = model.kernel.refit_many(
        effective,
        start,
        reml=reml,
        tolerance=TOLERANCE,
        max_evaluations=MAX_EVALUATIONS,
    )
    df = design.n_obs - (design.X.shape[1] if reml else 0)
    return in_user_units(model, found, df, reml=reml)


def fit_cases(
    design: Design,
    model: WorkingModel,
    starting: Sequence[Array],
    cluster: Codes,
    times: Codes,
    n_obs: Array,
    reml: bool,
) -> tuple[ResponseFits, Array]:
    """Fit samples of whole clusters, the columns of `times` (K, B); with standard errors (B, p).

    Each sample is searched from every start, and its best fit is kept.
    `cluster` (n,) is the cluster of each row, `n_obs` (K,) the observations in each. The criterion, which
    takes precision weights as those of the whole data, is of no use across samples.
    """
    found = model.kernel.refit_cases(
        cluster,
        times,
        n_obs @ times,
        np.column_stack(starting),
        reml=reml,
        tolerance=TOLERANCE,
        max_evaluations=MAX_EVALUATIONS,
    )
    df = n_obs @ times - (design.X.shape[1] if reml else 0)
    fits = in_user_units(model, found.searches, df, reml=reml)
    return fits, fixed_std_errors(model, found.fixed_factors, fits.sigma)


def fixed_std_errors(model: WorkingModel, fixed_factors: Array, sigma: Array) -> Array:
    """Standard errors (B, p) from lower factors (B, p, p) of X'V^-1X in working units."""
    jacobian = model.fixed.jacobian()
    half = np.full((len(sigma), *jacobian.shape), np.nan)
    good = np.isfinite(fixed_factors).all(axis=(1, 2))
    half[good] = np.linalg.solve(fixed_factors[good], jacobian.T[None])
    return np.asarray(sigma[:, None] * np.sqrt((half * half).sum(axis=1)))


def in_user_units(
    model: WorkingModel, found: SearchOutcomes, df: float | Array, *, reml: bool
) -> ResponseFits:
    """Estimates with X, y and weights in the user's units; df is one number or one for each fit (B,)."""
    scale = model.response.scale
    slopes = model.fixed.back(found.beta.T).T / scale
    one = model.fixed.centring.one
    if one is not None:
        slopes = slopes + np.outer(model.response.shift - slopes @ model.fixed.centring.shift, one)
    widths = np.array([layout.width for layout in model.layouts])
    fixed = 2.0 * model.fixed.log_det if reml else 0.0
    return ResponseFits(
        beta=slopes,
        theta=found.theta,
        sigma=np.sqrt(found.pwrss / df) / scale,
        criterion=found.criterion - 2.0 * df * np.log(scale) - fixed - model.log_weights,
        converged=found.converged,
        singular=np.asarray((found.rank < widths).any(axis=1)),
        evaluations=found.evaluations,
    )
