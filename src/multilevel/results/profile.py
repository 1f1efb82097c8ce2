"""`fit.profile()`: likelihood profiles of a mixed model's parameters, and the intervals they give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.special import ndtri
from tqdm.auto import tqdm

from multilevel._typing import Array, Frame
from multilevel.design.design import Design
from multilevel.errors import DataError
from multilevel.estimation.lmm import working_model
from multilevel.fitted.lmm import LMMRecord
from multilevel.frames.output import to_frame
from multilevel.inference.parameters import Parameter, chosen_parameters, named_parameter
from multilevel.inference.profile import Curve, Limit, Trace, curve_of, find_limit, trace_parameter
from multilevel.inference.profile_points import ProfiledModel, held_parameter, profiled_model
from multilevel.inference.wald import checked_level
from multilevel.report.intervals import (
    interval_block,
    interval_columns,
    listed,
    page_facts,
    parameter_labels,
    profile_columns,
    reason_notes,
)
from multilevel.report.summary import Summary

DELAY = 1.0  # seconds before a progress bar is shown unless told
REFITTED = (
    "The fit is by REML; profiles are of the likelihood, so estimates and limits here are of its ML refit."
)


class Profile:
    """Likelihood profiles: how the best fit worsens as one parameter moves away from its estimate.

    `zeta` is the signed root of the likelihood ratio; for a parameter whose estimate is normal it is a
    straight line. Printing shows the 95% limits; `confint(level)` solves for others.
    """

    def __init__(self, design: Design, record: LMMRecord, refitted: bool) -> None:
        self.design = design
        self.record = record  # of the fit by maximum likelihood
        self.refitted = refitted  # whether the fit profiled was by REML
        self.interrupted = False
        self._traces: dict[str, Trace] = {}
        self._profiled: ProfiledModel | None = None  # made again where needed, never pickled

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_profiled": None}

    # What was profiled -------------------------------------------------------------------------------

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters profiled."""
        return tuple(self._traces)

    @property
    def estimates(self) -> Array:
        """Maximum-likelihood estimates (K,) of the parameters profiled."""
        return np.array([trace.estimate for trace in self._traces.values()])

    def curve(self, parameter: str) -> Curve:
        """The profile of one parameter: arrays value (m,), zeta (m,), others (m, all parameters)."""
        return curve_of(self._model(), self._trace(parameter))

    def frame(self) -> Frame:
        """One row a point: the parameter held, its value, zeta, and all parameters at the best fit there."""
        curves = {name: self.curve(name) for name in self._traces}
        names = parameter_labels(self._model().parameters)
        return to_frame(profile_columns(names, curves), self.design.frame_kind)

    # Answers -----------------------------------------------------------------------------------------

    def confint(self, level: float = 0.95) -> Frame:
        """Limits at which the likelihood ratio reaches its chi-square quantile: effect, group, term, ...

        A standard deviation may end at 0 and a correlation at -1 or 1 where the data do not speak against it.
        Where a limit cannot be known it is missing, and the printed profile says why.

        >>> import multilevel as ml
        >>> fit = ml.lmm("Reaction ~ Days + (1 | Subject)", ml.datasets.sleepstudy(frame="polars"))
        >>> limits = fit.profile().confint(level=0.9)
        >>> limits["conf_low"].round(2).to_list(), limits["conf_high"].round(2).to_list()
        ([235.32, 9.14, 27.32, 28.27], [267.49, 11.79, 49.5, 33.95])
        """
        return to_frame(self.interval_columns(level), self.design.frame_kind)

    def interval_columns(self, level: float) -> dict[str, Any]:
        """The columns of `confint(level)`."""
        limits = np.array([[limit.value for limit in pair] for pair in self._limits(level)])
        return interval_columns(
            [t.parameter for t in self._traces.values()], self.estimates, *limits.reshape(-1, 2).T
        )

    def zeta(self, parameter: str, value: float) -> float:
        """The signed root of the likelihood ratio with a parameter held at a value, computed there."""
        profiled, trace = self._model(), self._trace(parameter)
        held = held_parameter(profiled, trace.parameter)
        if value == trace.estimate:
            return 0.0
        at = held.coordinate(
            checked_value(parameter, value, held.value(held.bounds[0]), held.value(held.bounds[1]))
        )
        side = trace.below if value < trace.estimate else trace.above
        near = min(side.points, key=lambda point: abs(point.coordinate - at), default=None)
        points = [held.point(at, start) for start in (near, None)]
        gain = min(point.deviance for point in points) - profiled.deviance
        return float(side.direction * np.sqrt(max(gain, 0.0)))

    def interpolate(self, parameter: str, zeta: Array) -> Array:
        """Values at which a profile has given zeta, from a monotone cubic through its points; NaN outside."""
        curve = self.curve(parameter)
        rising = np.concatenate([[True], np.diff(np.maximum.accumulate(curve.zeta)) > 0.0])
        spline = PchipInterpolator(curve.zeta[rising], curve.value[rising], extrapolate=False)
        return np.asarray(spline(zeta))

    # Display -----------------------------------------------------------------------------------------

    def summary(self, level: float = 0.95) -> Summary:
        """Estimates and limits on a page, with what deserves notice."""
        pairs = self._limits(level)
        columns = self.interval_columns(level)
        reasons = [
            (name, limit.reason) for name, pair in zip(self._traces, pairs, strict=True) for limit in pair
        ]
        block = interval_block(
            "Profile-likelihood intervals",
            list(self._traces),
            {
                "Estimate": columns["estimate"],
                "conf_low": columns["conf_low"],
                "conf_high": columns["conf_high"],
            },
            level,
        )
        facts = {"Formula": self.design.formula.text, "Deviance": f"{self.record.criterion:.4f}"}
        notes = [*([REFITTED] if self.refitted else []), *reason_notes(listed(reasons))]
        if self.interrupted:
            notes.append("Interrupted: only these parameters were profiled.")
        return Summary(
            "Profile likelihood of a linear mixed model", page_facts(facts), (block,), tuple(notes)
        )

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    # The work ----------------------------------------------------------------------------------------

    def _limits(self, level: float) -> list[tuple[Limit, Limit]]:
        """Both limits of each parameter."""
        quantile = float(ndtri(0.5 * (1.0 + checked_level(level))))
        return [self._limits_of(name, quantile) for name in self._traces]

    def _limits_of(self, name: str, quantile: float) -> tuple[Limit, Limit]:
        """Limits of one parameter; the points tried on the way stay in its profile."""
        profiled, trace = self._model(), self._traces[name]
        low, below = find_limit(profiled, trace.parameter, trace.below, quantile)
        high, above = find_limit(profiled, trace.parameter, trace.above, quantile)
        self._traces[name] = Trace(trace.parameter, trace.estimate, below, above)
        return low, high

    def _trace(self, parameter: str) -> Trace:
        profiled = [trace.parameter for trace in self._traces.values()]
        return self._traces[named_parameter(profiled, parameter).name]

    def _model(self) -> ProfiledModel:
        if self._profiled is None:
            self._profiled = profiled_model(self.design, working_model(self.design), self.record.optimum)
        return self._profiled


