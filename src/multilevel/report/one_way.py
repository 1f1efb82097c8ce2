"""The analysis of variance of raw data by groups, and the same by hand, in tables and words."""

from __future__ import annotations

import numpy as np

from multilevel.clusters.by_hand import TwoVariances
from multilevel.clusters.one_way import GroupMoments, OneWay, icc_from_f
from multilevel.report.numbers import format_column, format_fixed, format_p
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import Columns


def sizes_text(moments: GroupMoments) -> str:
    """20 observations in 5 groups of 4 each, or of 2 to 198."""
    low, high = moments.size.min(), moments.size.max()
    of = f"{low:.0f} each" if low == high else f"{low:.0f} to {high:.0f}"
    return f"{moments.size.sum():.0f} observations in {len(moments.size)} groups of {of}"


def balanced(moments: GroupMoments) -> bool:
    """Whether all groups have one size."""
    return bool((moments.size == moments.size[0]).all())


# ---- analysis of variance ----


def anova_columns(groups: str, anova: OneWay) -> Columns:
    """The analysis of variance with all its effect sizes: between, within, total."""
    in_first_row = {
        "statistic": anova.f,
        "p_value": anova.p_value,
        "r_squared": anova.r_squared,
        "r_squared_by_chance": anova.expected_r_squared,
        "omega_squared": anova.omega_squared,
        "epsilon_squared": anova.epsilon_squared,
        "icc": anova.icc,
        "icc_from_f": icc_from_f(anova.f, anova.n0),
    }
    return {
        "term": [groups, "Residual", "Total"],
        "df": np.array([anova.df_between, anova.df_within, anova.n_obs - 1.0]),
        "sumsq": np.array([anova.ss_between, anova.ss_within, anova.ss_between + anova.ss_within]),
        "meansq": np.array([anova.ms_between, anova.ms_within, np.nan]),
        **{name: np.array([value, np.nan, np.nan]) for name, value in in_first_row.items()},
    }


def anova_page(y: str, groups: str, moments: GroupMoments, anova: OneWay) -> Summary:
    """The table of the analysis of variance, and what its effect sizes are."""
    columns = anova_columns(groups, anova)
    cells = {
        "term": columns["term"],
        "df": format_fixed(columns["df"], 0),
        "SS": format_column(columns["sumsq"], 5),
        "MS": [*format_column(columns["meansq"][:2], 5), ""],
        "F": [*format_fixed([anova.f], 3), "", ""],
        "p": [*format_p([anova.p_value]), "", ""],
    }
    sizes = {
        "R2 (eta squared)": anova.r_squared,
        "  expected by chance": anova.expected_r_squared,
        "epsilon squared": anova.epsilon_squared,
        "omega squared": anova.omega_squared,
        "ICC": anova.icc,
    }
    return Summary(
        title=f"One-way analysis of variance of {y} by {groups}",
        facts=(("Data", sizes_text(moments)),),
        blocks=(
            Block("Between and within groups", tuple(cells), tuple(zip(*cells.values(), strict=True))),
            Block(
                "How large the differences are",
                ("measure", "value"),
                tuple(zip(sizes, format_fixed(sizes.values(), 4), strict=True)),
            ),
        ),
        notes=anova_words(anova),
    )


def anova_words(anova: OneWay) -> tuple[str, ...]:
    """Why R2 is not the share of the variance."""
    k, n = anova.n_groups, f"{anova.n_obs:.0f}"
    words = (
        f"R2 overstates: {k} means fitted to {n} values take up {anova.expected_r_squared:.3f} of the sum of "
        f"squares on average when groups do not differ at all, (k - 1) / (N - 1). The smaller the groups, "
        "the more. Epsilon and omega squared subtract that.",
        "ICC is the estimated share of the variance between groups in the population that they come from.",
    )
    if np.isinf(anova.f):
        return words
    return (
        *words,
        f"From F: (F - 1) / (F - 1 + n0) = ({anova.f:.3f} - 1) / ({anova.f:.3f} - 1 + {anova.n0:.4g}) = "
        f"{icc_from_f(anova.f, anova.n0):.4f}.",
    )


# ---- by hand ----


HOW = (
    "variance of the means of the groups",
    "sum of squared residuals / (N - 1)",
    "(MS between - MS within) / n0",
    "sum of squared residuals / (N - k)",
)


def by_hand_columns(naive: TwoVariances, corrected: TwoVariances) -> Columns:
    """Variances between and within groups, naive and corrected."""
    pairs = (naive, corrected)
    return {
        "estimate": ["naive", "naive", "corrected", "corrected"],
        "part": ["between", "within"] * 2,
        "how": list(HOW),
        "variance": np.array([value for each in pairs for value in (each.between, each.within)]),
        "share": np.array([share for each in pairs for share in each.shares]),
    }


def by_hand_page(
    y: str, groups: str, moments: GroupMoments, naive: TwoVariances, corrected: TwoVariances, anova: OneWay
) -> Summary:
    """The variances, and why the naive ones are naive."""
    columns = by_hand_columns(naive, corrected)
    cells = {
        "": columns["estimate"],
        " ": columns["part"],
        "how": columns["how"],
        "variance": format_column(columns["variance"]),
        "share": [f"{100.0 * share:.1f}%" for share in columns["share"]],
    }
    return Summary(
        title=f"{y} taken apart by hand, in groups by {groups}",
        facts=(
            ("Data", sizes_text(moments)),
            ("Grand mean", f"{moments.grand_mean:.6g}"),
        ),
        blocks=(Block("Variances", tuple(cells), tuple(zip(*cells.values(), strict=True)), n_labels=3),),
        notes=(
            "Each value is the grand mean + the deviation of its group + a residual: `rows` has them beside "
            "the data.",
            f"The naive variances mislead: means of groups vary partly because their members do, and "
            f"{anova.n_groups} means were estimated, which leaves N - k = {anova.df_within:.0f} degrees of "
            f"freedom within groups and not {anova.n_obs - 1.0:.0f}.",
        ),
    )
