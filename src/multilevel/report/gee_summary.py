"""The summary of generalized estimating equations."""

from __future__ import annotations

import numpy as np

from multilevel._typing import Array, Mask
from multilevel.covariance.working.specification import Correlation
from multilevel.design.design import Design
from multilevel.estimation.gee.layout import ClusterLayout
from multilevel.estimation.gee.problem import EstimatingProblem
from multilevel.fitted.gee import GEERecord
from multilevel.inference.gee_kinds import CORRECTED, FEW_CLUSTERS, FOR_FEW, NAMES
from multilevel.inference.wald import CoefficientTable
from multilevel.report.blocks import coefficient_block, dropped_notes
from multilevel.report.cluster_notes import lone_notes
from multilevel.report.correlation_advice import correlation_advice
from multilevel.report.numbers import format_column
from multilevel.report.ratios import ratio_block
from multilevel.report.summary import Block, Summary
from multilevel.report.wording import plural

MOST_SHOWN = 12  # correlations in the summary; association() has all of them
ROUGH_DF = 4.0
NO_CORRECTION = "With a working correlation that is none there is no correction: use another corr=."


def gee_summary(
    design: Design,
    problem: EstimatingProblem,
    record: GEERecord,
    corr: Correlation,
    coefficients: CoefficientTable,
    std_error: Array | None,
    kind: str,
    method: str,
    *,
    word: str | None,
    by_itself: bool,
    alone: Mask,
    estimated_weights: bool = False,
) -> Summary:
    """Put the summary together.

    `std_error` (1 + q,) are those of scale and correlations, None where there are none; `method` says how
    standard errors were found, `by_itself` that nobody asked for them, and `alone` (p,) which coefficients
    rest on one cluster. `word` names the ratios that coefficients are shown as, if they are, and
    `estimated_weights` says that a dropout model gave the weights.
    """
    family = problem.family
    return Summary(
        title=f"Generalized estimating equations: {family.name} family, {family.link.name} link",
        facts=(
            ("Formula", design.formula.text),
            ("Observations", clusters_in_words(problem)),
            ("Working correlation", f"{corr.name} ({corr.words})"),
            ("Standard errors", f"{method}; {tests_in_words(coefficients)}"),
        ),
        blocks=(
            coefficient_block(coefficients, "Coefficients (population-averaged)")
            if word is None
            else ratio_block(coefficients, word, "population-averaged "),
            association_block(record, std_error, given=problem.scale is not None),
        ),
        notes=(
            *few_notes(record, kind, coefficients, problem.layout.name, by_itself=by_itself),
            *lone_notes(coefficients, alone, problem.layout.name),
            *trouble_notes(problem, record, corr),
            *dropped_notes(design.dropped),
            *moment_notes(problem),
            *missing_notes(
                weighted=design.weights is not None,
                estimated=estimated_weights,
                complete=is_complete(design, problem.layout),
            ),
        ),
    )


def clusters_in_words(problem: EstimatingProblem) -> str:
    """Rows, clusters, and their sizes."""
    sizes, layout = problem.layout.sizes, problem.layout
    low, high = int(sizes.min()), int(sizes.max())
    each = f"{low} each" if low == high else f"{low} to {high} each, {np.mean(sizes):.3g} on average"
    return f"{layout.n_rows} in {plural(layout.n_clusters, 'cluster')} of '{layout.name}' ({each})"


def tests_in_words(coefficients: CoefficientTable) -> str:
    """Which distribution the tests use."""
    return "z tests" if coefficients.df is None else "t tests"


def association_block(record: GEERecord, std_error: Array | None, *, given: bool) -> Block:
    """Scale and correlations with their standard errors."""
    shown = min(len(record.alpha), MOST_SHOWN)
    terms = ["scale (given)" if given else "scale", *record.alpha_names[:shown]]
    estimates = np.concatenate([[record.phi], record.alpha[:shown]])
    cells = [format_column([value])[0] for value in estimates]
    errors = np.full(shown + 1, np.nan) if std_error is None else std_error[: shown + 1]
    written = [format_column([value])[0] for value in errors]
    title = "Scale and working correlation"
    if shown < len(record.alpha):
        title += f" (the first {shown} of {len(record.alpha)}; association() has all)"
    return Block(title, ("", "Estimate", "Std. Error"), tuple(zip(terms, cells, written, strict=True)))


def few_notes(
    record: GEERecord, kind: str, coefficients: CoefficientTable, name: str, *, by_itself: bool
) -> list[str]:
    """With few clusters: what was done about them, or what should be."""
    if record.n_clusters >= FEW_CLUSTERS:
        return []
    start = (
        f"'{name}' has {record.n_clusters} clusters; below {FEW_CLUSTERS} the sandwich tends to be too small"
    )
    if kind == FOR_FEW and by_itself:
        notes = [f"{start}, so that Fay and Graubard's correction is taken, with its degrees of freedom."]
    elif kind in CORRECTED or kind in ("jackknife", "one-step", "morel-bokossa-neerchal", "gosho"):
        notes = [f"{start}; {NAMES[kind]} corrects it."]
    elif kind == "sandwich":
        advice = 'Leave out vcov=, or say vcov="fay-graubard".' if record.definite else NO_CORRECTION
        notes = [f"{start}. {advice}"]
    else:
        notes = []
    few = coefficients.df is not None and bool((coefficients.df < ROUGH_DF).any())
    if few:
        notes.append(
            "Fewer than 4 degrees of freedom: too few clusters bear on some coefficients for any such test "
            "to be trusted."
        )
    return notes


def trouble_notes(problem: EstimatingProblem, record: GEERecord, corr: Correlation) -> list[str]:
    """What went wrong."""
    notes = []
    if not record.converged:
        notes.append(f"Not converged in {record.iterations} iterations: do not use these numbers.")
    if record.margin <= 0.0:
        notes.append(
            "The estimated working correlation is not positive definite, since moments need not fit "
            "together. The estimates solve the equations all the same, but "
            f"{correlation_advice(problem, record, corr)}."
        )
    return notes


def moment_notes(problem: EstimatingProblem) -> list[str]:
    """Why there may be no standard errors of scale and correlation."""
    if problem.moments == "gee":
        return ["Scale and correlation as R's gee takes them; they come without standard errors."]
    return []


def is_complete(design: Design, layout: ClusterLayout) -> bool:
    """Whether no row is known to be missing: each cluster has all visits, or as many rows as the others."""
    if design.dropped.n_missing:
        return False
    each = len(layout.visits) if layout.time_name is not None else int(layout.sizes.max())
    return bool((layout.sizes == each).all())


def missing_notes(*, weighted: bool, estimated: bool, complete: bool) -> list[str]:
    """What is assumed of values that are not there."""
    if estimated:
        return [
            "Weights for dropout: rows that are missing are taken as missing at random given what the "
            "dropout model knows (MAR), and that model as right. Sandwich standard errors allow for its "
            "estimation."
        ]
    if weighted:
        return [
            "Rows that are missing are taken as missing completely at random (MCAR), or, if the weights "
            "are inverse probabilities of being seen, at random given what these depend on (MAR)."
        ]
    if complete:
        return []
    return ["Rows that are missing are taken as missing completely at random (MCAR)."]
