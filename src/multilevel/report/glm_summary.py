"""The summary of a generalized linear model."""

from __future__ import annotations

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.fitted.glm import GLMRecord
from multilevel.inference.variance import Variance
from multilevel.inference.wald import CoefficientTable
from multilevel.report.blocks import coefficient_block, dropped_notes, residual_block
from multilevel.report.cluster_notes import cluster_notes
from multilevel.report.glmm_summary import DISPERSION_WORDS, SHAPE_WORDS
from multilevel.report.numbers import format_column, format_number
from multilevel.report.ols_summary import standard_errors
from multilevel.report.ratios import ratio_block
from multilevel.report.summary import Block, Summary

TOO_WIDE = 1.5  # Pearson's phi from which counts and proportions vary more than the family says


def glm_summary(
    design: Design,
    record: GLMRecord,
    variance: Variance | None,
    coefficients: CoefficientTable,
    residuals: Array | None,
    word: str | None,
) -> Summary:
    """Put the summary together; `word` names the ratios that coefficients are shown as, if they are."""
    rows = "" if design.freq_weights is None else f" in {design.n_rows} rows"
    robust = (
        ()
        if variance is None or record.regression is None
        else cluster_notes(record.regression[1], variance, coefficients)
    )
    return Summary(
        title=title_of(record),
        facts=(
            ("Family", f"{record.family.name.replace('_', ' ')} ({record.family.link.name} link)"),
            ("Formula", design.formula.text),
            ("Observations", f"{record.n_obs:g}{rows}"),
            ("Standard errors", "model-based" if variance is None else standard_errors(variance)),
            *dispersion_facts(record),
        ),
        blocks=(
            *(
                ()
                if residuals is None
                else (residual_block("Deviance residuals", residuals, design.freq_weights),)
            ),
            coefficient_block(coefficients, "Coefficients")
            if word is None
            else ratio_block(coefficients, word),
            *other_blocks(record),
        ),
        notes=(*fit_notes(record, variance), *dropped_notes(design.dropped), *robust),
    )


def title_of(record: GLMRecord) -> str:
    """How the fit was made."""
    how = "maximum a posteriori (weak prior)" if record.prior else "maximum likelihood"
    return f"Generalized linear model fit by {how}"


def dispersion_facts(record: GLMRecord) -> tuple[tuple[str, str], ...]:
    """What the family has beside its mean, as one number each, and what the number is."""
    facts = []
    density = record.family.density
    if not record.free_scale and record.dispersion is not None and np.ptp(record.dispersion) == 0.0:
        given = ", as given" if "dispersion" in record.family.given else ""
        facts.append(("Dispersion", f"{figure(record.dispersion[0])} ({DISPERSION_WORDS[density]}{given})"))
    if record.shape is not None:
        facts.append((SHAPE_WORDS[density], figure(record.shape)))
    return tuple(facts)


def other_blocks(record: GLMRecord) -> tuple[Block, ...]:
    """Thresholds, and the log dispersion where it is modelled."""
    blocks = []
    for part in record.parts[1:]:
        if part.component == "threshold" or (part.component == "disp" and len(part.names) > 1):
            title = "Thresholds" if part.component == "threshold" else "Log dispersion"
            cells = {
                "": list(part.names),
                "Estimate": format_column(part.estimate, 5),
                "Std. Error": format_column(part.std_error, 4),
            }
            blocks.append(Block(title, tuple(cells), tuple(zip(*cells.values(), strict=True))))
    return tuple(blocks)


def fit_notes(record: GLMRecord, variance: Variance | None) -> list[str]:
    """Scale, deviances, criteria, and whether the responses vary more than the family says."""
    notes = []
    if record.free_scale:
        notes.append(f"Scale (Pearson's phi): {figure(record.scale)} on {record.df_residual:g} df")
    if record.prior:
        notes.append(
            "A weak prior drew the coefficients to zero: estimates and errors are those of its posterior."
        )
    if np.isfinite(record.deviance):
        notes.append(
            f"Deviance: {figure(record.deviance)} on {record.df_residual:g} df "
            f"(of an intercept alone: {figure(record.null_deviance)})"
        )
    aic = 2.0 * record.n_parameters - 2.0 * record.loglik
    notes.append(f"Log-likelihood: {figure(record.loglik)} on {record.n_parameters} df, AIC: {figure(aic)}")
    ratio = record.pearson / record.df_residual
    model_based = variance is not None and variance.kind == "model"
    if model_based and record.family.density in ("binomial", "poisson") and ratio > TOO_WIDE:
        notes.append(
            f"Pearson's chi-square is {ratio:.3g} times its degrees of freedom: responses vary more than the "
            f"{record.family.name} family says, so these standard errors are too small. If rows come in "
            'groups, use cluster=, ml.gee or ml.glmm; else vcov="HC3", or a family with a dispersion.'
        )
    return notes


def figure(value: float) -> str:
    """Five digits."""
    return format_number(value, ".5g" if abs(value) < 1e5 else ".1f")
