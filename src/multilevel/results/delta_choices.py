"""What is asked of `ml.delta_sensitivity`: which fit, which rows, which shifts, which coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from multilevel._options import checked_count, checked_numbers
from multilevel._typing import Array, Frame, Mask
from multilevel.design.columns import INTERCEPT
from multilevel.design.expressions import plain_name
from multilevel.errors import DataError, DataTypeError, ModelError
from multilevel.frames.table import read_table
from multilevel.results.lmm import LMMFit

Where = Mapping[str, Any] | npt.ArrayLike


def refuse_other_fits(fit: object) -> None:
    """Imputations are drawn from a linear mixed model."""
    if not isinstance(fit, LMMFit):
        raise DataTypeError(
            "delta_sensitivity() imputes from a fit by ml.lmm, the conditional distribution of the response "
            f"given what was observed; got {type(fit).__name__}. Another analysis of the completed data "
            "goes in analysis=."
        )
    if fit.residual == "none" or fit.design.freq_weights is not None:
        raise ModelError("imputing needs a model with a residual and without freq_weights.")


def response_column(fit: LMMFit) -> str:
    """The response, which must be a column as it stands."""
    name = plain_name(fit.design.formula.response.expressions[0])
    if name not in read_table(fit.call.data).names:
        raise ModelError(
            f"the response '{fit.design.response_name}' is computed; make it a column of the data, so that "
            "it can be filled in."
        )
    return name


def checked_imputations(n: object) -> int:
    """Two data sets or more: one has no variance between."""
    count = checked_count("n", n)
    if count < 2:
        raise DataError("n=1 imputed data set cannot be pooled; 20 are usual.")
    return count


def checked_deltas(deltas: npt.ArrayLike | None, sd: float) -> Array:
    """The grid in order, with zero in it."""
    if deltas is None:
        return np.linspace(-1.0, 1.0, 9) * sd
    grid = np.unique(np.append(np.atleast_1d(checked_numbers("deltas=", deltas)).ravel(), 0.0))
    if not np.isfinite(grid).all() or len(grid) < 2:
        raise DataError(
            "deltas= are finite shifts in units of the response, as in deltas=[-10, -5, 0, 5, 10]."
        )
    return grid


def shifted_rows(where: Where | None, data: Frame) -> Mask:
    """Which rows of the data delta may shift."""
    table = read_table(data)
    if where is None:
        return np.ones(table.n_rows, dtype=np.bool_)
    if not isinstance(where, Mapping):
        chosen = np.asarray(where)
        if chosen.shape != (table.n_rows,) or chosen.dtype != np.bool_:
            raise DataError(
                f"where= is a mapping, {{'arm': 'drug'}}, or {table.n_rows} truth values, one a row."
            )
        return chosen
    rows = np.ones(table.n_rows, dtype=np.bool_)
    for name, value in where.items():
        labels = table.labels(name)
        places = [k for k, label in enumerate(labels.levels) if label == level_text(value)]
        if not places:
            raise DataError(
                f"where=: '{name}' is never {value!r}; it has {', '.join(map(str, labels.levels[:10]))}."
            )
        rows &= labels.codes == places[0]
    return rows


def level_text(value: Any) -> str:
    """A value as labels of groups are written."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def where_words(where: Where) -> str:
    """The choice of rows in words."""
    if not isinstance(where, Mapping):
        return " in the rows chosen"
    return " where " + " and ".join(f"{name} is {value}" for name, value in where.items())


def chosen_terms(term: str | Sequence[str] | None, names: tuple[str, ...]) -> list[str]:
    """The coefficients asked for."""
    if term is None:
        return [name for name in names if name != INTERCEPT] or list(names)
    chosen = [term] if isinstance(term, str) else list(term)
    for name in chosen:
        if name not in names:
            raise DataError(f"term={name!r} is no coefficient; there are {', '.join(names)}.")
    return chosen
