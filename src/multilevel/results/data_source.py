"""What are simulated data drawn from? A model that is true, on a plan or on data; from a formula or a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from multilevel._typing import Array, Frame, Mask
from multilevel.errors import DataError, DataTypeError, ModelError
from multilevel.families.by_name import as_family
from multilevel.families.continuous import Gaussian
from multilevel.families.family import Family
from multilevel.fitted.lmm import TermCovariance
from multilevel.formula.parse import parse_formula
from multilevel.frames.output import KINDS, to_frame, with_columns
from multilevel.frames.table import FrameKind, read_table
from multilevel.results.base import Fit
from multilevel.results.glm import GLMFit
from multilevel.results.glmm import GLMMFit
from multilevel.results.lmm import LMMFit
from multilevel.results.ols import OLSFit
from multilevel.simulation.extend import extended
from multilevel.simulation.parameters import Values, true_model
from multilevel.simulation.plan import Plan, lost_rows
from multilevel.simulation.plan_rows import PlannedRows
from multilevel.simulation.study import Study, make_study, plain_columns
from multilevel.simulation.truth import Truth, true_responses

KEPT = ("nagq", "prior")  # options of a fit of `glmm` that refits to simulated data have too
MOST_DRAWN = 20  # draws of a plan, of which one has predictors that can be told apart
Model = str | Fit[Any]


@dataclass(frozen=True, slots=True)
class DataSource:
    """What data sets are drawn from: a model with its true values, on a plan or on data."""

    formula: str
    family: Family
    values: Values
    design: Plan | Frame
    kind: FrameKind | None
    options: tuple[tuple[str, Any], ...] = ()  # of the fit that it comes from, which its refits have too

    @property
    def random(self) -> bool:
        """Whether predictors or missing responses differ between data sets."""
        return isinstance(self.design, Plan) and self.design.random

    @property
    def frame_kind(self) -> FrameKind:
        """The kind of frame that tables come back in."""
        return self.kind or ("pandas" if isinstance(self.design, Plan) else read_table(self.design).kind)

    @property
    def sized(self) -> tuple[str, ...]:
        """What can have another size: levels, crossed factors and visits, or grouping factors of data."""
        if isinstance(self.design, Plan):
            return self.design.sized
        factors = dict.fromkeys(part for bar in parse_formula(self.formula).bars for part in bar.factor)
        return tuple(name for name in factors if name in read_table(self.design).names)

    def coefficients(self) -> tuple[str, ...]:
        """Names of the coefficients."""
        return self.coded(np.random.default_rng(0)).design.main.coef_names

    def coded(self, rng: np.random.Generator) -> Study:
        """The rows of one data set, whatever is true of them; one in which predictors vary, if it can be."""
        study = self._coded(rng, plain=True)[0]
        for _ in range(MOST_DRAWN):
            if not self.random or not study.design.main.dropped.columns:
                break
            study = self._coded(rng, plain=True)[0]
        return study

    @property
    def loses(self) -> bool:
        """Whether some responses are lost."""
        return isinstance(self.design, Plan) and bool(self.design.losses)

    def study(
        self, rng: np.random.Generator, *, plain: bool = False
    ) -> tuple[Study, Truth, PlannedRows | None]:
        """The rows of one data set, what is true of them, and where they stand in the plan.

        `plain` makes a mapping of columns, which is quicker than a frame.
        """
        study, planned = self._coded(rng, plain=plain)
        return study, true_model(study.design, self.family, self.values), planned

    def _coded(self, rng: np.random.Generator, *, plain: bool) -> tuple[Study, PlannedRows | None]:
        planned = self.design.rows(rng) if isinstance(self.design, Plan) else None
        if planned is None:
            data = self.design
        elif plain:
            data = plain_columns(planned.frame_columns())
        else:
            data = to_frame(planned.frame_columns(), self.kind or "pandas")
        n_thresholds = 0 if self.values.thresholds is None else len(self.values.thresholds)
        return make_study(self.formula, self.family, data, n_thresholds), planned

    def data_set(self, rng: np.random.Generator, *, plain: bool = False) -> Frame:
        """One data set: rows, responses, then what is lost of these."""
        study, truth, planned = self.study(rng, plain=plain)
        y = true_responses(study.design, truth, [rng])[:, 0]
        return study.with_response(y, self.lost(planned, y, rng))

    def lost(self, planned: PlannedRows | None, y: Array, rng: np.random.Generator) -> Mask | None:
        """Rows (n,) whose response is lost."""
        if planned is None or not isinstance(self.design, Plan) or not self.design.losses:
            return None
        return lost_rows(self.design.losses, planned, y, rng)

    def resized(self, sizes: Mapping[str, int]) -> DataSource:
        """The same with other numbers of units."""
        if not sizes:
            return self
        if isinstance(self.design, Plan):
            design: Plan | Frame = self.design.resized(**sizes)
        else:
            design = extended(self.design, self.formula, sizes)
        return replace(self, design=design)

    def with_values(self, values: Values) -> DataSource:
        """The same with other true values."""
        return replace(self, values=values)


def data_source(
    model: Model,
    design: Plan | Frame | None,
    values: Values,
    family: str | Family | None,
    link: str | None,
    sizes: Mapping[str, int] | None,
    kind: FrameKind | None,
) -> DataSource:
    """What `simulate`, `power` and `type1` draw from, checked."""
    if kind is not None and kind not in KINDS:
        raise DataTypeError(f"frame={kind!r} is no kind of frame; the kinds are {', '.join(KINDS)}.")
    if not isinstance(values.fixef, Mapping):
        raise DataTypeError(
            "fixef= maps coefficients to numbers, as in fixef={'x': 0.5}; got "
            f"{type(values.fixef).__name__}."
        )
    if sizes is not None and not isinstance(sizes, Mapping):
        raise DataTypeError(f"sizes= maps names to numbers, as in sizes={{'school': 40}}; got {sizes!r:.40}.")
    if isinstance(design, Mapping):
        design = with_columns(design, {})  # a frame, as a data set is to be
    if isinstance(model, str):
        if design is None:
            raise DataError("a formula needs a design: a plan, ml.Plan(...), or data without the response.")
        source = DataSource(model, as_family(family or "gaussian", link), values, design, kind)
    elif isinstance(model, Fit):
        if family is not None or link is not None:
            raise DataError("a fit has its family and link; leave family= and link= out.")
        source = from_fit(model, design, values, kind)
    else:
        raise DataTypeError(f"the model is a formula or a fit, not {type(model).__name__}.")
    return source.resized(sizes or {}) if kind is None else converted(source.resized(sizes or {}), kind)


def converted(source: DataSource, kind: FrameKind) -> DataSource:
    """Data in another kind of frame, where they are not planned."""
    if isinstance(source.design, Plan):
        return source
    design = extended(source.design, source.formula, {}, kind)
    return replace(source, design=design, kind=kind)


# ---- from a fit ----


def from_fit(
    fit: Fit[Any], design: Plan | Frame | None, values: Values, kind: FrameKind | None
) -> DataSource:
    """A fit's estimates for true, where nothing else is said."""
    family, estimated = fitted_values(fit)
    said = Values(
        fixef={**estimated.fixef, **values.fixef},
        sd=by_group(estimated.sd if values.icc is None else without_intercepts(estimated.sd), values.sd),
        cor=by_group(estimated.cor, values.cor),
        icc=values.icc,
        sigma=estimated.sigma if values.sigma is None else values.sigma,
        dispersion=estimated.dispersion if values.dispersion is None else values.dispersion,
        shape=estimated.shape if values.shape is None else values.shape,
        thresholds=estimated.thresholds if values.thresholds is None else values.thresholds,
    )
    options = tuple((name, fit.call.options[name]) for name in KEPT if name in fit.call.options)
    data = fit.call.data if design is None else design
    return DataSource(fit.formula, family, said, data, kind, options)


