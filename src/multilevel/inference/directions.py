"""In which directions can the covariance of a random-effects term move?

A term's covariance S (q, q), relative to sigma^2, is a function of parameters t with t = 0 at the estimate.
A chart holds its first and second derivatives there. Charts are scaled by the estimate, so that a unit of t
is a change as large as what is estimated; no answer depends on that.

- Unstructured and diagonal terms move along their root, S(t) = R(t) R(t)' with R(t) = R + sum_i t_i dR_i,
  which stays among covariances of one rank where the estimate is singular.
- Compound symmetry and autoregression move in variances v and correlation rho, S = D(v) C(rho) D(v), the
  parameters that SAS has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.covariance.autoregressive import Autoregressive
from multilevel.covariance.by_name import structure_by_name
from multilevel.covariance.compound_symmetry import CompoundSymmetry
from multilevel.covariance.diagonal import Diagonal, deviation_slopes
from multilevel.covariance.structure import Structure
from multilevel.covariance.unstructured import Unstructured
from multilevel.design.design import Design

LONG_STEP = 1e3  # times the usual step of differences, along a variance that is next to nothing
AT_END = 1e-12  # distance from an end of its range below which a correlation is there


@dataclass(frozen=True, slots=True)
class Chart:
    """A term's covariance around its estimate, as a function of k parameters."""

    theta: Array  # parameters of the structure at the estimate
    slope: Array  # (k, q, q) dS / dt_i
    curvature: Array  # (k, k, q, q) d2S / dt_i dt_j
    own: Array  # (k,) coefficients of S itself: S = sum_i own_i slope_i
    step: Array  # (k,) for differences: 1, and larger where the variance is next to nothing
    linear: bool  # whether the family is a linear space of covariances, whatever the chart
    moved: Callable[[int, float], Array]  # theta with t_i = h


def whole_chart(structure: Structure, theta: Array, floor: float) -> Chart:
    """All directions, from an estimate whose zero variances are raised to `floor`."""
    return chart(structure, theta, floor, np.ones_like(open_parameters(structure, theta)))


def open_chart(structure: Structure, theta: Array, floor: float) -> Chart:
    """The directions that a singular estimate leaves: none from a variance of zero, or a correlation of one.

    They start from the estimate with its zero variances raised to `floor`, so that roots can be inverted.
    """
    return chart(structure, theta, floor, open_parameters(structure, theta))


def chart(structure: Structure, theta: Array, floor: float, kept: Mask) -> Chart:
    """The directions of a term in which `kept` variances (and the correlation) move."""
    if isinstance(structure, (CompoundSymmetry, Autoregressive)):
        return correlated_chart(structure, *raised_parameters(structure, theta, floor), kept, floor)
    return root_chart(structure, principal_root(structure, theta, floor), kept, floor)


def open_parameters(structure: Structure, theta: Array) -> Mask:
    """Which variances (of the principal components, in an unstructured term) and correlation are inside."""
    if isinstance(structure, (CompoundSymmetry, Autoregressive)):
        low, high = correlation_range(structure)
        rho, positive = correlation(structure, theta), theta[:-1] != 0.0
        identified = positive.all() if structure.hom else np.count_nonzero(positive) > 1
        return np.append(positive, identified and low + AT_END < rho < high - AT_END)
    deviations = principal_root(structure, theta, 0.0).deviations
    return np.asarray(deviations > AT_END * max(deviations.max(), 1e-100))


# ---- along a root ----


@dataclass(frozen=True, slots=True)
class PrincipalRoot:
    """The root of S with orthogonal columns: principal components with their standard deviations."""

    vectors: Array  # (q, q) orthonormal
    deviations: Array  # (q,)

    @property
    def value(self) -> Array:
        """R with S = R R'."""
        return self.vectors * self.deviations


def principal_root(structure: Structure, theta: Array, floor: float) -> PrincipalRoot:
    """Principal components of an unstructured term, or the columns of a diagonal one."""
    T, least = structure.factor(theta), np.sqrt(floor)
    if isinstance(structure, Diagonal):
        return PrincipalRoot(np.eye(structure.size), np.maximum(np.abs(np.diag(T)), least))
    vectors, deviations, _ = np.linalg.svd(T)
    return PrincipalRoot(vectors, np.maximum(deviations, least))


def root_chart(structure: Structure, root: PrincipalRoot, kept: Mask, floor: float) -> Chart:
    """Directions of an unstructured or diagonal term: the kept columns of the root move."""
    changes, own = root_changes(structure, root, kept)
    half = changes @ root.value.T
    slope = half + half.transpose(0, 2, 1)
    pairs = np.einsum("iac,jbc->ijab", changes, changes)
    return Chart(
        theta=theta_of_root(structure, root.value),
        slope=slope,
        curvature=pairs + pairs.transpose(0, 1, 3, 2),
        own=own,
        step=np.where(np.abs(slope).max(axis=(1, 2), initial=0.0) <= 2.0 * floor, LONG_STEP, 1.0),
        linear=True,
        moved=lambda i, h: theta_of_root(structure, root.value + h * changes[i]),
    )


