"""A variable of raw data in groups: what kind is it, and what may be asked of it?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from multilevel._options import checked_choice
from multilevel._typing import Array
from multilevel.clusters.one_way import group_moments, one_way
from multilevel.clusters.raw_icc import (
    METHODS,
    USUAL_LIMITS,
    USUAL_METHODS,
    Kind,
    LimitMethod,
    Sample,
    limits_of_method,
)
from multilevel.design.clustered import ClusteredRows, Values
from multilevel.design.design import Dropped
from multilevel.errors import DataError, DataTypeError, ModelError


def sample_of(clustered: ClusteredRows, y: str, kind: Kind) -> Sample:
    """One column with its moments by group."""
    numbers, codes = clustered.columns[y].numbers, clustered.grouping.codes
    moments = group_moments(numbers, codes, clustered.counts)
    return Sample(numbers, codes, clustered.counts, kind, moments, one_way(moments))


def checked_name(argument: str, name: object) -> str:
    """The name of a column."""
    if not isinstance(name, str):
        raise DataTypeError(
            f'{argument}= takes the name of a column, as in {argument}="score"; got {name!r:.60}.'
        )
    return name


def has_two_values(y: Array) -> bool:
    """Whether a variable that varies takes two values only."""
    return bool(((y == y.min()) | (y == y.max())).all())


def is_binary(y: Array) -> bool:
    """Whether all values are 0 or 1."""
    return bool(((y == 0.0) | (y == 1.0)).all())


def checked_kind(name: str, values: Values, kind: Kind | None) -> Kind:
    """The kind of a variable: what the user says, if it can be so, or binary where it must be."""
    checked_choice("kind", kind, (None, *METHODS))
    y = values.numbers
    if kind == "binary" and not is_binary(y):
        raise DataError(
            f"kind=\"binary\" needs '{name}' to be 0 or 1, and it is {first_other(y):g} somewhere."
        )
    if kind == "count" and not ((y >= 0.0) & (y == np.floor(y))).all():
        raise DataError(f"kind=\"count\" needs '{name}' to be 0, 1, 2, ..., and it is not.")
    if kind is None:
        return "binary" if is_binary(y) else "continuous"
    return kind


def first_other(y: Array) -> float:
    """The first value that is neither 0 nor 1."""
    return float(y[(y != 0.0) & (y != 1.0)][0])


def checked_methods(method: str | Sequence[str] | None, kind: Kind) -> tuple[str, ...]:
    """Estimators that this kind of variable has."""
    if method is None:
        return USUAL_METHODS[kind]
    methods = (method,) if isinstance(method, str) else tuple(method)
    if not methods:
        raise DataError(f"method= is empty; choose from {', '.join(map(repr, METHODS[kind]))}.")
    for each in methods:
        if each not in METHODS[kind]:
            known = ", ".join(map(repr, METHODS[kind]))
            raise DataError(f"method={each!r} does not exist for a {kind} variable; choose from {known}.")
    return tuple(dict.fromkeys(methods))


def checked_limits(
    conf_int: LimitMethod | Literal["auto"] | None, kind: Kind, methods: Sequence[str]
) -> LimitMethod | None:
    """Limits that at least one of the methods has."""
    checked_choice("conf_int", conf_int, ("auto", "exact", "delta", "jackknife", "bootstrap", None))
    known = list(dict.fromkeys(each for method in methods for each in limits_of_method(kind, method)))
    if conf_int == "auto":
        usual = USUAL_LIMITS[kind]
        return usual if usual in known else "jackknife"
    if conf_int is not None and conf_int not in known:
        raise ModelError(
            f"conf_int={conf_int!r} does not exist for {', '.join(methods)} of a {kind} variable; "
            f"choose {' or '.join(map(repr, known))}."
        )
    return conf_int


def dropped(clustered: ClusteredRows) -> Dropped:
    """What was left out, for a note."""
    rows = clustered.rows
    return Dropped(rows.n_total, rows.n_missing, rows.missing_by_column, ())
