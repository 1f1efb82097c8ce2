"""From what a user says of a model (coefficients by name, deviations, an ICC) to what is true in a design.

A Gaussian sigma that is not given is the root of 1 - sum icc: effects then are in units of the total standard
deviation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

import numpy as np

from multilevel._options import checked_numbers
from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import DataError, DataTypeError, ModelError
from multilevel.families.family import Family
from multilevel.simulation.numbers import checked_deviation, checked_number
from multilevel.simulation.true_covariances import icc_by_group, refuse_unknown_groups, true_term
from multilevel.simulation.truth import Truth, linear_predictor, refuse_impossible_means

LATENT_VARIANCES = {"logit": np.pi**2 / 3.0, "probit": 1.0, "cloglog": np.pi**2 / 6.0}


@dataclass(frozen=True, slots=True)
class Values:
    """What a user says of a model, as it was said."""

    fixef: Mapping[str, float]
    sd: Any = None  # {group: number}, {group: {column: number}} or {group: [numbers]}
    cor: Any = None  # {group: number} or {group: matrix}
    icc: Any = None  # a number, or {group: number}
    sigma: float | None = None
    dispersion: float | None = None
    shape: float | None = None
    thresholds: Sequence[float] | None = None

    def with_coefficient(self, name: str, value: float) -> Values:
        """The same with another effect."""
        return replace(self, fixef={**self.fixef, name: value})


def true_model(design: GLMMDesign, family: Family, values: Values) -> Truth:
    """The truth that the values state, or an error that says which name or number is wrong."""
    main = design.main
    values = with_given(family, values)
    refuse_dropped(main)
    beta = true_coefficients(main.coef_names, values.fixef)
    shares = icc_by_group(main, values.icc)
    sigma = true_sigma(family, values.sigma, shares)
    within = residual_variance(family, sigma, bool(shares))
    refuse_unknown_groups(main, "sd", values.sd)
    refuse_unknown_groups(main, "cor", values.cor)
    terms = tuple(
        true_term(main, index, values.sd, values.cor, shares, within) for index in range(len(main.terms))
    )
    truth = Truth(
        family=family,
        coef_names=main.coef_names,
        beta=beta,
        terms=terms,
        sigma=sigma,
        dispersion=true_dispersion(family, values, sigma, main.n_rows),
        shape=true_shape(family, values.shape),
        thresholds=checked_thresholds(family, values.thresholds),
        eta_fixed=linear_predictor(design, beta),
    )
    refuse_impossible_means(main, truth)
    return truth


# ---- coefficients ----


def true_coefficients(names: Sequence[str], fixef: object) -> Array:
    """Coefficients (p,) by name; those not named are zero."""
    if not isinstance(fixef, Mapping):
        raise DataTypeError(
            f"fixef= maps coefficients to numbers, as in fixef={{{names[-1]!r}: 0.5}}; got "
            f"{type(fixef).__name__}."
        )
    for name, value in fixef.items():
        if name not in names:
            close = get_close_matches(str(name), names, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise DataError(
                f"fixef= names {name!r}, which is no coefficient of the formula.{hint} The coefficients are "
                f"{', '.join(names)}."
            )
        checked_number(f"fixef[{name!r}]", value)
    return np.array([float(fixef.get(name, 0.0)) for name in names])


def refuse_dropped(design: Design) -> None:
    """A coefficient that the data cannot have has no true value."""
    if design.dropped.columns:
        raise ModelError(
            f"in this design {', '.join(design.dropped.columns)} cannot be told apart from the terms before; "
            "leave out a term, or plan data in which they differ."
        )


# ---- the residual, dispersion ----


def true_sigma(family: Family, sigma: Any, shares: Mapping[str, float]) -> float:
    """Residual standard deviation; 1 for families without one."""
    if family.density != "gaussian":
        if sigma is not None:
            raise DataError(
                f"sigma= is the residual deviation of a gaussian response; the {family.name} family has "
                + ("dispersion=." if "dispersion" in family.predictors else "none.")
            )
        return 1.0
    if sigma is None:
        return float(np.sqrt(1.0 - sum(shares.values())))
    value = checked_deviation("sigma", sigma)
    if value == 0.0:
        raise DataError("sigma=0 leaves no residual; it is above 0.")
    return value


def residual_variance(family: Family, sigma: float, needed: bool) -> float:
    """Variance within groups that an ICC is relative to."""
    if family.density == "gaussian":
        return sigma**2
    if family.density in ("binomial", "ordinal") and family.link.name in LATENT_VARIANCES:
        return LATENT_VARIANCES[family.link.name]
    if needed:
        raise DataError(
            f"icc= has no one meaning for a {family.name} response with the {family.link.name} link; give "
            "sd= on the scale of the linear predictor."
        )
    return 1.0


def with_given(family: Family, values: Values) -> Values:
    """The values with what a family itself holds, such as the size of NegativeBinomial(size=2.0)."""
    held: dict[str, Any] = {}
    for name, value in family.given.items():
        said = getattr(values, name)
        if said is not None and said != value:
            raise DataError(
                f"{name}={said!r:.40} is given, and the family holds {value:g}; give one of them."
            )
        held[name] = value
    return replace(values, **held)


def true_dispersion(family: Family, values: Values, sigma: float, n: int) -> Array | None:
    """phi of each row (n,), where the family has one."""
    if "dispersion" not in family.predictors:
        if values.dispersion is not None:
            raise DataError(f"dispersion= is given, and the {family.name} family has none.")
        return None
    if family.density == "gaussian":
        if values.dispersion is not None:
            raise DataError("a gaussian response has sigma=, the root of its dispersion; give that.")
        return np.full(n, sigma**2)
    if values.dispersion is None:
        raise DataError(f"a {family.name} response needs dispersion=, a number above 0.")
    phi = checked_number("dispersion", values.dispersion)
    if phi <= 0.0:
        raise DataError(f"dispersion={phi:g} is not above 0.")
    return np.full(n, phi)


def true_shape(family: Family, shape: Any) -> float | None:
    """Student's degrees of freedom, or Tweedie's power."""
    if "shape" not in family.predictors:
        if shape is not None:
            raise DataError(f"shape= is given, and the {family.name} family has none.")
        return None
    if shape is None:
        what = "degrees of freedom" if family.density == "student" else "power, between 1 and 2"
        raise DataError(f"a {family.name} response needs shape=, its {what}.")
    value = checked_number("shape", shape)
    if value <= 0.0 or (family.density == "tweedie" and not 1.0 < value < 2.0):
        raise DataError(f"shape={value:g} is out of range for a {family.name} response.")
    return value


def checked_thresholds(family: Family, thresholds: Any) -> Array:
    """Thresholds (C - 1,) between ordered categories, increasing."""
    if family.response != "ordered":
        if thresholds is not None:
            raise DataError(f"thresholds= are for ordinal responses, and this one is {family.name}.")
        return np.empty(0)
    values = checked_numbers("thresholds=", thresholds)
    if values.ndim != 1 or not len(values) or (np.diff(values) <= 0.0).any():
        raise DataError("thresholds= are numbers in increasing order, one fewer than there are categories.")
    return values