def make_profile(
    design: Design,
    record: LMMRecord,
    *,
    refitted: bool,
    which: str | Sequence[str] | None,
    level: float,
    progress: bool | None,
) -> Profile:
    """Profile the parameters chosen, as far as `level` needs; Ctrl-C keeps those that are done."""
    profile = Profile(design, record, refitted)
    profiled = profile._model()
    chosen = chosen_parameters(profiled.parameters, which)
    largest = float(ndtri(0.5 * (1.0 + checked_level(level))))
    try:
        for parameter in with_bar(chosen, progress):
            profile._traces[parameter.name] = trace_parameter(profiled, parameter, largest)
    except KeyboardInterrupt:
        if not profile._traces:
            raise
        profile.interrupted = True
    return profile


def with_bar(parameters: Sequence[Parameter], progress: bool | None) -> Any:
    """The parameters, with a progress bar if it is wanted or the work turns out long."""
    return tqdm(
        parameters, desc="profile", disable=progress is False, delay=0.0 if progress else DELAY, leave=False
    )


def checked_value(parameter: str, value: float, low: float, high: float) -> float:
    """A value within the range of its parameter."""
    if not low <= value <= high:
        raise DataError(f"'{parameter}' lies between {low:g} and {high:g}, got {value:g}.")
    return float(value)
