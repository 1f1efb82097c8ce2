"""How uncertain are the coefficients of a mixed model if its covariance of the response is not the true one?

The estimates solve sum_j X_j'V_j^-1 (y_j - X_j beta) = 0 over clusters j between which the model has no
covariance. A sandwich takes the clusters' own sums for their variance, and is right for any covariance
within clusters; the model's V is the working model that CR2 and degrees of freedom take for true.

V_j is the identity outside the span of X_j and Z_j once rows are divided by their residual standard
deviations, so that a large cluster is turned to as many rows as that span has dimensions: first the rows that
share all their levels, then those of the cluster. CR2 depends on the rows as they are where precision weights
differ; only there are its matrices as large as the clusters.

References:
    Pustejovsky, J. E. & Tipton, E. (2018). Journal of Business & Economic Statistics 36, 672-683.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.design.design import Design, Grouping
from multilevel.design.pairs import distinct_pairs
from multilevel.errors import ModelError
from multilevel.estimation.centring import Centring
from multilevel.estimation.ols import least_squares, whiten
from multilevel.estimation.working import effective_weights
from multilevel.fitted.lmm import LMMRecord
from multilevel.inference.adjusted_clusters import AdjustedClusters
from multilevel.inference.cluster_adjustment import WorkingRows, adjusted_clusters, turned_into
from multilevel.inference.cluster_stacks import Index, Stack, stacks

LARGEST_DENSE = 4000  # rows of a cluster, as few as they can be made, whose own matrix may be formed


@dataclass(frozen=True, slots=True)
class LMMClusters:
    """Clusters of a mixed model after their adjustment, in a basis where X'V^-1 X is the identity."""

    centring: Centring
    root: Array  # (p, p) from the basis to coefficients of the centred columns
    adjusted: AdjustedClusters


@dataclass(frozen=True, slots=True)
class MixedRows:
    """Rows of a mixed model, relative to its unit of variance; one that stands k times is root k as long."""

    X: Array  # (n, p) orthonormal columns
    residuals: Array  # (n,) from the fixed part
    loadings: tuple[Array, ...]  # for each term (n, q): z' root, whose products are covariances
    codes: tuple[Codes, ...]  # for each term (n,) level of its grouping factor
    noise: Array | None  # (n,) residual variance, zero in a model without a residual; None where it is 1


def lmm_clusters(design: Design, record: LMMRecord, clusters: Grouping, kind: str) -> LMMClusters:
    """Adjust the clusters of a mixed model, which hold whole levels of all its grouping factors."""
    centring, root, rows = mixed_rows(design, record, divide=kind != "CR2")
    few, held = few_rows_a_cell(rows, clusters)
    information = np.zeros(root.shape)
    for piece in mixed_pieces(few, held):  # made twice: to keep them would take the memory of all their V
        information += np.tensordot(piece.X, piece.WX, axes=((0, 1), (0, 1)))
    turn = np.linalg.inv(np.linalg.cholesky(information)).T
    turned = (replace(piece, X=piece.X @ turn, WX=piece.WX @ turn) for piece in mixed_pieces(few, held))
    adjusted = adjusted_clusters(kind, turned, None, clusters.n_levels, len(root))
    return LMMClusters(centring, root @ turn, adjusted)


# Rows ----------------------------------------------------------------------------------------------------


def mixed_rows(design: Design, record: LMMRecord, *, divide: bool) -> tuple[Centring, Array, MixedRows]:
    """The rows, with the centring and root (p, p) that make their X orthonormal.

    `divide` divides them by their residual standard deviations, where weights make these differ.
    """
    noise = residual_noise(design, record)
    precision = design.freq_weights
    if noise is not None and record.sigma > 0.0 and (divide or np.ptp(noise) == 0.0):
        precision, noise = effective_weights(design), None
    solution = least_squares(design.X, design.y, precision)
    loadings = [
        term.Z @ (fit.root / record.unit) for term, fit in zip(design.terms, record.terms, strict=True)
    ]
    rows = MixedRows(
        X=whiten(solution.centring.columns(design.X) @ solution.root, precision),
        residuals=whiten(design.y - record.fitted_fixed, precision),
        loadings=tuple(whiten(Z, precision) for Z in loadings),
        codes=tuple(design.groupings[term.grouping].codes for term in design.terms),
        noise=noise,
    )
    return solution.centring, solution.root, rows


