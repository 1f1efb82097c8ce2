"""Which mixture of chi-squares does the likelihood ratio of two mixed models follow?

A covariance that is zero under the null lies on the boundary of what is possible. Near it the larger model's
covariances fill a cone: a direction in which the null has variance may be taken both ways, while the
covariance of the directions that it lacks must be positive semidefinite. After what is free of a bound has
been projected out, the likelihood ratio is the squared length of a normal vector's projection on that cone,
in the metric of the efficient information: a chi-bar-square (Self and Liang 1987; Silvapulle and Sen 2005).

Variances that both models have count as free, also where they are estimated as zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design, RandomTerm
from multilevel.fitted.lmm import LMMRecord, TermCovariance
from multilevel.inference.chi_bar import cone_weights
from multilevel.inference.covariance_information import Direction, covariance_information
from multilevel.inference.nesting import cell_factors, covers, same_groups, within_levels
from multilevel.inference.smaller_models import Candidate

LEAST_NUISANCE = (
    1e-6  # of the residual variance: what a variance of both models has where it is estimated as 0
)
NULL = 1e-9  # relative eigenvalue of a direction that the null lacks
UNIDENTIFIED = 1e-8  # relative efficient information of a direction on which the data say nothing


@dataclass(frozen=True, slots=True)
class Mixture:
    """Chi-squares with free, free + 1, ... degrees of freedom."""

    free: int
    weights: Array  # (d + 1,)


@dataclass(frozen=True, slots=True)
class Tangents:
    """How one term's covariance can move from its value under the null."""

    free: list[Array]  # directions (q, q) that may be taken both ways
    cone: list[Array]  # entries of covariances that must be semidefinite, their lower triangles by rows
    sizes: list[int]  # of the semidefinite covariances in `cone`


@dataclass(frozen=True, slots=True)
class Cones:
    """How all covariances of the larger model can move from the null."""

    tangents: list[Tangents]  # per term
    sigmas: list[Array]  # per term: (q, q) the covariance under the null, relative to the residual variance

    @property
    def sizes(self) -> list[int]:
        """Sizes of all covariances that are zero under the null."""
        return [size for tangent in self.tangents for size in tangent.sizes]


@dataclass(frozen=True, slots=True)
class Placed:
    """A term of the smaller model as a part M Sigma M' of a covariance of the larger one."""

    term: RandomTerm
    found: TermCovariance
    M: Array  # (q, k)


