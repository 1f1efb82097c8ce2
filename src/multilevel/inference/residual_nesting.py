"""Is one residual structure a special case of another? What a likelihood-ratio test between them needs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.covariance.residual.specification import Residual
from multilevel.covariance.residual.variance_functions import VarFixed, VarIdent, factors_of
from multilevel.covariance.working.arma import ARMA
from multilevel.covariance.working.autoregressive import AR1
from multilevel.covariance.working.exchangeable import Exchangeable
from multilevel.covariance.working.independence import Independence
from multilevel.covariance.working.specification import Correlation
from multilevel.covariance.working.toeplitz import Toeplitz
from multilevel.covariance.working.unstructured import Unstructured
from multilevel.estimation.gee.layout import ClusterLayout
from multilevel.estimation.residual.rows import ResidualRows
from multilevel.inference.nesting import same_groups

INDEPENDENT = Residual()


def residual_lies_within(small: ResidualRows | None, large: ResidualRows | None) -> bool:
    """Whether every covariance of the smaller structure is one of the larger; None for equal variances."""
    if small is None:
        return large is None or not_fixed(large.residual)
    if large is None:
        return small.residual == INDEPENDENT
    return (
        same_rows(small, large)
        and small.residual.by in (None, large.residual.by)
        and variance_lies_within(small.residual, large.residual)
        and correlation_lies_within(small.residual.corr, large.residual.corr, large.layout)
    )


def not_fixed(residual: Residual) -> bool:
    """Whether equal variances are among what a structure can have."""
    return not any(isinstance(each, VarFixed) for each in factors_of(residual.var))


def same_rows(small: ResidualRows, large: ResidualRows) -> bool:
    """Whether rows are grouped alike and measured at the same times, where that matters to the smaller."""
    if small.layout is None or not small.residual.correlated:
        return True
    if large.layout is None or not same_groups(group_codes(small), group_codes(large)):
        return False
    return not small.residual.corr.ordered or np.array_equal(times(small), times(large))


def group_codes(rows: ResidualRows) -> Codes:
    """The group of each row (n,), in the order of the data."""
    assert rows.layout is not None
    numbers = np.repeat(np.arange(rows.layout.n_clusters, dtype=np.float64), rows.layout.sizes)
    return rows.in_data_order(numbers).astype(np.int32)


def times(rows: ResidualRows) -> Array:
    """The time of each row (n,), in the order of the data."""
    assert rows.layout is not None
    return rows.in_data_order(rows.layout.time)


def variance_lies_within(small: Residual, large: Residual) -> bool:
    """Whether the factors of the smaller are among those of the larger, and given ones in both."""
    own, others = factors_of(small.var), factors_of(large.var)
    of_strata = [] if large.by is None else [VarIdent(large.by)]  # a deviation for each stratum is free
    return all(each in (*others, *of_strata) for each in own) and given(own) == given(others)


def given(functions: Sequence[object]) -> list[object]:
    """The factors that are not estimated."""
    return [each for each in functions if isinstance(each, VarFixed)]


def correlation_lies_within(small: Correlation, large: Correlation, layout: ClusterLayout | None) -> bool:
    """Whether the correlations of the smaller are among those of the larger."""
    if isinstance(small, Independence) or small == large:
        return large.name != "fixed" or small == large
    match small, large:
        case (Exchangeable(), Toeplitz() | Unstructured()) | (Toeplitz(), Unstructured()):
            return True
        case AR1(), ARMA():
            return large.p >= 1
        case ARMA(), ARMA():
            return small.p <= large.p and small.q <= large.q
        case AR1() | ARMA(), Toeplitz() | Unstructured():
            return isinstance(large, Unstructured) or evenly_spaced(layout)
    return False


def evenly_spaced(layout: ClusterLayout | None) -> bool:
    """Whether visits are equally far apart, so that their number says their distance."""
    if layout is None:
        return False
    steps = np.diff(np.unique(layout.time))
    return bool(len(steps) == 0 or np.allclose(steps, steps[0]))
