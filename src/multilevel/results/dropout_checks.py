"""What `ml.dropout_weights` refuses, and what it warns of."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

from multilevel._typing import Array, Frame, Mask
from multilevel.design.columns import missing_rows
from multilevel.design.design import Design
from multilevel.design.visits import Visits
from multilevel.errors import DataError, ModelError, MultilevelWarning
from multilevel.fitted.assemble_dropout import RiskSet
from multilevel.frames.table import read_table
from multilevel.report.dropout import heavy


def no_model(argument: str, formula: str, visits: Visits, risk: RiskSet) -> str:
    """What to do where no finite coefficients fit best."""
    return (
        f"{argument}='{formula}' tells those who stay from those who leave without fail (or almost), so "
        f"some have no chance to stay, or none to leave: {certain_times(visits, risk)}. Leave such a "
        f"predictor out, or group its levels (early and late {visits.time_name}, say)."
    )


def refuse_incomplete(argument: str, formula: str, data: Frame, design: Design, risk: RiskSet) -> None:
    """Every row at risk needs its predictors."""
    lost = int(risk.at_risk.sum()) - design.n_rows
    if lost:
        columns = missing_columns(data, design.dropped.missing_by_column, risk.at_risk)
        raise DataError(
            f"{argument}='{formula}' is missing something ({', '.join(columns)}) in {lost} rows of those at "
            "risk, which then have no weight; fill these in, or leave the predictor out."
        )


def missing_columns(data: Frame, names: Iterable[str], rows: Mask) -> list[str]:
    """Columns that miss values in these rows."""
    table = read_table(data)
    missing = {name: missing_rows(table.column(name)) for name in names if name in table.names}
    return [name for name, where in missing.items() if where is not None and where[rows].any()]


def checked_percentiles(truncate: object) -> tuple[float, float] | None:
    """Two shares, the lower first."""
    if truncate is None:
        return None
    try:
        low, high = (float(edge) for edge in truncate)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        raise DataError(
            f"truncate={truncate!r:.60} is no pair of shares; write truncate=(0.01, 0.99)."
        ) from None
    if not 0.0 <= low < high <= 1.0:
        raise DataError(f"truncate=({low:g}, {high:g}) is no pair of shares; write truncate=(0.01, 0.99).")
    return low, high


def refuse_one_time(visits: Visits) -> None:
    """Nobody can leave before the first time."""
    if len(visits.times) < 2:
        raise DataError(
            f"'{visits.time_name}' is {visits.times[0]} in every row, so nobody can leave; check time=."
        )


def refuse_no_dropout(visits: Visits, risk: RiskSet, y: object) -> None:
    """Without dropout all weights are one."""
    if not risk.at_risk.any():
        raise DataError(
            f"no group of '{visits.grouping.name}' is observed at the first {visits.time_name}; check y=."
        )
    if (risk.stays[risk.at_risk] == 1.0).all():
        hint = "" if y is not None else " If rows are there without a response, name it: y='...'."
        raise ModelError(
            f"no group of '{visits.grouping.name}' leaves before the last {visits.time_name}: there is no "
            f"dropout to model, and all weights would be 1.{hint}"
        )
    if (risk.stays[risk.at_risk] == 0.0).all():
        raise ModelError(
            f"no group of '{visits.grouping.name}' is seen twice in a row; check groups= and time=."
        )


def certain_times(visits: Visits, risk: RiskSet) -> str:
    """Times after which all stay, or all leave, as a hint."""
    certain = [
        f"after {visits.time_name} {visits.times[t]} all {'stay' if stays.all() else 'leave'}"
        for t in range(len(visits.times) - 1)
        if len(stays := risk.stays[risk.at_risk & (risk.visit == t)]) and stays.min() == stays.max()
    ]
    return "; ".join(certain) if certain else "look at cross-tables of the predictors with dropout"


def warn_of_heavy_weights(weights: Array) -> None:
    """Say at once that a few rows decide."""
    if heavy(weights):
        warnings.warn(
            f"the largest weight is {weights.max() / weights.mean():.3g} times the mean: a few rows decide. "
            "Print the weights, and compare with truncate=(0.01, 0.99) or a numerator=.",
            MultilevelWarning,
            stacklevel=3,
        )
