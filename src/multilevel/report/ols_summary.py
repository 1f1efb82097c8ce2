"""The summary of a least-squares fit."""

from __future__ import annotations

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.fitted.ols import OLSRecord
from multilevel.inference.coefficients import FTest
from multilevel.inference.overall import adjusted_r_squared, overall_test, r_squared
from multilevel.inference.robust_tests import too_many
from multilevel.inference.variance import Variance
from multilevel.inference.wald import CoefficientTable
from multilevel.report.blocks import coefficient_block, dropped_notes, residual_block
from multilevel.report.cluster_notes import cluster_notes
from multilevel.report.numbers import format_number, format_p
from multilevel.report.summary import Summary


def ols_summary(
    design: Design,
    record: OLSRecord,
    variance: Variance,
    coefficients: CoefficientTable,
    residuals: Array,
) -> Summary:
    """Put the summary of a fit together from its record and its scaled residuals (n,)."""
    return Summary(
        title=f"Linear model fit by {'' if design.weights is None else 'weighted '}least squares",
        facts=summary_facts(design, record, variance),
        blocks=(
            residual_block("Scaled residuals", residuals, design.freq_weights),
            coefficient_block(coefficients, "Coefficients"),
        ),
        notes=(
            *fit_notes(record, variance),
            *dropped_notes(design.dropped),
            *cluster_notes(record, variance, coefficients),
        ),
    )


def summary_facts(design: Design, record: OLSRecord, variance: Variance) -> tuple[tuple[str, str], ...]:
    """The formula, the size of the data, and where the standard errors come from."""
    rows = "" if design.freq_weights is None else f" in {design.n_rows} rows"
    return (
        ("Formula", design.formula.text),
        ("Observations", f"{record.n_obs:g}{rows}"),
        ("Standard errors", standard_errors(variance)),
    )


def standard_errors(variance: Variance) -> str:
    """What the standard errors take into account."""
    if variance.cluster is not None:
        ways = " and ".join(f"{n} {name}" for name, n in variance.clusterings)
        df = "" if variance.adjusted is None else "; df by Satterthwaite"
        return f"{variance.kind}, robust to clustering within {ways}{df}"
    if variance.kind == "model":
        return "model-based (independent errors)"
    return f"{variance.kind}, robust to unequal variances"


def fit_notes(record: OLSRecord, variance: Variance) -> list[str]:
    """Residual standard error, and R2 with the test of the whole model if it is more than a constant."""
    error = f"Residual standard error: {record.sigma:.5g} on {record.df_residual:g} df"
    if record.n_coefficients == record.has_constant:
        return [error]
    r2 = f"R-squared: {r_squared(record):.4f}, adjusted: {adjusted_r_squared(record):.4f}"
    return [
        error,
        r2,
        f_note(overall_test(record, variance), variance, record.n_coefficients - record.has_constant),
    ]


def f_note(test: FTest | None, variance: Variance, n_tested: int) -> str:
    """The F test on one line, or why there is none."""
    if test is None and variance.mended:
        return "No F test of the whole model: its variance is singular."
    if test is None and variance.adjusted is not None and too_many(variance.adjusted, n_tested):
        return 'No F test of the whole model: it would take minutes. summary(df="residual") has one.'
    if test is None:
        return (
            f"No F test of the whole model: {variance.n_clusters} clusters are too few for its coefficients."
        )
    statistic, p_value = format_number(test.statistic, ".4g"), format_p([test.p_value])[0]
    name = "F statistic" if variance.adjusted is None else "F statistic (approximate Hotelling test)"
    return f"{name}: {statistic} on {test.df_num:g} and {test.df_den:.5g} df, p: {p_value}"
