"""What tells fits apart whose formulas are the same?"""

from __future__ import annotations

from collections.abc import Sequence

from multilevel.families.family import Family
from multilevel.results.given_fits import AnyFit

TOLD = (
    "family",
    "link",
    "zi",
    "dispersion",
    "nagq",
    "prior",
    "residual",
)  # arguments that make another model


def told_formulas(fits: Sequence[AnyFit]) -> tuple[str, ...]:
    """Formulas (K,), with the arguments in which the fits differ."""
    given = [{name: written(fit.call.options.get(name)) for name in TOLD} for fit in fits]
    differing = [name for name in TOLD if len({each[name] for each in given}) > 1]
    return tuple(
        ", ".join([fit.formula, *(f"{name}={each[name]}" for name in differing if each[name] is not None)])
        for fit, each in zip(fits, given, strict=True)
    )


def written(value: object) -> str | None:
    """An argument as a user would write it."""
    if value is None:
        return None
    return repr(value.name) if isinstance(value, Family) else repr(value)
