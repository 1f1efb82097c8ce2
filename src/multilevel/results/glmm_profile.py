"""`fit.profile()` of a generalized mixed model: likelihood profiles and the intervals they give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import ndtri
from tqdm.auto import tqdm

from multilevel._typing import Array, Frame
from multilevel.errors import ModelError
from multilevel.frames.output import to_frame
from multilevel.frames.table import FrameKind
from multilevel.inference.glmm_profile import ProfiledGLMM, hold, limit, signed_root, trace
from multilevel.inference.parameters import Parameter, chosen_parameters, named_parameter
from multilevel.inference.wald import checked_level
from multilevel.report.intervals import columns_by_component, interval_block, page_facts
from multilevel.report.summary import Summary

SPACING = 0.5  # of zeta, between the points of a profile
DELAY = 1.0  # seconds before a progress bar is shown unless told
NO_LIMIT = (
    "A limit that is missing (-) is not known: the likelihood does not fall off far enough on that side, or a"
    " standard deviation is estimated as zero."
)


class GLMMProfile:
    """Likelihood profiles: how the best fit worsens as one parameter moves away from its estimate.

    `zeta` is the signed root of the likelihood ratio. Printing shows the 95% limits; `confint(level)` solves
    for others, `frame()` has the points for a plot.
    """

    def __init__(
        self, profiled: ProfiledGLMM, chosen: tuple[Parameter, ...], formula: str, kind: FrameKind
    ) -> None:
        self._profiled = profiled
        self._chosen = chosen
        self._formula = formula
        self._kind = kind

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters profiled."""
        return tuple(parameter.name for parameter in self._chosen)

    @property
    def estimates(self) -> Array:
        """Their estimates (K,)."""
        return self._profiled.estimates[self._places()]

    def confint(self, level: float = 0.95, *, progress: bool | None = None) -> Frame:
        """Limits at which the likelihood ratio reaches its chi-square quantile: component, effect, group, ...

        `group` is missing for coefficients, which belong to no grouping factor, and a limit where the
        likelihood does not fall off so far, or a standard deviation is estimated as zero.
        """
        return to_frame(self.interval_columns(level, progress), self._kind)

    def interval_columns(self, level: float, progress: bool | None = None) -> dict[str, Any]:
        """The columns of `confint(level)`."""
        quantile = float(ndtri(0.5 * (1.0 + checked_level(level))))
        bar = tqdm(
            self._places(),
            desc="profile",
            disable=progress is False,
            delay=0.0 if progress else DELAY,
            leave=False,
        )
        limits = np.array([[limit(self._profiled, k, side * quantile) for side in (-1.0, 1.0)] for k in bar])
        return columns_by_component(list(self._chosen), self.estimates, *limits.reshape(-1, 2).T)

    def zeta(self, parameter: str, value: float) -> float:
        """The signed root of the likelihood ratio with a parameter held at a value."""
        which = self._profiled.parameters.index(named_parameter(self._chosen, parameter))
        return signed_root(self._profiled, which, hold(self._profiled, which, value, self._profiled.psi))

    def frame(self, level: float = 0.99) -> Frame:
        """Points of each profile out to the limits of a level: parameter, value, zeta."""
        largest = float(ndtri(0.5 * (1.0 + checked_level(level))))
        steps = np.arange(SPACING, largest + SPACING, SPACING)
        zetas = [*(-steps), *steps]
        columns: dict[str, list[Any]] = {"parameter": [], "value": [], "zeta": []}
        for parameter, which in zip(self._chosen, self._places(), strict=True):
            values, roots = trace(self._profiled, which, zetas)
            columns["parameter"] += [parameter.name] * len(values)
            columns["value"] += values.tolist()
            columns["zeta"] += roots.tolist()
        return to_frame(columns, self._kind)

    def summary(self, level: float = 0.95) -> Summary:
        """Estimates and limits on a page."""
        columns = self.interval_columns(level)
        shown = {name: columns[key] for name, key in COLUMNS.items()}
        block = interval_block("Profile-likelihood intervals", list(self.parameters), shown, level)
        missing = np.isnan([columns["conf_low"], columns["conf_high"]]).any()
        facts = {"Formula": self._formula, "Deviance": f"{self._profiled.criterion:.4f}"}
        return Summary(
            "Profile likelihood of a generalized linear mixed model",
            page_facts(facts),
            (block,),
            (NO_LIMIT,) if missing else (),
        )

    def _places(self) -> list[int]:
        return [self._profiled.parameters.index(parameter) for parameter in self._chosen]

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


COLUMNS = {"Estimate": "estimate", "conf_low": "conf_low", "conf_high": "conf_high"}


def make_glmm_profile(
    profiled: ProfiledGLMM, which: str | Sequence[str] | None, formula: str, kind: FrameKind, *, prior: bool
) -> GLMMProfile:
    """The parameters chosen, ready to be profiled."""
    if prior:
        raise ModelError("a profile is of the likelihood, and this fit has a prior; fit without prior=.")
    return GLMMProfile(profiled, chosen_parameters(profiled.parameters, which), formula, kind)
