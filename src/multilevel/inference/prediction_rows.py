"""Which rows are predicted? Those of the fit, or new data coded alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Codes, Frame
from multilevel.design.design import Design
from multilevel.inference.linear_prediction import checked_weights


@dataclass(frozen=True, slots=True)
class Rows:
    """k rows to predict for; where a predictor is missing, its columns are NaN."""

    X: Array  # (k, p)
    Z: tuple[Array, ...]  # per term (k, q)
    codes: tuple[Codes, ...]  # per grouping (k,); -1 where the level is unseen
    unseen: tuple[Codes, ...]  # per grouping (k,): which of its new levels; -1 where the level is known
    new_levels: tuple[tuple[str, ...], ...]  # per grouping, labels of its new levels
    offset: Array | None  # (k,)
    weights: Array | None  # (k,) precision weights


def rows_of_design(design: Design) -> Rows:
    """The rows that the model was fitted to."""
    return Rows(
        X=design.X,
        Z=tuple(term.Z for term in design.terms),
        codes=tuple(grouping.codes for grouping in design.groupings),
        unseen=tuple(np.full(design.n_rows, -1, dtype=np.int32) for _ in design.groupings),
        new_levels=tuple(() for _ in design.groupings),
        offset=design.offset,
        weights=design.weights,
    )


def rows_of_data(design: Design, new: Frame, weights: npt.ArrayLike | None) -> Rows:
    """New data, coded as those of the fit."""
    encoded = design.encoder.encode(new)
    return Rows(
        X=encoded.X,
        Z=encoded.Z,
        codes=encoded.codes,
        unseen=encoded.unseen,
        new_levels=encoded.new_levels,
        offset=encoded.offset,
        weights=checked_weights(weights, len(encoded.X)),
    )
