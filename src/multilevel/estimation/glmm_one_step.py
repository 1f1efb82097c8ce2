"""Where is a generalized mixed model's optimum without some of its rows, by one step from that of the whole?

A step of Newton's method in all parameters. It needs gradient and Hessian of the criterion without the rows,
at the estimates of the whole: those of the whole, less those of the clusters that the rows belong to, plus
those of what these clusters keep. Levels of a factor that lose all their rows leave nothing.

Three things keep a single step near the optimum. The mixed derivatives by coefficients and by variances stay
those of the whole: their expectation is small (zero for normal responses), and a cluster's own are noise
that goes along with its score. A step that would double a standard deviation, or bring it below zero, is
taken in variances instead, which stop at zero. None is taken with less than a tenth of the whole's curvature.
A dispersion or shape that the data hardly tell stays where it is.

References:
    Pregibon, D. (1981). Logistic regression diagnostics. Annals of Statistics 9, 705-724.
    Xiang, L., Tse, S.-K. & Lee, A. H. (2002). Influence diagnostics for generalized linear mixed models:
    applications to clustered data. Computational Statistics & Data Analysis 40, 759-774.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Codes, Mask
from multilevel.estimation.glmm import WorkingGLMM
from multilevel.estimation.glmm_deletions import NOT_DEFINED, NOTHING, Deletion, WithoutRows, kept, shown
from multilevel.estimation.glmm_subsets import Indices, SomeRows, kernel_of, rows_by_cluster
from multilevel.kernels.gaussian import StructureCode
from multilevel.kernels.marginal import MarginalKernel

LEAST_CURVATURE = 0.1  # of that of the whole, for a step without some rows
LEAST_DEVIATION = 1e-4  # in working units, below which a standard deviation counts as zero
LARGEST_ERROR = 2.0  # of the log of a dispersion, or of a shape, beyond which a step of it means nothing
FLAT = 1e-9  # of the largest curvature, that counts as none


@dataclass(frozen=True, slots=True)
class Slopes:
    """First and second derivatives of a part of the criterion at one psi."""

    gradient: Array  # (k,)
    hessian: Array  # (k, k)

    def __add__(self, other: Slopes) -> Slopes:
        return Slopes(self.gradient + other.gradient, self.hessian + other.hessian)

    def __sub__(self, other: Slopes) -> Slopes:
        return Slopes(self.gradient - other.gradient, self.hessian - other.hessian)


def slopes_of(kernel: MarginalKernel, psi: Array) -> Slopes:
    """Those of a kernel."""
    hessian = kernel.hessian(psi)
    return Slopes(kernel.derivatives(psi)[1], hessian)


def one_step(
    model: WorkingGLMM,
    psi: Array,
    deletions: Sequence[Deletion],
    clusters: Codes,
    inverse: Callable[[Array], Array],
    progress: bool | None,
) -> list[WithoutRows]:
    """One step of Newton's method without each set of rows; `clusters` (n,) are independent of each other.

    `inverse` is that of a Hessian, of what it can be inverted on.
    """
    rows_of = rows_by_cluster(clusters, int(clusters.max()) + 1)
    at_psi = slopes_of(model.kernel, psi)
    scale = scale_parameters(model)
    unknown = hardly_known(model, 2.0 * np.diag(inverse(at_psi.hessian)))
    whole = holding(at_psi, unknown)
    newton = NewtonStep(psi, deviation_places(model, psi), LEAST_CURVATURE * whole.hessian, inverse)
    mixed = np.not_equal.outer(scale, scale)
    known: dict[int, Slopes] = {}

    def of_cluster(cluster: int) -> Slopes:
        if cluster not in known:
            known[cluster] = slopes_of(kernel_of(model, SomeRows(rows_of[cluster]), prior=False), psi)
        return known[cluster]

    def move(deletion: Deletion) -> WithoutRows:
        touched = np.unique(clusters[deletion.rows]).tolist()
        left = kept(model, np.sort(np.concatenate([rows_of[c] for c in touched])), deletion)
        try:
            rest = at_psi
            for cluster in touched:
                rest = rest - of_cluster(cluster)
            if len(left.rows):
                rest = rest + slopes_of(kernel_of(model, left, prior=False), psi)
        except ValueError:  # the core's: the criterion is not defined there
            return WithoutRows(NOTHING, NOTHING, NOT_DEFINED)
        rest = holding(rest, unknown)
        return newton.taken(Slopes(rest.gradient, np.where(mixed, whole.hessian, rest.hessian)))

    return [move(deletion) for deletion in shown(deletions, progress)]


@dataclass(frozen=True, slots=True)
class NewtonStep:
    """What a step from the estimates of the whole needs to know."""

    psi: Array  # (k,)
    places: Indices  # of standard deviations, none of which is zero
    least: Array  # (k, k) curvature to step with at least
    inverse: Callable[[Array], Array]  # of a Hessian, where it is curved

    def taken(self, rest: Slopes) -> WithoutRows:
        """The step in standard deviations, or in variances where it is long."""
        hessian = at_least(rest.hessian, self.least)
        step = -self.inverse(hessian) @ rest.gradient
        if (np.abs(step) < np.abs(self.psi))[self.places].all():
            return WithoutRows(self.psi + step, hessian)
        return WithoutRows(self.in_variances(rest), hessian)

    def in_variances(self, rest: Slopes) -> Array:
        """The parameters (k,) after a step of variances, none of which gets below zero."""
        slope, at, squares = np.ones(len(self.psi)), self.places, self.psi[self.places] ** 2
        slope[at] = 0.5 / self.psi[at]  # of a standard deviation by its square
        turned = rest.hessian * np.outer(slope, slope)
        turned[at, at] -= rest.gradient[at] / (4.0 * self.psi[at] ** 3)
        hessian, gradient = at_least(turned, self.least * np.outer(slope, slope)), rest.gradient * slope
        step = -self.inverse(hessian) @ gradient
        held = at[squares + step[at] < 0.0]
        if len(held):
            fixed = np.zeros(len(step))
            fixed[held] = -(self.psi[held] ** 2)
            free = hessian.copy()
            free[held], free[:, held] = 0.0, 0.0
            step = fixed - self.inverse(free) @ np.where(fixed == 0.0, gradient + hessian @ fixed, 0.0)
        psi = self.psi + step
        psi[at] = np.sign(self.psi[at]) * np.sqrt(np.maximum(squares + step[at], 0.0))
        return psi


def holding(slopes: Slopes, held: Mask) -> Slopes:
    """Derivatives for a step that leaves some parameters where they are."""
    return Slopes(np.where(held, 0.0, slopes.gradient), without_held(slopes.hessian, held))


def without_held(hessian: Array, held: Mask) -> Array:
    """A Hessian whose inverse leaves some parameters to themselves."""
    alone = np.where(held[:, None] | held, 0.0, hessian)
    alone[held, held] = 1.0
    return alone


def scale_parameters(model: WorkingGLMM) -> Mask:
    """Which parameters (k,) are of covariances, dispersion or shape, and no coefficients."""
    scale = np.ones(model.kernel.n_parameters, dtype=np.bool_)
    for part in model.rows.parts:
        if part.component in ("cond", "threshold", "zi"):
            scale[model.n_theta + part.first : model.n_theta + part.places.stop] = False
    return scale


def hardly_known(model: WorkingGLMM, variance: Array) -> Mask:
    """Which dispersions and shapes (k,) have so large a variance (k,) that a step of them means nothing."""
    found = scale_parameters(model) & (variance > LARGEST_ERROR**2)
    found[: model.n_theta] = False
    return found


def deviation_places(model: WorkingGLMM, psi: Array) -> Indices:
    """Where psi has standard deviations, or diagonals of T, that are not zero."""
    places: list[int] = []
    first = 0
    for layout in model.layouts:
        if layout.structure is StructureCode.us:
            columns = np.arange(layout.width, 0, -1)
            places += (first + np.cumsum(columns) - columns).tolist()
        else:
            places += range(first, first + (1 if layout.hom else layout.width))
        first += layout.n_parameters
    found = np.array(places, dtype=np.intp)
    return found[np.abs(psi[found]) > LEAST_DEVIATION]


def at_least(hessian: Array, least: Array) -> Array:
    """A Hessian (k, k) with no less curvature in any direction than another that is not negative."""
    size = np.sqrt(np.maximum(np.diag(least), 0.0))
    free = size > 0.0
    if not free.any():
        return hessian
    unit = size[free]
    values, vectors = np.linalg.eigh(least[np.ix_(free, free)] / np.outer(unit, unit))
    kept_values = values > FLAT * values[-1]
    root = unit[:, None] * vectors[:, kept_values] * np.sqrt(values[kept_values])
    inverse = np.linalg.pinv(root)
    inner = inverse @ hessian[np.ix_(free, free)] @ inverse.T
    own, turn = np.linalg.eigh(inner)
    out = hessian.copy()
    mended = hessian[np.ix_(free, free)] + (root @ turn * np.maximum(1.0 - own, 0.0)) @ (root @ turn).T
    out[np.ix_(free, free)] = mended
    return out
