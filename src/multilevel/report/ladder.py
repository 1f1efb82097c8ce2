"""The table and the page of a ladder of models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from multilevel.clusters.ladder import StepNumbers
from multilevel.design.design import Design
from multilevel.fitted.lmm import LMMRecord
from multilevel.report.compare import BOUNDARY_NOTE, blank_missing
from multilevel.report.ladder_words import reading
from multilevel.report.lmm_tables import varcorr_columns
from multilevel.report.numbers import format_column, format_fixed, format_p
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import Columns

EXPLAINED = ("r2_marginal", "r2_conditional", "reduction_groups", "reduction_residual")

MEAN_NOTE = (
    "Where slopes differ, the variance between groups depends on the predictors; its mean over the data"
    " stands for it in ICC, R2 and reductions."
)


def step_columns(steps: Sequence[StepNumbers]) -> Columns:
    """One row a step."""
    return {
        "step": [step.name for step in steps],
        "formula": [step.formula for step in steps],
        "npar": np.array([step.npar for step in steps]),
        "criterion": np.array([step.criterion for step in steps]),
        "loglik": np.array([step.loglik for step in steps]),
        "aic": np.array([step.aic for step in steps]),
        "bic": np.array([step.bic for step in steps]),
        "against": [step.test.against for step in steps],
        "chisq": np.array([step.test.chisq for step in steps]),
        "df": np.array([step.test.df for step in steps]),
        "p_value": np.array([step.test.p_value for step in steps]),
        "p_boundary": np.array([step.test.p_boundary for step in steps]),
        "var_groups": np.array([step.var_groups for step in steps]),
        "var_cells": np.array([step.var_cells for step in steps]),
        "var_residual": np.array([step.var_residual for step in steps]),
        "icc": np.array([step.icc for step in steps]),
        **{name: np.array([step.explained.get(name, np.nan) for step in steps]) for name in EXPLAINED},
        "singular": np.array([step.singular for step in steps]),
        "converged": np.array([step.converged for step in steps]),
    }


def component_columns(records: Mapping[str, LMMRecord]) -> Columns:
    """One row a variance or covariance of a step."""
    tables = {name: varcorr_columns(record) for name, record in records.items()}
    first = next(iter(tables.values()))
    return {
        "step": [name for name, table in tables.items() for _ in table["group"]],
        **{column: [value for table in tables.values() for value in table[column]] for column in first},
    }


def ladder_page(
    design: Design,
    steps: Sequence[StepNumbers],
    records: Mapping[str, LMMRecord],
    notes: Sequence[str],
    shape: Summary | None,
    *,
    reml: bool,
) -> Summary:
    """Formulas as facts; criteria and tests, variances, and what is explained as tables; then the reading."""
    grouping = design.groupings[0]
    boundary = any(np.isfinite(step.test.p_boundary) for step in steps)
    return Summary(
        title=f"Ladder of models for {design.response_name}, rows grouped by {grouping.name}",
        facts=(
            ("Data", f"{design.n_obs:.0f} observations, {grouping.n_levels} levels of {grouping.name}"),
            *((step.name, step.formula) for step in steps),
        ),
        blocks=(
            step_block(steps),
            component_block(steps, records, grouping.name, reml=reml),
            explained_block(steps),
            *([] if shape is None else shape.blocks),
        ),
        notes=(
            *reading(steps, design.response_name, grouping.name),
            *([] if shape is None else shape.notes),
            *notes,
            *(
                [MEAN_NOTE]
                if any(len(term.names) > 1 for record in records.values() for term in record.terms)
                else []
            ),
            *([BOUNDARY_NOTE] if boundary else []),
        ),
    )


def step_block(steps: Sequence[StepNumbers]) -> Block:
    """Criteria and tests."""
    tests = [step.test for step in steps]
    chisq, df, p, boundary = (
        [getattr(test, name) for test in tests] for name in ("chisq", "df", "p_value", "p_boundary")
    )
    cells = {
        "": [step.name for step in steps],
        "npar": format_fixed([step.npar for step in steps], 0),
        "logLik": format_fixed([step.loglik for step in steps], 2),
        "AIC": format_fixed([step.aic for step in steps], 2),
        "BIC": format_fixed([step.bic for step in steps], 2),
        "against": [test.against or "" for test in tests],
        "Chisq": blank_missing(chisq, format_fixed(chisq, 2)),
        "df": blank_missing(df, format_fixed(df, 0)),
        "p": blank_missing(p, format_p(p)),
        "p (boundary)": blank_missing(boundary, format_p(boundary)),
    }
    return block("Criteria and tests (maximum likelihood)", cells)


def component_block(
    steps: Sequence[StepNumbers], records: Mapping[str, LMMRecord], groups: str, *, reml: bool
) -> Block:
    """The variances of each step's effects, their mean over the data, and the share of groups."""
    effects = list(dict.fromkeys(effect for record in records.values() for effect in variances(record)))
    found = [variances(records[step.name]) if step.name in records else {} for step in steps]
    several = len(effects) > 1
    cells = {
        "": [step.name for step in steps],
        **{
            title(effect, groups): missing_blank(each.get(effect, np.nan) for each in found)
            for effect in effects
        },
        "Residual": format_column([step.var_residual for step in steps]),
        **({"Groups (mean)": missing_blank(step.var_groups for step in steps)} if several else {}),
        "ICC": blank_missing([step.icc for step in steps], format_fixed([step.icc for step in steps], 3)),
        "REML criterion" if reml else "Deviance": blank_missing(
            [step.criterion for step in steps], format_fixed([step.criterion for step in steps], 1)
        ),
        "Fit": [state(step) for step in steps],
    }
    return block(f"Variances ({'REML' if reml else 'maximum likelihood'})", cells)


def explained_block(steps: Sequence[StepNumbers]) -> Block:
    """R2, and reductions against the empty model."""
    mixed = [step for step in steps if step.explained]
    titles = ("R2 marginal", "R2 conditional", "between", "within")
    columns = {
        header: format_fixed([step.explained[name] for step in mixed], 3)
        for header, name in zip(titles, EXPLAINED, strict=True)
    }
    return block(
        "Explained: of an observation (R2), and of the empty model's variances",
        {"": [step.name for step in mixed], **columns},
    )


def variances(record: LMMRecord) -> dict[tuple[str, str], float]:
    """Variance of each random effect, by group and column."""
    return {
        (term.group, name): float(term.covariance[k, k])
        for term in record.terms
        for k, name in enumerate(term.names)
    }


def title(effect: tuple[str, str], groups: str) -> str:
    """A column's header: the effect, or the combination of group and factor that has an intercept."""
    group, name = effect
    return name if group == groups else group


def state(step: StepNumbers) -> str:
    """How a fit ended."""
    if not step.converged:
        return "not converged"
    return "singular" if step.singular else "ok"


def missing_blank(values: Iterable[float]) -> list[str]:
    """Numbers of one column, blank where there is none."""
    numbers = list(values)
    return blank_missing(numbers, format_column(numbers))


def block(title: str, cells: Mapping[str, Sequence[str]]) -> Block:
    """A table of columns of text."""
    return Block(title, tuple(cells), tuple(zip(*cells.values(), strict=True)))
