"""Which columns of X does each term of the fixed part have, and what are its cells in terms of these?

Tests of terms must not depend on how factors happen to be coded. They are stated for the coding that favours
no level, a column for each cell of each term (every combination of its factors' levels), which has more
columns than X. Each of these is a combination of the columns of X. The combinations follow from the coding
alone: a level's indicator is a combination of the constant and the contrasts of its factor, a cell's a
product of such.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from multilevel._typing import Array, Codes
from multilevel.design.coding import contrast_table
from multilevel.design.design import Design
from multilevel.design.expressions import plain_name
from multilevel.design.full_rank import Block, code_each_term
from multilevel.design.model_terms import Term, expand_terms
from multilevel.design.sides import LearnedSides
from multilevel.errors import ModelError

Part: TypeAlias = tuple[frozenset[str], frozenset[str]]  # numeric factors, and those coded by contrasts


@dataclass(frozen=True, slots=True)
class FixedTerm:
    """A term of the fixed part: a product of categorical and numeric factors."""

    name: str  # "Days:cond"
    categorical: frozenset[str]
    numeric: frozenset[str]
    columns: tuple[int, ...]  # its columns among those of X that were kept; none if all were dropped

    @property
    def is_constant(self) -> bool:
        """Whether it is the intercept."""
        return not self.categorical and not self.numeric

    def is_contained_in(self, other: FixedTerm) -> bool:
        """Whether the other term has the same numeric factors and more categorical ones, these included."""
        return self.numeric == other.numeric and self.categorical < other.categorical


@dataclass(frozen=True, slots=True)
class Cells:
    """A column for each cell of each term, as combinations of the p columns of X: C in all."""

    combinations: Array  # (p, C)
    term: Codes  # (C,) whose cell it is
    n_first: Codes  # (C,) how many of the cell's factors have their first level


def fixed_terms(design: Design) -> tuple[FixedTerm, ...]:
    """The terms of the fixed part in their order, the intercept included."""
    sides, position = design.encoder.sides, {j: k for k, j in enumerate(design.encoder.kept)}
    numeric = numeric_factors(design)
    found, first = [], 0
    for term, blocks in zip(*terms_and_blocks(design), strict=True):
        width = sum(prod(axis_width(sides, axis) for axis in block) for block in blocks)
        columns = tuple(position[j] for j in range(first, first + width) if j in position)
        found.append(
            FixedTerm(
                name=":".join(map(plain_name, term)) or "Intercept",
                categorical=frozenset(term) - numeric,
                numeric=frozenset(term) & numeric,
                columns=columns,
            )
        )
        first += width
    return tuple(found)


def term_cells(design: Design) -> Cells:
    """The cells of all terms, as combinations of the columns of X."""
    parts = coded_parts(design)
    terms, _ = terms_and_blocks(design)
    each = [cells_of(term, parts, design) for term in terms]
    return Cells(
        combinations=kept_from_all(design) @ np.hstack(each),
        term=np.repeat(np.arange(len(terms), dtype=np.int32), [cells.shape[1] for cells in each]),
        n_first=np.concatenate([first_levels(term, design) for term in terms]),
    )


# ---- what the formula says ----


def terms_and_blocks(design: Design) -> tuple[tuple[Term, ...], tuple[tuple[Block, ...], ...]]:
    """The terms of the fixed part, and the products of columns that each adds to X."""
    terms = expand_terms(design.formula.fixed)
    return terms, code_each_term(terms, frozenset(design.encoder.sides.codings))


def numeric_factors(design: Design) -> frozenset[str]:
    """Factors of terms that are numbers; so is one whose contrasts tell fewer than all its levels apart."""
    sides, (_, blocks) = design.encoder.sides, terms_and_blocks(design)
    axes = {axis for block in blocks for each in block for axis in each}
    partly = {name for name, _ in axes if name in sides.codings and not tells_all_levels(sides, name)}
    for name in sorted(partly):
        if (name, True) in axes:
            raise ModelError(
                f"the contrasts of '{plain_name(name)}' do not tell all its levels apart, and other terms "
                "code all of them, so its tests would depend on the coding; give it a contrast for each "
                "level but one."
            )
    return frozenset({name for name, _ in axes if name not in sides.codings} | partly)


def tells_all_levels(sides: LearnedSides, name: str) -> bool:
    """Whether the constant and the contrasts of a factor make its level indicators, in one way only."""
    basis = with_constant(contrast_table(sides.codings[name]))
    return bool(basis.shape[0] == basis.shape[1] == np.linalg.matrix_rank(basis))


def axis_width(sides: LearnedSides, axis: tuple[str, bool]) -> int:
    """How many columns a factor contributes to a product."""
    name, full = axis
    if name not in sides.codings:
        return sides.widths[name]
    return len(sides.codings[name].levels) if full else contrast_table(sides.codings[name]).shape[1]


def with_constant(contrasts: Array) -> Array:
    """A column of ones before the contrasts: (L, k + 1)."""
    return np.column_stack([np.ones(len(contrasts)), contrasts])


def n_coded(design: Design) -> int:
    """How many columns were coded, those dropped included."""
    return len(design.encoder.kept) + len(design.dropped.columns)


def kept_from_all(design: Design) -> Array:
    """Every column coded, those dropped too, as combinations of the p kept: (p, all)."""
    kept, dropped, n_all = design.encoder.kept, design.dropped, n_coded(design)
    combinations = np.zeros((len(kept), n_all))
    combinations[np.arange(len(kept)), list(kept)] = 1.0
    if dropped.combinations is not None:
        combinations[:, [j for j in range(n_all) if j not in kept]] = dropped.combinations
    return combinations


# ---- algebra of codings: axes stand in the order of their factors' names ----


def coded_parts(design: Design) -> dict[Part, Array]:
    """Each product of contrasts and numbers (k,), made from all columns coded: (k, all).

    A block that codes all levels of a factor holds both the constant (their sum) and its contrasts.
    """
    sides, numeric = design.encoder.sides, numeric_factors(design)
    blocks = [block for each in terms_and_blocks(design)[1] for block in each]
    n_all = n_coded(design)
    parts: dict[Part, Array] = {}
    first = 0
    for block in blocks:
        axes, widths = sorted(block), [axis_width(sides, axis) for axis in block]
        columns = first + by_name([name for name, _ in block], widths)
        first += len(columns)
        for without in product(*((False, True) if full else (False,) for _, full in axes)):
            made = kronecker(block_map(sides, *each) for each in zip(axes, without, strict=True))
            left = {name for (name, _), gone in zip(axes, without, strict=True) if not gone}
            part = np.zeros((len(made), n_all))
            part[:, columns] = made
            parts[frozenset(left & numeric), frozenset(left - numeric)] = part
    return parts


def block_map(sides: LearnedSides, axis: tuple[str, bool], without: bool) -> Array:
    """A factor's contrasts, or the constant, as combinations of its columns in a block: (out, in)."""
    name, full = axis
    if not full:
        return np.eye(axis_width(sides, axis))
    table = contrast_table(sides.codings[name])
    return np.ones((1, len(table))) if without else table.T


