"""A linear mixed model as equations: one for each level, and all of them combined.

Level 1 describes an observation within its groups; the coefficients that vary between groups get equations of
their own, to which predictors that are constant within a group belong (Raudenbush and Bryk 2002, chapter 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from multilevel._typing import Array, Codes
from multilevel.clusters.icc import holds
from multilevel.design.design import Design
from multilevel.fitted.lmm import LMMRecord, MixedEstimates, TermCovariance
from multilevel.report.notation import Equation, Normal, Product, Section, Symbol, Value, response_label
from multilevel.report.numbers import format_number
from multilevel.report.structures import is_structured, structure_words

INDEX_LETTERS = "jklmnopqr"  # of the grouping factors; i is the observation's
EFFECT_LETTERS = "uvwrsabcd"  # of their random effects
INTERCEPT = "Intercept"


@dataclass(frozen=True, slots=True)
class Home:
    """Where a predictor of a higher level belongs; factors by their position in a hierarchy."""

    target: str  # the varying coefficient that it explains
    level: int  # the factor in whose equation it stands
    constant: int  # the outermost factor within whose levels it is constant


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """Which coefficients vary over which grouping factors, and which predictors belong to them.

    Grouping factors are numbered by position in `order`, innermost first.
    """

    order: tuple[int, ...]  # (G,) indices into the design's groupings
    names: tuple[str, ...]  # (G,) in that order
    nested: bool  # whether each factor lies within the next
    coefficients: tuple[str, ...]  # fixed ones first, then those that only vary about zero
    n_fixed: int
    varies: dict[str, tuple[int, ...]]  # coefficient -> positions of the factors it varies over, sorted
    home: dict[str, Home]  # predictors of higher levels
    letter: str = "gamma"  # of the fixed coefficients
    first_effect: int = 0  # which letter the random effects of the innermost factor have


def equation_sections(design: Design, record: LMMRecord) -> list[Section]:
    """The whole model: levels, combined form, distributions and estimates."""
    tree = hierarchy(design, record)
    return [
        observation_section(tree, design),
        *group_sections(tree),
        combined_section(tree, design),
        distribution_section(tree, design, record),
        Section("Estimates", tuple(values(tree, record))),
    ]


def hierarchy(design: Design, record: MixedEstimates) -> Hierarchy:
    """Order the grouping factors, and find what varies over each and what explains it."""
    inside = holds(design)
    order = tuple(sorted(range(len(design.groupings)), key=lambda g: -design.groupings[g].n_levels))
    nested = all(inside[a, b] for a, b in pairwise(order))
    only_random = [name for term in record.terms for name in term.names if name not in record.coef_names]
    varies: dict[str, tuple[int, ...]] = {}
    for term in record.terms:
        for name in term.names:
            varies[name] = tuple(sorted({*varies.get(name, ()), order.index(term.grouping)}))
    return Hierarchy(
        order=order,
        names=tuple(design.groupings[g].name for g in order),
        nested=nested,
        coefficients=(*record.coef_names, *dict.fromkeys(only_random)),
        n_fixed=len(record.coef_names),
        varies=varies,
        home=predictor_homes(design, order, varies),
    )


def predictor_homes(
    design: Design, order: Sequence[int], varies: dict[str, tuple[int, ...]]
) -> dict[str, Home]:
    """Where each predictor of a higher level belongs.

    A column that is constant within the levels of a factor explains the intercept; its product with a
    column whose slope varies explains that slope.
    """
    constant = {
        name: [g for g, k in enumerate(order) if is_constant(column, design.groupings[k].codes)]
        for name, column in zip(design.coef_names, design.X.T, strict=True)
        if name != INTERCEPT
    }
    homes = {}
    for name in constant:
        for target, predictor in explanations(name, varies):
            levels = [g for g in varies[target] if g in constant.get(predictor, ())]
            if levels:
                homes[name] = Home(target, levels[-1], constant[predictor][-1])
                break
    return homes


def explanations(name: str, varies: dict[str, tuple[int, ...]]) -> list[tuple[str, str]]:
    """Pairs (varying coefficient, predictor of it) that a column's name can stand for."""
    pairs = [(INTERCEPT, name)] if INTERCEPT in varies else []
    if ":" in name:
        first, _, rest = name.partition(":")
        pairs += [(slope, other) for slope, other in ((first, rest), (rest, first)) if slope in varies]
    return [(target, predictor) for target, predictor in pairs if target != name]


