"""Which coding of a factor did the user ask for, in `contrasts=` or in `C(g, sum)`?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from formulaic.transforms import ContrastsRegistry
from formulaic.transforms.contrasts import Contrasts

from multilevel._typing import Array
from multilevel.errors import DataError
from multilevel.formula.functions import CONTRASTS
from multilevel.frames.labels import label_text

_WITH_REFERENCE = ("treatment", "SAS")
_WRITTEN = re.compile(  # treatment('C'), contr.treatment(base = "C"), Treatment(reference='C'), treatment(C)
    r"""\s*(?:contr\.)?(?P<name>\w+)\s*
        (?:\(\s*(?:(?:base|ref|reference)\s*=\s*)?(?P<quote>["']?)(?P<level>.*?)(?P=quote)\s*\))?\s*""",
    re.VERBOSE,
)


def chosen_contrasts(what: str, given: Any, levels: Sequence[object]) -> Contrasts:
    """The coding from its name, a name with a reference level, an object, or a matrix of one row a level.

    >>> chosen_contrasts("Machine", "treatment('C')", ["A", "B", "C"])
    TreatmentContrasts(base='C')
    """
    match given:
        case str():
            return _from_text(what, given, levels)
        case (str(name), level) if _known_name(name) is not None:
            return _with_reference(what, name, level, levels)
        case type() if hasattr(given, "get_coding_column_names"):
            return given()
    if hasattr(given, "get_coding_column_names"):
        return given
    return ContrastsRegistry.custom(_matrix(what, given))


def _from_text(what: str, text: str, levels: Sequence[object]) -> Contrasts:
    written = _WRITTEN.fullmatch(text)
    if written is None or _known_name(written["name"]) is None:
        raise DataError(f"There is no coding {text!r}; {_accepted(what)}")
    if not written["level"]:
        return _coding(written["name"])()
    return _with_reference(what, written["name"], written["level"], levels)


def _with_reference(what: str, name: str, level: object, levels: Sequence[object]) -> Contrasts:
    if _known_name(name) not in _WITH_REFERENCE:
        raise DataError(f"contrasts= gives {what!r} the coding {name!r}, which has no reference level.")
    found = [known for known in levels if label_text(known) == label_text(level)]
    if not found:
        there_are = ", ".join(repr(label_text(known)) for known in levels)
        raise DataError(f"{what!r} has no level {level!r} to be the reference; there are {there_are}.")
    return _coding(name)(base=found[0])


def _coding(name: str) -> Any:
    return getattr(ContrastsRegistry, str(_known_name(name)))


def _known_name(name: str) -> str | None:
    """A coding's name in the library's own spelling."""
    plain = name.removeprefix("contr.").lower()
    return next((known for known in sorted(CONTRASTS) if known.lower() == plain), None)


def _matrix(what: str, given: npt.ArrayLike) -> Array:
    """A matrix (L, k) of numbers; whether it has a row a level is told with the levels' names later."""
    try:
        matrix = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"{given!r} is no coding for {what!r}; {_accepted(what)}") from None
    if matrix.ndim != 2 or not np.isfinite(matrix).all():
        raise DataError(f"{given!r} is no matrix of finite numbers for {what!r}; {_accepted(what)}")
    return matrix


def _accepted(what: str) -> str:
    return (
        f"choose one of treatment, sum, helmert, poly, diff, SAS, name the reference level as in "
        f"""{{{what!r}: "treatment('a')"}}, or give a matrix of one row a level."""
    )
