"""`ml.design_effect`: what do clusters do to standard errors, and how many observations are they worth?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Literal

import numpy as np
import numpy.typing as npt

from multilevel._options import checked_count, checked_numbers
from multilevel._typing import Array, Frame
from multilevel.clusters.moulton import Inflation, icc_given, inflation, predictor_icc, weighted_size
from multilevel.clusters.one_way import group_moments
from multilevel.clusters.raw_icc import USUAL_LIMITS, raw_iccs
from multilevel.design.arguments import RowNumbers
from multilevel.design.clustered import (
    ClusteredRows,
    read_clustered,
    refuse_constant_column,
    refuse_no_clusters,
)
from multilevel.errors import DataError, DataTypeError, ModelError
from multilevel.frames.output import to_frame
from multilevel.frames.table import FrameKind
from multilevel.report.blocks import dropped_notes
from multilevel.report.design_effect import MEAN, deff_columns, deff_page, limit_words
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns
from multilevel.results.page import Page
from multilevel.results.raw_variable import checked_kind, checked_name, dropped, sample_of


@dataclass(frozen=True, slots=True, repr=False)
class DesignEffects(Page):
    """Design effects of a mean and of K - 1 predictors.

    `frame` holds the table in the user's kind of frame; `effects["deff"]` is one of its columns.
    """

    terms: tuple[str, ...]  # (K,) the first is the mean
    inflation: Inflation
    sizes: Array  # (J,) of the groups, or (1,) their common size
    n_groups: float  # NaN where not known
    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]
    kind: FrameKind

    @property
    def frame(self) -> Frame:
        """One row a quantity: term, icc, icc_x, deff, se_ratio, n_effective, groups_needed."""
        return to_frame(self.columns(), self.kind)

    @property
    def size(self) -> float:
        """The size of a group that counts, sum m^2 / sum m."""
        return weighted_size(self.sizes)

    @property
    def n_obs(self) -> float:
        """Observations; NaN where not known."""
        return float(self.n_groups * self.sizes.mean())

    def columns(self) -> Columns:
        """The columns of the table by name."""
        return deff_columns(self.terms, self.inflation, self.n_obs, self.n_groups)

    def page(self) -> Summary:
        """What is printed."""
        return deff_page(self.terms, self.inflation, self.facts, self.n_obs, self.n_groups, self.notes)


def design_effect(
    data: Frame | None = None,
    y: str | None = None,
    groups: str | None = None,
    x: str | Sequence[str] | None = None,
    *,
    icc: float | None = None,
    icc_x: float | None = None,
    m: npt.ArrayLike | None = None,
    n_groups: int | None = None,
    freq_weights: RowNumbers | None = None,
    missing: Literal["drop", "raise"] = "drop",
) -> DesignEffects:
    """Design effects: what clusters do to the variance of a mean, and of the slope of each predictor.

    The variance of independent observations is to be multiplied by

        DEFF = 1 + (m - 1) ICC ICC_x,    m = sum m_j^2 / sum m_j over groups of sizes m_j,

    and standard errors by its root, `se_ratio`. For the mean ICC_x is 1 (Kish); for a predictor it is the
    predictor's own intraclass correlation (Moulton), near 1 if it is constant within groups, and negative if
    it is balanced within them: naive standard errors are then too large. With a predictor, the ICC is that of
    what a straight line in it leaves of y. `n_effective` is the number of independent observations that are
    worth as much, and `groups_needed` how many groups of this kind it takes for what so many independent
    observations would tell.

    Args:
        data: any data frame, or a mapping of equally long columns; or give `m` instead.
        y: the response, from which the ICC is estimated by analysis of variance; not needed with `icc`.
        groups: the column that names the groups.
        x: one predictor or several, each taken by itself.
        icc: the ICC of the response, if it is known or assumed.
        icc_x: without data: the ICC of a predictor.
        m: without data: the size of a group, or the sizes of all.
        n_groups: without data: how many groups of size m.
        freq_weights: how many rows a row stands for, column or array.
        missing: "drop" rows with missing values and say how many, or "raise".

    Example:
        >>> import multilevel as ml
        >>> planned = ml.design_effect(m=30, icc=0.25, n_groups=10)
        >>> planned["deff"], planned["se_ratio"].round(2), planned["n_effective"].round(1)
        (array([8.25]), array([2.87]), array([36.4]))
        >>> sleep = ml.datasets.sleepstudy()
        >>> ml.design_effect(sleep, "Reaction", groups="Subject", x="Days").frame.round(3)
           term    icc  icc_x   deff  se_ratio  n_effective  groups_needed
        0  mean  0.395  1.000  4.554     2.134       39.526           82.0
        1  Days  0.589 -0.111  0.411     0.641      438.286            8.0

    References:
        Kish, L. (1965). Survey Sampling. Wiley.
        Moulton, B. R. (1986). Random group effects and the precision of regression estimates. Journal of
        Econometrics 32, 385-397.
    """
    known = None if icc is None else checked_correlation("icc", icc)
    if data is None:
        refuse_given({"y": y, "groups": groups, "x": x, "freq_weights": freq_weights}, "needs data")
        return from_numbers(known, icc_x, m, n_groups)
    refuse_given({"icc_x": icc_x, "m": m, "n_groups": n_groups}, "is not for data, which say it themselves")
    if groups is None:
        raise DataError("design_effect(data, ...) needs groups=, the column that names the groups.")
    if y is None and known is None:
        raise DataError("design_effect(data, ...) needs y, to estimate its ICC, or icc=.")
    xs = predictor_names(x)
    columns = [*([] if known is not None else [checked_name("y", y)]), *xs]
    clustered = read_clustered(data, groups, list(dict.fromkeys(columns)), freq_weights, missing)
    for name in dict.fromkeys(columns):
        refuse_constant_column(name, clustered.columns[name].numbers)
    refuse_no_clusters(clustered)
    return from_rows(clustered, y, xs, known)


def from_numbers(
    icc: float | None, icc_x: float | None, m: npt.ArrayLike | None, n_groups: int | None
) -> DesignEffects:
    """Design effects of planned or published groups."""
    if icc is None or m is None:
        raise DataError(
            "without data, design_effect() needs m= and icc=, as in design_effect(m=30, icc=0.05)."
        )
    sizes = checked_sizes(m)
    if n_groups is not None and sizes.size > 1 and n_groups != sizes.size:
        raise DataError(f"m= has {sizes.size} sizes and n_groups={n_groups}; leave n_groups out.")
    known = len(sizes) if np.ndim(m) else (None if n_groups is None else checked_count("n_groups", n_groups))
    groups = np.nan if known is None else float(known)
    own = [1.0] if icc_x is None else [1.0, checked_correlation("icc_x", icc_x)]
    found = inflation(weighted_size(sizes), np.full(len(own), icc), np.array(own))
    terms = (MEAN, "x")[: len(own)]
    return DesignEffects(terms, found, sizes, groups, size_facts(sizes, groups), (), "pandas")


def from_rows(clustered: ClusteredRows, y: str | None, xs: Sequence[str], icc: float | None) -> DesignEffects:
    """Design effects in data, of the mean and of each predictor."""
    codes, counts = clustered.grouping.codes, clustered.counts
    sizes = np.bincount(codes, weights=counts).astype(np.float64)
    own = [predictor_icc(group_moments(clustered.columns[name].numbers, codes, counts)) for name in xs]
    if icc is None:
        response = ("Response", str(y))
        correlations, limits = estimated_iccs(clustered, str(y), xs)
        notes = [] if np.isnan(limits).any() else [limit_words(limits, weighted_size(sizes))]
    else:
        response, correlations, notes = ("ICC", f"{icc:g}, given"), np.full(1 + len(xs), icc), []
    return DesignEffects(
        terms=(MEAN, *xs),
        inflation=inflation(weighted_size(sizes), correlations, np.array([1.0, *own])),
        sizes=sizes,
        n_groups=float(len(sizes)),
        facts=(response, ("Groups", clustered.grouping.name), *size_facts(sizes, float(len(sizes)))),
        notes=(*notes, *dropped_notes(dropped(clustered))),
        kind=clustered.kind,
    )


def estimated_iccs(clustered: ClusteredRows, y: str, xs: Sequence[str]) -> tuple[Array, tuple[float, float]]:
    """ICC (1 + K,) of y and of what each predictor leaves of it, and 95% limits of the first."""
    codes, counts = clustered.grouping.codes, clustered.counts
    response = clustered.columns[y].numbers
    given = [icc_given(response, clustered.columns[name].numbers, codes, counts) for name in xs]
    for name, value in zip(xs, given, strict=True):
        if np.isnan(value):
            raise ModelError(
                f"given '{name}', too little is left of '{y}' between or within the groups to estimate its "
                "ICC; give icc=, or leave the predictor out."
            )
    kind = checked_kind(y, clustered.columns[y], None)
    limits = USUAL_LIMITS[kind]
    (of_mean,) = raw_iccs(sample_of(clustered, y, kind), ["anova"], limits, 0.95, ())
    return np.array([of_mean.icc, *given]), (of_mean.low, of_mean.high)


def size_facts(sizes: Array, n_groups: float) -> tuple[tuple[str, str], ...]:
    """How large the groups are."""
    low, high = sizes.min(), sizes.max()
    of = f"{low:g}" if low == high else f"{low:g} to {high:g}, mean {sizes.mean():.4g}"
    number = (
        "" if np.isnan(n_groups) else f"{n_groups * sizes.mean():.0f} observations in {n_groups:.0f} groups "
    )
    weighted = "" if low == high else f"; m = sum m^2 / sum m = {weighted_size(sizes):.4g}"
    return (("Size", f"{number}of {of}{weighted}" if number else f"groups of {of}{weighted}"),)


def predictor_names(x: str | Sequence[str] | None) -> list[str]:
    """The predictors, each once."""
    names = [] if x is None else [x] if isinstance(x, str) else list(x)
    return list(dict.fromkeys(checked_name("x", name) for name in names))


def checked_correlation(argument: str, value: object) -> float:
    """A number from -1 to 1."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise DataTypeError(f"{argument}= is a number, as in {argument}=0.05; got {value!r:.60}.")
    if not -1.0 <= float(value) <= 1.0:
        raise DataError(f"{argument}={value:g} is no correlation; it lies between -1 and 1.")
    return float(value)


def checked_sizes(m: npt.ArrayLike) -> Array:
    """Sizes of groups (J,), 1 or more."""
    sizes = np.atleast_1d(checked_numbers("m=", m))
    if sizes.ndim != 1 or not sizes.size or not (sizes >= 1.0).all() or not np.isfinite(sizes).all():
        raise DataError("m= is the size of a group, or a list of sizes, each 1 or more.")
    return sizes


def refuse_given(arguments: dict[str, object], why: str) -> None:
    """Arguments that do not go with the others."""
    for name, value in arguments.items():
        if value is not None:
            raise DataError(f"{name}= {why}.")
