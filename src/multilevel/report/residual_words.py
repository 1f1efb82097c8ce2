"""Sentences about residuals, random effects, and what single rows and groups do to the estimates."""

from __future__ import annotations

from multilevel.inference.finding import Finding
from multilevel.inference.residual_checks import HEAVY, SKEWED
from multilevel.report.wording import TOO_FEW, Facts, listed, number, plural

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
        f" as where they are {low}."
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
        f" of itself typically; it is largest in {facts['largest']}, {number(facts['ratio'])} times the"
        " median. One sigma for all is too simple: predicted effects and intervals of single groups are"
        " too sure for some and not sure enough for others. Coefficients stay unbiased; compare their"
        " standard errors with robust ones."
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
        f"Neighbours {where} within {facts['group']} are {more} alike than the model makes them"
        f" (correlation {facts['correlation']:.2f} after the random effects are taken out). A random slope"
        " or a curve over time may be missing, or errors are autocorrelated; standard errors of effects"
        f" that change over time suffer.{caution}"
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
        " the data are few; prediction intervals and the tails they speak of do not."
    )


def shape_words(facts: Facts) -> str:
    """Skewness and tails of a distribution in words."""
    skewness, kurtosis = facts["skewness"], facts["kurtosis"]
    skewed = f"skewed to the {'right' if skewness > 0.0 else 'left'} (skewness {skewness:.2f})"
    tails = f"{'heavy' if kurtosis > 0.0 else 'light'}-tailed (excess kurtosis {kurtosis:.2f})"
    if abs(skewness) > SKEWED and abs(kurtosis) > HEAVY:
        return f"{skewed} and {tails}"
    return skewed if abs(skewness) / SKEWED > abs(kurtosis) / HEAVY else tails


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
        f"{'Row' if one else 'Rows'} {rows} (counted from 0) {'is' if one else 'are'} further from the fit"
        f" than normal errors reach (studentized residual {finding.statistic:.1f}). Look at"
        f" {'it' if one else 'them'}: a slip, another process, or heavy tails? fit.influence() says what"
        " hangs on it."
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
        " than normal random effects would."
        f' fit.influence("{facts["group"]}") says what hangs on it.'
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
        " depend on that; ranges for a new group, and single predicted effects, do. Look for an omitted"
        " predictor of the groups."
    )


def influential(finding: Finding) -> str:
    """Words about what one row or group does to a coefficient."""
    facts = finding.facts
    group = facts["group"]
    unit = "row" if group is None else f"level of {group}"
    if finding.status == "ok":
        return f"No single {unit} moves a coefficient by much more than its standard error."
    who = f"row {facts['label']} (counted from 0)" if group is None else f"{group} {facts['label']}"
    others = facts["count"] - 1
    more = f" {plural(others, 'other')} {'does' if others == 1 else 'do'} so too." if others else ""
    return (
        f"Without {who} the coefficient of {facts['name']} would change by {facts['without']:+.3g},"
        f" {abs(finding.statistic):.1f} standard errors.{more} Report the estimate with and without, or say"
        " why it belongs."
    )
