"""The model matrices of the fixed part and of each left side of a bar, coded together.

`learn_sides` codes the data of a fit and keeps what it learned (level orders, centres, knots, which
factors have all their levels); `apply_sides` codes new data alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, product
from math import prod

import numpy as np

from multilevel._typing import Array
from multilevel.design.coding import Coded, Codings, Column, Labels, code_value, count_columns, make_columns
from multilevel.design.columns import INTERCEPT
from multilevel.design.expressions import Columns, Memory, evaluate, plain_name
from multilevel.design.full_rank import Block, code_terms
from multilevel.design.memory import is_small, require_memory
from multilevel.design.model_terms import expand_terms
from multilevel.design.text_numbers import refuse_text_of_numbers


@dataclass(frozen=True, slots=True)
class Matrix:
    """A model matrix and the names of its columns."""

    values: Array  # (n, k) Fortran order
    names: tuple[str, ...]  # (k,)


@dataclass(frozen=True, slots=True)
class LearnedSides:
    """What is needed to code new data as those of the fit."""

    blocks: tuple[tuple[Block, ...], ...]  # for each side, the products of columns it is made of
    memory: Memory
    codings: Codings
    widths: dict[str, int]  # numeric factor of a term -> its number of columns

    def intercept_of(self, side: int) -> int | None:
        """Which column of a side is the intercept: the first, if there is one."""
        return 0 if () in self.blocks[side] else None


def learn_sides(sides: Sequence[str], columns: Columns, n: int) -> tuple[list[Matrix], LearnedSides]:
    """Model matrices of formulaic right-hand sides, and what was learned on the way."""
    memory: Memory = {}
    codings: Codings = {}
    terms = [expand_terms(side) for side in sides]
    factors = set(chain.from_iterable(chain.from_iterable(terms)))
    for name in factors.intersection(columns):
        refuse_text_of_numbers(name, columns[name])
    coded = {factor: code_value(factor, evaluate(factor, columns, memory), n, codings) for factor in factors}
    labelled = frozenset(factor for factor in factors if isinstance(coded[factor], Labels))
    blocks = tuple(code_terms(each, labelled) for each in terms)
    _require_memory(blocks, coded, n)
    matrices: list[Matrix] = []
    for side in blocks:
        matrices.append(_shared(side, blocks, matrices, coded) or _build(side, coded, n))
    widths = {factor: count_columns(coded[factor], full=False) for factor in factors - labelled}
    return matrices, LearnedSides(blocks, memory, codings, widths)


def own_columns(sides: Sequence[Matrix]) -> list[Matrix]:
    """The matrices that are no views of an earlier one."""
    return [side for side in sides if side.values.base is None]


def apply_sides(learned: LearnedSides, wanted: Sequence[int], columns: Columns, n: int) -> list[Matrix]:
    """The matrices of the wanted sides for new data."""
    blocks = [learned.blocks[side] for side in wanted]
    factors = {factor for block in chain.from_iterable(blocks) for factor, _ in block}
    coded = {
        factor: code_value(factor, evaluate(factor, columns, learned.memory), n, learned.codings)
        for factor in factors
    }
    return [_build(side, coded, n) for side in blocks]


def _build(side: Sequence[Block], coded: dict[str, Coded], n: int) -> Matrix:
    width = sum(_width(block, coded) for block in side)
    values = np.empty((n, width), order="F")
    names: list[str] = []
    for factors in chain.from_iterable(_products(block, coded) for block in side):
        _write_product(values[:, len(names)], factors)
        names.append(":".join(factor.name for factor in factors) or INTERCEPT)
    return Matrix(values, tuple(names))


def _shared(
    side: Sequence[Block], blocks: Sequence[Sequence[Block]], built: Sequence[Matrix], coded: dict[str, Coded]
) -> Matrix | None:
    """A view of a matrix built before, when that one opens with the same columns."""
    for other, matrix in zip(blocks, built, strict=False):
        if side and tuple(other[: len(side)]) == tuple(side):
            width = sum(_width(block, coded) for block in side)
            return Matrix(matrix.values[:, :width], matrix.names[:width])
    return None


def _products(block: Block, coded: dict[str, Coded]) -> Iterator[tuple[Column, ...]]:
    """The factors of each column of a product, the first varying fastest as in R."""
    columns = [make_columns(coded[factor], full) for factor, full in reversed(block)]
    return (combination[::-1] for combination in product(*columns))


def _write_product(target: Array, factors: Sequence[Column]) -> None:
    if not factors:
        target[:] = 1.0
        return
    factors[0].write(target)
    for factor in factors[1:]:
        factor.multiply(target)


def _width(block: Block, coded: dict[str, Coded]) -> int:
    return prod(count_columns(coded[factor], full) for factor, full in block)


def _require_memory(blocks: Sequence[Sequence[Block]], coded: dict[str, Coded], n: int) -> None:
    sizes = [(block, _width(block, coded)) for block in chain.from_iterable(blocks)]
    if is_small(n, sum(width for _, width in sizes)):
        return
    widths: dict[str, int] = {}
    for block, width in sizes:
        name = ":".join(plain_name(factor) for factor, _ in block)
        widths[name] = widths.get(name, 0) + width
    require_memory(n, widths)
