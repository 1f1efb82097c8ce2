"""Marginal means and contrasts that a user holds: tables from which further questions are asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from multilevel._options import Seed, checked_seed
from multilevel._typing import Frame
from multilevel.frames.output import to_frame
from multilevel.frames.table import FrameKind
from multilevel.inference.contrast_tests import AdjustedContrasts, Adjustment, tested_contrasts
from multilevel.inference.contrasts import Contrasts, checked_adjustment, compare_means
from multilevel.inference.emmeans import Means, group_columns, label_columns, levels_of, regrouped
from multilevel.inference.linear_functions import Basis, Functions, estimated, joint_test
from multilevel.inference.specs import Names
from multilevel.inference.wald import checked_level
from multilevel.report.means import (
    adjustment_notes,
    averaging_facts,
    contrast_columns,
    estimate_columns,
    group_blocks,
    interaction_notes,
    joint_columns,
    test_columns,
    unknown_notes,
    with_log_limits,
)
from multilevel.report.response_scale import ResponseScale, as_quotients, as_ratios, scale_notes, through_link
from multilevel.report.summary import Summary
from multilevel.results.printed_table import PrintedTable

EXPECTED_CONTRASTS = "Contrasts are differences of expected responses."


@dataclass(frozen=True, slots=True)
class Holder:
    """What tables of one fit share."""

    basis: Basis
    kind: FrameKind
    response: str
    var: str | None  # the covariate whose slopes they are; None for means
    dropped: tuple[str, ...]  # columns that the fit dropped
    scale: ResponseScale | None = None  # where means are to be shown through the inverse of a link
    about: str = ""  # what the means are of, where a model has several parts
    expected: bool = False  # whether they are expected responses, with limits about their logarithms

    @property
    def what(self) -> str:
        """What the rows are."""
        if self.var is None:
            words = [self.about, "" if self.scale is None else self.scale.means]
            told = ", ".join(filter(None, words))
            return f"marginal means of {self.response}{f' ({told})' if told else ''}"
        return f"slopes of {self.response} along {self.var}"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class MarginalMeans(PrintedTable):
    """Estimated marginal means (or slopes) with standard errors and limits.

    `frame` holds the table in the user's kind of frame; `contrasts()`, `test()` and `joint()` go on from it.
    """

    means: Means
    holder: Holder
    level: float

    @property
    def _kind(self) -> FrameKind:
        return self.holder.kind

    def columns(self) -> dict[str, Any]:
        """The factors, estimate, std_error, df, conf_low and conf_high."""
        found = estimated(self.means.functions, self.holder.basis)
        columns = estimate_columns(label_columns(self.means.cells), found, self.level)
        if self.holder.expected:
            return with_log_limits(columns, self.level)
        return columns if self.holder.scale is None else through_link(columns, self.holder.scale)

    def page(self) -> Summary:
        """The means as they print, group by group."""
        cells, averaging = self.means.cells, self.means.averaging
        columns = self.columns()
        return Summary(
            title=capitalised(self.holder.what),
            facts=averaging_facts(averaging, self.holder.basis.inference.method, self.level),
            blocks=group_blocks(columns, cells.specs.by, "Means" if self.holder.var is None else "Slopes"),
            notes=(
                *interaction_notes(averaging, cells.specs.names),
                *unknown_notes(columns["std_error"], averaging, self.holder.dropped),
            ),
        )

    def contrasts(
        self,
        method: Any = "pairwise",
        *,
        by: Names = None,
        adjust: str | None = None,
        ref: object = None,
        interaction: bool = False,
        level: float | None = None,
        seed: Seed = 0,
    ) -> ContrastTable:
        """Differences between the means, with tests and limits adjusted for how many there are.

        Args:
            method: "pairwise" or "revpairwise" (all differences), "treatment_vs_control" (against `ref`),
                "consecutive" (each against the one before), "polynomial" (linear, quadratic, ... trend),
                "effects" (against the average of all), "interaction" (pairwise differences of pairwise
                differences); `{"name": {"a": 1, "b": -1}}`, `{"name": [1, -1, 0]}` or a matrix for your own.
            by: compare within the levels of these variables; as the means were grouped if not given.
            adjust: "tukey" (all pairwise differences), "mvt" (by the correlations of any set), "holm",
                "bonferroni", "sidak", "fdr" or "none". If not given: tukey for pairwise, mvt for
                treatment_vs_control and consecutive, fdr for effects, none for others.
            ref: the control of treatment_vs_control; the first level if not given.
            interaction: take products of the contrasts in each factor; `method` may then be a list of one
                method a factor, or a mapping.
            level: of the confidence limits; that of the means if not given.
            seed: of the quasi-random numbers of "mvt".
        """
        means = self.means if by is None else regrouped(self.means, by)
        chosen = compare_means(means, method, ref, interaction)
        adjustment = Adjustment(
            checked_adjustment(adjust, chosen.method),
            checked_level(self.level if level is None else level),
            checked_seed(seed),
        )
        tested = tested_contrasts(chosen, self.holder.basis, adjustment, 0.0)
        return ContrastTable(chosen, tested, means, self.holder, adjustment)

    def test(self, null: float = 0.0) -> Frame:
        """Tests that each mean is `null`: estimate, std_error, statistic, df and p_value, not adjusted."""
        found = estimated(self.means.functions, self.holder.basis)
        return to_frame(test_columns(label_columns(self.means.cells), found, null), self.holder.kind)

    def joint(self) -> Frame:
        """F test, in each group, that all of its means are zero: statistic, df_num, df_den and p_value."""
        cells = self.means.cells
        return joint_frame(self.holder, group_columns(cells, 1), self.means.functions, cells.n_groups)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class ContrastTable(PrintedTable):
    """Contrasts between marginal means with adjusted tests and limits."""

    contrasts: Contrasts
    tested: AdjustedContrasts
    means: Means
    holder: Holder
    adjustment: Adjustment

    @property
    def _kind(self) -> FrameKind:
        return self.holder.kind

    def columns(self) -> dict[str, Any]:
        """The groups, contrast, estimate, std_error, statistic, df, p_value, conf_low and conf_high."""
        columns = contrast_columns(self.contrasts, self.tested)
        if self.holder.scale is None:
            return columns
        if self.holder.scale.ratio is not None:
            columns |= self._quotients()
        return as_ratios(columns, self.holder.scale)

    def _quotients(self) -> dict[str, list[str]]:
        """The labels of contrasts that are ratios: "a / b" for "a - b"."""
        cells, labels = self.means.cells, self.contrasts.labels
        names = cells.specs.names
        levels = {
            column: levels_of(cells, (column,) if column in names and len(labels) > 1 else names).names
            for column in labels
        }
        return {column: as_quotients(labels[column], levels[column]) for column in labels}

    def page(self) -> Summary:
        """The contrasts as they print, group by group."""
        averaging, names = self.means.averaging, self.means.cells.specs.names
        columns = self.columns()
        return Summary(
            title=f"Contrasts of {', '.join(names)}: {self.holder.what}",
            facts=averaging_facts(averaging, self.holder.basis.inference.method, self.adjustment.level),
            blocks=group_blocks(columns, tuple(self.contrasts.groups), "Contrasts"),
            notes=(
                *scale_notes(self.holder.scale),
                *((EXPECTED_CONTRASTS,) if self.holder.expected else ()),
                *adjustment_notes(self.contrasts, self.adjustment),
                *interaction_notes(averaging, names),
                *unknown_notes(columns["std_error"], averaging, self.holder.dropped),
            ),
        )

    def test(self, null: float = 0.0) -> Frame:
        """Tests that each contrast is `null`, adjusted as in the table."""
        tested = tested_contrasts(self.contrasts, self.holder.basis, self.adjustment, null)
        return to_frame(contrast_columns(self.contrasts, tested, limits=False), self.holder.kind)

    def joint(self) -> Frame:
        """F test, in each group, that all of its contrasts are zero: statistic, df_num, df_den, p_value.

        Contrasts that repeat what others say count once, so all pairwise differences of m means have m - 1.
        """
        chosen = self.contrasts
        k = len(chosen.matrix)
        labels = {name: values[::k] for name, values in chosen.groups.items()}
        return joint_frame(self.holder, labels, chosen.functions, chosen.n_groups)


def capitalised(text: str) -> str:
    """The text with a capital in front, and no other changed."""
    return text[0].upper() + text[1:]


def joint_frame(
    holder: Holder, labels: dict[str, list[object]], functions: Functions, n_groups: int
) -> Frame:
    """F tests of the functions of each group."""
    k = len(functions.constant) // n_groups
    groups = [slice(g * k, (g + 1) * k) for g in range(n_groups)]
    tests = [
        joint_test(Functions(functions.L[rows], functions.constant[rows]), holder.basis) for rows in groups
    ]
    return to_frame(joint_columns(labels, tests), holder.kind)
