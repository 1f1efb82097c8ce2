"""Which linear functions of the coefficients does the test of a term say are zero?

The answers are known as types of sums of squares, and differ where terms overlap:

- type 1 takes each term as an addition to those before it;
- type 2 as an addition to all terms that do not contain it (`A:B` contains `A` and `B`, `A:x` contains `x`);
- "sequential" is type 1 with rows weighed as the model weighs them, by the inverse of their covariance;
- type 3 averages over the cells of the terms that contain it, each cell counting alike, wherever the data
  have it.

Types 1 and 2 therefore depend on how many rows there are of each kind, type 3 only on which kinds there are.
None depends on how factors are coded. The constant is never a term to be tested.

References:
    Goodnight, J. H. (1980). Tests of hypotheses in fixed effects linear models. Communications in
    Statistics - Theory and Methods 9, 167-180.
    Searle, S. R. (1987). Linear Models for Unbalanced Data. Wiley, ch. 4 and 9.
    SAS Institute, SAS/STAT User's Guide: The four types of estimable functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.design.fixed_terms import Cells, FixedTerm
from multilevel.estimation.centring import Centring, centre
from multilevel.estimation.ols import triangularise, whiten
from multilevel.inference.coefficients import CoefficientInference

Type: TypeAlias = Literal[1, 2, 3, "sequential"]

ROUNDING = 1e-12  # of the largest number in a row: what is left in place of a zero
RANK_TOLERANCE = 1e-9  # of a column's length, below which what is left of it is rounding


@dataclass(frozen=True, slots=True)
class Metric:
    """Which rows the data have and how much each counts: X'X, by a root of it that keeps its digits."""

    root: Array  # (p, p) T with T'T = Xc'Xc for the centred columns Xc
    centring: Centring

    def columns(self, about_mean: bool) -> Array:
        """The columns of X, or what is left of them beside their mean, in p coordinates: (p, p)."""
        one = self.centring.one
        if one is None or about_mean:
            return self.root
        return self.root + np.outer(self.root @ one, self.centring.shift)


def metric_of_rows(X: Array, counts: Array | None) -> Metric:
    """Each row of X (n, p) counts once, or as often as `counts` (n,) says."""
    centring = centre(X, counts)
    columns = whiten(centring.columns(X), counts)
    return Metric(triangularise(columns, np.zeros(len(X))).R, centring)


def metric_of_fit(X: Array, inference: CoefficientInference) -> Metric:
    """Rows count as in the fit, whose covariance of the coefficients is the inverse of such an X'X."""
    centring = centre(X, None)
    p = X.shape[1]
    to_centred = np.eye(p) if centring.one is None else np.eye(p) + np.outer(centring.one, centring.shift)
    covariance = inference.covariance(to_centred)
    sd = np.sqrt(covariance.diagonal())
    factor = np.linalg.cholesky(covariance / np.outer(sd, sd))
    return Metric(np.asarray(np.linalg.solve(factor, np.diag(1.0 / sd))), centring)


def term_hypotheses(
    terms: Sequence[FixedTerm], cells: Cells, metric: Callable[[], Metric], kind: Type
) -> list[Array]:
    """For each term L (k, p) with `L beta = 0` to be tested; k = 0 where the data say nothing of a term.

    With one term all types are one hypothesis, which is then stated alike. The `metric`, for which the rows
    are read, is asked for when a type needs it.
    """
    tested = [number for number, term in enumerate(terms) if term.columns and not term.is_constant]
    present = [number for number, term in enumerate(terms) if term.columns]
    if kind == 3 and len(tested) > 1:
        found = marginal_hypotheses(terms, cells, present)
    else:
        sequential = kind in (1, "sequential") or len(tested) == 1
        rows = metric()
        found = {n: added_hypotheses(terms, n, present, cells, rows, sequential) for n in tested}
    nothing = np.zeros((0, cells.combinations.shape[0]))
    return [found.get(number, nothing) for number in range(len(terms))]


# ---- types 1 and 2: what a term adds to others ----


