"""What does a linear model predict for a row, and how sure is it?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from multilevel._options import checked_numbers
from multilevel._typing import Array, Frame, Mask
from multilevel.design.design import Design
from multilevel.errors import DataError
from multilevel.fitted.ols import OLSRecord
from multilevel.inference.robust_tests import satterthwaite_df
from multilevel.inference.variance import Variance, variance_of
from multilevel.inference.wald import critical_value

Interval = Literal["confidence", "prediction"]


@dataclass(frozen=True, slots=True)
class LinearRows:
    """Rows to predict; NaN where a predictor is missing."""

    X: Array  # (k, p)
    offset: Array | None  # (k,)
    weights: Array | None  # (k,) precision of a new observation

    def precision(self) -> float | Array:
        """Weights, 1 where there are none."""
        return 1.0 if self.weights is None else self.weights


def used_rows(design: Design) -> LinearRows:
    """The rows that the model was fitted to."""
    return LinearRows(design.X, design.offset, design.weights)


def new_rows(design: Design, new: Frame, weights: npt.ArrayLike | None) -> LinearRows:
    """New data, coded as those of the fit."""
    encoded = design.encoder.encode(new)
    given = checked_weights(weights, len(encoded.rows))
    return LinearRows(
        X=spread(encoded.X, encoded.rows),
        offset=None if encoded.offset is None else spread(encoded.offset, encoded.rows),
        weights=given
        if given is not None or encoded.weights is None
        else spread(encoded.weights, encoded.rows),
    )


def spread(values: Array, rows: Mask) -> Array:
    """Values of the marked rows (k, ...) in their places among all rows (n, ...), NaN elsewhere."""
    everywhere = np.full((len(rows), *values.shape[1:]), np.nan)
    everywhere[rows] = values
    return everywhere


def checked_weights(weights: npt.ArrayLike | None, k: int) -> Array | None:
    """One positive weight for each of the `k` new rows."""
    if weights is None:
        return None
    values = checked_numbers("predict(weights=)", weights)
    if values.shape != (k,) or not (values > 0.0).all():
        raise DataError(f"predict(weights=) needs one positive weight for each of the {k} new rows.")
    return values


def predictor(record: OLSRecord, rows: LinearRows) -> Array:
    """X beta + offset (k,)."""
    mean = rows.X @ record.beta
    return np.asarray(mean if rows.offset is None else mean + rows.offset)


def half_width(
    record: OLSRecord, variance: Variance, rows: LinearRows, interval: Interval, level: float
) -> Array:
    """Half the width of the interval (k,), for the mean or for a new observation."""
    error = variance_of(record, variance, rows.X)
    if interval == "prediction":
        error = error + record.sigma**2 / rows.precision()
    return critical_value(level, degrees_of_freedom(record, variance, rows.X)) * np.sqrt(error)


def degrees_of_freedom(record: OLSRecord, variance: Variance, L: Array) -> Array:
    """Degrees of freedom (k,) of L beta-hat, with L (k, p): one for all, or Satterthwaite's for each."""
    if variance.adjusted is None:
        return np.full(len(L), variance.df)
    distinct, place = np.unique(L, axis=0, return_inverse=True)
    return satterthwaite_df(variance.adjusted, record.in_basis(distinct))[place.ravel()]
