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
from itertools import chain, product
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

Indices: TypeAlias = npt.NDArray[np.intp]
Part: TypeAlias = tuple[frozenset[str], frozenset[str]]  # numeric factors, and those coded by contrasts

SINGULAR = 1e10  # condition of the constant and contrasts beyond which they tell too few levels apart


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
    axes, position = find_axes(design), {j: k for k, j in enumerate(design.encoder.kept)}
    numeric = frozenset(name for name, axis in axes.items() if axis.is_numeric)
    found, first = [], 0
    for term, blocks in zip(*terms_and_blocks(design), strict=True):
        width = sum(prod(axes[name].n_columns(full) for name, full in block) for block in blocks)
        found.append(
            FixedTerm(
                name=":".join(map(plain_name, term)) or "Intercept",
                categorical=frozenset(term) - numeric,
                numeric=frozenset(term) & numeric,
                columns=tuple(position[j] for j in range(first, first + width) if j in position),
            )
        )
        first += width
    return tuple(found)


def term_cells(design: Design) -> Cells:
    """The cells of all terms, as combinations of the columns of X."""
    axes, (terms, blocks) = find_axes(design), terms_and_blocks(design)
    parts = coded_parts([block for each in blocks for block in each], axes)
    n_coded = 1 + max(int(columns.max(initial=-1)) for columns, _ in parts.values())
    each = [cells_of([axes[name] for name in term], parts, n_coded) for term in terms]
    return Cells(
        combinations=in_kept_columns(np.hstack(each), design),
        term=np.repeat(np.arange(len(terms), dtype=np.int32), [cells.shape[1] for cells in each]),
        n_first=np.concatenate([first_levels([axes[name] for name in term]) for term in terms]),
    )


def terms_and_blocks(design: Design) -> tuple[tuple[Term, ...], tuple[tuple[Block, ...], ...]]:
    """The terms of the fixed part, and the products of columns that each adds to X."""
    terms = expand_terms(design.formula.fixed)
    return terms, code_each_term(terms, frozenset(design.encoder.sides.codings))


def in_kept_columns(combinations: Array, design: Design) -> Array:
    """Combinations of all columns coded (all, C) as those of the p that were kept: (p, C)."""
    kept, dropped = design.encoder.kept, design.dropped.combinations
    if dropped is None:
        return np.asarray(combinations[list(kept)])
    replaced = design.encoder.sides.intercept_of(0) if design.categories else None  # by thresholds
    others = [j for j in range(len(combinations)) if j not in kept and j != replaced]
    return np.asarray(combinations[list(kept)] + dropped @ combinations[others])


# ---- the factors of terms ----


@dataclass(frozen=True, slots=True)
class Axis:
    """A factor of a term: numbers (maybe several columns), or labels that are coded by contrasts."""

    name: str
    width: int  # columns of numbers, or levels L
    contrasts: Array | None  # (L, L - 1); None for numbers
    indicators: Array | None  # (L, L) indicators of the levels as combinations of 1 and the contrasts

    @property
    def is_numeric(self) -> bool:
        """Whether it is numbers."""
        return self.contrasts is None

    def n_columns(self, full: bool) -> int:
        """How many columns it contributes to a product, where `full` codes all its levels."""
        return self.width if full or self.contrasts is None else self.contrasts.shape[1]

    def from_block(self, full: bool, without: bool) -> Array:
        """Its contrasts, or the constant in place of them, from its columns in a product: (out, in)."""
        if not full or self.contrasts is None:
            return np.eye(self.n_columns(full))
        return np.ones((1, self.width)) if without else self.contrasts.T

    def to_cells(self, present: bool) -> Array:
        """The part of its level indicators that the contrasts make, or else the constant: (in, L)."""
        if self.indicators is None:
            return np.eye(self.width)
        return self.indicators[1:] if present else self.indicators[:1]


def find_axes(design: Design) -> dict[str, Axis]:
    """The factors of the terms; one whose contrasts do not tell all its levels apart is as numbers are."""
    blocks = [block for each in terms_and_blocks(design)[1] for block in each]
    is_full: dict[str, bool] = {}
    for name, full in chain.from_iterable(blocks):
        is_full[name] = full or is_full.get(name, False)
    return {name: find_axis(name, full, design.encoder.sides) for name, full in is_full.items()}


