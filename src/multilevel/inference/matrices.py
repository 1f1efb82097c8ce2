"""The matrices of a linear mixed model written out: y = X beta + Z b + e, with Var(b) = Sigma."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from multilevel._typing import Array, Codes
from multilevel.design.design import Design, RandomTerm
from multilevel.design.glmm import GLMMDesign
from multilevel.families.moments import response_variance
from multilevel.fitted.glmm import GLMMRecord
from multilevel.fitted.lmm import LMMRecord, TermCovariance
from multilevel.inference.glmm_residuals import row_parameters


@dataclass(frozen=True, slots=True)
class ModelMatrices:
    """y = X beta + Z b + e; n rows used, p coefficients, q random effects.

    Random effects are ordered by term, within a term by level, within a level by column, as in lme4.
    """

    X: Array  # (n, p)
    Z: sparse.csc_array  # (n, q)
    Lambda: sparse.csc_array  # (q, q) relative factor: Sigma = sigma^2 Lambda Lambda'
    Sigma: sparse.csc_array  # (q, q) covariance of the random effects
    residual_variance: Array  # (n,) sigma^2 / weight
    z_names: tuple[tuple[str, str, str], ...]  # (q,) grouping factor, level, column

    def __repr__(self) -> str:
        (n, p), q = self.X.shape, self.Z.shape[1]
        return (
            f"ModelMatrices: X ({n}, {p}), Z ({n}, {q}), Lambda and Sigma ({q}, {q}), "
            f"residual_variance ({n},), z_names ({q},)"
        )


def model_matrices(design: Design, record: LMMRecord) -> ModelMatrices:
    """Write out the matrices of a fit; Z, Lambda and Sigma are sparse."""
    return matrices_of(design, record.terms, record.sigma, residual_variance(design, record.sigma))


def glmm_matrices(design: GLMMDesign, record: GLMMRecord) -> ModelMatrices:
    """The same of the mean of a generalized mixed model; the residual variance is that of the family."""
    variance = np.full(design.main.n_rows, np.nan)
    if record.family.response != "ordered":
        variance = response_variance(record.family.density, row_parameters(design, record))
    return matrices_of(design.main, record.terms, 1.0, variance)


def matrices_of(
    design: Design, terms: Sequence[TermCovariance], unit: float, variance: Array
) -> ModelMatrices:
    """X and the sparse matrices of the random effects, whose Sigma is unit^2 Lambda Lambda'."""
    Z = sparse.hstack([spread(term, _codes(design, term), _levels(design, term)) for term in design.terms])
    Lambda = sparse.block_diag(
        [
            sparse.kron(sparse.eye_array(_levels(design, term)), fit.factor)
            for term, fit in zip(design.terms, terms, strict=True)
        ]
    ).tocsc()
    Sigma = (unit**2 * (Lambda @ Lambda.T)).tocsc()
    return ModelMatrices(design.X, Z.tocsc(), Lambda, Sigma, variance, random_effect_names(design))


def linear_matrices(design: Design, sigma: float) -> ModelMatrices:
    """The same for a model without random effects, whose Z has no columns."""
    none = sparse.csc_array((0, 0))
    Z = sparse.csc_array((design.n_rows, 0))
    return ModelMatrices(design.X, Z, none, none, residual_variance(design, sigma), ())


def spread(term: RandomTerm, codes: Codes, n_levels: int) -> sparse.csr_array:
    """Columns (n, q) of a term spread over its levels: (n, J q), each row in its own level's columns."""
    n, q = term.Z.shape
    columns = codes[:, None].astype(np.int64) * q + np.arange(q)
    return sparse.csr_array(
        (term.Z.ravel(), columns.ravel(), np.arange(0, n * q + 1, q)), shape=(n, n_levels * q)
    )


def random_effect_names(design: Design) -> tuple[tuple[str, str, str], ...]:
    """Grouping factor, level and column of each random effect."""
    return tuple(
        (design.groupings[term.grouping].name, level, column)
        for term in design.terms
        for level in design.groupings[term.grouping].levels
        for column in term.names
    )


def residual_variance(design: Design, sigma: float) -> Array:
    """Residual variance (n,) of each row used: sigma^2, over the precision weight where there are weights."""
    constant = np.full(design.n_rows, sigma**2)
    return constant if design.weights is None else constant / design.weights


def effect_variance(Z: Array, term: TermCovariance) -> Array:
    """Variance z' Sigma z (k,) that a term contributes at rows Z (k, q)."""
    return np.asarray(((Z @ term.root) ** 2).sum(axis=1))


def marginal_covariance(design: Design, record: LMMRecord, rows: npt.NDArray[np.intp]) -> Array:
    """Covariance (m, m) of the responses in `rows` (m,), random effects integrated out: Z Sigma Z' + R."""
    V = np.diag(residual_variance(design, record.sigma)[rows])
    for term, fit in zip(design.terms, record.terms, strict=True):
        codes = _codes(design, term)[rows]
        together = codes[:, None] == codes[None, :]
        loading = term.Z[rows] @ fit.root
        V += np.where(together, loading @ loading.T, 0.0)
    return V


def _codes(design: Design, term: RandomTerm) -> Codes:
    return design.groupings[term.grouping].codes


def _levels(design: Design, term: RandomTerm) -> int:
    return design.groupings[term.grouping].n_levels
