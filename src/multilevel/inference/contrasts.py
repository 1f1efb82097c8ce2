"""Contrasts between marginal means, within groups, and contrasts of contrasts (interactions)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multilevel._options import checked_choice
from multilevel._typing import Array
from multilevel.errors import DataError, DataTypeError
from multilevel.inference.contrast_sets import (
    ALIASES,
    METHODS,
    USUAL_ADJUSTMENT,
    ContrastSet,
    Levels,
    custom_set,
    named_set,
    products,
)
from multilevel.inference.emmeans import Cells, Means, group_columns, levels_of
from multilevel.inference.linear_functions import Functions, transformed
from multilevel.inference.multiplicity import METHODS as ADJUSTMENTS


@dataclass(frozen=True, slots=True)
class Contrasts:
    """Contrasts as linear functions: k in each of G groups, group by group."""

    method: str  # "pairwise", ..., "interaction", "custom"
    groups: dict[str, list[object]]  # the groups' values by variable, (G * k,) each
    labels: dict[str, list[str]]  # (G * k,): "contrast", or a column a factor for interactions
    functions: Functions  # G * k
    matrix: Array  # (k, m) the contrasts between the m means of a group

    @property
    def n_groups(self) -> int:
        """Number of groups G."""
        return len(self.functions.constant) // len(self.matrix)


def compare_means(means: Means, method: Any, ref: object, interaction: bool) -> Contrasts:
    """The contrasts of a method, the same in every group."""
    cells = means.cells
    refuse_nothing_to_compare(cells)
    if interaction or method == "interaction":
        columns, matrix = interaction_contrasts(cells, method, ref)
        name = "interaction"
    else:
        name, chosen = chosen_set(method, levels_of(cells, cells.specs.names), ref)
        columns, matrix = {"contrast": list(chosen.names)}, chosen.matrix
    return Contrasts(
        method=name,
        groups=group_columns(cells, len(matrix)),
        labels={column: values * cells.n_groups for column, values in columns.items()},
        functions=in_every_group(matrix, means.functions, cells.n_groups),
        matrix=matrix,
    )


def in_every_group(matrix: Array, functions: Functions, n_groups: int) -> Functions:
    """Combinations of a group's functions, for each group."""
    m = len(functions.constant) // n_groups
    parts = [
        transformed(
            matrix, Functions(functions.L[g * m : (g + 1) * m], functions.constant[g * m : (g + 1) * m])
        )
        for g in range(n_groups)
    ]
    return Functions(np.vstack([part.L for part in parts]), np.concatenate([part.constant for part in parts]))


def chosen_set(method: Any, levels: Levels, ref: object) -> tuple[str, ContrastSet]:
    """A set by its name, or the user's own."""
    if not isinstance(method, str):
        if method is None or callable(method):
            raise DataTypeError(
                f"method={method!r:.60} is no contrast; choose {', '.join(METHODS)}, or a matrix."
            )
        return "custom", custom_set(method, levels)
    name = known_method(method)
    if ref is not None and name != "treatment_vs_control":
        raise DataError(f"ref= belongs to treatment_vs_control, and {name} has no control; leave it out.")
    return name, named_set(name, levels, in_words(ref, levels))


def in_words(ref: object, levels: Levels) -> object:
    """A control named by its value, as the levels are written: 0 for "Days0"."""
    if ref is None or levels.scores is None or (isinstance(ref, str) and ref in levels.names):
        return ref
    matches = [name for name, score in zip(levels.names, levels.scores, strict=True) if is_score(ref, score)]
    return matches[0] if matches else ref


def is_score(value: object, score: Any) -> bool:
    """Whether a value is that number."""
    try:
        return float(value) == float(score)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def known_method(method: str) -> str:
    """A method's own name."""
    name = method.replace(".", "_")
    name = ALIASES.get(name, name)
    checked_choice("method", name, METHODS)
    return name


def interaction_contrasts(cells: Cells, method: Any, ref: object) -> tuple[dict[str, list[str]], Array]:
    """Differences of differences: products of one set of contrasts for each factor."""
    names = cells.specs.names
    if len(names) < 2:
        raise DataError(
            f"interaction contrasts need two factors at least, as in emmeans('a * b'); these means have "
            f"{names[0]!r} alone."
        )
    methods = methods_of_factors(method, names)
    sets = [chosen_set(methods[name], levels_of(cells, (name,)), ref_of(ref, name))[1] for name in names]
    matrix = products([each.matrix for each in sets])
    index = np.indices([len(each.names) for each in reversed(sets)]).reshape(len(sets), -1)[::-1]
    columns = {
        name: [each.names[i] for i in place] for name, each, place in zip(names, sets, index, strict=True)
    }
    return columns, matrix


def methods_of_factors(method: Any, names: Sequence[str]) -> dict[str, Any]:
    """One method for each factor, from one for all, or a list, or a mapping."""
    if method == "interaction":
        method = "pairwise"
    if isinstance(method, Mapping):
        unknown = [name for name in method if name not in names]
        if unknown:
            raise DataError(f"method= names '{unknown[0]}', which is none of the factors {', '.join(names)}.")
        return {name: method.get(name, "pairwise") for name in names}
    if isinstance(method, str):
        return dict.fromkeys(names, method)
    if len(method) != len(names):
        raise DataError(f"method= has {len(method)} sets for the {len(names)} factors {', '.join(names)}.")
    return dict(zip(names, method, strict=True))


def ref_of(ref: object, name: str) -> object:
    """The control of one factor, from a mapping of them."""
    return ref.get(name) if isinstance(ref, Mapping) else None


def checked_adjustment(adjust: str | None, method: str) -> str:
    """The adjustment asked for, or the one that usually goes with a set."""
    if adjust is None:
        return USUAL_ADJUSTMENT.get(method, "none")
    checked_choice("adjust", adjust, ADJUSTMENTS)
    if adjust == "tukey" and method not in ("pairwise", "revpairwise"):
        raise DataError(
            f'adjust="tukey" is made for all pairwise differences, not for {method} contrasts; '
            'choose "mvt", which uses the correlations of any contrasts, "sidak" or "holm".'
        )
    return adjust


def refuse_nothing_to_compare(cells: Cells) -> None:
    """Two means at least."""
    if cells.n_means > 1:
        return
    names = ", ".join(cells.specs.names) or "everything"
    held = [name for name in cells.specs.names if len(cells.values[name]) == 1]
    way_out = (
        f"give values with at={{'{held[0]}': [...]}}, or ask for its slope with emtrends(var='{held[0]}')"
        if held
        else "name a factor"
    )
    raise DataError(f"there is one mean for {names}, so nothing can be compared; {way_out}.")
