"""Sentences about the search, the covariances, the data, and what the model leaves out."""

from __future__ import annotations

import numpy as np

from multilevel.inference.design_checks import VERY_FEW
from multilevel.inference.finding import Finding
from multilevel.report.wording import TOO_FEW, number, plural

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
            " would have them differ. Dropping the term changes no estimate; keep it if the design calls"
            " for it."
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
        " covariate is far from its zero this may come from there: centre it and see. Otherwise the data"
        " hardly tell the two apart."
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
            " Satterthwaite or Kenward-Roger degrees of freedom; do not trust cluster-robust standard"
            " errors."
        )
    return (
        f"{group} has {count} levels. Take t-tests with Satterthwaite or Kenward-Roger degrees of freedom,"
        " not z; cluster-robust standard errors need the small-sample correction CR2."
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
        f"{said}. They help with the coefficients, but variances between and within {facts['group']} are"
        " told apart by the others only."
    )


def dropped_rows(finding: Finding) -> str:
    """Words about missing values."""
    facts = finding.facts
    if finding.status == "ok":
        return "No rows were dropped."
    columns = ", ".join(f"{name} {count}" for name, count in facts["columns"].items())
    return (
        f"{facts['count']} of {facts['total']} rows ({100.0 * finding.statistic:.0f}%) were dropped for"
        f" missing values ({columns}). That is harmless if, given the predictors, rows are not missing"
        " because of the response."
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
            f" so {what} describe{'' if facts['random'] else 's'} a place where there are no data. The fit"
            f" is right; centre the variable to make {'them' if facts['random'] else 'it'} readable."
        )
    return (
        f"The spread of {facts['large']} is {number(finding.statistic)} times that of {facts['small']}. The"
        " fit is right all the same; other units would make the coefficients easier to read."
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
        f" {finding.facts['partner']}: its variance inflation is {number(finding.statistic)}, so its"
        f" standard error is about {number(factor)} times what it would be if they were unrelated. Nothing"
        " is wrong, but their separate effects are hard to tell."
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
            f" The standard error of {facts['name']} would be {ratio:.1f} times as large: as it stands it"
            " is too small."
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
        f" of {group} ({number(facts['between'])}); its coefficient blends the two. {cure}"
    )


def alike_within_clusters(finding: Finding) -> str:
    """Words about clustering that least squares ignores."""
    facts = finding.facts
    if np.isnan(facts["icc"]):
        return TOO_FEW
    icc = f"{facts['icc']:.2f}"
    if facts["robust"]:
        return (
            f"Residuals of one {facts['group']} correlate by {icc}; the cluster-robust standard errors in"
            " use allow for that."
        )
    if finding.status == "ok":
        return (
            f"Residuals of one {facts['group']} are no more alike than those of different ones (ICC {icc})."
        )
    return (
        f"Residuals of one {facts['group']} are alike (ICC {icc}), so the rows are not independent and the"
        f" standard errors are wrong, most of all for what differs between levels of {facts['group']}. Use"
        f' cluster="{facts["group"]}", or {facts.get("mixed", "ml.lmm")} with (1 | {facts["group"]}).'
    )
