"""A linear model as equations."""

from __future__ import annotations

from multilevel.design.design import Design
from multilevel.fitted.ols import OLSRecord
from multilevel.report.notation import Equation, Normal, Product, Section, Symbol, Value, response_label
from multilevel.report.numbers import format_number

ROW = "i"  # index of an observation


def linear_sections(design: Design, record: OLSRecord) -> list[Section]:
    """The model, the distribution of its errors, and the estimates."""
    return [
        Section("Model", (model_equation(design),)),
        Section("Distributions", (error_distribution(design, record),)),
        Section("Estimates", coefficient_values(record)),
    ]


def model_equation(design: Design) -> Equation:
    """The response as the sum of coefficients times predictors, offset and error."""
    fixed = [Product(beta(j), predictor(name)) for j, name in enumerate(design.coef_names)]
    offset = [] if design.offset is None else [Product(None, (Symbol("offset", "", ROW, variable=True),))]
    error = Product(Symbol("e", "", ROW))
    return Equation(Symbol(response_label(design), "", ROW, variable=True), (*fixed, *offset, error))


def beta(j: int) -> Symbol:
    """The coefficient in position `j`."""
    return Symbol("beta", str(j), "")


def predictor(name: str) -> tuple[Symbol, ...]:
    """The column that a coefficient multiplies; none for the intercept."""
    return () if name == "Intercept" else (Symbol(name, "", ROW, variable=True),)


def error_distribution(design: Design, record: OLSRecord) -> Normal:
    """Normal errors, their variance divided by the precision weights."""
    weight = None if design.weights is None else Symbol("weight", "", ROW, variable=True)
    return Normal((Symbol("e", "", ROW),), ((format_number(record.sigma**2, ".5g"),),), weight)


def coefficient_values(record: OLSRecord) -> tuple[Value, ...]:
    """Each coefficient with its estimate and name."""
    return tuple(
        Value(beta(j), format_number(estimate, ".5g"), name)
        for j, (estimate, name) in enumerate(zip(record.beta, record.coef_names, strict=True))
    )
