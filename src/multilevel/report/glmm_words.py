"""Sentences about a generalized mixed model's responses, beside those that it would have given itself."""

from __future__ import annotations

from multilevel.inference.finding import Finding
from multilevel.report.glmm_notes import laplace_words
from multilevel.report.wording import number, plural


def number_of_groups(finding: Finding) -> str:
    """Words about the number of levels."""
    group, count = finding.facts["group"], finding.facts["count"]
    if finding.status == "ok":
        return f"{group} has {count} levels."
    return (
        f"{group} has {plural(count, 'level')}: its variance is known poorly and estimated too small on"
        " average, and z tests are too easy on effects that differ between its levels."
    )


def laplace_approximation(finding: Finding) -> str:
    """Words about how random effects are integrated out."""
    error = finding.facts["error"]
    if finding.status == "ok":
        return f"Quadrature over the random effects of {error.group} would change little."
    return f"It is poor here: {laplace_words(error, finding.facts['n_factors'])}"


def overdispersion(finding: Finding) -> str:
    """Words about Pearson's sum of squares."""
    ratio, family = number(finding.statistic), finding.facts["family"]
    if finding.status == "ok":
        return f"Pearson's residuals spread as in data simulated from the fit (ratio of squares {ratio})."
    if finding.statistic < 1.0:
        return (
            f"Given their groups, responses vary less than the {family} family says: Pearson's squares sum to"
            f" {ratio} times what data simulated from the fit have. Standard errors are too large."
        )
    return (
        f"Given their groups, responses vary more than the {family} family says: Pearson's squares sum to"
        f" {ratio} times what data simulated from the fit have. Standard errors are too small."
        f" {finding.facts['cure']}"
    )


def uniform_residuals(finding: Finding) -> str:
    """Words about the distribution of the scaled residuals."""
    if finding.status == "ok":
        return "Responses lie among simulated ones as they should."
    return (
        "Responses do not lie among simulated ones as the model says: its family, link or linear predictor"
        " does not fit. Plot fit.residuals('quantile') against the fitted values and each predictor."
    )


def spread_of_responses(finding: Finding) -> str:
    """Words about the spread of responses against simulated ones."""
    ratio = number(finding.statistic)
    if finding.status == "ok":
        return f"Responses spread about their expectation as simulated ones do (ratio {ratio})."
    more = "more" if finding.statistic > 1.0 else "less"
    return f"Responses spread {more} about their expectation than simulated ones do (ratio {ratio})."


def number_of_zeros(finding: Finding) -> str:
    """Words about the number of zeros."""
    observed, expected = round(finding.facts["observed"]), finding.facts["expected"]
    said = f"{plural(observed, 'zero')}; the model expects {number(expected)}"
    if finding.status == "ok":
        return f"{said}."
    if observed > expected:
        return f'{said}. Consider a negative binomial family first, then zi="~ 1".'
    return f"{said}: too few, as where zeros were left out of the data (a truncated family)."


def responses_out_of_reach(finding: Finding) -> str:
    """Words about responses beyond all simulated ones."""
    observed, expected = round(finding.facts["observed"]), finding.facts["expected"]
    said = f"{plural(observed, 'response')} beyond all simulated ones, {number(expected)} by chance"
    return f"{said}." if finding.status == "ok" else f"{said}. Look at those rows."
