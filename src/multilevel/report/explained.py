"""Tidy columns of explained variance, intraclass correlations with limits, and ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array
from multilevel.clusters.icc_limits import Limits
from multilevel.clusters.r_squared import ExplainedVariance, Label
from multilevel.clusters.ranks import Ranks
from multilevel.clusters.variance_partition import VariancePartition
from multilevel.report.lmm_tables import ALL_GROUPS
from multilevel.report.tables import Columns

SINGULAR, AVERAGED, UNDEFINED = "singular", "averaged", "undefined"  # notes, as `r2()` explains them
PARTITION = ("group", "between", "within", "icc", "conf_low", "conf_high")


def r2_columns(explained: ExplainedVariance, limits: Limits | None, *, singular: bool) -> Columns:
    """One row a measure: what it explains, of what, and what deserves notice."""
    estimate = explained.estimate[0]
    notes = [
        note(label, bool(np.isnan(value)), singular)
        for label, value in zip(explained.labels, estimate, strict=True)
    ]
    terms = [label.term for label in explained.labels]
    return {
        "measure": [label.measure for label in explained.labels],
        "group": [label.group for label in explained.labels],
        **({"term": terms} if any(terms) else {}),
        "estimate": estimate,
        **({} if limits is None else limit_columns(limits)),
        "total": explained.total[0],
        "unexplained": explained.unexplained[0],
        "note": notes,
    }


def note(label: Label, undefined: bool, singular: bool) -> str | None:
    """What a reader of one row should know, in a word."""
    if undefined:
        return UNDEFINED
    if label.averaged:
        return AVERAGED
    return SINGULAR if singular and label.measure == "conditional" else None


def r2_without_residual_columns(explained: ExplainedVariance) -> Columns:
    """The marginal R2 of a model without a residual, whose random effects hold what is within groups, too."""
    columns = r2_columns(explained, None, singular=False)
    undefined = {"estimate": np.nan, "unexplained": np.nan, "note": UNDEFINED}
    return columns | {name: [columns[name][0], value] for name, value in undefined.items()}


def limit_columns(limits: Limits) -> Columns:
    """conf_low and conf_high."""
    return {"conf_low": limits.low, "conf_high": limits.high}


def with_limits(table: Columns, limits: Limits) -> Columns:
    """A table of intraclass correlations with the limits right of them."""
    names = list(table)
    after = names.index("icc") + 1
    left, right = names[:after], names[after:]
    return {**{n: table[n] for n in left}, **limit_columns(limits), **{n: table[n] for n in right}}


def point_columns(values: Mapping[str, npt.NDArray[Any]], between: Array, within: float) -> Columns:
    """One row a point: the values given, the variances and the correlation."""
    return {
        **values,
        "between": between,
        "within": np.full(len(between), within),
        "icc": between / (between + within),
    }


def column_name(variable: str) -> str:
    """What the column of a variable is called beside those of `partition_columns`."""
    return f"{variable}_value" if variable in PARTITION else variable


def partition_columns(partition: VariancePartition) -> Columns:
    """One row a grouping factor and value; for all factors together too, when there are several."""
    several = len(partition.groups) > 1
    whole = partition.whole
    parts = [*partition.between, *([whole - partition.residual] if several else [])]
    groups = [*partition.groups, *([ALL_GROUPS] if several else [])]
    between = np.concatenate(parts)
    total = np.tile(whole, len(parts))
    return {
        column_name(partition.variable): np.tile(partition.values, len(parts)),
        "group": [group for group in groups for _ in partition.values],
        "between": between,
        "within": total - between,
        "icc": between / total,
    }


def expected_rank_columns(expected: Sequence[Array]) -> Columns:
    """The expected rank of each random effect, within a level column by column."""
    return {"expected_rank": stacked(expected)}


def rank_columns(ranks: Sequence[Ranks]) -> Columns:
    """Expected rank, percentile and limits."""
    return {
        **expected_rank_columns([each.expected for each in ranks]),
        "percentile_rank": stacked([each.percentile for each in ranks]),
        "rank_low": stacked([each.low for each in ranks]),
        "rank_high": stacked([each.high for each in ranks]),
    }


def stacked(blocks: Sequence[Array]) -> Array:
    """Blocks (J, Q) as one column, level by level."""
    return np.concatenate([block.ravel() for block in blocks])
