"""`fit.bootstrap()` of a generalized linear model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from multilevel._options import Seed, checked_count, checked_seed
from multilevel._typing import Array
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import MultilevelError, MultilevelWarning
from multilevel.estimation.glm import solve_glm
from multilevel.inference.bootstrap import Replicates, Streams, in_blocks, named_statistic
from multilevel.inference.bootstrap_intervals import LimitMethod
from multilevel.inference.glm_bootstrap import (
    Source,
    as_replicates,
    case_designs,
    counted_designs,
    glm_parameters,
    jackknife,
    parameter_estimates,
    present,
    replicates_of,
    response_designs,
)
from multilevel.inference.parameters import Parameter
from multilevel.results.generalized_bootstrap import GeneralizedBootstrap, Kind

DESIGNS = {"parametric": response_designs, "case": case_designs}


class GLMBootstrap(GeneralizedBootstrap):
    """Estimates of a generalized linear model in replicated samples, a row each.

    Printing shows bias, standard error and percentile limits; `confint(method, level)` gives "percentile",
    "basic", "normal" or "bca" limits.
    """

    model_words = "generalized linear model"

    def interval_columns(
        self, method: LimitMethod = "percentile", level: float = 0.95, effects: str = "all"
    ) -> dict[str, Any]:
        """The columns of `confint(method, level)`: term, estimate, conf_low, conf_high."""
        columns = super().interval_columns(method, level, effects)
        return {name: columns[name] for name in ("term", "estimate", "conf_low", "conf_high")}

    def _jackknife(self) -> Array:
        if self._own_statistic:
            return super()._jackknife()  # which refuses it
        return jackknife(self._source)


def make_glm_bootstrap(
    source: Source,
    n: int,
    kind: Kind,
    seed: Seed,
    progress: bool | None,
    statistic: Callable[[Any], object] | None,
    fit: Any,
) -> GLMBootstrap:
    """Draw and fit the replicates; Ctrl-C keeps those that are done, with a warning."""
    root = checked_seed(seed)
    streams = [np.random.default_rng(child) for child in root.spawn(checked_count("n", n))]
    if statistic is None:
        parameters, estimates = glm_parameters(source.record), parameter_estimates(source.record)
        fits = replicates_of(source, DESIGNS[kind])
    else:
        found = named_statistic(statistic(fit))
        parameters = tuple(Parameter(name, "fixed", None, name, -1) for name in found)
        estimates = np.array(list(found.values()))
        fits = statistic_fits(source, kind, statistic, list(found), fit)
    replicates = in_blocks(fits, streams, source.model.main.n_rows, progress)
    if len(replicates.values) < n:
        warnings.warn(
            f"interrupted after {len(replicates.values)} of {n} bootstrap replicates, which are kept.",
            MultilevelWarning,
            stacklevel=4,
        )
    drawn = source.clusters if kind == "case" else None
    return GLMBootstrap(
        source,
        source.model.main,
        replicates,
        parameters,
        estimates,
        kind=kind,
        seed=root.entropy,
        requested=n,
        clusters=None if drawn is None else f"{drawn.name} ({drawn.n_levels})",
        own_statistic=statistic is not None,
    )


def statistic_fits(
    source: Source, kind: Kind, statistic: Callable[[Any], object], names: Sequence[str], fit: Any
) -> Callable[[Streams], Replicates]:
    """What turns random streams into replicates of a statistic of whole fits."""

    designs = response_designs if kind == "parametric" else counted_designs

    def row(design: GLMMDesign) -> list[float]:
        try:
            solve_glm(present(design), source.record.family, source.prior)  # refused where there is no fit
            values = named_statistic(statistic(fit._of_design(design)))
        except (MultilevelError, np.linalg.LinAlgError):
            return [np.nan] * len(names)
        return [values.get(name, np.nan) for name in names]

    def fits(streams: Streams) -> Replicates:
        return as_replicates(np.array([row(design) for design in designs(source, streams)]))

    return fits
