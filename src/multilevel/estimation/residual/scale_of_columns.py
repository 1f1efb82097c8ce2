"""From variance functions and the columns they name to factors of rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.covariance.residual.variance_functions import (
    OfCovariate,
    VarConstPower,
    VarExp,
    VarFixed,
    VarianceFunction,
    VarIdent,
    VarPower,
)
from multilevel.design.design import Grouping
from multilevel.design.residual_columns import ResidualColumns
from multilevel.errors import DataError, ModelError
from multilevel.estimation.residual.scale_factors import (
    ConstantPowers,
    KnownScale,
    Ratios,
    ScaleFactor,
    ScaleProduct,
    powers,
)

FITTED = "fitted values"


def scale_of_columns(
    functions: Sequence[VarianceFunction],
    by: Grouping | None,
    columns: ResidualColumns,
    fitted: Array | None,
    n_rows: int,
) -> ScaleProduct:
    """The product of all functions; with `by` in each of its strata, which have a deviation each.

    `fitted` (n,) are the values that stand for a covariate that is not named.
    """
    own = [scale_factor(function, by, columns, fitted) for function in functions]
    if by is not None and not any(isinstance(function, VarIdent) for function in functions):
        own.insert(0, ratios(by))
    return ScaleProduct(tuple(own), n_rows)


def scale_factor(
    function: VarianceFunction, by: Grouping | None, columns: ResidualColumns, fitted: Array | None
) -> ScaleFactor:
    """One function on its rows."""
    match function:
        case VarIdent(by=name):
            return ratios(crossed(by, columns.strata[name]))
        case VarFixed(x=name):
            return fixed_scale(name, columns.covariates[name])
        case OfCovariate(x=name, by=own):
            strata = None if own is None else columns.strata[own]
            values = fitted if name is None else columns.covariates[name]
            assert values is not None
            return of_covariate(function, FITTED if name is None else name, values, crossed(by, strata))
    raise ModelError(f"var={function!r} is no variance function of residuals.")


def crossed(outer: Grouping | None, inner: Grouping | None) -> Grouping | None:
    """Cells of two factors, or the one there is."""
    if outer is None or inner is None or outer.name == inner.name:
        return inner if outer is None else outer
    cells = outer.codes.astype(np.int64) * inner.n_levels + inner.codes
    present, codes = np.unique(cells, return_inverse=True)
    levels = tuple(f"{outer.levels[c // inner.n_levels]}:{inner.levels[c % inner.n_levels]}" for c in present)
    return Grouping(f"{outer.name}:{inner.name}", codes.ravel().astype(np.int32), levels)


def ratios(strata: Grouping | None) -> Ratios:
    """A ratio for each stratum after the first."""
    assert strata is not None
    counts = np.bincount(strata.codes)
    if len(counts) == 1:
        raise DataError(
            f"'{strata.name}' has one level, '{strata.levels[0]}', in the rows used, so that variances "
            "cannot differ between its levels; leave it out."
        )
    if counts.min() < 2:
        level = strata.levels[int(counts.argmin())]
        raise DataError(
            f"level '{level}' of '{strata.name}' has one row, from which no variance can be estimated; "
            "merge it with another level."
        )
    return Ratios(strata.name, strata.levels, strata.codes)


def fixed_scale(name: str, x: Array) -> KnownScale:
    """The root of a covariate."""
    if not (x > 0.0).all():
        raise DataError(
            f"ml.VarFixed('{name}') takes the variance as proportional to '{name}', which is not positive in "
            f"{int((x <= 0.0).sum())} rows; use another covariate, or weights=."
        )
    return KnownScale(0.5 * np.log(x))


def of_covariate(function: VarianceFunction, name: str, x: Array, strata: Grouping | None) -> ScaleFactor:
    """A power, an exponential, or a constant plus a power."""
    codes = np.zeros(len(x), dtype=np.int32) if strata is None else strata.codes
    labels = [""] if strata is None else [f"[{level}]" for level in strata.levels]
    refuse_constant(name, x, codes, labels)
    match function:
        case VarPower():
            refuse_zeros(name, x)
            return powers([f"power of {name}{label}" for label in labels], np.log(np.abs(x)), codes)
        case VarExp():
            return powers([f"rate of {name}{label}" for label in labels], x, codes)
        case VarConstPower():
            names = [f"{what}{label}" for what in ("constant", f"power of {name}") for label in labels]
            return ConstantPowers(tuple(names), np.abs(x), codes)
    raise ModelError(f"var={function!r} is no variance function of residuals.")


def refuse_zeros(name: str, x: Array) -> None:
    """A power of zero is no standard deviation."""
    if (x == 0.0).any():
        raise DataError(
            f"'{name}' is zero in {int((x == 0.0).sum())} rows, where |{name}|^power is no standard "
            "deviation; use ml.VarConstPower, or ml.VarExp."
        )


def refuse_constant(name: str, x: Array, codes: Codes, labels: Sequence[str]) -> None:
    """Nothing depends on what does not vary."""
    for code, label in enumerate(labels):
        mine = x[codes == code]
        if np.ptp(np.abs(mine)) == 0.0:
            where = f" within {label}" if label else ""
            raise DataError(
                f"'{name}' does not vary{where}, so that no variance can depend on it; leave it out."
            )
