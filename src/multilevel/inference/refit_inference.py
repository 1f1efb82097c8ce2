"""What do thousands of refits of one mixed model say of their coefficients? Satterthwaite, Kenward-Roger.

Models with one grouping factor, unstructured or diagonal terms: all refits at once, the numbers that
`satterthwaite` and `kenward_roger` give one by one. What is singular is marked, to be asked one by one, but
for a single variance of zero, which leaves the residual alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.design.design import Design
from multilevel.estimation.lmm import WorkingModel
from multilevel.estimation.refits import ResponseFits
from multilevel.fitted.assemble import factor_root
from multilevel.inference.many_products import (
    LevelSums,
    ManyProducts,
    adjustments,
    directions,
    level_sums,
    many_blocks,
    many_products,
)

BLOCK_NUMBERS = 4e6  # in the arrays of some fits at once: 32 MB each
FLAT = 1e-8  # eigenvalue of the scaled information below which a direction tells nothing


@dataclass(frozen=True, slots=True)
class ManyInference:
    """Standard errors and degrees of freedom of L beta-hat in B fits."""

    std_error: Array  # (B, k)
    df: Array  # (B, k); NaN where the fit is to be asked by itself
    rows: Array  # (B, k, p) of L in a basis where the covariance of beta-hat is the identity
    slopes: Array  # (B, m, p, p)
    inverse: Array  # (B, m, m)

    @property
    def known(self) -> Mask:
        """Fits (B,) whose degrees of freedom are here."""
        return np.asarray(np.isfinite(self.df).all(axis=1))


@dataclass(frozen=True, slots=True)
class ManyFits:
    """A model of one factor, ready to be asked of its refits."""

    design: Design
    model: WorkingModel
    sums: LevelSums
    A: Array  # (k, Q, Q) directions
    reml: bool

    @property
    def df(self) -> float:
        """Degrees of freedom of sigma."""
        return self.design.n_obs - (self.design.X.shape[1] if self.reml else 0.0)


def many_fits(design: Design, model: WorkingModel, *, reml: bool) -> ManyFits | None:
    """The model, if its refits can be asked all at once."""
    if len(model.groupings) != 1:
        return None
    A = directions(model.layouts, model.kernel.factors[0].columns.values.shape[1])
    return None if A is None else ManyFits(design, model, level_sums(design, model), A, reml)


def refit_inference(
    fits: ManyFits, refits: ResponseFits, Y: Array, L: Array, *, kenward_roger: bool = False
) -> ManyInference:
    """Satterthwaite's answers, or Kenward and Roger's, for L (k, p) in refits to the columns of Y (n, B)."""
    roots = working_roots(fits.model, refits.theta)
    response = working_responses(fits, Y)
    J, Q, p = fits.sums.ZX.shape
    numbers = J * Q * (Q + p) * len(fits.A) + len(Y) * Q
    step = max(1, int(BLOCK_NUMBERS / numbers))
    parts = [
        some_inference(
            fits,
            roots[first : first + step],
            refits.sigma[first : first + step],
            response[:, first : first + step],
            L,
            kenward_roger=kenward_roger,
        )
        for first in range(0, len(roots), step)
    ]
    whole = joined(parts)
    return whole if fits.A.shape[1] == 1 else without_singular(whole, refits.singular)


def planned_inference(fits: ManyFits, root: Array, sigma: float, L: Array) -> ManyInference:
    """The same where T (Q, Q), in working units, and sigma are true, with the expected information: B = 1."""
    return some_inference(fits, root[None], np.array([sigma]), None, L, kenward_roger=False)


def some_inference(
    fits: ManyFits, T: Array, sigma: Array, Y: Array | None, L: Array, *, kenward_roger: bool
) -> ManyInference:
    """As many fits as are worth an array."""
    blocks = many_blocks(fits.sums, T, Y, fits.df)
    products = many_products(blocks, fits.A, reml=fits.reml)
    back = fits.model.fixed.centring.contrasts(L) @ fits.model.fixed.back(np.eye(fits.sums.XX.shape[0]))
    rows = sigma[:, None, None] * np.linalg.solve(blocks.root, back.T[None]).transpose(0, 2, 1)
    inverse, good = inverted(information(products, fits.df, observed=Y is not None and not kenward_roger))
    if Y is None:
        good &= told(products.expected, products.without_fixed)
    slopes = with_scale_slope(products.slopes)
    v = (rows * rows).sum(axis=2)
    g = np.einsum("bkp,bmpq,bkq->bmk", rows, slopes, rows, optimize=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = v**2 / np.einsum("bmk,bmn,bnk->bk", g, inverse, g, optimize=True)
    if kenward_roger:
        half = 2.0 * inverse[:, 1:, 1:]
        change = adjustments(blocks, fits.A, products.slopes, half)
        v = v + 2.0 * np.einsum("bkp,bpq,bkq->bk", rows, change, rows, optimize=True)
        good &= np.abs(T).max(axis=(1, 2)) > 0.0  # a variance of zero is asked by itself
    df[~good] = np.nan
    return ManyInference(np.sqrt(v), df, rows, slopes, inverse)


def information(products: ManyProducts, df: float, *, observed: bool) -> Array:
    """Information (B, m, m) on log sigma^2 and the directions."""
    if observed and products.average is not None and products.score is not None:
        inner, edge = 2.0 * products.average - products.expected, products.score
    else:
        inner, edge = products.expected, products.trace
    B, k = edge.shape
    whole = np.empty((B, 1 + k, 1 + k))
    whole[:, 0, 0] = df
    whole[:, 0, 1:] = whole[:, 1:, 0] = edge
    whole[:, 1:, 1:] = inner
    return whole


def inverted(matrices: Array) -> tuple[Array, Mask]:
    """Inverses (B, m, m), without directions that tell nothing, and which (B,) had none that lead downhill.

    A variance of zero has a row of zeros.
    """
    size = np.sqrt(np.abs(np.einsum("bii->bi", matrices)))
    unit = np.where(size > 0.0, size, 1.0)
    values, vectors = np.linalg.eigh(matrices / (unit[:, :, None] * unit[:, None, :]))
    kept = values > FLAT * values[:, -1:]
    inverse = np.where(kept, 1.0 / np.where(kept, values, 1.0), 0.0)
    half = vectors / unit[:, :, None]
    empty = np.count_nonzero(size == 0.0, axis=1)
    good = np.count_nonzero(~kept, axis=1) <= empty
    return (half * inverse[:, None, :]) @ half.transpose(0, 2, 1), good


def told(expected: Array, without_fixed: Array) -> Mask:
    """Whether coefficients (B,) leave something to tell every variance from, where it is not zero."""
    left = np.einsum("bii->bi", expected)
    return np.asarray((left >= FLAT * without_fixed).all(axis=1))


def with_scale_slope(slopes: Array) -> Array:
    """Slopes (B, 1 + k, p, p) with that of log sigma^2 first: the covariance itself."""
    B, _, p, _ = slopes.shape
    return np.concatenate([np.broadcast_to(np.eye(p), (B, 1, p, p)), slopes], axis=1)


def working_roots(model: WorkingModel, theta: Array) -> Array:
    """T (B, Q, Q) of all terms on the factor, in working units."""
    return np.array([factor_root(model, model.kernel.term_factors(row), 0) for row in theta])


def working_responses(fits: ManyFits, Y: Array) -> Array:
    """Responses (n, B) in working units, level by level."""
    design, response = fits.design, fits.model.response
    effective = Y if design.offset is None else Y - design.offset[:, None]
    return np.asarray((effective[fits.sums.order] - response.shift) * response.scale)


def without_singular(found: ManyInference, singular: Mask) -> ManyInference:
    """Degrees of freedom that depend on a chart of a singular covariance are left to it."""
    df = np.where(singular[:, None], np.nan, found.df)
    return ManyInference(found.std_error, df, found.rows, found.slopes, found.inverse)


def joined(parts: list[ManyInference]) -> ManyInference:
    """Fits below each other."""
    return ManyInference(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("std_error", "df", "rows", "slopes", "inverse")
        )
    )