def find_axis(name: str, is_full: bool, sides: LearnedSides) -> Axis:
    """One factor; `is_full` says whether some product codes all its levels."""
    if name not in sides.codings:
        return Axis(name, sides.widths[name], None, None)
    contrasts = contrast_table(sides.codings[name])
    levels, k = contrasts.shape
    basis = np.column_stack([np.ones(levels), contrasts])
    if levels == k + 1 and np.linalg.cond(basis / np.abs(basis).max(axis=0), 1) < SINGULAR:
        return Axis(name, levels, contrasts, np.asarray(np.linalg.inv(basis), dtype=np.float64))
    if is_full:
        raise ModelError(
            f"the contrasts of '{plain_name(name)}' do not tell all its levels apart, and other terms code "
            "all of them, so its tests would depend on the coding; give it a contrast for each level but one."
        )
    return Axis(name, k, None, None)


# ---- algebra of codings: products are over factors in order of name, the last varying fastest ----


def coded_parts(blocks: Sequence[Block], axes: Mapping[str, Axis]) -> dict[Part, tuple[Indices, Array]]:
    """Each product of contrasts and numbers (k,), from which columns it is made, and how: (w,), (k, w).

    A product that codes all levels of a factor holds both the constant (their sum) and its contrasts.
    """
    parts: dict[Part, tuple[Indices, Array]] = {}
    first = 0
    for block in blocks:
        coded = [(axes[name], full) for name, full in sorted(block)]
        widths = [axes[name].n_columns(full) for name, full in block]
        columns = first + by_name([name for name, _ in block], widths)
        first += len(columns)
        for without in product(*((False, True) if full else (False,) for _, full in coded)):
            each = list(zip(coded, without, strict=True))
            made = kronecker(axis.from_block(full, gone) for (axis, full), gone in each)
            left = [axis for (axis, _), gone in each if not gone]
            parts[part_of(left)] = columns, made
    return parts


def part_of(axes: Sequence[Axis]) -> Part:
    """What a product of numbers and contrasts is called."""
    numeric = frozenset(axis.name for axis in axes if axis.is_numeric)
    return numeric, frozenset(axis.name for axis in axes) - numeric


def cells_of(term: Sequence[Axis], parts: Mapping[Part, tuple[Indices, Array]], n_coded: int) -> Array:
    """The cells of a term from all columns coded: (all, cells), the levels of its first factor fastest."""
    axes, widths = sorted(term, key=lambda axis: axis.name), [axis.width for axis in term]
    total = np.zeros((n_coded, prod(widths)))
    for present in product(*((True,) if axis.is_numeric else (False, True) for axis in axes)):
        here = list(zip(axes, present, strict=True))
        columns, made = parts[part_of([axis for axis, is_in in here if is_in])]
        total[columns] += made.T @ kronecker(axis.to_cells(is_in) for axis, is_in in here)
    return total[:, np.argsort(by_name([axis.name for axis in term], widths))]


def first_levels(term: Sequence[Axis]) -> Codes:
    """How many factors of each cell of a term have their first level: (cells,)."""
    widths = [axis.width for axis in term]
    index = np.indices(widths[::-1]).reshape(len(widths), prod(widths))[::-1]
    is_factor = np.array([not axis.is_numeric for axis in term], dtype=bool)
    return np.asarray((index[is_factor] == 0).sum(axis=0), dtype=np.int32)


def by_name(names: Sequence[str], widths: Sequence[int]) -> Indices:
    """Positions of products whose first factor varies fastest, taken with the factors in order of name."""
    index = np.arange(prod(widths)).reshape(tuple(widths)[::-1]).transpose()
    return index.transpose(np.argsort(np.array(names, dtype=object), kind="stable")).ravel()


def kronecker(matrices: Iterable[Array]) -> Array:
    """The product of all, the last varying fastest; 1 for none."""
    total = np.ones((1, 1))
    for matrix in matrices:
        total = np.asarray(np.kron(total, matrix), dtype=np.float64)
    return total
