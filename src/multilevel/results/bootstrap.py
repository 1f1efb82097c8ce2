"""`fit.bootstrap()`: replicates of a mixed model's estimates, and the intervals they give."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from multilevel._options import Seed, checked_choice, checked_count, checked_seed
from multilevel._typing import Array, Frame
from multilevel.design.design import Design
from multilevel.errors import ModelError, MultilevelWarning
from multilevel.estimation.lmm import WorkingModel, working_model
from multilevel.fitted.lmm import LMMRecord
from multilevel.frames.output import to_frame
from multilevel.inference.bootstrap import (
    BootstrapKind,
    Bootstrapped,
    Replicates,
    in_blocks,
    jackknife,
    named_statistic,
    replicate_fits,
    replicate_std_errors,
    response_draws,
    statistic_replicates,
)
from multilevel.inference.bootstrap_intervals import (
    LIMIT_METHODS,
    LimitMethod,
    Limits,
    OneInterval,
    accelerations,
    basic,
    bca,
    every_interval,
    least_replicates,
    normal,
    percentile,
    refuse_few,
    studentized,
)
from multilevel.inference.parameters import Parameter, chosen_parameters, lmm_parameters, parameter_values
from multilevel.inference.wald import checked_level
from multilevel.report.intervals import (
    interval_block,
    interval_columns,
    listed,
    page_facts,
    reason_notes,
)
from multilevel.report.summary import Summary
from multilevel.simulation.clusters import design_of_sample, draw_clusters, independent_clusters
from multilevel.simulation.streams import random_streams

TITLES = {
    "parametric": "Parametric bootstrap of a linear mixed model",
    "residual": "Residual bootstrap of a linear mixed model (reflated at every level)",
    "case": "Case bootstrap of a linear mixed model",
}


class Bootstrap:
    """Estimates of a mixed model in replicated samples, a row each.

    Printing shows bias, standard error and percentile limits; `confint(method, level)` gives limits in five
    ways.
    """

    def __init__(
        self,
        fitted: Bootstrapped,
        replicates: Replicates,
        parameters: tuple[Parameter, ...],
        estimates: Array,
        *,
        kind: BootstrapKind,
        seed: int | Sequence[int] | None,
        requested: int,
        clusters: str | None,
        own_statistic: bool,
    ) -> None:
        self.kind = kind
        self.seed = seed  # the same seed gives the same replicates
        self.requested = requested
        self.clusters = clusters  # what a case bootstrap drew
        self.estimates = estimates  # (K,) of the fit
        self._parameters = parameters
        self._replicates = replicates
        self._own_statistic = own_statistic
        self._design = fitted.design
        self._record = fitted.record
        self._fitted: Bootstrapped | None = fitted

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_fitted": None}

    # What was drawn ----------------------------------------------------------------------------------

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names (K,) of the parameters, or of the parts of the statistic."""
        return tuple(p.name for p in self._parameters)

    @property
    def replicates(self) -> Array:
        """Estimates (B, K); NaN where a sample could not be fitted, or a correlation is not defined."""
        return self._replicates.values

    @property
    def n(self) -> int:
        """Replicates done, B; fewer than `requested` after an interrupt."""
        return len(self.replicates)

    @property
    def n_failed(self) -> int:
        """Samples that could not be fitted at all."""
        return int(np.isnan(self._replicates.sigma).sum())

    @property
    def n_not_converged(self) -> int:
        """Fits whose search did not end at a certified optimum; they are kept."""
        return int((~self._replicates.converged).sum()) - self.n_failed

    @property
    def n_singular(self) -> int:
        """Fits on the boundary (a variance 0, a correlation +-1); they are kept."""
        return int(self._replicates.singular.sum())

    @property
    def bias(self) -> Array:
        """Mean of the replicates less the estimate (K,)."""
        return np.asarray(columnwise(np.mean, self.replicates) - self.estimates)

    @property
    def se(self) -> Array:
        """Standard deviation of the replicates (K,)."""
        return columnwise(lambda values: np.std(values, ddof=1), self.replicates)

    def frame(self) -> Frame:
        """One row a replicate: every parameter, and whether the fit converged and is singular."""
        columns = dict(zip(self.parameters, self.replicates.T, strict=True))
        flags = {"converged": self._replicates.converged, "singular": self._replicates.singular}
        return to_frame({**columns, **flags}, self._design.frame_kind)

    # Answers -----------------------------------------------------------------------------------------

    def confint(
        self, method: LimitMethod = "percentile", level: float = 0.95, *, effects: str = "all"
    ) -> Frame:
        """Confidence limits from the replicates: effect, group, term, estimate, conf_low, conf_high.

        Args:
            method: "percentile"; "basic"; "normal" (bias-corrected); "bca", which corrects for median bias
                and skewness, the latter from fits with each cluster left out in turn; "studentized", for
                coefficients only.
            level: of the intervals.
            effects: "all", "fixed" or "ran_pars".

        Limits of a standard deviation below zero, and of a correlation beyond -1 or 1, are put there.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.lmm("Reaction ~ Days + (1 | Subject)", ml.datasets.sleepstudy(frame="polars"))
            >>> boot = fit.bootstrap(500, seed=1)
            >>> boot.confint("bca")["term"].to_list()
            ['Intercept', 'Days', 'sd__(Intercept)', 'sd__Observation']

        References:
            Efron, B. (1987). Better bootstrap confidence intervals. Journal of the American Statistical
            Association 82, 171-185. Davison, A. C. & Hinkley, D. V. (1997). Bootstrap Methods and their
            Application. Cambridge University Press.
        """
        return to_frame(self.interval_columns(method, level, effects), self._design.frame_kind)

    def interval_columns(
        self, method: LimitMethod = "percentile", level: float = 0.95, effects: str = "all"
    ) -> dict[str, Any]:
        """The columns of `confint(method, level)`."""
        chosen = self._chosen(effects)
        limits = self.limits(method, level, chosen)
        if self._own_statistic:
            return {
                "term": list(self.parameters),
                "estimate": self.estimates,
                "conf_low": limits.low,
                "conf_high": limits.high,
            }
        return interval_columns(
            [self._parameters[k] for k in chosen], self.estimates[chosen], limits.low, limits.high
        )

    def limits(self, method: LimitMethod, level: float, chosen: Sequence[int] | None = None) -> Limits:
        """Limits as arrays, with the reason where one is missing."""
        checked_choice("method", method, LIMIT_METHODS)
        refuse_few(self.n, checked_level(level), method)
        k = list(range(len(self._parameters)) if chosen is None else chosen)
        interval = self._interval(method, level, k)
        bounds = np.array([range_of(self._parameters[j]) for j in k]).reshape(-1, 2)
        least = least_replicates(level, method)
        return every_interval(self.estimates[k], self.replicates[:, k], least, interval, bounds)

    def _interval(self, method: LimitMethod, level: float, chosen: list[int]) -> OneInterval:
        if method == "bca":
            return bca(level, accelerations(self._jackknife()[:, chosen]))
        if method == "studentized":
            return self._studentized(level, chosen)
        return {"percentile": percentile, "basic": basic, "normal": normal}[method](level)

    def _studentized(self, level: float, chosen: list[int]) -> OneInterval:
        if any(self._parameters[k].kind != "fixed" for k in chosen) or self._own_statistic:
            raise ModelError(
                "studentized limits need a standard error in each replicate, which only coefficients have; "
                'use effects="fixed", or "bca" limits.'
            )
        errors = replicate_std_errors(self._model(), self._replicates)[:, chosen]
        t = (self.replicates[:, chosen] - self.estimates[chosen]) / errors
        return studentized(level, np.sqrt(np.diag(self._record.vcov))[chosen], t)

    def _jackknife(self) -> Array:
        if self._own_statistic:
            raise ModelError(
                "bca limits are made for the parameters of the model; for a statistic of your own use "
                '"percentile" or "basic" limits.'
            )
        return jackknife(self._model())

    def _chosen(self, effects: str) -> list[int]:
        """Positions of the parameters asked for."""
        if self._own_statistic:
            return list(range(len(self._parameters)))
        checked_choice("effects", effects, ("all", "fixed", "ran_pars"))
        return [self._parameters.index(p) for p in chosen_parameters(self._parameters, effects)]

    def _model(self) -> Bootstrapped:
        if self._fitted is None:
            self._fitted = bootstrapped(self._design, self._record, working_model(self._design))
        return self._fitted

    # Display -----------------------------------------------------------------------------------------

    def summary(self, level: float = 0.95) -> Summary:
        """Estimates, bias, standard errors and percentile limits on a page, with what deserves notice."""
        columns = {"Estimate": self.estimates, "Bias": self.bias, "Std. Error": self.se}
        notes = self._notes()
        if self.n >= least_replicates(level):
            limits = self.limits("percentile", level)
            columns |= {"conf_low": limits.low, "conf_high": limits.high}
            reasons = list(zip(self.parameters, limits.reasons, strict=True))
            notes += reason_notes(listed(reasons))
        block = interval_block("Estimates and percentile limits", self.parameters, columns, level)
        done = f"{self.n}" if self.n == self.requested else f"{self.n} of {self.requested} (interrupted)"
        facts = {"Formula": self._design.formula.text, "Replicates": f"{done}, seed {self.seed}"}
        return Summary(TITLES[self.kind], page_facts(facts), (block,), tuple(notes))

    def _notes(self) -> list[str]:
        notes = [] if self.clusters is None else [f"Clusters drawn with replacement: {self.clusters}."]
        if self.n_singular:
            said = counted(self.n_singular, "replicate is", "replicates are")
            notes.append(f"{said} singular (a variance of zero or a correlation of one).")
        if self.n_not_converged:
            notes.append(
                f"{counted(self.n_not_converged, 'replicate', 'replicates')} did not converge; kept."
            )
        if self.n_failed:
            notes.append(f"{counted(self.n_failed, 'sample', 'samples')} could not be fitted; left out.")
        return notes

    def __str__(self) -> str:
        return str(self.summary())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()


