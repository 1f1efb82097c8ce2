"""Which columns does one factor of a term put into the model matrix, and what are they called?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from formulaic.transforms.contrasts import Contrasts, PolyContrasts, TreatmentContrasts

from multilevel._typing import Array, Codes
from multilevel.design.expressions import Value, plain_name
from multilevel.design.factor import Factor, as_factor, with_levels
from multilevel.errors import DataError, NewLevelsError
from multilevel.frames.labels import label_text

MOST_LEVELS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Coding:
    """How the labels of a factor become numbers: fixed when the model is fitted."""

    levels: tuple[object, ...]  # (L,)
    contrasts: Contrasts


@dataclass(frozen=True, slots=True)
class Column:
    """One column of numbers; those of labels are looked up only when they are written."""

    name: str
    values: Array  # (n,), or (L,) by level when there are codes
    codes: Codes | None  # (n,)

    def write(self, target: Array) -> None:
        """Put the column's values into `target` (n,)."""
        if self.codes is None:
            target[:] = self.values
        else:  # no code is out of range, and clipping instead of raising spares a copy
            self.values.take(self.codes, out=target, mode="clip")

    def multiply(self, target: Array) -> None:
        """Multiply `target` (n,) by the column's values."""
        target *= self.values if self.codes is None else self.values.take(self.codes, mode="clip")


@dataclass(frozen=True, slots=True)
class Numbers:
    """A factor of a term that is numeric: one column, or several for a basis."""

    parts: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Labels:
    """A factor of a term that is categorical; its columns are made when they are written."""

    expression: str
    codes: Codes  # (n,)
    coding: Coding


Coded: TypeAlias = Numbers | Labels
Codings: TypeAlias = dict[str, Coding]


def code_value(expression: str, value: Value, n: int, codings: Codings) -> Coded:
    """What an evaluated expression contributes to a product of columns.

    `codings` is filled when a model is fitted and read when new data are coded.
    """
    if isinstance(value, Factor) or getattr(value, "dtype", None) == np.bool_:
        return _code_labels(expression, as_factor(value), codings)
    columns = dict(_named_columns(plain_name(expression), value))
    for column in columns.values():
        if np.shape(column) != (n,):
            raise DataError(f"{plain_name(expression)} does not give one value for each row.")
    parts = ((name, np.asarray(column, dtype=np.float64)) for name, column in columns.items())
    return Numbers(tuple(Column(name, values, None) for name, values in parts))


def count_columns(coded: Coded, full: bool) -> int:
    """Number of columns, where `full` codes all levels of a factor, also the one the intercept stands for."""
    if isinstance(coded, Numbers):
        return len(coded.parts)
    return len(coded.coding.levels) if full else len(_fields(coded))


def make_columns(coded: Coded, full: bool) -> tuple[Column, ...]:
    """The columns of a factor of a term."""
    if isinstance(coded, Numbers):
        return coded.parts
    names, table = _indicators(coded) if full else _contrasts(coded)
    return tuple(Column(name, table[:, j], coded.codes) for j, name in enumerate(names))


def contrast_table(coding: Coding) -> Array:
    """What each of L levels puts into the k columns of its contrasts: (L, k)."""
    if coding.contrasts == TreatmentContrasts():  # formulaic goes by way of a data frame
        return np.eye(len(coding.levels))[:, 1:]
    matrix = coding.contrasts.get_coding_matrix(list(coding.levels), reduced_rank=True)
    return np.asarray(matrix, dtype=np.float64)


def _code_labels(expression: str, factor: Factor, codings: Codings) -> Labels:
    if expression not in codings:
        codings[expression] = _learn(expression, factor)
    coding = codings[expression]
    known = with_levels(factor, coding.levels)
    if known.codes.max(initial=-1) >= len(coding.levels):
        unseen = np.unique(known.codes[known.codes >= len(coding.levels)])
        raise NewLevelsError(_unseen(expression, [known.levels[i] for i in unseen], coding.levels))
    return Labels(expression, known.codes, coding)


def _learn(expression: str, factor: Factor) -> Coding:
    if len(factor.levels) < 2:
        only = f" ({label_text(factor.levels[0])!r})" if factor.levels else ""
        name = plain_name(expression)
        raise DataError(
            f"{name!r} has one level{only} in the rows used, so it explains nothing; leave it out."
        )
    default = PolyContrasts() if factor.ordered else TreatmentContrasts()
    return Coding(factor.levels, factor.contrasts or default)


def _indicators(labels: Labels) -> tuple[list[str], Array]:
    """Names (L,) and table (L, L): one column a level, whatever the contrasts."""
    levels, name = labels.coding.levels, plain_name(labels.expression)
    return [f"{name}[{label_text(level)}]" for level in levels], np.eye(len(levels))


def _contrasts(labels: Labels) -> tuple[list[str], Array]:
    """Names (k,) and the table (L, k) of what each level puts into the columns."""
    levels, contrasts = list(labels.coding.levels), labels.coding.contrasts
    fields = _fields(labels)
    shape = contrasts.get_factor_format(levels, reduced_rank=True)
    names = [shape.format(name=plain_name(labels.expression), field=label_text(field)) for field in fields]
    try:
        return names, contrast_table(labels.coding)
    except (ValueError, IndexError) as error:
        raise _misfit(labels) from error


def _fields(labels: Labels) -> list[Any]:
    """What tells the columns (k,) of a contrast apart, usually a level."""
    try:
        return list(labels.coding.contrasts.get_coding_column_names(list(labels.coding.levels)))
    except ValueError as error:
        raise _misfit(labels) from error


def _misfit(labels: Labels) -> DataError:
    levels = [label_text(level) for level in labels.coding.levels]
    return DataError(
        f"The contrasts of {plain_name(labels.expression)!r} do not fit its {len(levels)} levels "
        f"({', '.join(levels[:MOST_LEVELS_SHOWN])}): a matrix has one row a level, and a reference level "
        "is one of them."
    )


def _named_columns(name: str, value: Any) -> Mapping[str, Any]:
    """One column, or those of a basis: a matrix, or formulaic's mapping of columns."""
    if isinstance(value, dict):
        return {f"{name}[{field}]": column for field, column in value.items()}
    if np.ndim(value) == 2:
        metadata = getattr(value, "__formulaic_metadata__", None)
        fields = getattr(metadata, "column_names", None) or range(value.shape[1])
        return {f"{name}[{field}]": value[:, j] for j, field in enumerate(fields)}
    return {name: value}


def _unseen(expression: str, unseen: list[object], known: tuple[object, ...]) -> str:
    shown = ", ".join(repr(label_text(level)) for level in unseen[:MOST_LEVELS_SHOWN])
    more = f" and {len(unseen) - MOST_LEVELS_SHOWN} more" if len(unseen) > MOST_LEVELS_SHOWN else ""
    levels = ", ".join(repr(label_text(level)) for level in known[:MOST_LEVELS_SHOWN])
    return (
        f"{plain_name(expression)!r} has levels that the fit has not seen: {shown}{more}. "
        f"Its coefficients are known for {levels}{', ...' if len(known) > MOST_LEVELS_SHOWN else ''} only."
    )
