"""Which linear predictors does each row of a generalized mixed model have, in working coordinates?

The mean's comes first, then the family's own (a log dispersion, a shape, two thresholds), last the logit
of an excess of zeros. All are linear in one vector of coefficients, of which each `Part` names a
stretch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from multilevel._typing import Array
from multilevel.design.design import Design
from multilevel.design.glmm import GLMMDesign
from multilevel.estimation.centring import Centring
from multilevel.estimation.response_units import ResponseUnits, response_units
from multilevel.estimation.thresholds import (
    constant_threshold,
    threshold_columns,
    threshold_map,
    threshold_names,
)
from multilevel.estimation.working import (
    WorkingFixed,
    effective_weights,
    nearly_collinear,
    orthonormal_fixed,
    sample_mean,
    sample_rows,
    scaled_fixed,
    typical_size,
)
from multilevel.families.family import Family
from multilevel.families.ordinal import Ordinal
from multilevel.kernels.density import DensityCode
from multilevel.kernels.gaussian import ScaledColumns
from multilevel.kernels.marginal import RowPredictor

Component = Literal["cond", "disp", "shape", "threshold", "zi"]
CONSTANT = ("Intercept",)


@dataclass(frozen=True, slots=True)
class Part:
    """Coefficients that belong together."""

    component: Component
    names: tuple[str, ...]  # (p,)
    first: int  # where they begin among all coefficients
    fixed: WorkingFixed | None  # their columns, None for thresholds

    @property
    def places(self) -> slice:
        """Where they stand among all coefficients."""
        return slice(self.first, self.first + len(self.names))


@dataclass(frozen=True, slots=True)
class WorkingRows:
    """n rows with their K linear predictors, as the kernel sees them; G coefficients."""

    density: DensityCode
    y: Array  # (n,) in working units, or successes, or categories from 0
    trials: Array | None  # (n,)
    power: Array | None  # (n,) what multiplies each log-density
    units: ResponseUnits
    parts: tuple[Part, ...]
    predictors: tuple[RowPredictor, ...]  # (K,)
    back: Array  # (G, G) coefficients in the user's units are back c + constant
    constant: Array  # (G,)

    def part(self, component: Component) -> Part | None:
        """The part of that name, if the model has it."""
        return next((part for part in self.parts if part.component == component), None)

    def coefficients(self, working: Array) -> Array:
        """All coefficients (G,) in the user's units."""
        return np.asarray(self.back @ working + self.constant)


def working_rows(design: GLMMDesign, family: Family, *, rotate: bool = True) -> WorkingRows:
    """Scale the columns of every side, and the response; `rotate` allows an orthonormal basis of X."""
    main = design.main
    weights = effective_weights(main)
    mean = (
        beside_thresholds(main.X, weights, rotate)
        if isinstance(family, Ordinal)
        else working_columns(main.X, weights, rotate)
    )
    units = response_units(family, main.y, main.offset, weights, mean.centring.one is not None)
    density = DensityCode(family.density, family.link.name, design.zi is not None, len(design.categories))
    parts = [Part("cond", main.coef_names, 0, mean)]
    predictors = [predictor(mean, mean_offset(main, units), 0)]
    if isinstance(family, Ordinal):
        J = threshold_map(len(design.categories), family.thresholds)
        parts.append(
            Part("threshold", threshold_names(design.categories, family.thresholds), end(parts), None)
        )
        places = np.arange(parts[-1].first, end(parts), dtype=np.int32)
        predictors += [
            RowPredictor(None, plain_columns(columns), places) for columns in threshold_columns(main.y, J)
        ]
    for name in family.predictors:
        known = family.given.get(name)
        if name == "dispersion":
            fixed = side_columns(design.dispersion, main.n_rows, weights, rotate, known)
            names = CONSTANT if design.dispersion is None else design.dispersion.coef_names
            parts.append(Part("disp", names if known is None else (), end(parts), fixed))
            predictors.append(predictor(fixed, dispersion_offset(design, family, units), parts[-1].first))
        elif name == "shape":
            fixed = side_columns(None, main.n_rows, weights, rotate, known)
            parts.append(Part("shape", CONSTANT if known is None else (), end(parts), fixed))
            predictors.append(predictor(fixed, known_shape(main.n_rows, known), parts[-1].first))
    if design.zi is not None:
        fixed = working_columns(design.zi.X, weights, rotate)
        parts.append(Part("zi", design.zi.coef_names, end(parts), fixed))
        predictors.append(predictor(fixed, design.zi.offset, parts[-1].first))
    back, constant = way_back(parts, units, family, len(design.categories))
    return WorkingRows(
        density=density,
        y=units.response(main.y),
        trials=design.trials,
        power=log_density_power(main, family),
        units=units,
        parts=tuple(parts),
        predictors=tuple(predictors),
        back=back,
        constant=constant,
    )


