"""Confidence limits of a generalized linear model's coefficients."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

import numpy as np

from multilevel._options import Seed, checked_choice
from multilevel._typing import Array, Frame
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import DataError, ModelError, MultilevelWarning
from multilevel.estimation.glmm_prior import checked_prior
from multilevel.inference.bootstrap_intervals import LimitMethod
from multilevel.inference.clustering import Clustering, read_clusters
from multilevel.inference.glm_bootstrap import Source
from multilevel.inference.glm_profile import ProfiledGLM, profile_limits
from multilevel.inference.variance_choice import VarianceChoice
from multilevel.inference.wald import checked_level
from multilevel.report.tables import confint_columns
from multilevel.results.glm_bootstrap import GLMBootstrap, make_glm_bootstrap
from multilevel.results.glm_testing import GLMTesting
from multilevel.simulation.lmm import refuse_counted_rows


class GLMIntervals(GLMTesting):
    """Wald's limits, those of the likelihood's profile, and those of bootstraps."""

    choice: VarianceChoice

    def bootstrap(
        self,
        n: int = 1000,
        kind: Literal["parametric", "case"] = "parametric",
        *,
        groups: Clustering | None = None,
        seed: Seed = None,
        progress: bool | None = None,
        statistic: Callable[[Any], object] | None = None,
    ) -> GLMBootstrap:
        """Refit the model to `n` replicated samples: standard errors and intervals of all parameters.

        Each replicate has a random stream of its own. Ctrl-C keeps the replicates that are done. Samples that
        cannot be fitted (a predictor that separates the responses) are counted and left out.

        Args:
            n: number of replicates.
            kind: "parametric" draws new responses from the model; "case" draws rows with replacement, or
                whole clusters, and does not ask that the model be right.
            groups: clusters that a case bootstrap draws, a column of the data or labels (n,); those of
                `cluster=` if not given.
            seed: of the random streams.
            progress: show a progress bar; on by default when it turns out long.
            statistic: a function of a refitted fit that returns a number, an array or a mapping of names to
                numbers, in the place of the parameters.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glm("resp ~ age + smoke", ml.datasets.ohio(), family="binomial", cluster="id")
            >>> boot = fit.bootstrap(200, "case", seed=1)
            >>> boot.replicates.shape, bool(abs(boot.se[2] / fit.se[2] - 1.0) < 0.2)
            ((200, 3), True)

        References:
            Davison, A. C. & Hinkley, D. V. (1997). Bootstrap Methods and their Application. Cambridge
            University Press.
        """
        refuse_residuals(kind)
        refuse_counted_rows(self.design)
        if groups is not None and kind != "case":
            raise ModelError('groups= are the clusters of a case bootstrap; say kind="case".')
        own = next(iter(self.choice.clusters), None) if kind == "case" else None
        clusters = own if groups is None else read_clusters(groups, self.call.data, self.design)
        prior = checked_prior(self.call.options.get("prior"))
        source = Source(self.model, self.record, prior, clusters)
        return make_glm_bootstrap(source, n, kind, seed, progress, statistic, self)

    @abstractmethod
    def _of_design(self, model: GLMMDesign) -> Self:
        """The same model fitted to another design, with the variance of the model."""

    def confint(
        self,
        method: Literal["wald", "profile", "bootstrap"] = "wald",
        *,
        level: float = 0.95,
        df: Any = None,
        which: str | Sequence[str] | None = None,
        limits: LimitMethod = "percentile",
        **options: Any,
    ) -> Frame:
        """Confidence limits of the coefficients: term, estimate, conf_low, conf_high.

        Profile limits, R's default, hold what the likelihood does not speak against: a coefficient is held
        where all others, fitted again, leave a likelihood ratio at its quantile (of the normal; of Student's
        t where the dispersion is estimated). They need not be symmetric, and serve small samples, and
        probabilities near 0 or 1, better than Wald's.

        Args:
            method: "wald", quick and symmetric, by the variance of the fit; "profile"; or "bootstrap", of the
                coefficients of all parts.
            level: of the intervals.
            df: of "wald": a method for degrees of freedom, as in `summary`.
            which: names of coefficients; all by default.
            limits: of a bootstrap: "percentile", "basic", "normal" or "bca".
            options: those of `bootstrap()`, for example n=2000, kind="case", seed=1.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glm("incidence / size ~ period", ml.datasets.cbpp(), family="binomial")
            >>> fit.confint("profile").round(3)
                      term  estimate  conf_low  conf_high
            0    Intercept    -1.269    -1.561     -0.992
            1  period[T.2]    -1.171    -1.770     -0.620
            2  period[T.3]    -1.301    -1.951     -0.716
            3  period[T.4]    -1.782    -2.681     -1.037

        References:
            Venzon, D. J. & Moolgavkar, S. H. (1988). A method for computing profile-likelihood-based
            confidence intervals. Applied Statistics 37, 87-94.
        """
        checked_choice("method", method, ("wald", "profile", "bootstrap"))
        if options and method != "bootstrap":
            raise ModelError(f"{next(iter(options))}= belongs to bootstraps, not to {method} limits.")
        if df is not None and method != "wald":
            raise ModelError('df= belongs to confint("wald"): profiles and bootstraps have no use for it.')
        if method == "bootstrap":
            return self._bootstrap_limits(which, limits, level, options)
        places = self._chosen(which)
        if method == "wald":
            columns = confint_columns(self._coefficients(df), level)
            return self._frame({name: [values[k] for k in places] for name, values in columns.items()})
        profiled = self._profile_limits(places, checked_level(level))
        return self._frame(
            {
                "term": [self.coef_names[k] for k in places],
                "estimate": self.fixef[places],
                "conf_low": profiled[:, 0],
                "conf_high": profiled[:, 1],
            }
        )

    def _bootstrap_limits(
        self, which: str | Sequence[str] | None, limits: LimitMethod, level: float, options: dict[str, Any]
    ) -> Frame:
        boot = self.bootstrap(**options)
        columns = boot.interval_columns(limits, level)
        wanted = columns["term"] if which is None else [self.coef_names[k] for k in self._chosen(which)]
        places = [k for k, term in enumerate(columns["term"]) if term in wanted]
        return self._frame({name: [values[k] for k in places] for name, values in columns.items()})

    def _profile_limits(self, places: Sequence[int], level: float) -> Array:
        if self.record.prior:
            raise ModelError("a profile is of the likelihood, and this fit has a prior; fit without prior=.")
        if self._own_vcov() != "model":
            raise ModelError(
                "a profile trusts the likelihood, and this fit's variance is robust: use method='wald', or "
                "fit without vcov= and cluster=."
            )
        profiled = ProfiledGLM(self.model, self.record, self.se)
        limits = np.array([profile_limits(profiled, k, level) for k in places]).reshape(-1, 2)
        unknown = [self.coef_names[k] for k, pair in zip(places, limits, strict=True) if np.isnan(pair).any()]
        if unknown:
            warnings.warn(
                f"The likelihood does not fall off far enough on a side of {', '.join(unknown)}: the limit "
                "there is missing in the table, since no value is too far.",
                MultilevelWarning,
                stacklevel=3,
            )
        return limits

    def _chosen(self, which: str | Sequence[str] | None) -> list[int]:
        """Places of the coefficients named."""
        if which is None:
            return list(range(len(self.coef_names)))
        names = [which] if isinstance(which, str) else list(which)
        for name in names:
            if name not in self.coef_names:
                raise DataError(
                    f"which: there is no coefficient '{name}'; there are {', '.join(self.coef_names)}."
                )
        return [self.coef_names.index(name) for name in names]


def refuse_residuals(kind: object) -> None:
    """Say why there is no residual bootstrap here."""
    if kind == "residual":
        raise ModelError(
            'kind="residual" adds residuals to fitted values, which makes no counts, shares or categories; '
            'use kind="parametric" or kind="case".'
        )
    checked_choice("kind", kind, ("parametric", "case"))
