"""What do the functions of a formula compute? The names of formula/functions.py, made real.

Those that learn from the data take `_state`, a dictionary that is empty when a model is fitted and
holds what was learned when new data are coded (formulaic's convention, so that its transforms fit in).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from formulaic.transforms import TRANSFORMS, ContrastsRegistry

from multilevel._typing import Array, Mask
from multilevel.design.contrasts import chosen_contrasts
from multilevel.design.factor import Factor, as_factor, interaction, remember_levels, with_levels
from multilevel.design.group_means import between, within
from multilevel.design.learned import SUMMARIES, center, polynomial, scale
from multilevel.design.splines import bs, ns
from multilevel.errors import DataError
from multilevel.formula.functions import CONTRAST_CLASSES, ELEMENTWISE, NUMPY

State = dict[str, Any]
_Value = TypeVar("_Value")


def logarithm(x: Array, base: float | None = None) -> Array:
    """Natural logarithm, or to another base, as R's `log`."""
    values: Array = np.log(x) if base is None else np.log(x) / np.log(base)
    return values


def factor(
    x: Factor | Array, contrasts: Any = None, *, levels: Sequence[object] | None = None, _state: State
) -> Factor:
    """A column as labels, with levels in sorted order or in the order given; `C(x, contr.sum)` codes it."""
    made = remember_levels(as_factor(x), _state)
    if levels is not None and "levels" not in _state:
        made = _in_order(made, levels)
    _state.setdefault("levels", made.levels)
    if contrasts is None:
        return made
    return replace(made, contrasts=chosen_contrasts("the factor", contrasts, made.levels))


def ordered(x: Factor | Array, levels: Sequence[object] | None = None, *, _state: State) -> Factor:
    """A column as labels with an order: coded by orthogonal polynomials."""
    return replace(factor(x, levels=levels, _state=_state), ordered=True)


def relevel(x: Factor | Array, ref: object, *, _state: State) -> Factor:
    """The same labels with another reference level, as R's `relevel`."""
    made = as_factor(x)
    first = [level for level in made.levels if str(level) == str(ref)]
    if not first and "levels" not in _state:
        raise DataError(f"relevel() has no level {ref!r} to put first; there are {_listed(made.levels)}.")
    others = [level for level in made.levels if level not in first]
    return factor(made, levels=[*first, *others], _state=_state)


def _in_order(made: Factor, levels: Sequence[object]) -> Factor:
    ordered_factor = with_levels(replace(made, levels=made.levels), levels)
    if len(ordered_factor.levels) > len(levels):
        extra = _listed(ordered_factor.levels[len(levels) :])
        raise DataError(f"the levels given leave out {extra}; name every level, or drop those rows.")
    return ordered_factor


def _listed(levels: Sequence[object]) -> str:
    return ", ".join(repr(str(level)) for level in levels)


def _where(condition: Mask, yes: npt.ArrayLike, no: npt.ArrayLike) -> npt.NDArray[Any]:
    return np.where(condition, yes, no)


def _isin(values: Factor | Array, labels: Sequence[object]) -> Mask:
    return values.isin(labels) if isinstance(values, Factor) else np.isin(values, labels)  # type: ignore[arg-type]


def _identity(x: _Value) -> _Value:
    return x


CONSTANTS: dict[str, float] = {"pi": np.pi}
FUNCTIONS: dict[str, Any] = {
    **{name: getattr(np, name) for name in ELEMENTWISE if hasattr(np, name)},
    **SUMMARIES,
    **{name: TRANSFORMS[name] for name in ("cs", "cr", "cc", *CONTRAST_CLASSES)},
    "scale": scale,
    "center": center,
    "log": logarithm,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "ceiling": np.ceil,
    "ifelse": _where,
    "pmin": np.minimum,
    "pmax": np.maximum,
    "poly": polynomial,
    "ns": ns,
    "bs": bs,
    "within": within,
    "between": between,
    "I": _identity,
    "C": factor,
    "factor": factor,
    "ordered": ordered,
    "relevel": relevel,
    "interaction": interaction,
    "contr": ContrastsRegistry,
    "np": SimpleNamespace(**{name: getattr(np, name) for name in NUMPY - {"isin"}}, isin=_isin),
}
