"""`fit.bootstrap()` of a generalized mixed model: from simulated responses, or drawn clusters."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np

from multilevel._options import Seed, checked_choice, checked_count, checked_seed
from multilevel._typing import Array
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import ModelError, MultilevelError, MultilevelWarning
from multilevel.estimation.glmm import WorkingGLMM, working_glmm
from multilevel.estimation.glmm_cases import fit_samples
from multilevel.estimation.glmm_prior import checked_prior
from multilevel.estimation.glmm_refits import GLMMFits, fit_many
from multilevel.fitted.glmm import GLMMRecord
from multilevel.inference.bootstrap import (
    JACKKNIFE_BLOCKS,
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
from multilevel.results.generalized_bootstrap import GeneralizedBootstrap, Kind
from multilevel.simulation.clusters import (
    IndependentClusters,
    design_of_sample,
    draw_clusters,
    linked_clusters,
    without_each,
)
from multilevel.simulation.glmm import draw_glmm
from multilevel.simulation.lmm import refuse_counted_rows
from multilevel.simulation.streams import random_streams


@dataclass(frozen=True, slots=True)
class Source:
    """What replicates are made from: all that a fit is, but its data."""

    design: GLMMDesign
    record: GLMMRecord
    prior: object

    def model(self) -> WorkingGLMM:
        """The model in working coordinates, made again."""
        prior = checked_prior(self.prior)
        return working_glmm(self.design, self.record.family, nodes=self.record.nodes, prior=prior)


class GLMMBootstrap(GeneralizedBootstrap):
    """Estimates of a generalized mixed model in replicated samples, a row each.

    Printing shows bias, standard error and percentile limits; `confint(method, level)` gives "percentile",
    "basic", "normal" or "bca" limits.
    """

    model_words = "generalized linear mixed model"

    def _jackknife(self) -> Array:
        if self._own_statistic:
            return super()._jackknife()  # which refuses it
        model = self._source.model()
        instead = 'bca limits need some; use "percentile" or "basic" limits'
        clusters = clusters_of(model, self._source.design, instead)
        times = without_each(clusters.count, JACKKNIFE_BLOCKS)
        fits = fit_samples(model, self._source.record.optimum.theta, clusters.codes, times)
        return values_of(model, self._parameters, fits)

    def interval_columns(
        self, method: LimitMethod = "percentile", level: float = 0.95, effects: str = "all"
    ) -> dict[str, Any]:
        """The columns of `confint(method, level)`."""
        columns = super().interval_columns(method, level, effects)
        if self._own_statistic:
            return columns
        limits = (columns[name] for name in ("estimate", "conf_low", "conf_high"))
        return columns_by_component([self._parameters[k] for k in self._chosen(effects)], *limits)


def make_glmm_bootstrap(
    fit: Any,
    n: int,
    kind: Kind,
    seed: Seed,
    progress: bool | None,
    statistic: Callable[[Any], object] | None,
) -> GLMMBootstrap:
    """Draw and fit the replicates; Ctrl-C keeps those that are done, with a warning."""
    refuse_residuals(kind)
    root = checked_seed(seed)
    streams = random_streams(checked_count("n", n), root)
    source = Source(fit.model, fit.record, fit.call.options.get("prior"))
    model = fit._working_model()
    instead = 'resample by kind="parametric"'
    clusters = clusters_of(model, fit.model, instead) if kind == "case" else None
    if clusters is None:
        refuse_counted_rows(fit.design)
    if statistic is None:
        parameters = glmm_parameters(fit.model, model)
        estimates = parameters_at(model, parameters, fit.optimum.theta)
        fits = parameter_replicates(source, model, parameters, clusters)
    else:
        found = named_statistic(statistic(fit))
        parameters = tuple(Parameter(name, "fixed", None, name, -1) for name in found)
        estimates = np.array(list(found.values()))
        fits = statistic_replicates(refitting(fit, clusters), statistic, list(found))
    replicates = in_blocks(fits, streams, fit.design.n_rows, progress)
    if len(replicates.values) < n:
        warnings.warn(
            f"interrupted after {len(replicates.values)} of {n} bootstrap replicates, which are kept.",
            MultilevelWarning,
            stacklevel=3,
        )
    return GLMMBootstrap(
        source,
        fit.model.main,
        replicates,
        parameters,
        estimates,
        kind=kind,
        seed=root.entropy,
        requested=n,
        clusters=None if clusters is None else f"{clusters.name} ({clusters.count})",
        own_statistic=statistic is not None,
    )


def refuse_residuals(kind: object) -> None:
    """Say why there is no residual bootstrap here."""
    if kind == "residual":
        raise ModelError(
            'kind="residual" adds residuals to fitted values, which makes no counts, shares or categories; '
            'use kind="parametric", or kind="case", which draws whole clusters. (ml.lmm has residuals.)'
        )
    checked_choice("kind", kind, get_args(Kind))


def clusters_of(model: WorkingGLMM, design: GLMMDesign, instead: str) -> IndependentClusters:
    """The clusters that no level of a grouping factor of either side joins."""
    return linked_clusters(model.factors, design.main.freq_weights, instead)


def parameter_replicates(
    source: Source,
    model: WorkingGLMM,
    parameters: tuple[Parameter, ...],
    clusters: IndependentClusters | None,
) -> Callable[[Streams], Replicates]:
    """What turns random streams into replicates of the parameters."""
    design, record, psi = source.design, source.record, source.record.optimum.theta
    prior = checked_prior(source.prior)

    def fits(streams: Streams) -> GLMMFits:
        if clusters is not None:
            return fit_samples(model, psi, clusters.codes, draw_clusters(clusters.count, streams))
        Y = draw_glmm(design, record, streams, keep=False)
        return fit_many(design, record.family, model, psi, Y, False, prior, record.nodes)

    def replicates(streams: Streams) -> Replicates:
        found = fits(streams)
        return Replicates(
            values=values_of(model, parameters, found),
            converged=found.converged,
            singular=found.singular,
            theta=found.psi,
            sigma=np.where(np.isfinite(found.loglik), 1.0, np.nan),
            std_errors=None,
        )

    return replicates


def values_of(model: WorkingGLMM, parameters: Sequence[Parameter], fits: GLMMFits) -> Array:
    """The parameters (B, K) of each fit."""
    return np.array([parameters_at(model, parameters, psi) for psi in fits.psi])


def refitting(fit: Any, clusters: IndependentClusters | None) -> Callable[[np.random.Generator], Any]:
    """What turns one random stream into a whole refitted fit, or None where there is none."""

    def refit(rng: np.random.Generator) -> Any:
        try:
            if clusters is None:
                return fit.refit(draw_glmm(fit.model, fit.record, [rng], keep=False)[:, 0])
            times = draw_clusters(clusters.count, [rng])[:, 0]
            return fit._of_design(sampled_design(fit.model, clusters, times))
        except MultilevelError:
            return None

    return refit


def sampled_design(design: GLMMDesign, clusters: IndependentClusters, times: Any) -> GLMMDesign:
    """All sides with each cluster as often as `times` (K,) says."""

    def sampled(side: Any) -> Any:
        return None if side is None else design_of_sample(side, clusters, times)

    return replace(
        design,
        main=design_of_sample(design.main, clusters, times),
        zi=sampled(design.zi),
        dispersion=sampled(design.dispersion),
    )
