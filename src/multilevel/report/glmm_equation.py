"""A generalized linear mixed model as equations: the response given the random effects, then what they "
"are."""

from __future__ import annotations

from dataclasses import dataclass, replace

from multilevel.design.design import Design
from multilevel.design.glmm import GLMMDesign
from multilevel.estimation.thresholds import boundary_names
from multilevel.families.moments import is_truncated
from multilevel.fitted.glmm import GLMMRecord
from multilevel.inference.glmm_prediction import SideEstimates, side_estimates
from multilevel.report.equation import combined_terms, hierarchy, number, observation, random_normal, values
from multilevel.report.glmm_summary import DISPERSION_WORDS, SHAPE_WORDS
from multilevel.report.notation import (
    Equation,
    Product,
    Section,
    Symbol,
    Words,
    response_label,
)


@dataclass(frozen=True, slots=True)
class PartLetters:
    """How one part of a model is written."""

    predictor: str
    coefficient: str
    link: str | None  # what the predictor stands for, where no other line says it


MEAN = PartLetters("eta", "gamma", None)


def glmm_sections(design: GLMMDesign, record: GLMMRecord) -> list[Section]:
    """Distribution and link, the linear predictor, the random effects, the estimates; then those of zeros."""
    mean = side_estimates(record, 0)
    sections = [
        Section("Response", response_lines(design, record)),
        *side_sections(design.main, mean, "Linear predictor"),
    ]
    if len(record.thresholds):
        names = boundary_names(design.categories)
        cuts = zip(names, record.thresholds.tolist(), strict=True)
        lines = tuple(Words(f"threshold {name} = {number(value)}") for name, value in cuts)
        sections.append(Section("Thresholds", lines))
    if design.zi is not None:
        sections += zero_sections(design, record)
    if design.dispersion is not None:
        sections += dispersion_sections(design.dispersion, record)
    return sections


def zero_sections(design: GLMMDesign, record: GLMMRecord) -> list[Section]:
    """The zeros, whose coefficients and random effects have letters of their own."""
    assert design.zi is not None
    what = "a zero" if is_truncated(record.family.density) else "an excess zero"
    link = f"logit(π) = ζ, π the probability of {what}"
    taken = len(design.main.groupings) if record.terms else 0
    return side_sections(
        design.zi, side_estimates(record, 1), "Zeros", PartLetters("zeta", "delta", link), taken
    )


def dispersion_sections(side: Design, record: GLMMRecord) -> list[Section]:
    """The dispersion, which has no random effects."""
    part = record.part("disp")
    assert part is not None
    estimates = SideEstimates(part.names, part.estimate, part.vcov, (), ())
    return side_sections(side, estimates, "Dispersion", PartLetters("xi", "alpha", "log(φ) = ξ"))


def response_lines(design: GLMMDesign, record: GLMMRecord) -> tuple[Words, ...]:
    """The distribution in words."""
    family, name = record.family, response_label(design.main)
    if family.response == "ordered":
        return (Words(f"{family.link.name}(P({name} <= category)) = threshold - η"),)
    what = "share with mean μ of the trials" if design.trials is not None else "mean μ"
    lines = [
        Words(f"{name}, given the random effects: {family.name.replace('_', ' ')} with {what}"),
        Words(f"{family.link.name}(μ) = η" if family.link.name != "identity" else "μ = η"),
    ]
    if record.dispersion is not None:
        words = DISPERSION_WORDS[family.density]
        size = "φ, modelled" if design.dispersion is not None else number(float(record.dispersion[0]))
        lines.append(Words(f"dispersion {size}: {words}"))
    if record.shape is not None:
        lines.append(Words(f"{SHAPE_WORDS[family.density].lower()}: {number(record.shape)}"))
    return tuple(lines)


def side_sections(
    side: Design,
    estimates: SideEstimates,
    heading: str,
    letters: PartLetters = MEAN,
    first_effect: int = 0,
) -> list[Section]:
    """A linear predictor, its random effects and its estimates, in the letters of its part."""
    tree = replace(hierarchy(side, estimates), letter=letters.coefficient, first_effect=first_effect)
    indices = observation(tree)
    offset = [] if side.offset is None else [Product(None, (Symbol("offset", "", indices, variable=True),))]
    terms = (*combined_terms(tree), *offset)
    equation = Equation(Symbol(letters.predictor, "", indices), terms)
    lines = (equation,) if letters.link is None else (Words(letters.link), equation)
    random = tuple(random_normal(tree, term) for term in estimates.terms)
    return [
        Section(heading, lines),
        *([Section("Random effects", random)] if random else []),
        Section("Estimates", tuple(values(tree, estimates))),
    ]
