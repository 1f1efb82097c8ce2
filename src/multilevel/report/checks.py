"""What each look at a fit found, in words, and the page that prints them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from multilevel.inference.design_checks import VERY_FEW
from multilevel.inference.finding import Finding
from multilevel.report.numbers import format_number, format_p
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns

Facts = Mapping[str, Any]

QUIET = "Nothing unusual."
TOO_FEW = "Too few observations to say."


def check_columns(findings: Sequence[Finding]) -> Columns:
    """One row a look: check, status, statistic, p_value, message."""
    return {
        "check": [finding.check for finding in findings],
        "status": [finding.status for finding in findings],
        "statistic": np.array([finding.statistic for finding in findings], dtype=float),
        "p_value": np.array([finding.p_value for finding in findings], dtype=float),
        "message": [message(finding) for finding in findings],
    }


def checks_page(formula: str, findings: Sequence[Finding], remarks: Sequence[str]) -> Summary:
    """Warnings first, then notes, then what was found in order, in one line."""
    told = [f for status in ("warn", "note") for f in findings if f.status == status]
    named = {f.check for f in told}
    quiet = list(dict.fromkeys(f.check for f in findings if f.check not in named))
    counts = {status: sum(f.status == status for f in findings) for status in ("warn", "note")}
    heads = [f"{f.status.upper()}  {f.check}{p_words(f)}: {message(f)}" for f in told]
    rest = [f"ok    {', '.join(quiet)}."] if quiet else []
    return Summary(
        title=f"{len(findings)} looks at the fit: {plural(counts['warn'], 'warning')},"
        f" {plural(counts['note'], 'note')}",
        facts=(("Formula", formula),),
        blocks=(),
        notes=(*heads, *rest, *remarks),
    )


def plural(count: int, noun: str) -> str:
    """Count and noun."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def p_words(finding: Finding) -> str:
    """The p-value beside the name of a look that is a test."""
    if np.isnan(finding.p_value):
        return ""
    text = format_p([finding.p_value])[0]
    return f" (p {text})" if text.startswith("<") else f" (p = {text})"


def message(finding: Finding) -> str:
    """What a look found and what to do about it."""
    return WORDS[finding.check](finding)


def number(value: float) -> str:
    """A number of three digits."""
    return format_number(float(value), ".3g")


def listed(names: Sequence[object], count: int) -> str:
    """Names, and how many more there are."""
    more = count - len(names)
    return ", ".join(map(str, names)) + (f" and {more} more" if more > 0 else "")


# ---- the search and the covariances ----


def convergence(finding: Finding) -> str:
    """Words about the optimum."""
    if finding.status == "ok":
        return "The search ended at an optimum, which is certified."
    return (
        f"The search {finding.facts['message']}. Do not use these estimates; rescale, or simplify the model."
    )


def singular_terms(finding: Finding) -> str:
    """Words about a covariance on the boundary."""
    facts = finding.facts
    if finding.status == "ok":
        return "No covariance of random effects is on the boundary."
    label, group, names, zero = (facts[key] for key in ("label", "group", "names", "zero"))
    if len(zero) == len(names):
        return (
            f"The variance of ({label}) is estimated as zero: levels of {group} differ no more than chance"
            " would"
            " have them differ. Dropping the term changes no estimate; keep it if the design calls for it."
        )
    if zero:
        return f"In ({label}) the variance of {', '.join(zero)} is estimated as zero. Drop it from the bar."
    return (
        f"In ({label}) the random effects determine each other: the data support fewer than {len(names)}"
        " dimensions. Drop a column, or its correlations (||)."
    )


def correlation_near_one(finding: Finding) -> str:
    """Words about random effects that nearly determine each other."""
    if finding.status == "ok":
        return "No correlation of random effects is close to 1 or -1."
    one, other = finding.facts["pair"]
    return (
        f"In ({finding.facts['label']}) {one} and {other} correlate by {finding.statistic:.2f}. Where a"
        " covariate is"
        " far from its zero this may come from there: centre it and see. Otherwise the data hardly tell the"
        " two apart."
    )


# ---- the data ----


