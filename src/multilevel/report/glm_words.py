"""Sentences about looks at a generalized linear model."""

from __future__ import annotations

from multilevel.inference.finding import Finding
from multilevel.report.wording import number, plural


def events_per_coefficient(finding: Finding) -> str:
    """Words about how much a binary response can say."""
    count, p = finding.facts["count"], finding.facts["coefficients"]
    if not p:
        return f"{plural(count, 'event')} of the rarer kind, and an intercept alone."
    said = f"{plural(count, 'event')} of the rarer kind for {plural(p, 'coefficient')}"
    if finding.status == "ok":
        return f"{said}."
    return (
        f"{said}, {number(finding.statistic)} for each: estimates are biased away from zero and Wald's "
        'intervals rough. Use confint("profile"), fewer predictors, or prior="weak".'
    )


def excess_variation(finding: Finding) -> str:
    """Words about Pearson's chi-square over its degrees of freedom."""
    ratio, facts = number(finding.statistic), finding.facts
    said = f"Pearson's chi-square is {ratio} times its degrees of freedom"
    if finding.status == "ok":
        return f"{said}."
    if finding.statistic < 1.0:
        return f"{said}: responses vary less than the {facts['family']} family says."
    if facts["robust"]:
        return (
            f"{said}: responses vary more than the {facts['family']} family says. The robust standard errors "
            "in use allow for that; likelihoods, AIC and predictions of single responses do not."
        )
    return (
        f"{said}: responses vary more than the {facts['family']} family says, so that standard errors are "
        f"too small. Use {facts['cure']} or vcov='HC3'; where rows come in groups cluster=, ml.gee or "
        "ml.glmm."
    )
