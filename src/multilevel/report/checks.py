"""What each look at a fit found, in words, and the page that prints them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from multilevel.inference.finding import Finding
from multilevel.report import fit_words, glm_words, glmm_words, residual_words
from multilevel.report.numbers import format_p
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns
from multilevel.report.wording import plural


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


def p_words(finding: Finding) -> str:
    """The p-value beside the name of a look that is a test."""
    if np.isnan(finding.p_value):
        return ""
    text = format_p([finding.p_value])[0]
    return f" (p {text})" if text.startswith("<") else f" (p = {text})"


def message(finding: Finding) -> str:
    """What a look found and what to do about it."""
    return WORDS[finding.check](finding)


WORDS: dict[str, Callable[[Finding], str]] = {
    "convergence": fit_words.convergence,
    "singular terms": fit_words.singular_terms,
    "correlation near one": fit_words.correlation_near_one,
    "few groups": fit_words.few_groups,
    "groups of one": fit_words.groups_of_one,
    "dropped rows": fit_words.dropped_rows,
    "dropped columns": fit_words.dropped_columns,
    "scales": fit_words.scales,
    "collinearity": fit_words.collinearity,
    "even spread": residual_words.even_spread,
    "even spread between groups": residual_words.even_spread_between,
    "order within groups": residual_words.order_within_groups,
    "normal residuals": residual_words.normal_residuals,
    "unusual rows": residual_words.unusual_rows,
    "unusual groups": residual_words.unusual_groups,
    "normal random effects": residual_words.normal_effects,
    "influential rows": residual_words.influential,
    "influential groups": residual_words.influential,
    "omitted random slopes": fit_words.omitted_slopes,
    "within and between": fit_words.within_and_between,
    "alike within clusters": fit_words.alike_within_clusters,
    "events per coefficient": glm_words.events_per_coefficient,
    "excess variation": glm_words.excess_variation,
    "number of groups": glmm_words.number_of_groups,
    "overdispersion": glmm_words.overdispersion,
    "uniform residuals": glmm_words.uniform_residuals,
    "spread of responses": glmm_words.spread_of_responses,
    "number of zeros": glmm_words.number_of_zeros,
    "responses out of reach": glmm_words.responses_out_of_reach,
}
