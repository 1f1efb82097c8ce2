"""Estimating equations as a model of the mean."""

from __future__ import annotations

from multilevel.design.design import Design
from multilevel.families.family import Family
from multilevel.fitted.gee import GEERecord
from multilevel.report.notation import Equation, Product, Section, Symbol, Value, response_label
from multilevel.report.numbers import format_number
from multilevel.report.ols_equation import ROW, beta, predictor

ROWS = "ij"  # row j of cluster i


def gee_sections(design: Design, record: GEERecord, family: Family, corr: str) -> list[Section]:
    """The mean, the estimates, and the parameters of scale and working correlation."""
    association = [Value(Symbol("phi", "", ""), format_number(record.phi, ".5g"), "scale")]
    for name, value in zip(record.alpha_names, record.alpha, strict=True):
        association.append(Value(Symbol("alpha", "", ""), format_number(float(value), ".5g"), name))
    coefficients = tuple(
        Value(beta(j), format_number(estimate, ".5g"), name)
        for j, (estimate, name) in enumerate(zip(record.beta, record.coef_names, strict=True))
    )
    return [
        Section("Mean", (mean_equation(design, family),)),
        Section("Estimates", coefficients),
        Section(f"Scale and {corr} working correlation", tuple(association)),
    ]


def mean_equation(design: Design, family: Family) -> Equation:
    """The link of the mean as the sum of coefficients times predictors, and the offset."""
    fixed = [Product(beta(j), predictor(name)) for j, name in enumerate(design.coef_names)]
    offset = [] if design.offset is None else [Product(None, (Symbol("offset", "", ROW, variable=True),))]
    name = response_label(design)
    left = f"E[{name}]" if family.link.name == "identity" else f"{family.link.name} E[{name}]"
    return Equation(Symbol(left, "", ROW, variable=True), (*fixed, *offset))