def is_constant(column: Array, codes: Codes) -> bool:
    """Whether a column (n,) has one value in each level of a factor."""
    value = np.empty(int(codes.max()) + 1)
    value[codes] = column
    return bool((value[codes] == column).all())


# Symbols ---------------------------------------------------------------------------------------------


def letters(tree: Hierarchy, positions: Sequence[int]) -> str:
    """Indices of the factors at `positions`; in a nested model, and of the levels above them."""
    shown = range(positions[0], len(tree.order)) if tree.nested and positions else positions
    return "".join(INDEX_LETTERS[position] for position in shown)


def observation(tree: Hierarchy) -> str:
    """Indices of an observation: its own, and one for each grouping factor."""
    return "i" + "".join(INDEX_LETTERS[position] for position in range(len(tree.order)))


def gamma(tree: Hierarchy, name: str) -> Symbol:
    """The fixed value of a coefficient."""
    return Symbol(tree.letter, number_of(tree, name), "")


def number_of(tree: Hierarchy, name: str) -> str:
    """A coefficient's number: 0 of an intercept, even one that only varies about zero."""
    if INTERCEPT in tree.coefficients[tree.n_fixed :]:
        others = [each for each in tree.coefficients if each != INTERCEPT]
        return "0" if name == INTERCEPT else str(1 + others.index(name))
    return str(tree.coefficients.index(name))


def beta(tree: Hierarchy, name: str, positions: Sequence[int]) -> Symbol:
    """A coefficient that varies over factors."""
    return Symbol("beta", number_of(tree, name), letters(tree, positions))


def effect(tree: Hierarchy, name: str, position: int) -> Symbol:
    """The random effect of one factor on a coefficient."""
    letter = EFFECT_LETTERS[tree.first_effect + position]
    return Symbol(letter, number_of(tree, name), letters(tree, [position]))


def variables(name: str, indices: str) -> tuple[Symbol, ...]:
    """The column that a coefficient multiplies; none for the intercept."""
    return () if name == INTERCEPT else (Symbol(name, "", indices, variable=True),)


# Sections --------------------------------------------------------------------------------------------


def observation_section(tree: Hierarchy, design: Design) -> Section:
    """Level 1: the response by the coefficients that hold within its groups."""
    indices = observation(tree)
    terms = []
    for name in tree.coefficients:
        if name in tree.varies:
            terms.append(Product(beta(tree, name, tree.varies[name]), variables(name, indices)))
        elif name not in tree.home:
            terms.append(Product(gamma(tree, name), variables(name, indices)))
    return Section("Level 1 (observations)", (whole(tree, design, terms),))


def combined_section(tree: Hierarchy, design: Design) -> Section:
    """All levels put into one equation."""
    return Section("Combined", (whole(tree, design, combined_terms(tree)),))


def combined_terms(tree: Hierarchy) -> list[Product]:
    """Fixed coefficients and random effects with what they multiply."""
    indices = observation(tree)
    fixed = [
        Product(gamma(tree, name), fixed_variables(tree, name)) for name in tree.coefficients[: tree.n_fixed]
    ]
    random = [
        Product(effect(tree, name, position), variables(name, indices))
        for position in range(len(tree.order))
        for name in tree.coefficients
        if position in tree.varies.get(name, ())
    ]
    return fixed + random