def residual_noise(design: Design, record: LMMRecord) -> Array | None:
    """Residual variance of each row (n,) relative to the unit; None where all are 1."""
    if record.sigma == 0.0:
        return np.zeros(design.n_rows)
    return None if design.weights is None else 1.0 / design.weights


def few_rows_a_cell(rows: MixedRows, clusters: Grouping) -> tuple[MixedRows, Grouping]:
    """Rows that share all their levels, in as few rows as X and their loadings have dimensions."""
    width = rows.X.shape[1] + sum(Z.shape[1] for Z in rows.loadings)
    cells, n_cells = shared_levels(rows.codes)
    if rows.noise is not None or n_cells * width >= len(rows.X):
        return rows, clusters
    parts: list[list[Array]] = []
    first: list[Index] = []
    for stack in stacks(cells, n_cells, width):
        arrays = [each[stack.rows] for each in (rows.X, rows.residuals[:, None], *rows.loadings)]
        parts.append([flat(each) for each in turned_into(np.dstack([arrays[0], *arrays[2:]]), *arrays)])
        first.append(np.repeat(stack.rows[:, 0], len(parts[-1][0]) // len(stack.rows)))
    X, residuals, *loadings = (np.concatenate(each) for each in zip(*parts, strict=True))
    old = np.concatenate(first)
    codes = tuple(each[old] for each in rows.codes)
    fewer = MixedRows(X, residuals[:, 0], tuple(loadings), codes, None)
    return fewer, replace(clusters, codes=clusters.codes[old])


def shared_levels(codes: Sequence[Codes]) -> tuple[Codes, int]:
    """Number (n,) of the combination of levels of each row, and how many there are."""
    cells, n_cells = codes[0], int(codes[0].max()) + 1
    for other in codes[1:]:
        keys, cells = distinct_pairs(cells, other, n_cells, int(other.max()) + 1)
        n_cells = len(keys)
    return cells, n_cells


def flat(stacked: Array) -> Array:
    """Rows of all clusters of a stack (B, r, k) one below the other: (B r, k)."""
    return stacked.reshape(-1, stacked.shape[2])


def mixed_pieces(rows: MixedRows, clusters: Grouping) -> Iterator[WorkingRows]:
    """The clusters with their covariances, in stacks of those with as many rows and levels."""
    places = [levels_within(codes, clusters) for codes in rows.codes]
    alike = np.unique(np.column_stack([place.counts for place in places]), axis=0, return_inverse=True)[1]
    for stack in stacks(clusters.codes, clusters.n_levels, None, alike.ravel()):
        yield working_rows(rows, places, stack)


@dataclass(frozen=True, slots=True)
class LevelsWithin:
    """Levels of a grouping factor, numbered within their clusters."""

    number: Codes  # (n,) of each row's level
    counts: Index  # (J,) levels in each cluster


def levels_within(codes: Codes, clusters: Grouping) -> LevelsWithin:
    """Number the levels of a factor within the clusters that hold them."""
    home = np.zeros(int(codes.max()) + 1, dtype=np.intp)
    home[codes] = clusters.codes
    counts = np.bincount(home, minlength=clusters.n_levels)
    order = np.argsort(home, kind="stable")
    number = np.empty(len(home), dtype=np.int32)
    number[order] = np.arange(len(home)) - (np.cumsum(counts) - counts)[home[order]]
    return LevelsWithin(number[codes], counts)


def working_rows(rows: MixedRows, places: list[LevelsWithin], stack: Stack) -> WorkingRows:
    """X, V^-1 X, residuals and V of a stack of clusters, in few rows where the residual variance is 1."""
    X, residuals = rows.X[stack.rows], rows.residuals[stack.rows][:, :, None]
    spread = [spread_loadings(Z, place, stack) for Z, place in zip(rows.loadings, places, strict=True)]
    Z = np.concatenate(spread, axis=2)
    if rows.noise is None:
        X, Z, residuals = turned_into(np.concatenate([X, Z], axis=2), X, Z, residuals)
    if X.shape[1] > LARGEST_DENSE:
        raise too_large(X.shape[1], rows.noise is None)
    V = Z @ Z.transpose(0, 2, 1)
    here = np.arange(V.shape[1])
    V[:, here, here] += 1.0 if rows.noise is None else rows.noise[stack.rows]
    VX = np.asarray(np.linalg.solve(V, X), dtype=np.float64)  # V^-1 X
    return WorkingRows(stack.clusters, X, VX, residuals[:, :, 0], V)


def spread_loadings(Z: Array, place: LevelsWithin, stack: Stack) -> Array:
    """Loadings (B, m, levels q) of the rows, each in the columns of its own level."""
    B, m = stack.rows.shape
    levels, q = int(place.counts[stack.clusters[0]]), Z.shape[1]
    spread = np.zeros((B, m, levels, q))
    spread[np.arange(B)[:, None], np.arange(m), place.number[stack.rows]] = Z[stack.rows]
    return spread.reshape(B, m, levels * q)


# Clusters ------------------------------------------------------------------------------------------------


def outermost_factor(design: Design) -> Grouping:
    """The grouping factor that holds whole levels of all others; refused where there is none."""
    used = sorted({term.grouping for term in design.terms}, key=lambda g: design.groupings[g].n_levels)
    return outermost([design.groupings[g] for g in used])


def outermost(factors: Sequence[Grouping]) -> Grouping:
    """Of factors with the fewest levels first, the one that holds whole levels of all others."""
    if all(holds(factors[0], other) for other in factors[1:]):
        return factors[0]
    crossed = next(other for other in factors[1:] if not holds(factors[0], other))
    raise ModelError(
        f"'{factors[0].name}' and '{crossed.name}' cross, so the model relates rows of different levels of "
        "either and no grouping factor of it splits the data into independent clusters; give a cluster= "
        "that holds whole levels of both, or use the model-based variance."
    )


def refuse_split_levels(design: Design, clusters: Grouping) -> None:
    """A sandwich needs clusters that are independent by the model's own account."""
    refuse_split([design.groupings[g] for g in {term.grouping for term in design.terms}], clusters)


def refuse_split(factors: Sequence[Grouping], clusters: Grouping) -> None:
    """Each level of the factors has to lie in one cluster."""
    for factor in factors:
        if not holds(clusters, factor):
            raise ModelError(
                f"rows of one '{factor.name}' are in different clusters of '{clusters.name}', but the model "
                f"relates them by its random effects; cluster by '{factor.name}', or by something that "
                "holds whole levels of it."
            )


def holds(outer: Grouping, inner: Grouping) -> bool:
    """Whether each level of `inner` lies in one level of `outer`."""
    pairs = distinct_pairs(outer.codes, inner.codes, outer.n_levels, inner.n_levels)[0]
    return len(pairs) == inner.n_levels


def too_large(r: int, many_levels: bool) -> ModelError:
    """A cluster whose matrix would take minutes, or more memory than there is."""
    if many_levels:
        return ModelError(
            f"the largest cluster has random effects in {r} dimensions, more than the {LARGEST_DENSE} that a "
            "cluster-robust variance takes; use smaller clusters, or the model-based variance."
        )
    return ModelError(
        f"CR2 needs a matrix of {r} x {r} for the largest cluster of a model with weights=, or with "
        f'residual="none", more than {LARGEST_DENSE} x {LARGEST_DENSE}; use vcov="CR3" or "CR1".'
    )