def counted(count: int, one: str, several: str) -> str:
    """A count with its noun."""
    return f"{count} {one if count == 1 else several}"


def columnwise(function: Callable[[Array], Any], replicates: Array) -> Array:
    """A figure of the finite values in each column (K,); NaN where there are fewer than two."""
    columns = [column[np.isfinite(column)] for column in replicates.T]
    return np.array([function(column) if len(column) > 1 else np.nan for column in columns])


def range_of(parameter: Parameter) -> tuple[float, float]:
    """The values that a parameter can have."""
    return {"sd": (0.0, np.inf), "sigma": (0.0, np.inf), "cor": (-1.0, 1.0)}.get(
        parameter.kind, (-np.inf, np.inf)
    )


# ---- the work ----


def bootstrapped(design: Design, record: LMMRecord, model: WorkingModel) -> Bootstrapped:
    """A fit ready for replicates, with the response of the fit in the core."""
    return Bootstrapped(design, record, model, lmm_parameters(design))


def record_values(record: LMMRecord, parameters: Sequence[Parameter]) -> Array:
    """The fit's own estimates (K,)."""
    roots = [term.root / record.sigma for term in record.terms]
    return parameter_values(parameters, record.beta, roots, np.asarray(record.sigma))


def make_bootstrap(
    fit: Any,
    n: int,
    kind: BootstrapKind,
    seed: Seed,
    progress: bool | None,
    statistic: Callable[[Any], object] | None,
) -> Bootstrap:
    """Draw and fit the replicates; Ctrl-C keeps those that are done, with a warning."""
    checked_choice("kind", kind, tuple(TITLES))
    root = checked_seed(seed)
    streams = random_streams(checked_count("n", n), root)
    fitted = bootstrapped(fit.design, fit.record, working_model(fit.design))
    clusters = independent_clusters(fit.design) if kind == "case" else None
    if statistic is None:
        parameters, estimates = fitted.parameters, record_values(fit.record, fitted.parameters)
        fits = replicate_fits(fitted, kind)
    else:
        found = named_statistic(statistic(fit))
        parameters = tuple(Parameter(name, "fixed", None, name, -1) for name in found)
        estimates = np.array(list(found.values()))
        fits = statistic_replicates(refitting(fit, fitted, kind), statistic, list(found))
    replicates = in_blocks(fits, streams, fit.design.n_rows, progress)
    if len(replicates.values) < n:
        warnings.warn(
            f"interrupted after {len(replicates.values)} of {n} bootstrap replicates, which are kept.",
            MultilevelWarning,
            stacklevel=3,
        )
    return Bootstrap(
        fitted,
        replicates,
        parameters,
        estimates,
        kind=kind,
        seed=root.entropy,
        requested=n,
        clusters=None if clusters is None else f"{clusters.name} ({clusters.count})",
        own_statistic=statistic is not None,
    )


def refitting(fit: Any, fitted: Bootstrapped, kind: BootstrapKind) -> Callable[[np.random.Generator], Any]:
    """What turns one random stream into a whole refitted fit."""
    if kind != "case":
        draw = response_draws(fitted, kind)
        return lambda rng: fit.refit(draw([rng])[:, 0])
    clusters = independent_clusters(fit.design)

    def refit(rng: np.random.Generator) -> Any:
        design = design_of_sample(fit.design, clusters, draw_clusters(clusters.count, [rng])[:, 0])
        return type(fit)(design, fit._estimate(design), fit.call)

    return refit