def added_hypotheses(
    terms: Sequence[FixedTerm],
    number: int,
    present: Sequence[int],
    cells: Cells,
    metric: Metric,
    sequential: bool,
) -> Array:
    """What a term adds to those before it, or to all that do not contain it: (k, p)."""
    term = terms[number]
    containing = [n for n in present if term.is_contained_in(terms[n])]
    if sequential:
        others = [n for n in present if n < number]
    else:
        others = [n for n in present if n != number and n not in containing]
    columns = metric.columns(about_mean=any(not terms[n].numeric for n in others))
    known = columns @ spanning([terms[n] for n in others], cells.combinations[:, np.isin(cells.term, others)])
    L = doolittle_rows(columns, known, term.columns)
    return L if sequential or containing else echelon(L)


def spanning(terms: Sequence[FixedTerm], cells: Array) -> Array:
    """Combinations of the columns of X (p, r) with the span of the terms' cells (p, C): few, if they can be.

    The terms' own columns suffice unless a cell has a part in others, as without an intercept.
    """
    own = [j for term in terms for j in term.columns]
    outside = np.abs(np.delete(cells, own, axis=0)).max(axis=0, initial=0.0) > 0.0
    return np.hstack([np.eye(len(cells))[:, own], cells[:, outside]])


def doolittle_rows(columns: Array, known: Array, own: Sequence[int]) -> Array:
    """Functions of the coefficients that vanish unless columns add to known ones: (k, p), with unit pivots.

    `columns` (d, p) and `known` (d, m) stand in the same d coordinates, `own` are the columns that may add.
    These are the rows that Gauss elimination of X'X makes of them once the known ones are eliminated.
    """
    basis, _ = orthonormal(known)
    rest = columns - basis @ (basis.T @ columns)
    rest -= basis @ (basis.T @ rest)
    added, adding = orthonormal(rest[:, list(own)], lengths(columns[:, list(own)]))
    L = added.T @ rest
    L[np.abs(L) <= ROUNDING * lengths(columns)] = 0.0
    at = [own[j] for j in adding]
    L[:, at] = np.triu(L[:, at])
    return np.asarray(L / np.diag(L[:, at])[:, None])


def orthonormal(
    columns: Array, size: Array | None = None, tolerance: float = RANK_TOLERANCE
) -> tuple[Array, list[int]]:
    """Orthonormal columns (d, r) with the span of those given (d, m), and which of these they come from.

    Columns are taken in turn (Gram-Schmidt, twice); one is left out when no more than `tolerance` of its
    `size` (m,), by default its length, is left beside those before it.
    """
    size = lengths(columns) if size is None else size
    if columns.shape[1] <= columns.shape[0]:
        Q, R = np.linalg.qr(columns)
        if (np.abs(R.diagonal()) > tolerance * size).all():  # none is left out
            return np.asarray(Q, dtype=np.float64), list(range(columns.shape[1]))
    basis = np.empty((len(columns), min(columns.shape)), order="F")
    taken: list[int] = []
    for j, column in enumerate(columns.T):
        if len(taken) == len(columns):
            break
        before = basis[:, : len(taken)]
        rest = column - before @ (before.T @ column)
        rest -= before @ (before.T @ rest)
        left = float(np.linalg.norm(rest))
        if left > tolerance * size[j]:
            basis[:, len(taken)] = rest / left
            taken.append(j)
    return basis[:, : len(taken)], taken


def lengths(columns: Array) -> Array:
    """Euclidean length of each column."""
    return np.asarray(np.sqrt(np.einsum("ij,ij->j", columns, columns)))


# ---- type 3: averages over cells ----


def marginal_hypotheses(terms: Sequence[FixedTerm], cells: Cells, present: Sequence[int]) -> dict[int, Array]:
    """For each term (k, p): the estimable functions of it and of the terms that contain it, less theirs.

    Estimable functions are combinations of the rows of the general form. Those of a term have no part in
    other terms than these, and are orthogonal to all that say something of the containing terms alone.
    """
    form = general_form(cells, present)
    tested = [n for n in present if not terms[n].is_constant]
    rows = {n: functions_of(form, [n, *containing(terms, n, present)]) for n in tested}
    found = {}
    for n in tested:
        above = [rows[other] for other in containing(terms, n, present)]
        own = rows[n] if not above else orthogonal_part(rows[n], np.vstack(above), form.rows)
        found[n] = clean(np.asarray(np.linalg.solve(form.basis.T, echelon(own).T).T, dtype=np.float64))
    return found


