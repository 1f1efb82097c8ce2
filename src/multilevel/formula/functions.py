"""Which functions may a formula call? Their names; what they compute is design/functions.py."""

from __future__ import annotations

from difflib import get_close_matches


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ELEMENTWISE = _words(
    "log log2 log10 log1p exp expm1 sqrt abs sign sin cos tan asin acos atan sinh cosh tanh "
    "floor ceiling round ifelse pmin pmax"
)
STATEFUL = _words(  # these remember the data of the fit, so that new data are coded alike
    "scale center poly ns bs cs cr cc within between mean median sd var min max"
)
CODING = _words("I C Q factor ordered relevel interaction")
CONTRASTS = _words("treatment sum helmert poly SAS diff")
CONTRAST_CLASSES = _words("Treatment Sum Helmert Poly Diff")  # as patsy writes them
FUNCTIONS = ELEMENTWISE | STATEFUL | CODING | CONTRAST_CLASSES

NUMPY = _words(  # np.<name>: element by element, so that no answer depends on the other rows
    "log log2 log10 log1p exp exp2 expm1 sqrt cbrt abs absolute sign square power sin cos tan arcsin arccos "
    "arctan arctan2 sinh cosh tanh floor ceil round rint where clip minimum maximum isin logical_and "
    "logical_or logical_not"
)
CONSTANTS = frozenset({"pi"})
RENAMED = {"as.factor": "factor", "as.ordered": "ordered", "as_factor": "factor", "ceil": "ceiling"}


def unknown_function(name: str) -> str | None:
    """What to tell the user about a function that formulas do not have; None for one they have."""
    if name in FUNCTIONS or (name.startswith("contr.") and name.removeprefix("contr.") in CONTRASTS):
        return None
    if name.startswith("np."):
        return None if name.removeprefix("np.") in NUMPY else _not_elementwise(name)
    close = get_close_matches(name, FUNCTIONS, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "compute the column in the data first."
    return f"Formulas have no function {name!r}; {hint}"


def _not_elementwise(name: str) -> str:
    plain = name.removeprefix("np.")
    if plain in STATEFUL:
        return f"{name!r} would change with new data; write {plain!r}, which remembers the data of the fit."
    return f"Formulas have no function {name!r}; compute the column in the data first."
