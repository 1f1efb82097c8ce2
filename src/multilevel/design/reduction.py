"""Which models have one random effect less than this one?

A term `(1 + x + z | g)` is reduced to `(1 + z | g)` and to `(1 + x | g)`, an intercept `(1 | g)` is dropped,
and `(0 + x | g)` makes room for `(1 | g)` unless an intercept varies over g already. Terms that contain
others (interactions) are dropped before what they contain. The effects of `||` are independent, so each is
dropped by itself. Structures that bind their columns together (`ar1`, one common variance, `cs` without an
intercept) are dropped whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

import numpy as np

from multilevel._typing import Array, Frame
from multilevel.design.coding import contrast_table
from multilevel.design.columns import INTERCEPT
from multilevel.design.design import Design, RandomTerm
from multilevel.design.expressions import plain_name
from multilevel.design.full_rank import Block, code_terms
from multilevel.design.model_terms import Term, expand_terms
from multilevel.design.sides import LearnedSides

Columns = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reduction:
    """A design with one random effect less."""

    label: str  # "(1 | Subject)", "Days in (1 + Days | Subject)"
    design: Design
    term: int  # the term that was reduced, as the larger design counts
    lost: Columns  # its columns that are gone; all of them where the term is gone or has been replaced
    replaced: bool = False  # whether (1 | g) stands in its place, which may not be a special case of it


def reductions(design: Design, data: Frame, *, reduce: bool) -> list[Reduction]:
    """Every design with one random effect less; with `reduce=False` with one whole term less.

    `data` are those of the design: columns are read again in the rare case that a factor must be coded anew.
    """
    found: list[Reduction] = []
    for t in range(len(design.terms)):
        found += (reduced(design, t, data) if reduce else ()) or [whole_term(design, t)]
    return found


def reduced(design: Design, t: int, data: Frame) -> list[Reduction]:
    """Ways to take an effect out of term `t`; none if it can only be dropped whole."""
    term, effects = design.terms[t], expand_terms(design.formula.bars[t].effects)
    if term.structure == "diag" and not term.hom and len(effects) > 1:
        return [without_independent(design, t, effect) for effect in effects if is_free(effect, effects)]
    by_effect = term.structure == "us" or (term.structure == "cs" and () in effects and not term.hom)
    slopes = [effect for effect in effects if effect and is_free(effect, effects)]
    return (
        [without_slope(design, t, slope, data) for slope in slopes] if by_effect or one_column(term) else []
    )


def whole_term(design: Design, t: int) -> Reduction:
    """The design without term `t`."""
    return Reduction(in_brackets(design.terms[t].label), without(design, t), t, all_columns(design.terms[t]))


def without_independent(design: Design, t: int, effect: Term) -> Reduction:
    """The design without one of the effects that `||` keeps independent."""
    term = design.terms[t]
    group, name = design.groupings[term.grouping].name, effect_name(effect)
    lost = columns_of_effect(design, t, effect)
    kept = tuple(j for j in all_columns(term) if j not in lost)
    label = f"{name} in (0 + {name} | {group})" if effect else f"(1 | {group})"
    return Reduction(label, with_term(design, t, select(term, kept)), t, lost)


def without_slope(design: Design, t: int, slope: Term, data: Frame) -> Reduction:
    """The design with `slope` taken out of term `t`."""
    term = design.terms[t]
    effects = expand_terms(design.formula.bars[t].effects)
    rest = tuple(effect for effect in effects if effect != slope)
    label = f"{effect_name(slope)} in {in_brackets(term.label)}"
    if not rest:
        if has_other_intercept(design, t):
            return Reduction(label, without(design, t), t, all_columns(term))
        return Reduction(label, with_intercept_only(design, t), t, all_columns(term), replaced=True)
    kept = columns_of_effects(design, t, rest)
    if kept is None and term.structure == "us":
        return Reduction(
            label, with_term(design, t, coded_again(design, t, rest, data)), t, all_columns(term)
        )
    lost = columns_of_effect(design, t, slope)
    kept = tuple(j for j in all_columns(term) if j not in lost)
    return Reduction(label, with_term(design, t, select(term, kept)), t, lost)


# ---- effects and their columns ----


def is_free(effect: Term, effects: tuple[Term, ...]) -> bool:
    """Whether no other effect contains this one; the intercept does not count as contained."""
    return not effect or not any(set(effect) < set(other) for other in effects)


def effect_name(effect: Term) -> str:
    """The effect as the user wrote it: "Days", "x:z"."""
    return ":".join(plain_name(part) for part in effect) or "1"


def columns_of_effects(design: Design, t: int, effects: tuple[Term, ...]) -> Columns | None:
    """Columns of term `t` that code these effects alone; None if a factor would be coded anew for them."""
    blocks, sides = design.encoder.sides.blocks[t + 1], design.encoder.sides
    wanted = code_terms(effects, frozenset(sides.codings))
    if not set(wanted) <= set(blocks):
        return None
    return tuple(j for block in wanted for j in columns_of_block(design, t, blocks.index(block)))


def columns_of_effect(design: Design, t: int, effect: Term) -> Columns:
    """Columns of term `t` that this effect added to those of the effects before it."""
    effects = expand_terms(design.formula.bars[t].effects)
    labelled = frozenset(design.encoder.sides.codings)
    ends = [len(code_terms(effects[:k], labelled)) for k in range(len(effects) + 1)]
    first, last = list(pairwise(ends))[effects.index(effect)]
    return tuple(j for block in range(first, last) for j in columns_of_block(design, t, block))


def columns_of_block(design: Design, t: int, block: int) -> range:
    """Where the columns of one block stand in term `t`."""
    sides = design.encoder.sides
    widths = [block_width(sides, each) for each in sides.blocks[t + 1][: block + 1]]
    return range(sum(widths[:-1]), sum(widths))


def block_width(sides: LearnedSides, block: Block) -> int:
    """How many columns a product of factors has."""
    return prod(factor_width(sides, factor, full) for factor, full in block)


def factor_width(sides: LearnedSides, factor: str, full: bool) -> int:
    """How many columns a factor of a term has, with all its levels (`full`) or by its contrasts."""
    if factor in sides.widths:
        return sides.widths[factor]
    coding = sides.codings[factor]
    return len(coding.levels) if full else contrast_table(coding).shape[1]


def coded_again(design: Design, t: int, effects: tuple[Term, ...], data: Frame) -> RandomTerm:
    """Term `t` with these effects only, its columns read from the data."""
    encoder, term = design.encoder, design.terms[t]
    blocks = list[tuple[Block, ...]](encoder.sides.blocks)
    blocks[t + 1] = code_terms(effects, frozenset(encoder.sides.codings))
    sides = replace(encoder.sides, blocks=tuple(blocks))
    new = replace(encoder, sides=sides, offset=False, weights=False).encode(data, (), every_term=True)
    Z = np.asfortranarray(new.Z[t][design.rows[new.rows]])
    return replace(term, Z=Z, names=tuple(f"{effect_name(effects[0])}.{j}" for j in range(Z.shape[1])))


# ---- designs with another random part ----


def without(design: Design, t: int) -> Design:
    """The design without term `t`."""
    return replace(design, terms=tuple(term for k, term in enumerate(design.terms) if k != t))


def with_term(design: Design, t: int, term: RandomTerm) -> Design:
    """The design with another term in the place of term `t`."""
    return replace(design, terms=tuple(term if k == t else old for k, old in enumerate(design.terms)))


def with_intercept_only(design: Design, t: int) -> Design:
    """The design with (1 | g) in the place of term `t`, which has no intercept."""
    old = design.terms[t]
    label = f"1 | {design.groupings[old.grouping].name}"
    ones = np.ones((design.n_rows, 1), order="F")
    return with_term(design, t, RandomTerm(label, old.grouping, (INTERCEPT,), ones, "us", False))


def has_other_intercept(design: Design, t: int) -> bool:
    """Whether an intercept varies over the factor of term `t` by another term."""
    same = (k for k, term in enumerate(design.terms) if term.grouping == design.terms[t].grouping and k != t)
    return any(() in expand_terms(design.formula.bars[k].effects) for k in same)


def select(term: RandomTerm, kept: Columns) -> RandomTerm:
    """The term with some of its columns."""
    Z: Array = np.asfortranarray(term.Z[:, list(kept)])
    return replace(term, Z=Z, names=tuple(term.names[j] for j in kept))


def one_column(term: RandomTerm) -> bool:
    """Whether a term is a single column, which has no structure."""
    return term.n_columns == 1


def all_columns(term: RandomTerm) -> Columns:
    """Every column of a term."""
    return tuple(range(term.n_columns))


def in_brackets(label: str) -> str:
    """The term as a formula has it: "(1 | g)"; a structure has its own brackets: "ar1(0 + t | g)"."""
    return label if label.endswith(")") and "|" in label.partition("(")[2] else f"({label})"