def mixture_between(small: Candidate, large: Candidate) -> Mixture | None:
    """The mixture that the likelihood ratio of nested models follows, at the estimates of the smaller one.

    None where nothing lies on a boundary, and where no mixture is known: a correlation that exists only once
    its variance does (`ar1`, `cs` of three or more columns) makes no convex cone.
    """
    sigma = small.record.sigma
    if sigma == 0.0 or not large.design.terms:
        return None
    cones = cones_between(small, large.design)
    if cones is None:
        return None
    free = large.n_parameters - small.n_parameters - sum(r * (r + 1) // 2 for r in cones.sizes)
    if not cones.sizes or free < 0:
        return None
    if cones.sizes == [1]:
        return Mixture(free, np.array([0.5, 0.5]))
    weights = weights_at(small, whitened(large.design))
    return None if weights is None else Mixture(free, weights)


def weights_at(small: Candidate, large: Design) -> Array | None:
    """Weights by the information at the smaller model's estimates; None where the data hold none."""
    cones = cones_between(small, large)
    assert cones is not None  # the caller found them on other columns
    efficient = efficient_information(large, cones.sigmas, cones.tangents)
    return None if efficient is None else cone_weights(cones.sizes, efficient)


def cones_between(small: Candidate, large: Design) -> Cones | None:
    """The tangent cone of every covariance of the larger model; None where one has no convex cone."""
    sigma, placed = small.record.sigma, placements(small, large)
    pairs = list(zip(large.terms, placed, strict=True))
    tangents = [term_tangents(big, mine, sigma) for big, mine in pairs]
    known = [tangent for tangent in tangents if tangent is not None]
    if len(known) < len(tangents):
        return None
    return Cones(known, [null_covariance(big, mine, sigma) for big, mine in pairs])


def whitened(design: Design) -> Design:
    """The same model with orthonormal columns where a covariance is unstructured, to keep digits."""
    terms = [
        replace(term, Z=np.asfortranarray(np.linalg.qr(term.Z)[0] * np.sqrt(design.n_rows)))
        if is_unstructured(term) and term.n_columns > 1
        else term
        for term in design.terms
    ]
    return replace(design, terms=tuple(terms))


def efficient_information(
    large: Design, sigmas: Sequence[Array], tangents: Sequence[Tangents]
) -> Array | None:
    """Information of the cone's directions after the scale and the free ones are allowed for."""
    free = [Direction(t, D) for t, tangent in enumerate(tangents) for D in tangent.free]
    cone = [Direction(t, D) for t, tangent in enumerate(tangents) for D in tangent.cone]
    whole = covariance_information(large, sigmas, [*free, *cone])
    if whole is None:
        return None
    size = np.sqrt(np.where(np.diag(whole) > 0.0, np.diag(whole), 1.0))
    unit, k = whole / np.outer(size, size), 1 + len(free)
    across = unit[k:, :k] @ np.linalg.pinv(unit[:k, :k], rcond=UNIDENTIFIED, hermitian=True)
    left = unit[k:, k:] - across @ unit[:k, k:]
    if np.linalg.eigvalsh(left)[0] < UNIDENTIFIED:
        return None
    return np.asarray(left * np.outer(size[k:], size[k:]))


# ---- one term ----


def term_tangents(big: RandomTerm, placed: Sequence[Placed], sigma: float) -> Tangents | None:
    """The tangent cone of one covariance at the null; None where there is no convex one."""
    occupied = np.hstack([np.zeros((big.n_columns, 1)), *(part.M for part in placed)])
    if is_unstructured(big):
        return unstructured_tangents(occupied)
    if big.structure == "diag":
        return diagonal_tangents(big, [bool(row.any()) for row in occupied])
    alike = (part for part in placed if same_structure(part.term, big) and not part.found.singular)
    return next((Tangents(structured_slopes(part.found, sigma), [], []) for part in alike), None)


def unstructured_tangents(occupied: Array) -> Tangents:
    """From the directions (q, k) in which the null has variance."""
    left, values, _ = np.linalg.svd(occupied)
    rank = int(np.count_nonzero(values > NULL * max(values.max(initial=0.0), 1e-300)))
    R, N = left[:, :rank], left[:, rank:]
    r = N.shape[1]
    free = [symmetric(R[:, [i]] @ R[:, [j]].T) for i in range(rank) for j in range(i + 1)]
    free += [symmetric(R[:, [i]] @ N[:, [j]].T) for i in range(rank) for j in range(r)]
    cone = [symmetric(N[:, [i]] @ N[:, [j]].T) for i in range(r) for j in range(i + 1)]
    return Tangents(free, cone, [r] if r else [])


def symmetric(D: Array) -> Array:
    """D + D', or D itself where it is symmetric."""
    return D if np.array_equal(D, D.T) else D + D.T


def diagonal_tangents(big: RandomTerm, occupied: list[bool]) -> Tangents:
    """Each variance by itself, or one for all columns."""
    units = [np.diag(row) for row in np.eye(big.n_columns)]
    if big.hom:
        units, occupied = [np.eye(big.n_columns)], [any(occupied)]
    free = [unit for unit, known in zip(units, occupied, strict=True) if known]
    cone = [unit for unit, known in zip(units, occupied, strict=True) if not known]
    return Tangents(free, cone, [1] * len(cone))


def structured_slopes(found: TermCovariance, sigma: float) -> list[Array]:
    """Derivatives of Sigma = D R(rho) D in the standard deviations and in rho, relative to sigma."""
    sd, R = found.sd / sigma, found.correlation
    lag = np.abs(np.subtract.outer(np.arange(len(sd)), np.arange(len(sd))))
    rho = R[1, 0]
    slope = lag * rho ** np.maximum(lag - 1, 0) if found.structure == "ar1" else (lag > 0).astype(np.float64)
    scaled = np.outer(sd, sd)
    moves = [R * (np.outer(unit, sd) + np.outer(sd, unit)) for unit in np.eye(len(sd))]
    return [*([sum(moves, np.zeros_like(R))] if found.hom else moves), scaled * slope]


def is_unstructured(term: RandomTerm) -> bool:
    """Whether a term's covariance is any semidefinite matrix; `cs` of two different columns is."""
    pair = term.structure == "cs" and term.n_columns == 2 and not term.hom
    return term.structure == "us" or term.n_columns == 1 or pair


def same_structure(term: RandomTerm, big: RandomTerm) -> bool:
    """Whether two terms are the same family over the same columns: its parameters are then free in both."""
    return (term.structure, term.hom, term.names) == (big.structure, big.hom, big.names)


# ---- the smaller model's covariances as the larger one's ----


def placements(small: Candidate, large: Design) -> list[list[Placed]]:
    """What the smaller model puts into each term of the larger one."""
    placed: list[list[Placed]] = [[] for _ in large.terms]
    if isinstance(small.record, LMMRecord):
        for term, found in zip(small.design.terms, small.record.terms, strict=True):
            home = home_of(term, small.design, large)
            maps = embeddings(large, large.terms[home], small.design, term)
            placed[home] += [Placed(term, found, M) for M in maps]
    return placed


def home_of(term: RandomTerm, small: Design, large: Design) -> int:
    """The first term of the larger model that can stand for `term`; the same one, if it is there."""
    same = (t for t, big in enumerate(large.terms) if big is term)
    able = (t for t, big in enumerate(large.terms) if covers(large, big, small, term))
    return next(chain(same, able))


def embeddings(large: Design, big: RandomTerm, small: Design, term: RandomTerm) -> list[Array]:
    """M (q, k), one or several, with M Sigma M' what `term` puts into `big`."""
    if big is term:
        return [np.eye(big.n_columns)]
    groups = large.groupings[big.grouping].codes
    if same_groups(groups, small.groupings[term.grouping].codes):
        return [combination(big, term.Z)]
    inner = next(inner for outer, inner in cell_factors(small, term.grouping) if same_groups(groups, outer))
    columns, k = within_levels(term.Z, inner), term.n_columns
    return [combination(big, columns[:, j : j + k]) for j in range(0, columns.shape[1], k)]


def combination(big: RandomTerm, columns: Array) -> Array:
    """M (q, k) with Z M = columns."""
    M = np.asarray(np.linalg.lstsq(big.Z, columns, rcond=None)[0])
    return np.where(np.abs(M) < NULL * np.abs(M).max(axis=0, initial=0.0), 0.0, M)


def null_covariance(big: RandomTerm, placed: Sequence[Placed], sigma: float) -> Array:
    """Sigma (q, q) of a term of the larger model under the null, relative to the residual variance."""
    Sigma = np.zeros((big.n_columns, big.n_columns))
    for part in placed:
        least = LEAST_NUISANCE / np.maximum((part.term.Z**2).mean(axis=0), 1e-300)
        Sigma += part.M @ (part.found.covariance / sigma**2 + np.diag(least)) @ part.M.T
    return Sigma