def few_groups(finding: Finding) -> str:
    """Words about the number of levels."""
    group, count = finding.facts["group"], finding.facts["count"]
    if finding.status == "ok":
        return f"{group} has {count} levels."
    if count <= VERY_FEW:
        return (
            f"{group} has {plural(count, 'level')}, so its variance is known poorly. Take t-tests with"
            " Satterthwaite or"
            " Kenward-Roger degrees of freedom; do not trust cluster-robust standard errors."
        )
    return (
        f"{group} has {count} levels. Take t-tests with Satterthwaite or Kenward-Roger degrees of freedom,"
        " not z;"
        " cluster-robust standard errors need the small-sample correction CR2."
    )


def groups_of_one(finding: Finding) -> str:
    """Words about levels with one observation."""
    facts = finding.facts
    if not facts["count"]:
        return f"Every level of {facts['group']} has more than one observation."
    said = f"{facts['count']} of the {facts['total']} levels of {facts['group']} have one observation"
    if finding.status == "ok":
        return said + "."
    return (
        f"{said}. They help with the coefficients, but variances between and within {facts['group']} are told"
        " apart by the others only."
    )


def dropped_rows(finding: Finding) -> str:
    """Words about missing values."""
    facts = finding.facts
    if finding.status == "ok":
        return "No rows were dropped."
    columns = ", ".join(f"{name} {count}" for name, count in facts["columns"].items())
    return (
        f"{facts['count']} of {facts['total']} rows ({100.0 * finding.statistic:.0f}%) were dropped for"
        " missing values"
        f" ({columns}). That is harmless if, given the predictors, rows are not missing because of the"
        " response."
    )


def dropped_columns(finding: Finding) -> str:
    """Words about rank deficiency."""
    if finding.status == "ok":
        return "The predictors are linearly independent."
    names = ", ".join(finding.facts["names"])
    return f"{names}: a linear combination of the columns before it, so left out. Is that what you meant?"


def scales(finding: Finding) -> str:
    """Words about units and zero points."""
    facts = finding.facts
    if finding.status == "ok":
        return "Predictors are on comparable scales."
    if "far" in facts:
        what = (
            "the intercept, its variance and its correlation with the slope"
            if facts["random"]
            else "the intercept"
        )
        return (
            f"{facts['far']} lies far from zero (mean {number(facts['mean'])}, SD {number(facts['sd'])}),"
            f" so {what}"
            f" describe{'' if facts['random'] else 's'} a place where there are no data. The fit is right"
            " all the same;"
            " centre the variable to make them readable."
        )
    return (
        f"The spread of {facts['large']} is {number(finding.statistic)} times that of {facts['small']}."
        " The fit is right"
        " all the same; other units would make the coefficients easier to read."
    )


def collinearity(finding: Finding) -> str:
    """Words about variance inflation."""
    if np.isnan(finding.statistic):
        return "Fewer than two predictors."
    if finding.status == "ok":
        return f"Variance inflation is at most {number(finding.statistic)} ({finding.facts['term']})."
    factor = np.sqrt(finding.statistic)
    return (
        f"{finding.facts['term']} is nearly determined by other predictors, most of all"
        f" {finding.facts['partner']}: its"
        f" variance inflation is {number(finding.statistic)}, so its standard error is about"
        f" {number(factor)} times what"
        " it would be if they were unrelated. Nothing is wrong, but their separate effects are hard to tell."
    )


# ---- residuals ----


def even_spread(finding: Finding) -> str:
    """Words about heteroscedasticity over fitted values."""
    if finding.facts.get("few"):
        return TOO_FEW
    ratio, vcov = finding.facts["ratio"], finding.facts["vcov"]
    if finding.status == "ok":
        return "The spread of the residuals does not change much with the fitted values."
    high, low = ("high", "low") if ratio > 1.0 else ("low", "high")
    said = (
        f"Residuals spread {number(max(ratio, 1.0 / ratio))} times as much where fitted values are {high}"
        " as where they"
        f" are {low}."
    )
    if vcov != "model":
        return f"{said} The {vcov} standard errors in use allow for this; prediction intervals do not."
    cure = "A logarithm or square root of the response may cure that; " if ratio > 1.0 else ""
    return (
        f"{said} {cure}{'r' if cure else 'R'}obust standard errors allow for it. Prediction intervals do not."
    )