def fitted_values(fit: Fit[Any]) -> tuple[Family, Values]:
    """Family and estimates of a fit that can be simulated from."""
    refuse_rows_that_count(fit)
    fixef = dict(zip(fit.coef_names, map(float, fit.fixef), strict=True))
    record = fit.record
    if isinstance(fit, LMMFit):
        if fit.residual is not None:
            raise ModelError(
                "a changed study is drawn with independent residuals, and this fit has others (residual=); "
                "draw from the fit as it is with fit.simulate(n, seed)."
            )
        return Gaussian(), Values(fixef, *covariances(record.terms), sigma=record.sigma)
    if isinstance(fit, OLSFit):
        return Gaussian(), Values(fixef, sigma=record.sigma)
    if isinstance(fit, GLMMFit | GLMFit):
        return record.family, glm_values(fit, fixef)
    raise DataTypeError(
        f"{type(fit).__name__} has no distribution to draw from; simulate from a fit of lmm, glmm, ols or "
        "glm."
    )


def glm_values(fit: GLMMFit | GLMFit, fixef: Mapping[str, float]) -> Values:
    """Estimates of a generalized model without further predictors."""
    record: Any = fit.record
    if fit.model.zi is not None or fit.model.dispersion is not None:
        raise ModelError(
            "a fit with zi= or dispersion= cannot be changed here; draw from it as it is with "
            "fit.simulate(n, seed)."
        )
    phi = record.dispersion
    gaussian = record.family.density == "gaussian"
    return Values(
        fixef,
        *covariances(getattr(record, "terms", ())),
        sigma=float(np.sqrt(phi[0])) if gaussian else None,
        dispersion=None if phi is None or gaussian else float(phi[0]),
        shape=record.shape,
        thresholds=tuple(map(float, record.thresholds)) if len(record.thresholds) else None,
    )


def covariances(terms: Sequence[TermCovariance]) -> tuple[dict[str, Any], dict[str, Any]]:
    """sd=, cor= as a user would say them of fitted terms."""
    sd: dict[str, Any] = {}
    cor: dict[str, Any] = {}
    for term in terms:
        sd.setdefault(term.group, {}).update(zip(term.names, map(float, term.sd), strict=True))
        if len(term.names) > 1 and term.structure != "diag":
            own = np.where(np.isnan(term.correlation), np.eye(len(term.sd)), term.correlation)
            cor[term.label if term.group in cor else term.group] = own
    return sd, cor


def by_group(estimated: Mapping[str, Any] | None, given: Mapping[str, Any] | None) -> Any:
    """What was given, and the estimates of groups of which nothing was said."""
    return given if estimated is None else {**estimated, **(given or {})}


def without_intercepts(sd: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Estimated deviations of the slopes alone, where an ICC says how much intercepts vary."""
    if sd is None:
        return None
    slopes = {g: {name: v for name, v in each.items() if name != "Intercept"} for g, each in sd.items()}
    return {group: each for group, each in slopes.items() if each}


def refuse_rows_that_count(fit: Fit[Any]) -> None:
    """Weights say nothing of the rows of a new study."""
    if fit.design.weights is not None or fit.design.freq_weights is not None:
        raise ModelError("new data from a fit with weights have no weights; use fit.simulate(n, seed).")
    if fit.call.options.get("offset") is not None:
        raise ModelError(
            "the fit has offset=, which new data do not; write offset(...) in the formula instead."
        )
    if fit.call.options.get("contrasts"):
        raise ModelError(
            "the fit has contrasts=, which are not known where data are made; code them in the formula, as "
            "in C(g, contr.sum)."
        )
