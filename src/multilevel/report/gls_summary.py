"""The summary of a fit by generalised least squares."""

from __future__ import annotations

import numpy as np

from multilevel.covariance.residual.specification import Residual
from multilevel.covariance.residual.variance_functions import (
    OfCovariate,
    VarConstPower,
    VarExp,
    VarFixed,
    VarianceFunction,
    VarIdent,
    VarPower,
    factors_of,
)
from multilevel.design.design import Design
from multilevel.estimation.gee.layout import ClusterLayout
from multilevel.fitted.gls import GLSRecord
from multilevel.inference.residual_parameters import ParameterTable, ResidualEstimates
from multilevel.inference.wald import CoefficientTable
from multilevel.report.blocks import coefficient_block, dropped_notes, residual_block
from multilevel.report.numbers import format_column
from multilevel.report.summary import Block, Summary
from multilevel.report.wording import plural

MOST_SHOWN = 12  # residual parameters in the summary; varcorr() has all of them


def gls_summary(
    design: Design,
    residual: Residual,
    layout: ClusterLayout | None,
    record: GLSRecord,
    coefficients: CoefficientTable,
    method: str,
    title: str,
) -> Summary:
    """Put the summary together; `method` says where degrees of freedom come from, `title` what was fitted."""
    return Summary(
        title=f"{title} fit by {'REML' if record.reml else 'maximum likelihood'}",
        facts=(
            ("Formula", design.formula.text),
            ("Observations", rows_in_words(design, layout)),
            ("Residual correlation", f"{residual.corr.name} ({residual.corr.words})"),
            ("Residual variance", variance_in_words(residual)),
            ("Tests", method),
        ),
        blocks=(
            residual_block("Normalized residuals", record.normalized, None),
            coefficient_block(coefficients, "Coefficients"),
            parameter_block(record),
        ),
        notes=(
            criterion_note(record),
            *boundary_notes(record),
            *search_notes(record),
            *dropped_notes(design.dropped),
            *missing_notes(layout),
        ),
    )


def missing_notes(layout: ClusterLayout | None) -> list[str]:
    """What is assumed of visits that are not there."""
    if layout is None or layout.time_name is None or len(set(layout.sizes.tolist())) == 1:
        return []
    return ["Rows that are missing are taken as missing at random given the model (MAR)."]


def rows_in_words(design: Design, layout: ClusterLayout | None) -> str:
    """Rows, groups, and their sizes."""
    if layout is None:
        return f"{design.n_rows}"
    sizes = layout.sizes
    low, high = int(sizes.min()), int(sizes.max())
    each = f"{low} each" if low == high else f"{low} to {high} each, {np.mean(sizes):.3g} on average"
    return f"{layout.n_rows} in {plural(layout.n_clusters, 'group')} of '{layout.name}' ({each})"


def variance_in_words(residual: Residual) -> str:
    """How the variance of residuals differs between rows."""
    parts = [function_in_words(function) for function in factors_of(residual.var)]
    text = " times ".join(parts) if parts else "equal"
    return text if residual.by is None else f"{text}; all parameters by {residual.by}"


def function_in_words(function: VarianceFunction) -> str:
    """One variance function."""
    match function:
        case VarIdent(by=name):
            return f"by {name}"
        case VarFixed(x=name):
            return f"proportional to {name}"
        case OfCovariate(x=name, by=own):
            x = "fitted values" if name is None else name
            by = "" if own is None else f", by {own}"
            return {
                VarPower: f"sd ~ |{x}|^power",
                VarExp: f"sd ~ exp(rate * {x})",
                VarConstPower: f"sd ~ constant + |{x}|^power",
            }[type(function)] + by
    return function.name


def parameter_block(record: ResidualEstimates) -> Block:
    """sigma and the parameters of the residual structure."""
    shown = min(len(record.parameters), MOST_SHOWN)
    estimates = np.append(record.sigma, record.parameters[:shown])
    cells = [format_column([value])[0] for value in estimates]
    title = "Residuals"
    if shown < len(record.parameters):
        title += f" (the first {shown} of {len(record.parameters)} parameters; varcorr() has all)"
    names = ("sigma", *record.parameter_names[:shown])
    return Block(title, ("", "Estimate"), tuple(zip(names, cells, strict=True)))


def criterion_note(record: GLSRecord) -> str:
    """The likelihood in a line."""
    name = "REML criterion" if record.reml else "Deviance (-2 log-likelihood)"
    return f"{name}: {record.criterion:.2f} with {record.n_parameters} parameters"


def boundary_notes(record: ResidualEstimates) -> list[str]:
    """Constants that are zero."""
    zero = [
        name
        for name, value in zip(record.parameter_names, record.parameters, strict=True)
        if name.startswith("constant") and value == 0.0
    ]
    if not zero:
        return []
    return [f"{', '.join(zero)}: zero, at the boundary, and without a standard error; a power alone will do."]


def search_notes(record: GLSRecord) -> list[str]:
    """What is wrong with the optimum, if anything is."""
    return [] if record.optimum.converged else [f"The search {record.optimum.message}."]


def parameter_columns(table: ParameterTable, *, conf_int: bool, errors: bool = True) -> dict[str, object]:
    """Columns of the table of residual parameters."""
    columns: dict[str, object] = {
        "group": list(table.group),
        "term": list(table.term),
        "estimate": table.estimate,
    }
    if errors:
        columns["std_error"] = table.std_error
    if conf_int:
        columns |= {"conf_low": table.conf_low, "conf_high": table.conf_high}
    return columns
