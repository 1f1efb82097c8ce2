"""`fit.bootstrap()` of a generalized mixed model: estimates from responses simulated from the fit."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from multilevel._options import Seed, checked_count, checked_seed
from multilevel._typing import Array
from multilevel.errors import ModelError, MultilevelWarning
from multilevel.estimation.glmm_refits import fit_many
from multilevel.inference.bootstrap import (
    Replicates,
    Streams,
    in_blocks,
    named_statistic,
    statistic_replicates,
)
from multilevel.inference.bootstrap_intervals import LimitMethod
from multilevel.inference.glmm_parameters import glmm_parameters, parameters_at
from multilevel.inference.parameters import Parameter
from multilevel.report.intervals import columns_by_component
from multilevel.report.summary import Summary
from multilevel.results.bootstrap import Bootstrap
from multilevel.simulation.glmm import draw_glmm
from multilevel.simulation.lmm import refuse_counted_rows
from multilevel.simulation.streams import random_streams

TITLE = "Parametric bootstrap of a generalized linear mixed model"


class GLMMBootstrap(Bootstrap):
    """Estimates of a generalized mixed model in simulated samples, a row each.

    Printing shows bias, standard error and percentile limits; `confint(method, level)` gives "percentile",
    "basic" or "normal" limits.
    """

    def __init__(
        self,
        fit: Any,
        replicates: Replicates,
        parameters: tuple[Parameter, ...],
        estimates: Array,
        *,
        seed: int | Sequence[int] | None,
        requested: int,
        own_statistic: bool,
    ) -> None:
        self.kind = "parametric"
        self.seed = seed
        self.requested = requested
        self.clusters = None
        self.estimates = estimates
        self._parameters = parameters
        self._replicates = replicates
        self._own_statistic = own_statistic
        self._design = fit.design
        self._record = fit.record
        self._fitted = None

    def _studentized(self, level: float, chosen: list[int]) -> Any:  # noqa: ARG002
        raise ModelError('studentized limits are made for linear mixed models; use "percentile" or "basic".')

    def _jackknife(self) -> Array:
        raise ModelError('bca limits are made for linear mixed models; use "percentile" or "basic".')

    def interval_columns(
        self, method: LimitMethod = "percentile", level: float = 0.95, effects: str = "all"
    ) -> dict[str, Any]:
        """The columns of `confint(method, level)`."""
        columns = super().interval_columns(method, level, effects)
        if self._own_statistic:
            return columns
        limits = (columns[name] for name in ("estimate", "conf_low", "conf_high"))
        return columns_by_component([self._parameters[k] for k in self._chosen(effects)], *limits)

    def summary(self, level: float = 0.95) -> Summary:
        """Estimates, bias, standard errors and percentile limits on a page, with what deserves notice."""
        page = super().summary(level)
        return Summary(TITLE, page.facts, page.blocks, page.notes)


def make_glmm_bootstrap(
    fit: Any,
    n: int,
    seed: Seed,
    progress: bool | None,
    statistic: Callable[[Any], object] | None,
) -> GLMMBootstrap:
    """Draw and fit the replicates; Ctrl-C keeps those that are done, with a warning."""
    root = checked_seed(seed)
    streams = random_streams(checked_count("n", n), root)
    refuse_counted_rows(fit.design)
    if statistic is None:
        model = fit._working_model()
        parameters = glmm_parameters(fit.model, model)
        estimates = parameters_at(model, parameters, fit.optimum.theta)
        fits = parameter_replicates(fit, parameters)
    else:
        found = named_statistic(statistic(fit))
        parameters = tuple(Parameter(name, "fixed", None, name, -1) for name in found)
        estimates = np.array(list(found.values()))
        fits = statistic_replicates(refitting(fit), statistic, list(found))
    replicates = in_blocks(fits, streams, fit.design.n_rows, progress)
    if len(replicates.values) < n:
        warnings.warn(
            f"interrupted after {len(replicates.values)} of {n} bootstrap replicates, which are kept.",
            MultilevelWarning,
            stacklevel=3,
        )
    return GLMMBootstrap(
        fit,
        replicates,
        parameters,
        estimates,
        seed=root.entropy,
        requested=n,
        own_statistic=statistic is not None,
    )


def parameter_replicates(fit: Any, parameters: tuple[Parameter, ...]) -> Callable[[Streams], Replicates]:
    """What turns random streams into replicates of the parameters."""
    model, design, record = fit._working_model(), fit.model, fit.record

    def replicates(streams: Streams) -> Replicates:
        Y = draw_glmm(design, record, streams, keep=False)
        fits = fit_many(design, record.family, model, record.optimum.theta, Y, False, nodes=record.nodes)
        values = np.array([parameters_at(model, parameters, psi) for psi in fits.psi])
        failed = ~np.isfinite(fits.loglik)
        return Replicates(
            values=values,
            converged=fits.converged,
            singular=fits.singular,
            theta=fits.psi,
            sigma=np.where(failed, np.nan, 1.0),
            std_errors=None,
        )

    return replicates


def refitting(fit: Any) -> Callable[[np.random.Generator], Any]:
    """What turns one random stream into a whole refitted fit."""
    return lambda rng: fit.refit(draw_glmm(fit.model, fit.record, [rng], keep=False)[:, 0])
