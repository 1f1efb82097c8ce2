"""The summary of a generalized linear mixed model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.design.glmm import GLMMDesign
from multilevel.design.response_labels import response_labels
from multilevel.fitted.glmm import GLMMRecord, PartEstimates
from multilevel.fitted.lmm import TermCovariance
from multilevel.inference.glmm_sandwich import GLMMSandwich, few_clusters_note
from multilevel.inference.laplace_error import LaplaceError
from multilevel.report.blocks import coefficient_block, correlation_blocks, dropped_notes, residual_block
from multilevel.report.glmm_notes import glmm_notes
from multilevel.report.glmm_tables import part_table, ratio_word
from multilevel.report.lmm_summary import RandomRow, random_rows
from multilevel.report.numbers import format_column, format_fixed, format_number
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import fixed_columns

HEADINGS = {
    "cond": "Fixed effects",
    "disp": "Dispersion model (log link)",
    "threshold": "Thresholds",
    "zi": "Zero-inflation model (logit link)",
}
HURDLE = "Zero model of the hurdle (logit link)"
DISPERSION_WORDS = {  # what phi is, by density
    "gaussian": "residual variance",
    "student": "squared scale of the errors",
    "gamma": "squared coefficient of variation",
    "inverse_gaussian": "variance over the cubed mean",
    "nbinom2": "size: variance = mean + mean^2 / size",
    "nbinom1": "variance = mean (1 + dispersion)",
    "beta": "precision: variance = mean (1 - mean) / (1 + precision)",
    "beta_binomial": "precision of the probability: large where all trials of a row are alike",
    "tweedie": "variance = dispersion * mean^power",
    "truncated_nbinom2": "size, before zeros are cut off",
    "truncated_nbinom1": "variance = mean (1 + dispersion), before zeros are cut off",
}
SHAPE_WORDS = {"tweedie": "Power of the mean", "student": "Degrees of freedom of the errors"}


def glmm_summary(
    design: GLMMDesign,
    record: GLMMRecord,
    residuals: Array | None,
    criteria: Block,
    laplace: Sequence[LaplaceError],
    *,
    exponentiate: bool,
    sandwich: GLMMSandwich | None = None,
) -> Summary:
    """Put the summary of a fit together from its record and its Pearson residuals (n,), if it has them.

    With a sandwich the record has its covariances.
    """
    df = np.inf if sandwich is None else sandwich.df
    blocks: list[Block | None] = [
        criteria,
        None
        if residuals is None
        else residual_block("Pearson residuals", residuals, design.main.freq_weights),
        random_block(record.terms, "Random effects"),
        random_block(record.zi_terms, "Random effects of the zero-inflation model"),
        *(part_block(record, part, exponentiate, df) for part in record.parts if is_shown(design, part)),
        *correlation_blocks(record.coef_names, record.vcov),
    ]
    return Summary(
        title=f"Generalized linear mixed model fit by {criterion_words(record)}",
        facts=(*summary_facts(design, record), *variance_facts(sandwich)),
        blocks=tuple(block for block in blocks if block is not None),
        notes=(
            *dropped_notes(design.main.dropped),
            *glmm_notes(design, record, residuals, laplace),
            *([] if sandwich is None else few_clusters_note(sandwich)),
        ),
    )


def variance_facts(sandwich: GLMMSandwich | None) -> list[tuple[str, str]]:
    """Where the standard errors come from, if not from the model."""
    if sandwich is None:
        return []
    words = f"{sandwich.kind}, robust to clustering within {sandwich.n_clusters} {sandwich.cluster}"
    return [("Standard errors", words)]


def criterion_words(record: GLMMRecord) -> str:
    """Likelihood or posterior, and how the random effects were integrated out."""
    what = "maximum a posteriori" if record.prior else "maximum likelihood"
    how = {0: "fast Laplace approximation, nagq=0", 1: "Laplace approximation"}.get(
        record.nodes, f"adaptive Gauss-Hermite quadrature, {record.nodes} points"
    )
    return f"{what} ({how})"


def summary_facts(design: GLMMDesign, record: GLMMRecord) -> tuple[tuple[str, str], ...]:
    """Family, formulas, the size of the data, and the parameters that are single numbers."""
    main, family = design.main, record.family
    facts = [
        ("Family", f"{family.name.replace('_', ' ')} ({family.link.name} link)"),
        ("Formula", main.formula.text),
    ]
    facts += label_facts(main)
    for name, side in (("Zero inflation", design.zi), ("Dispersion", design.dispersion)):
        if side is not None:
            facts.append((name, f"~ {side.formula.text.partition('~')[2].strip()}"))
    rows = "" if main.freq_weights is None else f" in {main.n_rows} rows"
    names = {g.name: g.n_levels for side in design.sides for g in side.groupings}
    groups = ", ".join(f"{name} {count}" for name, count in names.items())
    facts.append(("Observations", f"{record.n_obs:g}{rows}; groups: {groups}"))
    if record.dispersion is not None and design.dispersion is None:
        words = DISPERSION_WORDS[family.density] + (", given" if "dispersion" in family.given else "")
        facts.append(("Dispersion", f"{format_number(float(record.dispersion[0]), '.4g')} ({words})"))
    if record.shape is not None:
        known = " (given)" if "shape" in family.given else ""
        facts.append((SHAPE_WORDS[family.density], format_number(record.shape, ".4g") + known))
    return tuple(facts)


def label_facts(main: Design) -> list[tuple[str, str]]:
    """Which label of a response counts as success, or in which order its categories stand."""
    labels = response_labels(main)
    if not labels:
        return []
    if main.categories:
        return [("Categories", " < ".join(labels))]
    return [("Probability of", f"{main.response_name} = {labels[-1]}")]


def criteria_block(aic: float, bic: float, loglik: float, df_residual: int) -> Block:
    """Information criteria."""
    cells = (*format_fixed([aic, bic, loglik, -2.0 * loglik], 1), str(df_residual))
    return Block(
        "Information criteria", ("AIC", "BIC", "logLik", "deviance", "df.resid"), (cells,), n_labels=0
    )


def random_block(terms: tuple[TermCovariance, ...], title: str) -> Block | None:
    """Variances, standard deviations and correlations of the random effects."""
    effects: list[RandomRow] = [row for term in terms for row in random_rows(term)]
    if not effects:
        return None
    variances = [row.variance for row in effects]
    cells = zip(format_column(variances), format_column(np.sqrt(variances)), strict=True)
    width = max(len(row.correlations) for row in effects)
    rows = [
        (row.group, row.name, *cell, *row.correlations, *[""] * (width - len(row.correlations)))
        for row, cell in zip(effects, cells, strict=True)
    ]
    header = ("Group", "Name", "Variance", "Std.Dev.", *["Corr", *[""] * (width - 1)][:width])
    return Block(title, header, tuple(rows), n_labels=2)


def is_shown(design: GLMMDesign, part: PartEstimates) -> bool:
    """Whether a part has a table: one number of dispersion or shape is among the facts instead."""
    return len(part.names) > 0 and (
        part.component in ("cond", "threshold", "zi")
        or (part.component == "disp" and design.dispersion is not None)
    )


def part_block(record: GLMMRecord, part: PartEstimates, exponentiate: bool, df: float) -> Block:
    """Coefficients with standard errors and tests; as ratios with their limits on request."""
    title = HEADINGS[part.component]
    if part.component == "zi" and record.family.density.startswith("truncated"):
        title = HURDLE
    table = part_table(part, df)
    if part.component == "threshold":
        return threshold_block(part)
    if not exponentiate:
        return coefficient_block(table, title)
    word = {"zi": "odds ratio", "disp": "ratio"}.get(part.component) or ratio_word(record)
    found = fixed_columns(table, 0.95, exponentiate=True)
    columns = {
        "": list(table.term),
        word.capitalize(): format_column(found["estimate"], 4),
        "Std. Error": format_column(found["std_error"], 4),
        "2.5 %": format_column(found["conf_low"], 4),
        "97.5 %": format_column(found["conf_high"], 4),
    }
    return Block(f"{title}, as {word}s", tuple(columns), tuple(zip(*columns.values(), strict=True)))


def threshold_block(part: PartEstimates) -> Block:
    """Thresholds between categories: that one is zero is no hypothesis, so there is no test."""
    columns = {
        "": list(part.names),
        "Estimate": format_column(part.estimate, 5),
        "Std. Error": format_column(part.std_error, 4),
    }
    return Block(HEADINGS["threshold"], tuple(columns), tuple(zip(*columns.values(), strict=True)))
