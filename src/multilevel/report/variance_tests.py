"""The table of tests that take out one random effect at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from multilevel.inference.ranova import EXPLAINED, EffectTest, obstacle
from multilevel.inference.simulated_p import SimulatedP
from multilevel.inference.smaller_models import Candidate
from multilevel.report.compare import BOUNDARY_NOTE, blank_missing
from multilevel.report.numbers import format_column, format_fixed, format_p
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import Columns

FULL = "<none>"  # the row of the whole model, as R has it
SIMULATED = {"p_exact": "p (exact)", "p_bootstrap": "p (bootstrap)"}


def variance_test_columns(full: Candidate, tests: Sequence[EffectTest]) -> Columns:
    """One row for the whole model, and one for each effect taken out."""
    models = [full, *(test.smaller for test in tests)]
    loglik = np.array([model.loglik for model in models])
    n_parameters = np.array([model.n_parameters for model in models])
    return {
        "term": [FULL, *(test.label for test in tests)],
        "n_parameters": n_parameters,
        "loglik": loglik,
        "aic": 2.0 * n_parameters - 2.0 * loglik,
        "statistic": np.array([np.nan, *(test.ratio.chisq for test in tests)]),
        "df": np.array([np.nan, *(test.ratio.df for test in tests)]),
        "p_value": np.array([np.nan, *(test.ratio.p_value for test in tests)]),
        "p_boundary": np.array([np.nan, *(test.ratio.p_boundary for test in tests)]),
    }


def nesting_notes(tests: Sequence[EffectTest]) -> tuple[str, ...]:
    """Say what a likelihood ratio cannot test."""
    return tuple(
        f"No test of {test.label}: the term has no intercept, and the model with an intercept instead is"
        " not a special case of it. reduce=False takes the whole term out."
        for test in tests
        if not test.nested
    )


def exactness_notes(
    full: Candidate, tests: Sequence[EffectTest], found: Sequence[SimulatedP | None]
) -> tuple[str, ...]:
    """Say which tests the exact distribution does not serve, and where it is an approximation."""
    left_out = [
        f"No exact test: {test.label} {obstacle(full.design, test) or EXPLAINED};"
        ' method="bootstrap" serves it.'
        for test, p in zip(tests, found, strict=True)
        if p is None and test.nested
    ]
    if sum(term.n_columns for term in full.design.terms) == 1:
        return tuple(left_out)
    approximation = "With other variances in the model, p (exact) takes them for known (Greven et al. 2008)."
    return (*left_out, approximation)


def convergence_notes(tests: Sequence[EffectTest]) -> tuple[str, ...]:
    """Say which smaller models were not fitted to an optimum."""
    return tuple(
        f"The fit without {test.label} did not converge; its test is not to be relied on."
        for test in tests
        if not test.smaller.converged
    )


def variance_test_page(
    columns: Mapping[str, Any], formula: str, notes: Sequence[str], *, reml: bool
) -> Summary:
    """The table as it prints."""
    p_boundary = columns["p_boundary"]
    cells = {
        "": list(columns["term"]),
        "npar": format_fixed(columns["n_parameters"], 0),
        "logLik": format_fixed(columns["loglik"], 2),
        "AIC": format_fixed(columns["aic"], 2),
        "LRT": blank_missing(columns["statistic"], format_column(columns["statistic"], 5)),
        "df": blank_missing(columns["df"], format_fixed(columns["df"], 0)),
        "p (naive)": blank_missing(columns["p_value"], format_p(columns["p_value"])),
        "p (boundary)": blank_missing(p_boundary, format_p(p_boundary)),
    }
    for name, title in SIMULATED.items():
        if name in columns:
            cells[title] = blank_missing(columns[name], format_p(columns[name]))
    boundary = [BOUNDARY_NOTE] if np.isfinite(p_boundary).any() else []
    return Summary(
        title=f"Random effects taken out one at a time ({'REML' if reml else 'maximum likelihood'})",
        facts=(("Formula", formula),),
        blocks=(Block("Without", tuple(cells), tuple(zip(*cells.values(), strict=True))),),
        notes=(*boundary, *notes),
    )
