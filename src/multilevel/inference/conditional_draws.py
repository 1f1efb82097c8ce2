"""What could the missing responses have been? Draws given the observed ones, from a linear mixed model.

With spherical effects u and G = Z Sigma^(1/2) the model is y = X beta + G u + e. A draw of u given the
observed rows o starts from one of the model itself, (u+, e+), corrected by what the data say against it,

    u = u+ + (I + G_o'W G_o / sigma^2)^-1 G_o'W (r_o - G_o u+ - e+) / sigma^2,    r = y - X beta,

which has mean and covariance of the conditional distribution without forming the latter. Effects of groups
of which nothing was observed keep their prior. Draws are proper if beta and the variances are drawn first.

Hoffman, Y. & Ribak, E. (1991). Constrained realizations of Gaussian fields: a simple algorithm. Astrophysical
Journal 380, L5-L8.
Rubin, D. B. (1987). Multiple Imputation for Nonresponse in Surveys. Wiley.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, eye_array, hstack
from scipy.sparse.linalg import splu

from multilevel._typing import Array, Codes, Mask
from multilevel.fitted.lmm import LMMRecord

Sparse = Any  # scipy's sparse arrays have no types


@dataclass(frozen=True, slots=True)
class RowsToComplete:
    """k rows of a mixed model, with and without a response."""

    X: Array  # (k, p)
    Z: tuple[Array, ...]  # for each term (k, q)
    codes: tuple[
        Codes, ...
    ]  # for each term (k,) level of its grouping factor, new levels after those of the fit
    offset: Array  # (k,)
    weights: Array  # (k,) precision weights
    y: Array  # (k,) NaN where missing
    observed: Mask  # (k,)


def spherical_columns(rows: RowsToComplete, roots: Sequence[Array]) -> Sparse:
    """G (k, Q): random-effect columns times a root of their covariance, level by level."""
    parts = []
    for Z, codes, root in zip(rows.Z, rows.codes, roots, strict=True):
        values = Z @ root
        k, q = values.shape
        place = codes[:, None].astype(np.int64) * q + np.arange(q)
        row = np.repeat(np.arange(k), q)
        width = (int(codes.max()) + 1) * q
        parts.append(csr_array((values.ravel(), (row, place.ravel())), shape=(k, width)))
    return csr_array(hstack(parts))


def draw_missing(rows: RowsToComplete, record: LMMRecord, rng: np.random.Generator) -> Array:
    """Responses (m,) of the rows without one, drawn given the others at the record's parameters."""
    G = spherical_columns(rows, [term.root for term in record.terms])
    u, e = rng.standard_normal(G.shape[1]), rng.standard_normal(len(rows.y))
    error = record.sigma / np.sqrt(rows.weights) * e
    mean = rows.X @ record.beta + rows.offset
    seen = rows.observed
    G_seen, precision = G[seen], rows.weights[seen] / record.sigma**2
    apart = rows.y[seen] - mean[seen] - G_seen @ u - error[seen]
    weighted = G_seen.T * precision
    information = (weighted @ G_seen + eye_array(G.shape[1])).tocsc()
    u = u + splu(information).solve(np.asarray(weighted @ apart))
    drawn: npt.NDArray[np.float64] = (mean + G @ u + error)[~seen]
    return drawn