def containing(terms: Sequence[FixedTerm], number: int, present: Sequence[int]) -> list[int]:
    """The terms that contain a term."""
    return [n for n in present if terms[number].is_contained_in(terms[n])]


@dataclass(frozen=True, slots=True)
class GeneralForm:
    """All estimable functions of the cells, as combinations of p of them.

    p independent cells are a model of full rank: X with treatment coding, in the usual case.
    """

    rows: Array  # (p, C) the identity in the p cells chosen
    term: Codes  # (C,) the term of each cell
    own: Codes  # (p,) the term of each cell chosen
    basis: Array  # (p, p) the cells chosen as combinations of the columns of X


def general_form(cells: Cells, present: Sequence[int]) -> GeneralForm:
    """Choose p cells, of each term first those without first levels, and write all others by them."""
    here = np.flatnonzero(np.isin(cells.term, present))
    combinations, term, n_first = cells.combinations[:, here], cells.term[here], cells.n_first[here]
    chosen = np.flatnonzero(n_first == 0)  # all there are to choose in a model without odd terms
    if len(chosen) != len(combinations) or len(orthonormal(combinations[:, chosen])[1]) < len(chosen):
        order = np.lexsort((n_first, term))  # stable: the first factor's levels go on varying fastest
        chosen = np.sort(order[orthonormal(combinations[:, order])[1]])
    basis = combinations[:, chosen]
    rows = np.asarray(np.linalg.solve(basis, combinations), dtype=np.float64)
    return GeneralForm(clean(rows), term, term[chosen], basis)


def functions_of(form: GeneralForm, involved: Sequence[int]) -> Array:
    """Combinations (v, p) of the general form's rows that have no part in terms not involved."""
    rows = np.flatnonzero(np.isin(form.own, involved))
    elsewhere = form.rows[rows][:, ~np.isin(form.term, involved)]
    size = np.abs(elsewhere).max(axis=0, initial=0.0)
    null = null_space((elsewhere[:, size > 0.0] / size[size > 0.0]).T)
    functions = np.zeros((len(null), len(form.own)))
    functions[:, rows] = null
    return functions


def orthogonal_part(functions: Array, others: Array, rows: Array) -> Array:
    """Those combinations (k, p) of `functions` that are orthogonal, over all cells, to each of `others`."""
    products = (functions @ rows) @ (others @ rows).T
    return null_space(products.T) @ functions


def null_space(matrix: Array) -> Array:
    """Orthonormal rows (v, m) that span what the matrix (k, m) sends to zero."""
    if matrix.shape[0] == 0:
        return np.eye(matrix.shape[1])
    _, values, vectors = np.linalg.svd(matrix)
    rank = int(np.count_nonzero(values > RANK_TOLERANCE * values.max(initial=0.0)))
    return np.asarray(vectors[rank:])


# ---- rows in a form that can be read ----


def echelon(rows: Array) -> Array:
    """Rows (k, p) with the same span and an identity in the first columns that can have it (Gauss-Jordan)."""
    leading = (rows != 0.0).argmax(axis=1)
    if (np.diff(leading) > 0).all() and rows[np.arange(len(rows)), leading].all():  # nearly done
        return clean(np.asarray(np.linalg.solve(rows[:, leading], rows), dtype=np.float64))
    rows, done = rows.copy(), 0
    size = np.abs(rows).max(axis=0, initial=0.0)
    for column in range(rows.shape[1]):
        if done == len(rows):
            break
        pivot = done + int(np.abs(rows[done:, column]).argmax())
        if abs(rows[pivot, column]) <= RANK_TOLERANCE * size[column]:
            continue
        rows[[done, pivot]] = rows[[pivot, done]]
        rows[done] /= rows[done, column]
        others = np.arange(len(rows)) != done
        rows[others] -= np.outer(rows[others, column], rows[done])
        done += 1
    return clean(rows)


def clean(rows: Array) -> Array:
    """Rows without what rounding left in place of zeros."""
    return np.where(np.abs(rows) > ROUNDING * np.abs(rows).max(axis=1, initial=0.0, keepdims=True), rows, 0.0)