def whole(tree: Hierarchy, design: Design, terms: Sequence[Product]) -> Equation:
    """The response as the sum of terms, offset and error."""
    indices = observation(tree)
    offset = [] if design.offset is None else [Product(None, (Symbol("offset", "", indices, variable=True),))]
    error = Product(Symbol("e", "", indices))
    return Equation(Symbol(response_label(design), "", indices, variable=True), (*terms, *offset, error))


def group_sections(tree: Hierarchy) -> list[Section]:
    """Level 2 and above: one section a level when the factors are nested, else one for all of them."""
    if not tree.nested:
        names = ", ".join(f"{name} {INDEX_LETTERS[k]}" for k, name in enumerate(tree.names))
        lines = [group_equation(tree, name, tree.varies[name], ()) for name in varying(tree)]
        return [Section(f"Level 2 (crossed: {names})", tuple(lines))]
    return [
        Section(f"Level {position + 2} ({name})", tuple(level_equations(tree, position)))
        for position, name in enumerate(tree.names)
    ]


def level_equations(tree: Hierarchy, position: int) -> list[Equation]:
    """Equations of the coefficients that vary at one level of a nested model."""
    names = [name for name in varying(tree) if position in tree.varies[name]]
    return [
        group_equation(tree, name, (position,), tuple(p for p in tree.varies[name] if p > position))
        for name in names
    ]


def varying(tree: Hierarchy) -> list[str]:
    """Coefficients that vary, in their order."""
    return [name for name in tree.coefficients if name in tree.varies]


def group_equation(tree: Hierarchy, name: str, here: tuple[int, ...], above: tuple[int, ...]) -> Equation:
    """A varying coefficient: its value one level up, what explains it here, and the random effects."""
    explained = [
        Product(gamma(tree, each), explaining_variable(tree, each))
        for each, home in tree.home.items()
        if home.target == name and home.level in here
    ]
    fixed = name in tree.coefficients[: tree.n_fixed]
    base = [Product(beta(tree, name, above))] if above else [Product(gamma(tree, name))] if fixed else []
    effects = [Product(effect(tree, name, position)) for position in here]
    return Equation(beta(tree, name, here if not tree.nested else [here[0]]), (*base, *explained, *effects))


def explaining_variable(tree: Hierarchy, name: str) -> tuple[Symbol, ...]:
    """The predictor of a higher level: of a product, what is left without the slope's own column."""
    home = tree.home[name]
    part = (
        name
        if home.target == INTERCEPT
        else name.removeprefix(f"{home.target}:").removesuffix(f":{home.target}")
    )
    return variables(part, letters(tree, [home.constant]))


def fixed_variables(tree: Hierarchy, name: str) -> tuple[Symbol, ...]:
    """What a fixed coefficient multiplies in the combined form."""
    indices = observation(tree)
    if name not in tree.home:
        return variables(name, indices)
    return (*variables(tree.home[name].target, indices), *explaining_variable(tree, name))


def distribution_section(tree: Hierarchy, design: Design, record: LMMRecord) -> Section:
    """What the random effects and the errors are drawn from."""
    indices = observation(tree)
    weight = None if design.weights is None else Symbol("weight", "", indices, variable=True)
    error = Normal((Symbol("e", "", indices),), ((number(record.sigma**2),),), weight)
    return Section("Distributions", (*(random_normal(tree, term) for term in record.terms), error))


def random_normal(tree: Hierarchy, term: TermCovariance) -> Normal:
    """The joint distribution of one term's random effects."""
    position = tree.order.index(term.grouping)
    symbols = tuple(effect(tree, name, position) for name in term.names)
    if is_structured(term):
        return Normal(symbols, structure_words(term, ".5g"))
    return Normal(symbols, tuple(tuple(number(entry) for entry in row) for row in term.covariance))


def values(tree: Hierarchy, record: MixedEstimates) -> list[Value]:
    """The fixed coefficients with their estimates and names."""
    return [
        Value(gamma(tree, name), number(estimate), name)
        for name, estimate in zip(record.coef_names, record.beta, strict=True)
    ]


def number(value: float) -> str:
    """A number to five digits."""
    return format_number(value, ".5g")