def even_spread_between(finding: Finding) -> str:
    """Words about residual variances that differ between groups."""
    facts = finding.facts
    if facts.get("few"):
        return TOO_FEW
    if finding.status == "ok":
        return f"The spread of the residuals is much the same in all levels of {facts['group']}."
    return (
        f"The residual SD differs between levels of {facts['group']}, by {100.0 * facts['relative']:.0f}%"
        " of itself"
        f" typically; it is largest in {facts['largest']}, {number(facts['ratio'])} times the median. One"
        " sigma for all is"
        " too simple: predicted effects and intervals of single groups are too sure for some and not sure"
        " enough"
        " for others. Coefficients stay unbiased; compare their standard errors with robust ones."
    )


def order_within_groups(finding: Finding) -> str:
    """Words about autocorrelation."""
    facts = finding.facts
    if facts["few"]:
        return TOO_FEW
    where = "in time" if facts["by_time"] else "in the order of the rows"
    if finding.status == "ok":
        return f"Neighbours {where} within {facts['group']} are no more alike than the model makes them."
    more = "more" if facts["correlation"] > 0.0 else "less"
    caution = (
        ""
        if facts["by_time"]
        else " If that order means nothing, neither does this; check(time=...) sets it."
    )
    return (
        f"Neighbours {where} within {facts['group']} are {more} alike than the model makes them (correlation"
        f" {facts['correlation']:.2f} after the random effects are taken out). A random slope or a curve"
        " over time may"
        " be missing, or errors are autocorrelated; standard errors of effects that change over time"
        f" suffer.{caution}"
    )


def normal_residuals(finding: Finding) -> str:
    """Words about the shape of the residuals."""
    facts = finding.facts
    if facts["few"]:
        return TOO_FEW
    if finding.status == "ok":
        return "The residuals are not far from normal."
    return (
        f"Residuals are {shape_words(facts)}. Coefficients and their standard errors bear this well unless"
        " the"
        " data are few; prediction intervals and the tails they speak of do not."
    )


def shape_words(facts: Facts) -> str:
    """Skewness and tails of a distribution in words."""
    skewness, kurtosis = facts["skewness"], facts["kurtosis"]
    skewed = f"skewed to the {'right' if skewness > 0.0 else 'left'} (skewness {skewness:.2f})"
    tails = f"{'heavy' if kurtosis > 0.0 else 'light'}-tailed (excess kurtosis {kurtosis:.2f})"
    if abs(skewness) > 0.5 and abs(kurtosis) > 1.0:
        return f"{skewed} and {tails}"
    return skewed if abs(skewness) / 0.5 > abs(kurtosis) else tails


def unusual_rows(finding: Finding) -> str:
    """Words about outliers."""
    facts = finding.facts
    if facts.get("few"):
        return TOO_FEW
    if finding.status == "ok":
        return (
            f"The largest studentized residual, {finding.statistic:.1f}, is none too large for so many rows."
        )
    rows = listed(facts["rows"], facts["count"])
    one = facts["count"] == 1
    return (
        f"{'Row' if one else 'Rows'} {rows} {'is' if one else 'are'} further from the fit than normal"
        " errors reach (studentized"
        f" residual {finding.statistic:.1f}). Look at {'it' if one else 'them'}: a slip, another process,"
        " or heavy"
        " tails? fit.influence() says what hangs on it."
    )


# ---- groups ----


def unusual_groups(finding: Finding) -> str:
    """Words about outlying levels."""
    facts = finding.facts
    if finding.status == "ok":
        return f"No level of {facts['group']} stands out."
    levels = listed(facts["levels"], facts["count"])
    return (
        f"{facts['group']} {levels} {'stands' if facts['count'] == 1 else 'stand'} further from the others"
        " than normal"
        f' random effects would. fit.influence("{facts["group"]}") says what hangs on it.'
    )


def normal_effects(finding: Finding) -> str:
    """Words about the shape of the random effects."""
    facts = finding.facts
    if facts.get("few"):
        return f"Too few levels of {facts['group']} to say."
    if finding.status == "ok":
        return f"The predicted random effects of {facts['group']} are not far from normal."
    many = facts["count"] > 40
    return (
        f"The random effects of {facts['group']} ({facts['name']}) are {shape_words(facts)}."
        f" {'With so many levels' if many else 'As a rule'} coefficients and their standard errors hardly"
        " depend on that;"
        " ranges for a new group, and single predicted effects, do. Look for an omitted predictor of the"
        " groups."
    )


