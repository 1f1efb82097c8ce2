"""The bars of a formula as random-effects terms over shared grouping factors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from multilevel._typing import Mask
from multilevel.design.design import Grouping, RandomTerm
from multilevel.design.expressions import Columns, Memory, evaluate, plain_name
from multilevel.design.factor import as_factor
from multilevel.design.grouping import GroupCoder, code_groups, refuse_single_level
from multilevel.design.sides import Matrix
from multilevel.design.text_numbers import warn_of_text_order
from multilevel.formula.bars import HOMOGENEOUS_BY_DEFAULT
from multilevel.formula.terms import Bar
from multilevel.frames.labels import group_codes
from multilevel.frames.table import Categorical, Table


@dataclass(frozen=True, slots=True)
class RandomPart:
    """The random effects of a model."""

    groupings: tuple[Grouping, ...]
    coders: tuple[GroupCoder, ...]  # for each grouping, what finds its levels in new data
    terms: tuple[RandomTerm, ...]


def code_random_part(
    bars: Sequence[Bar], matrices: Sequence[Matrix], labels: Callable[[str], Categorical]
) -> RandomPart:
    """Terms for the bars, with the columns of their left sides; `labels` gives each row's label.

    Bars on one factor share its grouping, whatever the order in which an interaction is written.
    """
    factors: dict[frozenset[str], tuple[str, ...]] = {}
    for bar in bars:
        factors.setdefault(frozenset(bar.factor), bar.factor)
    coded = [code_groups(factor, [labels(part) for part in factor]) for factor in factors.values()]
    groupings, coders = tuple(each for each, _ in coded), tuple(each for _, each in coded)
    for grouping in groupings:
        refuse_single_level(grouping)
    index = {factor: i for i, factor in enumerate(factors)}
    terms = (
        _term(bar, matrix, index[frozenset(bar.factor)], groupings)
        for bar, matrix in zip(bars, matrices, strict=True)
    )
    return RandomPart(groupings, coders, tuple(terms))


def row_labels(
    expression: str, table: Table, rows: Mask | None, columns: Columns, memory: Memory
) -> Categorical:
    """Each used row's label: from a column, or from an expression such as `factor(g)`."""
    if expression not in table.names:
        factor = as_factor(evaluate(expression, columns, memory))
        return group_codes(Categorical(factor.codes, factor.levels, factor.ordered))
    whole = table.labels(expression)
    return whole if rows is None else Categorical(whole.codes[rows], whole.levels, whole.ordered)


def _term(bar: Bar, matrix: Matrix, grouping: int, groupings: Sequence[Grouping]) -> RandomTerm:
    label = _label(bar, groupings[grouping].name)
    if bar.structure == "ar1":
        warn_of_text_order(label, matrix.names)
    return RandomTerm(
        label=label,
        grouping=grouping,
        names=matrix.names,
        Z=matrix.values,
        structure=bar.structure,
        hom=bar.hom,
    )


def _label(bar: Bar, group: str) -> str:
    """The term in its full form: "1 + Days | Subject", "cs(1 + Days | Subject, hom = TRUE)"."""
    effects = plain_name(bar.effects)
    if bar.structure == "diag" and not bar.hom:
        return f"{effects} || {group}"
    if bar.structure == "us":
        return f"{effects} | {group}"
    hom = f", hom = {str(bar.hom).upper()}" if bar.hom != HOMOGENEOUS_BY_DEFAULT[bar.structure] else ""
    return f"{bar.structure}({effects} | {group}{hom})"