def end(parts: list[Part]) -> int:
    """Number of coefficients so far."""
    return parts[-1].first + len(parts[-1].names)


# ---- columns ----


def working_columns(X: Array, weights: Array | None, rotate: bool) -> WorkingFixed:
    """Columns centred and scaled, by an orthonormal basis of their span where they are nearly collinear."""
    fixed = scaled_fixed(X, weights)
    if rotate and sample_collinear(fixed.columns):
        return orthonormal_fixed(X, fixed, weights)
    return fixed


def beside_thresholds(X: Array, weights: Array | None, rotate: bool) -> WorkingFixed:
    """Columns beside thresholds, which take up whatever the columns are moved by."""
    shift = sample_mean(X, weights)
    scale = 1.0 / typical_size(X, shift)
    fixed = WorkingFixed(ScaledColumns(X, shift, scale), Centring(shift, None), scale, None)
    return orthonormal_fixed(X, fixed, weights) if rotate and sample_collinear(fixed.columns) else fixed


def sample_collinear(columns: ScaledColumns) -> bool:
    """Whether columns are nearly collinear in a sample of the rows; if not, they are not in all."""
    sample = (columns.values[sample_rows(len(columns.values))] - columns.shift) * columns.scale
    return nearly_collinear(sample.T @ sample)


def side_columns(
    side: Design | None, n: int, weights: Array | None, rotate: bool, known: float | None
) -> WorkingFixed:
    """Columns of a side of the model, or a constant; none where the value is known."""
    if known is not None:
        none = np.empty((n, 0), order="F")
        return WorkingFixed(plain_columns(none), Centring(np.zeros(0), None), np.ones(0), None)
    if side is not None:
        return working_columns(side.X, weights, rotate)
    one = np.ones((n, 1), order="F")
    return WorkingFixed(plain_columns(one), Centring(np.zeros(1), np.ones(1)), np.ones(1), None)


def plain_columns(values: Array) -> ScaledColumns:
    """Columns as they are."""
    k = values.shape[1]
    return ScaledColumns(values, np.zeros(k), np.ones(k))


def predictor(fixed: WorkingFixed, offset: Array | None, first: int) -> RowPredictor:
    """A linear predictor of columns whose coefficients follow one another."""
    places = np.arange(first, first + fixed.columns.values.shape[1], dtype=np.int32)
    return RowPredictor(offset, fixed.columns, places)


# ---- offsets and powers ----


def mean_offset(main: Design, units: ResponseUnits) -> Array | None:
    """The known part of the mean's predictor in working units."""
    if main.offset is None and units.eta_shift == 0.0:
        return None
    known = np.zeros(main.n_rows) if main.offset is None else main.offset
    return np.asarray(units.eta_scale * known + units.eta_shift)


def dispersion_offset(design: GLMMDesign, family: Family, units: ResponseUnits) -> Array | None:
    """The known part of the log dispersion: precision weights, the response's units, an offset."""
    side, weights = design.dispersion, design.main.weights
    known = np.full(design.main.n_rows, units.log_phi + np.log(family.given.get("dispersion", 1.0)))
    if side is not None and side.offset is not None:
        known += side.offset
    if weights is not None and family.weights_divide_dispersion:
        known -= np.log(weights)
    return known if known.any() else None


def known_shape(n: int, power: float | None) -> Array | None:
    """The shape predictor of a Tweedie family whose power is given."""
    return None if power is None else np.full(n, np.log((power - 1.0) / (2.0 - power)))


def log_density_power(main: Design, family: Family) -> Array | None:
    """What multiplies each row's log-density: how often it stands, and weights that are no precisions."""
    weights = None if family.weights_divide_dispersion else main.weights
    if weights is None or main.freq_weights is None:
        return main.freq_weights if weights is None else weights
    return weights * main.freq_weights


# ---- the way back ----


def way_back(parts: list[Part], units: ResponseUnits, family: Family, categories: int) -> tuple[Array, Array]:
    """How working coefficients become those of the user's columns: a matrix (G, G) and a constant (G,)."""
    back, constant = np.eye(end(parts)), np.zeros(end(parts))
    for part in parts:
        if part.fixed is not None:
            back[part.places, part.places] = part.fixed.jacobian()
    mean = parts[0]
    assert mean.fixed is not None
    back[mean.places, mean.places] /= units.eta_scale
    if mean.fixed.centring.one is not None:
        constant[mean.places] = units.shift * mean.fixed.centring.one
    if isinstance(family, Ordinal):  # thresholds take up what centring moved
        J = threshold_map(categories, family.thresholds)
        back[parts[1].places, mean.places] = np.outer(
            constant_threshold(J), mean.fixed.centring.shift @ back[mean.places, mean.places]
        )
    return back, constant
