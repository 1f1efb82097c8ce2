"""A generalized linear model as equations: the distribution and link, the linear predictor, the estimates."""

from __future__ import annotations

from multilevel.design.design import Design
from multilevel.estimation.thresholds import boundary_names
from multilevel.fitted.glm import GLMRecord
from multilevel.report.glmm_summary import DISPERSION_WORDS, SHAPE_WORDS
from multilevel.report.notation import Equation, Product, Section, Symbol, Value, Words, response_label
from multilevel.report.numbers import format_number
from multilevel.report.ols_equation import ROW, beta, predictor


def glm_sections(design: Design, record: GLMRecord) -> list[Section]:
    """Distribution and link, linear predictor, coefficients, thresholds."""
    fixed = [Product(beta(j), predictor(name)) for j, name in enumerate(design.coef_names)]
    offset = [] if design.offset is None else [Product(None, (Symbol("offset", "", ROW, variable=True),))]
    coefficients = tuple(
        Value(beta(j), figure(estimate), name)
        for j, (estimate, name) in enumerate(zip(record.beta, record.coef_names, strict=True))
    )
    sections = [
        Section("Response", response_lines(design, record)),
        Section("Linear predictor", (Equation(Symbol("eta", "", ROW), (*fixed, *offset)),)),
        Section("Estimates", coefficients),
    ]
    if len(record.thresholds):
        cuts = zip(boundary_names(design.categories), record.thresholds.tolist(), strict=True)
        lines = tuple(Words(f"threshold {name} = {figure(value)}") for name, value in cuts)
        sections.append(Section("Thresholds", lines))
    return sections


def response_lines(design: Design, record: GLMRecord) -> tuple[Words, ...]:
    """The distribution in words."""
    family, name = record.family, response_label(design)
    if family.response == "ordered":
        return (Words(f"{family.link.name}(P({name} <= category)) = threshold - η"),)
    single = "probability μ" if family.density == "binomial" else "mean μ"
    what = "share with mean μ of the trials" if design.trials is not None else single
    lines = [
        Words(f"{name}: {family.name.replace('_', ' ')} with {what}"),
        Words(f"{family.link.name}(μ) = η" if family.link.name != "identity" else "μ = η"),
    ]
    if record.free_scale:
        lines.append(Words(f"dispersion {figure(record.scale)}: {DISPERSION_WORDS[family.density]}"))
    elif record.dispersion is not None:
        size = figure(float(record.dispersion[0]))
        lines.append(Words(f"dispersion {size}: {DISPERSION_WORDS[family.density]}"))
    if record.shape is not None:
        lines.append(Words(f"{SHAPE_WORDS[family.density].lower()}: {figure(record.shape)}"))
    return tuple(lines)


def figure(value: float) -> str:
    """Five digits."""
    return format_number(value, ".5g")
