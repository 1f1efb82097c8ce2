"""The intraclass correlations of raw data, in a table and words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel.clusters.one_way import GroupMoments, OneWay, mean_reliability
from multilevel.clusters.raw_icc import Estimate, Kind, LimitMethod
from multilevel.report.numbers import format_column, format_fixed
from multilevel.report.one_way import balanced, sizes_text
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import Columns

FEW_GROUPS = 10  # that leave a variance between groups poorly known
APART = 0.2  # of the larger: a difference between two estimates that deserves a word
LIMIT_WORDS = {
    "delta": "Limits are normal on the logit scale (delta method)",
    "jackknife": "Limits are from leaving out one group at a time",
    "bootstrap": "Limits are from a studentised bootstrap of whole groups",
}
LATENT_WORDS = {
    "binary": "latent: the correlation of log odds in a logistic model (residual variance pi^2 / 3), by"
    " conversion of the anova estimate",
    "count": "latent: the correlation of logarithms of rates in a log-normal model, from moments",
}


def icc_columns(estimates: Sequence[Estimate], n0: float, limits: LimitMethod | None) -> Columns:
    """One row a method."""
    columns: Columns = {
        "method": [each.method for each in estimates],
        "icc": np.array([each.icc for each in estimates]),
    }
    if limits is not None:
        columns["conf_low"] = np.array([each.low for each in estimates])
        columns["conf_high"] = np.array([each.high for each in estimates])
    return {
        **columns,
        "icc_k": np.array([reliability(each, n0) for each in estimates]),
        "var_between": np.array([each.var_between for each in estimates]),
        "var_within": np.array([each.var_within for each in estimates]),
    }


def reliability(estimate: Estimate, n0: float) -> float:
    """Reliability of the mean of a group; none on a latent scale, where means are not taken."""
    return np.nan if estimate.method == "latent" else mean_reliability(estimate.icc, n0)


def icc_page(
    y: str,
    groups: str,
    kind_words: str,
    moments: GroupMoments,
    anova: OneWay,
    estimates: Sequence[Estimate],
    limits: LimitMethod | None,
    level: float,
    notes: Sequence[str],
) -> Summary:
    """Estimates side by side, and how to read them."""
    columns = icc_columns(estimates, anova.n0, limits)
    cells = {
        "method": columns["method"],
        "ICC": format_fixed(columns["icc"], 4),
        **{word: format_fixed(columns[f"conf_{word}"], 4) for word in ("low", "high") if limits is not None},
        "ICC(k)": format_fixed(columns["icc_k"], 4),
        "between": format_column(columns["var_between"]),
        "within": format_column(columns["var_within"]),
    }
    title = "Estimates" if limits is None else f"Estimates, with {100.0 * level:g}% limits ({limits})"
    return Summary(
        title=f"Intraclass correlation of {y} in groups by {groups}",
        facts=(("Data", sizes_text(moments)), (y, kind_words)),
        blocks=(Block(title, tuple(cells), tuple(zip(*cells.values(), strict=True))),),
        notes=(
            *icc_words(y, groups, anova, estimates, level),
            *limit_words(moments, estimates, anova.n0, limits),
            *notes,
        ),
    )


def icc_words(y: str, groups: str, anova: OneWay, estimates: Sequence[Estimate], level: float) -> list[str]:
    """What the estimates say."""
    first = estimates[0]
    if anova.ss_within == 0.0:
        return [
            f"{y} does not vary within groups, so the ICC is 1: it describes groups; keep one row of each."
        ]
    if first.icc < 0.0:
        return negative_words(anova, estimates)
    words = [f"{leading_words(first, y, groups)}{range_words(first, level)}."]
    if first.low <= 0.0 < first.high:
        words.append("The limits reach 0: these data do not rule out that groups do not differ at all.")
    if first.method != "latent":
        k = reliability(first, anova.n0)
        words.append(f"ICC(k): the mean of a group of {anova.n0:.4g} has reliability {k:.3f}.")
    return [*words, *difference_words(estimates)]


def leading_words(estimate: Estimate, y: str, groups: str) -> str:
    """The estimate as a share, and as a correlation."""
    if estimate.method == "latent":
        return f"Two observations of one group correlate {estimate.icc:.3f} on the latent scale"
    return (
        f"{100.0 * estimate.icc:.1f}% of the variance of {y} lies between groups of {groups} "
        f"({estimate.method}): two observations of one group correlate {estimate.icc:.3f}"
    )


def range_words(estimate: Estimate, level: float) -> str:
    """The limits, where there are any."""
    if np.isnan(estimate.low) or np.isnan(estimate.high):
        return ""
    return f" ({100.0 * level:g}% limits {estimate.low:.3f} to {estimate.high:.3f})"


def negative_words(anova: OneWay, estimates: Sequence[Estimate]) -> list[str]:
    """A negative estimate is shown and explained."""
    first = estimates[0]
    words = [
        f"The estimate ({first.method}) is negative, {first.icc:.4f}: groups differ less than chance alone "
        f"would make them on average (F = {anova.f:.3f})."
    ]
    if first.high < 0.0:
        words.append(
            "Its limits lie below 0, so members of one group do differ more than observations at large, as "
            "they do when they share out something limited."
        )
    else:
        words.append("That is common when the true correlation is near 0.")
    if any(each.method == "reml" for each in estimates):
        words.append("REML keeps variances from being negative, so it stops at 0.")
    return words


def difference_words(estimates: Sequence[Estimate]) -> list[str]:
    """Where the ANOVA and REML do not agree."""
    icc = {each.method: each.icc for each in estimates}
    if not {"anova", "reml"} <= icc.keys():
        return []
    low, high = sorted([icc["anova"], icc["reml"]])
    if high - low <= APART * high:
        return []
    return [
        f"anova ({icc['anova']:.3f}) and reml ({icc['reml']:.3f}) disagree: anova gives large groups more "
        "weight. Look at the means by size of the group."
    ]


def limit_words(
    moments: GroupMoments, estimates: Sequence[Estimate], n0: float, limits: LimitMethod | None
) -> list[str]:
    """How the limits come about, and what to think of them."""
    without = [each.method for each in estimates if np.isnan(each.low)]
    some = limits is not None and len(without) < len(estimates)
    words = [] if balanced(moments) else [f"n0 = {n0:.4g} stands for the size of a group."]
    if some:
        words.append(exact_words(moments, estimates) if limits == "exact" else f"{LIMIT_WORDS[str(limits)]}.")
    if limits is not None and without:
        words.append(f"No such limits here for {', '.join(without)}.")
    if len(moments.size) < FEW_GROUPS:
        words.append(
            f"{len(moments.size)} groups tell little of the variance between groups"
            + (": the limits are what to look at." if some else ".")
        )
    return [*words, *single_words(int((moments.size == 1.0).sum()))]


def single_words(count: int) -> list[str]:
    """Groups of one have no variance within."""
    if count == 0:
        return []
    who = "1 group of one row says" if count == 1 else f"{count} groups of one row say"
    return [f"{who} nothing of the variance within groups."]


def exact_words(moments: GroupMoments, estimates: Sequence[Estimate]) -> str:
    """What "exact" holds for."""
    if balanced(moments):
        return "Limits are exact for normal values (F distribution)."
    methods = {each.method for each in estimates}
    parts = [
        *(["those of anova are approximate (F, with n0)"] if "anova" in methods else []),
        *(["those of reml exact (Harville and Fenech)"] if "reml" in methods else []),
    ]
    return f"Limits for normal values: {', '.join(parts)}."


def kind_words(kind: Kind, mean: float, one: str | None, two_values: bool) -> str:
    """What the variable was taken for."""
    if kind == "binary":
        label = "1" if one is None else f"1 for {one}"
        return f"binary, {label} in {100.0 * mean:.1f}% of observations"
    if kind == "count":
        return f"counts, mean {mean:.4g}"
    two = ", with two values only: code them as 0 and 1 if they are categories"
    return f"continuous{two if two_values else ''}"


def method_words(kind: Kind, methods: Sequence[str]) -> list[str]:
    """What a method is that does not explain itself."""
    words = []
    if "latent" in methods:
        words.append(f"{LATENT_WORDS[kind]}.")
    if "moments" in methods:
        words.append("moments: biased upwards with few groups, and may exceed 1.")
    return words