def root_changes(structure: Structure, root: PrincipalRoot, kept: Mask) -> tuple[Array, Array]:
    """dR (k, q, q) of each direction, and the coefficients of S."""
    q = structure.size
    if isinstance(structure, Diagonal):
        groups = deviation_slopes(q, structure.hom)
        whole = [0.5 * np.diag(root.deviations * group) for group in groups if kept[group > 0.0].any()]
        return np.array(whole).reshape(-1, q, q), np.ones(len(whole))
    pairs = [(a, b) for b in range(q) for a in range(q) if kept[b] and (a <= b or not kept[a])]
    changes = np.zeros((len(pairs), q, q))
    for change, (a, b) in zip(changes, pairs, strict=True):
        size = root.deviations[a] if kept[a] else 1.0  # a variance of zero has no size of its own
        change[:, b] = (0.5 if a == b else 1.0) * size * root.vectors[:, a]
    return changes, np.array([float(a == b) for a, b in pairs])


def theta_of_root(structure: Structure, root: Array) -> Array:
    """The structure's parameters, from any root of S."""
    if isinstance(structure, Unstructured):
        return np.asarray(np.transpose(np.linalg.qr(root.T, mode="r"))[structure.positions()])
    deviations = np.diag(root)
    return deviations[: structure.n_parameters]


# ---- in variances and a correlation ----


def raised_parameters(
    structure: CompoundSymmetry | Autoregressive, theta: Array, floor: float
) -> tuple[Array, float]:
    """Standard deviations (q,) and correlation, moved off zero and off the ends."""
    sd = np.maximum(np.abs(theta[:-1]), np.sqrt(floor)) * np.ones(structure.size)
    low, high = correlation_range(structure)
    return sd, min(max(correlation(structure, theta), low + floor), high - floor)


def correlation(structure: CompoundSymmetry | Autoregressive, theta: Array) -> float:
    """The correlation rho at theta."""
    if isinstance(structure, Autoregressive):
        return float(np.cos(theta[-1]))
    return structure.correlation(float(theta[-1]))


def correlation_range(structure: CompoundSymmetry | Autoregressive) -> tuple[float, float]:
    """Least and largest correlation of the family."""
    return (-1.0 if isinstance(structure, Autoregressive) else -1.0 / (structure.size - 1.0)), 1.0


def correlated_chart(
    structure: CompoundSymmetry | Autoregressive, sd: Array, rho: float, kept: Mask, floor: float
) -> Chart:
    """Directions of a term with one correlation: its variances, each relative to itself, and rho."""
    low, high = correlation_range(structure)
    reach = min(rho - low, high - rho)
    C, C1, C2 = correlation_derivatives(structure, rho)
    D = np.outer(sd, sd)
    touched = deviation_slopes(structure.size, structure.hom)  # (n_sd, q)
    m = touched[:, :, None] + touched[:, None, :]  # how often each entry of S has each deviation
    n = len(touched)
    slope = np.concatenate([0.5 * m * D * C, (reach * D * C1)[None]])
    curvature = np.zeros((n + 1, n + 1, *D.shape))
    curvature[:n, :n] = 0.25 * m[:, None] * m[None, :] * D * C
    curvature[np.arange(n), np.arange(n)] -= 0.5 * m * D * C
    curvature[:n, n] = curvature[n, :n] = 0.5 * reach * m * D * C1
    curvature[n, n] = reach**2 * D * C2
    places = np.flatnonzero(kept)

    def moved(i: int, h: float) -> Array:
        change = np.zeros(n + 1)
        change[places[i]] = h
        factor = np.sqrt(1.0 + change[:n] @ touched)
        return structure.start(sd * factor, rho + reach * change[n])

    return Chart(
        theta=structure.start(sd, rho),
        slope=slope[places],
        curvature=curvature[np.ix_(places, places)],
        own=np.append(np.ones(n), 0.0)[places],
        step=np.where(np.append(touched @ sd**2 <= 2.0 * floor, reach <= 2.0 * floor), LONG_STEP, 1.0)[
            places
        ],
        linear=spans_linear_family(structure),
        moved=moved,
    )


def correlation_derivatives(
    structure: CompoundSymmetry | Autoregressive, rho: float
) -> tuple[Array, Array, Array]:
    """The correlation matrix, and its first and second derivative in rho: (q, q) each."""
    q = structure.size
    if isinstance(structure, CompoundSymmetry):
        others = np.ones((q, q)) - np.eye(q)
        return np.eye(q) + rho * others, others, np.zeros((q, q))
    lag = np.abs(np.subtract.outer(np.arange(q), np.arange(q)))
    return (
        np.asarray(float(rho) ** lag),
        lag * float(rho) ** np.maximum(lag - 1, 0),
        lag * (lag - 1) * float(rho) ** np.maximum(lag - 2, 0),
    )


def spans_linear_family(structure: CompoundSymmetry | Autoregressive) -> bool:
    """Whether all covariances of the family are the combinations of a few matrices."""
    return structure.size == 2 or (isinstance(structure, CompoundSymmetry) and structure.hom)


# ---- the terms of a model ----


def structures_of(design: Design) -> tuple[Structure, ...]:
    """The covariance structure of each term."""
    return tuple(structure_by_name(t.structure, t.n_columns, t.hom) for t in design.terms)


def split_theta(structures: Sequence[Structure], theta: Array) -> list[Array]:
    """Theta term by term."""
    ends = accumulate((s.n_parameters for s in structures), initial=0)
    return [theta[first:last] for first, last in pairwise(ends)]
