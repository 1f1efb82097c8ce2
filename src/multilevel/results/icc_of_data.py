"""`ml.icc`: how alike are the members of a group, in raw data?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from tqdm.auto import tqdm

from multilevel._options import Seed, checked_count
from multilevel._typing import Array, Frame
from multilevel.clusters.by_hand import (
    TwoVariances,
    corrected_variances,
    naive_variances,
    parts,
)
from multilevel.clusters.one_way import GroupMoments, OneWay
from multilevel.clusters.raw_icc import (
    Estimate,
    Kind,
    LimitMethod,
    Sample,
    raw_iccs,
)
from multilevel.design.arguments import RowNumbers
from multilevel.design.clustered import (
    ClusteredRows,
    read_clustered,
    refuse_constant_column,
    refuse_no_clusters,
)
from multilevel.frames.output import to_frame, with_columns
from multilevel.inference.wald import checked_level
from multilevel.report.blocks import dropped_notes
from multilevel.report.one_way import anova_columns, anova_page, by_hand_columns, by_hand_page
from multilevel.report.raw_icc import icc_columns, icc_page, kind_words, method_words
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns
from multilevel.results.checks import checked_columns
from multilevel.results.labels import own_levels
from multilevel.results.page import Page
from multilevel.results.raw_variable import (
    checked_kind,
    checked_limits,
    checked_methods,
    checked_name,
    dropped,
    has_two_values,
    sample_of,
)
from multilevel.simulation.streams import random_streams

LONG = 2e7  # groups times replicates from which a progress bar is shown unless told


@dataclass(frozen=True, slots=True, repr=False)
class Likeness(Page):
    """Intraclass correlations of one variable in J groups, by one or more methods.

    `frame` holds the table in the user's kind of frame; `icc["conf_low"]` is one of its columns.
    """

    y: str
    groups: str
    kind: Kind
    estimates: tuple[Estimate, ...]
    limits: LimitMethod | None
    level: float
    sample: Sample
    clustered: ClusteredRows
    data: Frame

    @property
    def frame(self) -> Frame:
        """One row a method: method, icc, conf_low, conf_high, icc_k, var_between, var_within."""
        return to_frame(self.columns(), self.clustered.kind)

    @property
    def anova(self) -> AnovaTable:
        """The analysis of variance: mean squares, F, and every measure of the size of the differences."""
        return AnovaTable(self.y, self.groups, self.sample.moments, self.sample.anova, self.clustered.kind)

    @property
    def group_means(self) -> Frame:
        """One row a group: level, n, mean, sd."""
        (levels,) = own_levels([self.clustered.grouping], self.data)
        moments = self.sample.moments
        columns: Columns = {
            "level": list(levels),
            "n": moments.size.astype(int),
            "mean": moments.mean,
            "sd": moments.sd,
        }
        return to_frame(columns, self.clustered.kind)

    def by_hand(self) -> ByHand:
        """Every value as grand mean + deviation of its group + residual; variances naive and corrected."""
        anova, moments = self.sample.anova, self.sample.moments
        naive, corrected = naive_variances(moments, anova), corrected_variances(anova)
        return ByHand(self.y, self.groups, naive, corrected, self.sample, self.clustered, self.data)

    def columns(self) -> Columns:
        """The columns of the table by name."""
        return icc_columns(self.estimates, self.sample.anova.n0, self.limits)

    def page(self) -> Summary:
        """What is printed."""
        sample, values = self.sample, self.clustered.columns[self.y]
        kind = kind_words(self.kind, sample.moments.grand_mean, values.one, has_two_values(sample.y))
        notes = (*method_words(self.kind, self.columns()["method"]), *dropped_notes(dropped(self.clustered)))
        return icc_page(
            self.y,
            self.groups,
            kind,
            sample.moments,
            sample.anova,
            self.estimates,
            self.limits,
            self.level,
            notes,
        )


@dataclass(frozen=True, slots=True, repr=False)
class AnovaTable(Page):
    """One-way analysis of variance; `frame` has the rows between groups, within groups and in total."""

    y: str
    groups: str
    moments: GroupMoments
    one_way: OneWay
    kind: str

    @property
    def frame(self) -> Frame:
        """term, df, sumsq, meansq, statistic, p_value, and measures of effect in the first row."""
        return to_frame(self.columns(), self.kind)

    def columns(self) -> Columns:
        """The columns of the table by name."""
        return anova_columns(self.groups, self.one_way)

    def page(self) -> Summary:
        """What is printed."""
        return anova_page(self.y, self.groups, self.moments, self.one_way)


@dataclass(frozen=True, slots=True, repr=False)
class ByHand(Page):
    """A variable taken apart; `rows` has the parts beside the data, `frame` the variances."""

    y: str
    groups: str
    naive: TwoVariances
    corrected: TwoVariances
    sample: Sample
    clustered: ClusteredRows
    data: Frame

    @property
    def rows(self) -> Frame:
        """The data with grand_mean, group_deviation and residual; empty in rows that were not used."""
        found = parts(self.sample.y, self.sample.moments, self.sample.codes)
        columns: dict[str, Array] = {
            "grand_mean": found.grand_mean,
            "group_deviation": found.group_deviation,
            "residual": found.residual,
        }
        return with_columns(self.data, checked_columns(columns, self.data), self.clustered.rows.mask)

    @property
    def frame(self) -> Frame:
        """One row a variance: estimate (naive, corrected), part, how, variance, share."""
        return to_frame(self.columns(), self.clustered.kind)

    def columns(self) -> Columns:
        """The columns of the table by name."""
        return by_hand_columns(self.naive, self.corrected)

    def page(self) -> Summary:
        """What is printed."""
        moments, anova = self.sample.moments, self.sample.anova
        return by_hand_page(self.y, self.groups, moments, self.naive, self.corrected, anova)


def icc(
    data: Frame,
    y: str,
    groups: str,
    *,
    kind: Kind | None = None,
    method: str | Sequence[str] | None = None,
    conf_int: LimitMethod | Literal["auto"] | None = "auto",
    level: float = 0.95,
    freq_weights: RowNumbers | None = None,
    missing: Literal["drop", "raise"] = "drop",
    n: int = 1000,
    seed: Seed = None,
    progress: bool | None = None,
) -> Likeness:
    """Intraclass correlation of raw data: how alike two rows of one group are, before any model.

    Estimates stand side by side, since they answer differently when groups are few or of unequal size:

    - "anova": from mean squares. Unbiased variances, which may be negative, and are shown so.
    - "reml": the model `y ~ 1 + (1 | groups)`; never negative, and closer to weighing groups alike.
    - "pairwise": the correlation over all pairs of rows of one group (Fisher's, each pair counting alike).
    - "fleiss_cuzick", "moments": for binary values (Fleiss and Cuzick 1979; Kleinman 1973).
    - "latent": on the scale of log odds (binary) or of logarithms of rates (counts), by matching moments.

    A variable of values 0 and 1, of truth values or of two labels is binary; counts are never guessed.
    The result prints its reading; `.frame` is the table, `.anova` the analysis of variance, `.group_means`
    the means, `.by_hand()` the decomposition of every value.

    Args:
        data: any data frame, or a mapping of equally long columns.
        y: the variable.
        groups: the column that names the groups (or "a:b" for the combinations of two).
        kind: "continuous", "binary" or "count"; recognised if None.
        method: one estimator or several; those usual for the kind if None.
        conf_int: "exact" (continuous: from F, exact for normal values in groups of one size; for "reml" in
            groups of any size), "delta" (reml), "jackknife" (one group left out at a time) or "bootstrap"
            (groups drawn with replacement, studentised); "auto" is "exact" for continuous variables and
            "jackknife" for others; None leaves limits out.
        level: of the limits.
        freq_weights: how many rows a row stands for, column or array.
        missing: "drop" rows with missing values and say how many, or "raise".
        n: replicates of the bootstrap.
        seed: of the bootstrap.
        progress: show a progress bar; on by default when it will be long.

    Example:
        >>> import multilevel as ml
        >>> print(ml.icc(ml.datasets.course_prevention(), "risk_score", groups="community"))
        Intraclass correlation of risk_score in groups by community
        Data: 20 observations in 5 groups of 4 each
        risk_score: continuous
        <BLANKLINE>
        Estimates, with 95% limits (exact)
          method     ICC     low    high  ICC(k)  between  within
          anova   0.8918  0.6646  0.9865  0.9705    93.37   11.33
          reml    0.8918  0.6646  0.9865  0.9705    93.37   11.33
        <BLANKLINE>
        89.2% of the variance of risk_score lies between groups of community (anova): two
          observations of one group correlate 0.892 (95% limits 0.665 to 0.987).
        ICC(k): the mean of a group of 4 has reliability 0.971.
        Limits are exact for normal values (F distribution).
        5 groups tell little of the variance between groups: the limits are what to look at.

    References:
        Donner, A. (1986). A review of inference procedures for the intraclass correlation coefficient in the
        one-way random effects model. International Statistical Review 54, 67-82.
        Ridout, M. S., Demétrio, C. G. B. & Firth, D. (1999). Estimating intraclass correlation for binary
        data. Biometrics 55, 137-148.
        Ukoumunne, O. C., Davison, A. C., Gulliford, M. C. & Chinn, S. (2003). Non-parametric bootstrap
        confidence intervals for the intraclass correlation coefficient. Statistics in Medicine 22, 3805-3821.
    """
    level, n = checked_level(level), checked_count("n", n)
    clustered = read_clustered(data, groups, [checked_name("y", y)], freq_weights, missing)
    values = clustered.columns[y]
    refuse_constant_column(y, values.numbers)
    refuse_no_clusters(clustered)
    chosen = checked_kind(y, values, kind)
    methods = checked_methods(method, chosen)
    limits = checked_limits(conf_int, chosen, methods)
    sample = sample_of(clustered, y, chosen)
    streams: Iterable[np.random.Generator] = ()
    if limits == "bootstrap":
        long = clustered.grouping.n_levels * n > LONG
        streams = tqdm(random_streams(n, seed), disable=not (long if progress is None else progress))
    estimates = raw_iccs(sample, methods, limits, level, streams)
    return Likeness(y, groups, chosen, tuple(estimates), limits, level, sample, clustered, data)
