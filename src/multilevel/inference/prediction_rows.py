"""Which rows are predicted? Those of the fit, or new data coded alike."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Codes, Frame, Mask
from multilevel.design.design import Design
from multilevel.inference.linear_prediction import checked_weights


@dataclass(frozen=True, slots=True)
class Rows:
    """k complete rows to predict for."""

    X: Array  # (k, p)
    Z: tuple[Array, ...]  # per term (k, q)
    codes: tuple[Codes, ...]  # per grouping (k,); -1 where the level is unseen
    new_codes: tuple[Codes, ...]  # per grouping (k,): which of its new levels; -1 where the level is known
    new_levels: tuple[tuple[str, ...], ...]  # per grouping, labels of its new levels
    offset: Array | None  # (k,)
    weights: Array | None  # (k,) precision weights
    complete: Mask  # (n,) which of the rows given these are; the others lack a predictor


def rows_of_design(design: Design) -> Rows:
    """The rows that the model was fitted to."""
    nowhere = np.full(design.n_rows, -1, dtype=np.int32)
    return Rows(
        X=design.X,
        Z=tuple(term.Z for term in design.terms),
        codes=tuple(grouping.codes for grouping in design.groupings),
        new_codes=tuple(nowhere for _ in design.groupings),
        new_levels=tuple(() for _ in design.groupings),
        offset=design.offset,
        weights=design.weights,
        complete=np.ones(design.n_rows, dtype=np.bool_),
    )


def rows_of_data(
    design: Design, new: Frame, groupings: Collection[int], weights: npt.ArrayLike | None
) -> Rows:
    """New data, coded as those of the fit; only the grouping factors wanted need be there."""
    encoded = design.encoder.encode(new, groupings, every_term=True)
    given = checked_weights(weights, len(encoded.rows))
    return Rows(
        X=encoded.X,
        Z=encoded.Z,
        codes=encoded.codes,
        new_codes=encoded.new_codes,
        new_levels=encoded.new_levels,
        offset=encoded.offset,
        weights=encoded.weights if given is None else given[encoded.rows],
        complete=encoded.rows,
    )


def over_all_rows(values: Array, complete: Mask) -> Array:
    """Values of the complete rows among all rows given (n,); NaN in the others."""
    everywhere = np.full(len(complete), np.nan)
    everywhere[complete] = values
    return everywhere