def cells_of(term: Term, parts: Mapping[Part, Array], design: Design) -> Array:
    """The cells of a term as combinations of all columns coded: (all, cells), its first factor fastest."""
    sides, numeric = design.encoder.sides, numeric_factors(design)
    axes = sorted(term)
    numbers, factors = frozenset(term) & numeric, [name for name in axes if name not in numeric]
    widths = cell_widths(term, design)
    total = np.zeros((n_coded(design), prod(widths)))
    for here in product((False, True), repeat=len(factors)):
        present = frozenset(name for name, is_in in zip(factors, here, strict=True) if is_in)
        made = kronecker(cell_map(sides, name, numeric, name in present) for name in axes)
        total += parts[numbers, present].T @ made
    return total[:, np.argsort(by_name(term, widths))]


def cell_map(sides: LearnedSides, name: str, numeric: frozenset[str], present: bool) -> Array:
    """The part of a factor's level indicators that its contrasts make, or that the constant makes."""
    if name in numeric:
        return np.eye(axis_width(sides, (name, False)))
    inverse = np.linalg.inv(with_constant(contrast_table(sides.codings[name])))  # indicators from both
    return np.asarray(inverse[1:] if present else inverse[:1])


def cell_widths(term: Term, design: Design) -> list[int]:
    """How many levels, or columns of numbers, each factor of a term has."""
    sides, numeric = design.encoder.sides, numeric_factors(design)
    return [axis_width(sides, (name, name not in numeric)) for name in term]


def first_levels(term: Term, design: Design) -> Codes:
    """How many factors of each cell of a term have their first level: (cells,)."""
    numeric, widths = numeric_factors(design), cell_widths(term, design)
    index = np.indices(widths[::-1]).reshape(len(widths), -1)[::-1] if widths else np.zeros((0, 1))
    is_factor = np.array([name not in numeric for name in term], dtype=bool)
    return np.asarray((index[is_factor] == 0).sum(axis=0), dtype=np.int32)


def by_name(names: Sequence[str], widths: Sequence[int]) -> npt.NDArray[np.intp]:
    """Positions of products whose first factor varies fastest, taken with the factors in order of name."""
    index = np.arange(prod(widths)).reshape(tuple(widths)[::-1]).transpose()
    return index.transpose(np.argsort(np.array(names, dtype=object), kind="stable")).ravel()


def kronecker(matrices: Iterable[Array]) -> Array:
    """The product of all, the last varying fastest; 1 for none."""
    total = np.ones((1, 1))
    for matrix in matrices:
        total = np.asarray(np.kron(total, matrix), dtype=np.float64)
    return total