def influential(finding: Finding) -> str:
    """Words about what one row or group does to a coefficient."""
    facts = finding.facts
    group = facts["group"]
    unit = "row" if group is None else f"level of {group}"
    if finding.status == "ok":
        return f"No single {unit} moves a coefficient by much more than its standard error."
    who = f"row {facts['label']}" if group is None else f"{group} {facts['label']}"
    others = facts["count"] - 1
    more = f" {plural(others, 'other')} {'does' if others == 1 else 'do'} so too." if others else ""
    return (
        f"Without {who} the coefficient of {facts['name']} would change by {facts['without']:+.3g},"
        f" {abs(finding.statistic):.1f} standard errors.{more} Report the estimate with and without, or"
        " say why it belongs."
    )


# ---- what the model leaves out ----


def omitted_slopes(finding: Finding) -> str:
    """Words about a random slope that the data ask for."""
    facts = finding.facts
    left = f" ({plural(facts['left'], 'other candidate')} not tried.)" if facts["left"] else ""
    if not facts["tried"]:
        return "No covariate varies within groups beyond those with a random slope."
    if finding.status == "ok":
        return f"No random slope would improve the fit clearly ({facts['tried']} tried).{left}"
    ratio = facts["se_ratio"]
    if ratio > 1.05:
        effect = (
            f" The standard error of {facts['name']} would be {ratio:.1f} times as large: as it stands it is too"
            " small."
        )
    elif ratio < 0.95:
        effect = f" The standard error of {facts['name']} would be {ratio:.2f} times what it is."
    else:
        effect = f" The standard error of {facts['name']} would hardly change."
    sd = number(facts["sd"])
    return f"The data ask for ({facts['label']}), with a standard deviation of {sd}.{effect}{left}"


def within_and_between(finding: Finding) -> str:
    """Words about a covariate with two effects."""
    facts = finding.facts
    if not facts["tested"]:
        return "No covariate varies both within and between groups."
    if finding.status == "ok":
        return "Within-group and between-group effects do not differ clearly."
    name, group = facts["name"], facts["group"]
    cure = (
        f"Use within({name}, {group}) + between({name}, {group}) in its place."
        if facts["plain"] and name.isidentifier()
        else f"Add the group means of {name} as a predictor."
    )
    return (
        f"The effect of {name} within {group} ({number(facts['within'])}) differs from that between levels"
        f" of {group}"
        f" ({number(facts['between'])}); its coefficient blends the two. {cure}"
    )


def alike_within_clusters(finding: Finding) -> str:
    """Words about clustering that least squares ignores."""
    facts = finding.facts
    icc = f"{facts['icc']:.2f}"
    if facts["robust"]:
        return (
            f"Residuals of one {facts['group']} correlate by {icc}; the cluster-robust standard errors in"
            " use allow"
            " for that."
        )
    if finding.status == "ok":
        return (
            f"Residuals of one {facts['group']} are no more alike than those of different ones (ICC {icc})."
        )
    return (
        f"Residuals of one {facts['group']} are alike (ICC {icc}), so the rows are not independent and the"
        " standard"
        f" errors are wrong, most of all for what differs between levels of {facts['group']}. Use"
        f' cluster="{facts["group"]}", or ml.lmm with (1 | {facts["group"]}).'
    )


WORDS: dict[str, Callable[[Finding], str]] = {
    "convergence": convergence,
    "singular terms": singular_terms,
    "correlation near one": correlation_near_one,
    "few groups": few_groups,
    "groups of one": groups_of_one,
    "dropped rows": dropped_rows,
    "dropped columns": dropped_columns,
    "scales": scales,
    "collinearity": collinearity,
    "even spread": even_spread,
    "even spread between groups": even_spread_between,
    "order within groups": order_within_groups,
    "normal residuals": normal_residuals,
    "unusual rows": unusual_rows,
    "unusual groups": unusual_groups,
    "normal random effects": normal_effects,
    "influential rows": influential,
    "influential groups": influential,
    "omitted random slopes": omitted_slopes,
    "within and between": within_and_between,
    "alike within clusters": alike_within_clusters,
}
