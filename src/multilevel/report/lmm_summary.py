"""The summary of a linear mixed model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.estimation.optimum import Optimum
from multilevel.fitted.lmm import LMMRecord, TermCovariance
from multilevel.inference.coefficients import CoefficientInference
from multilevel.inference.wald import inferred_table
from multilevel.report.blocks import coefficient_block, correlation_blocks, dropped_notes, residual_block
from multilevel.report.lmm_tables import RESIDUAL
from multilevel.report.numbers import format_column, format_fixed
from multilevel.report.structures import STRUCTURE_NAMES, correlation_words, is_structured
from multilevel.report.summary import Block, Summary

DF_WORDS = {  # the heading of the fixed effects, by method
    "Satterthwaite": " (degrees of freedom: Satterthwaite)",
    "Kenward-Roger": " (standard errors and degrees of freedom: Kenward-Roger)",
    "residual": " (degrees of freedom: residual)",
    "containment": " (degrees of freedom: containment)",
    "between-within": " (degrees of freedom: between-within)",
}
ZERO_VARIANCE = 1e-4  # share of the residual SD below which a standard deviation is called zero (lme4's)


@dataclass(frozen=True, slots=True)
class RandomRow:
    """A line of the table of random effects."""

    group: str
    name: str
    variance: float
    correlations: list[str]


def lmm_summary(
    design: Design,
    record: LMMRecord,
    inference: CoefficientInference,
    df: str | None,
    scaled_residuals: Array,
    criteria: Block | None,
) -> Summary:
    """Put the summary of a fit together from its record and its scaled residuals (n,).

    `df` is the method that was asked for, `inference` what it says of the coefficients.
    """
    table = inferred_table(record.coef_names, inference)
    blocks = (
        criteria,
        residual_block("Scaled residuals", scaled_residuals, design.freq_weights),
        random_block(record),
        coefficient_block(table, f"Fixed effects{DF_WORDS.get(inference.method, '')}"),
        *correlation_blocks(record.coef_names, inference.covariance(np.eye(len(record.beta)))),
    )
    return Summary(
        title=f"Linear mixed model fit by {'REML' if record.reml else 'maximum likelihood'}",
        facts=summary_facts(design, record),
        blocks=tuple(block for block in blocks if block is not None),
        notes=(
            *dropped_notes(design.dropped),
            *singular_notes(record),
            *df_notes(record, inference.method, df),
            *convergence_notes(record.optimum),
        ),
    )


def summary_facts(design: Design, record: LMMRecord) -> tuple[tuple[str, str], ...]:
    """The formula, the size of the data, and the criterion of a REML fit."""
    groups = ", ".join(f"{grouping.name} {grouping.n_levels}" for grouping in design.groupings)
    rows = "" if design.freq_weights is None else f" in {design.n_rows} rows"
    criterion = (("REML criterion", f"{record.criterion:.1f}"),) if record.reml else ()
    return (
        ("Formula", design.formula.text),
        ("Observations", f"{record.n_obs:g}{rows}; groups: {groups}"),
        *criterion,
    )


def criteria_block(aic: float, bic: float, loglik: float, df_residual: int) -> Block:
    """Information criteria of a maximum-likelihood fit."""
    cells = (*format_fixed([aic, bic, loglik, -2.0 * loglik], 1), str(df_residual))
    return Block(
        "Information criteria", ("AIC", "BIC", "logLik", "deviance", "df.resid"), (cells,), n_labels=0
    )


def random_block(record: LMMRecord) -> Block:
    """Variances, standard deviations and correlations of the random effects."""
    effects = [row for term in record.terms for row in random_rows(term)]
    effects.append(RandomRow(RESIDUAL, "", record.sigma**2, []))
    variances = [row.variance for row in effects]
    cells = zip(format_column(variances), format_column(np.sqrt(variances)), strict=True)
    width = max(len(row.correlations) for row in effects)
    rows = [
        (row.group, row.name, *cell, *row.correlations, *[""] * (width - len(row.correlations)))
        for row, cell in zip(effects, cells, strict=True)
    ]
    header = ("Group", "Name", "Variance", "Std.Dev.", *["Corr", *[""] * (width - 1)][:width])
    return Block("Random effects", header, tuple(rows), n_labels=2)


def random_rows(term: TermCovariance) -> list[RandomRow]:
    """One row a column, the group on the first only; one in all where all columns have one variance."""
    variances = np.diag(term.covariance)
    if is_structured(term) and term.hom:
        columns = f"{term.names[0]} {'and' if len(term.names) == 2 else 'to'} {term.names[-1]}"
        correlation = [] if term.structure == "diag" else [correlation_words(term, ".2f")]
        name = f"{STRUCTURE_NAMES[term.structure]}, {columns}"
        return [RandomRow(term.group, name, variances[0], correlation)]
    groups = [term.group, *[""] * (len(term.names) - 1)]
    rows = zip(groups, term.names, variances, correlation_rows(term), strict=True)
    return [RandomRow(*row) for row in rows]


def correlation_rows(term: TermCovariance) -> list[list[str]]:
    """Correlations of each column with those before it; the one of a structure, or none where it has none."""
    if is_structured(term):
        words = f"{STRUCTURE_NAMES[term.structure]}, {correlation_words(term, '.2f')}"
        return [[words], *([] for _ in term.names[1:])]
    if term.structure == "diag":
        return [[] for _ in term.names]
    return [format_fixed(term.correlation[k, :k], 2) for k in range(len(term.names))]


def singular_notes(record: LMMRecord) -> list[str]:
    """For each covariance on the boundary: which term it is, what is degenerate, and what to do."""
    return [singular_note(term, record.sigma) for term in record.terms if term.singular]


def singular_note(term: TermCovariance, sigma: float) -> str:
    """Name what is degenerate in one singular term, and the simpler term to consider."""
    zero = [name for name, sd in zip(term.names, term.sd, strict=True) if sd <= ZERO_VARIANCE * sigma]
    start = f"Singular fit in ({term.label}): "
    if len(zero) == len(term.names):
        return (
            f"{start}its variance is estimated as zero: levels of {term.group} differ no more than chance"
            " would have them differ. Dropping the term leaves the likelihood as it is."
        )
    if zero:
        return (
            f"{start}the variance of {', '.join(zero)} is estimated as zero, so its correlations are"
            " undefined. Dropping it from the bar leaves the likelihood as it is."
        )
    return (
        f"{start}the random effects are perfectly correlated: the data support fewer than"
        f" {len(term.names)} dimensions. Consider uncorrelated effects (||) or fewer columns."
    )


def df_notes(record: LMMRecord, method: str, df: str | None) -> list[str]:
    """What was done about degrees of freedom that a reader would not expect."""
    if df is None and method == "normal":
        return [
            "The tests use the normal distribution: with so many crossed levels, degrees of freedom would"
            ' take longer than the fit. summary(df="satterthwaite") finds them.'
        ]
    if method == "Satterthwaite" and record.singular:
        return [
            "Degrees of freedom: variances (and dimensions) estimated as zero are taken as known to be zero."
        ]
    return []


def convergence_notes(optimum: Optimum) -> list[str]:
    """What the search says, if the optimum is not certified."""
    if optimum.converged and optimum.certificate.holds:
        return []
    return [
        f"NOT CONVERGED: the search {optimum.message}. One more step promises a decrease of the criterion by"
        f" {optimum.certificate.stationarity:.2g}. Do not use these estimates; check the scale of the"
        " variables and whether the data can support the random effects."
    ]
