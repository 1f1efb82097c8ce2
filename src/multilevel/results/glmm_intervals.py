"""Intervals of a generalized mixed model, and the fits to other responses that they rest on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy.typing as npt

from multilevel._options import Seed, checked_choice
from multilevel._typing import Frame
from multilevel.errors import ModelError
from multilevel.estimation.glmm_prior import checked_prior
from multilevel.estimation.glmm_refits import GLMMFits, fit_many
from multilevel.inference.bootstrap_intervals import LimitMethod
from multilevel.inference.clustering import Clustering
from multilevel.inference.glmm_parameters import glmm_parameters, parameters_at
from multilevel.inference.glmm_profile import ProfiledGLMM, parameter_errors
from multilevel.inference.wald import checked_level
from multilevel.report.glmm_tables import confint_columns
from multilevel.results.checks import checked_responses
from multilevel.results.glmm_base import DfMethod, GLMMBase, df_of
from multilevel.results.glmm_bootstrap import GLMMBootstrap, make_glmm_bootstrap
from multilevel.results.glmm_profile import GLMMProfile, make_glmm_profile
from multilevel.results.intervals import Effects, refuse_wald_ran_pars


class GLMMIntervals(GLMMBase):
    """Wald, profile-likelihood and bootstrap intervals."""

    def profile(self, which: str | Sequence[str] | None = None) -> GLMMProfile:
        """Profile the likelihood: how the best fit worsens as one parameter moves from its estimate.

        Args:
            which: parameters by name ("x", "zi~Intercept", "sd__(Intercept)|g", "cor__(Intercept).x|g"), or
                "fixed", or "ran_pars"; all by default.

        Example:
            >>> import multilevel as ml
            >>> cbpp = ml.datasets.cbpp(frame="polars")
            >>> fit = ml.glmm("incidence / size ~ period + (1 | herd)", cbpp, family="binomial")
            >>> limits = fit.profile("ran_pars").confint()
            >>> limits["conf_low"].round(3).item(), limits["conf_high"].round(3).item()
            (0.346, 1.1)

        References:
            Venzon, D. J. & Moolgavkar, S. H. (1988). A method for computing profile-likelihood-based
            confidence intervals. Applied Statistics 37, 87-94.
        """
        if not self.record.nodes:
            raise ModelError(
                "a profile is of a likelihood at its maximum, and with nagq=0 the fixed effects are not "
                "there; profile fit.update(nagq=1), or use Wald or bootstrap limits."
            )
        model = self._working_model()
        parameters = glmm_parameters(self.model, model)
        psi = self.record.optimum.theta
        profiled = ProfiledGLMM(
            model=model,
            psi=psi,
            criterion=float(model.kernel.value(psi)),
            parameters=parameters,
            estimates=parameters_at(model, parameters, psi),
            std_errors=parameter_errors(model, parameters, psi),
        )
        return make_glmm_profile(
            profiled, which, self.formula, self.design.frame_kind, prior=self.record.prior
        )

    def bootstrap(
        self,
        n: int = 1000,
        kind: Literal["parametric", "case"] = "parametric",
        *,
        seed: Seed = None,
        progress: bool | None = None,
        statistic: Callable[[Any], object] | None = None,
    ) -> GLMMBootstrap:
        """Refit the model to `n` replicated samples: standard errors and intervals of all parameters.

        Each replicate has a random stream of its own: the same seed gives the same numbers on any number of
        processors. Ctrl-C keeps the replicates that are done.

        Args:
            n: number of replicates.
            kind: "parametric" draws new random effects and new responses from the model; "case" draws whole
                clusters with replacement (of the top grouping factor where factors are nested), a cluster
                drawn twice counting as two, and does not ask that the model be right inside them.
            seed: of the random streams.
            progress: show a progress bar; on by default when it turns out long.
            statistic: a function of a refitted fit that returns a number, an array or a mapping of names to
                numbers, in the place of the parameters; slower, since each refit is then a whole fit.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial")
            >>> boot = fit.bootstrap(200, seed=1)
            >>> boot.replicates.shape, bool(abs(boot.se[1] / fit.se[1] - 1.0) < 0.2)
            ((200, 5), True)

        References:
            Davison, A. C. & Hinkley, D. V. (1997). Bootstrap Methods and their Application. Cambridge
            University Press.
        """
        return make_glmm_bootstrap(self, n, kind, seed, progress, statistic)

    def refit_many(self, Y: npt.ArrayLike, *, progress: bool | None = None) -> GLMMFits:
        """Fit the same model to the columns of Y (n, B), on all processors: bootstraps, simulations, power.

        Returns arrays with a row a response: psi (working parameters), coefficients of all parts, loglik,
        converged, singular. The numbers do not depend on how many processors there are.

        Args:
            Y: responses over the rows used, (n, B), as `simulate(B)` returns them: successes where there are
                trials, categories counted from 0.
            progress: show a progress bar; on by default when it will be long.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial")
            >>> fit.refit_many(fit.simulate(50, seed=1)).coefficients.shape
            (50, 4)
        """
        responses = checked_responses(Y, self.design)
        prior = checked_prior(self.call.options.get("prior"))
        return fit_many(
            self.model,
            self.record.family,
            self._working_model(),
            self.record.optimum.theta,
            responses,
            progress,
            prior,
            self.record.nodes,
        )

    def confint(
        self,
        method: Literal["wald", "profile", "bootstrap"] = "wald",
        *,
        level: float = 0.95,
        df: DfMethod | None = None,
        effects: Effects = "all",
        limits: LimitMethod = "percentile",
        vcov: str | None = None,
        cluster: Clustering | None = None,
        **options: Any,
    ) -> Frame:
        """Confidence limits of all parameters; by profile or bootstrap those of variances too.

        The columns are the same for all methods: component ("cond", the mean; "zi"; "disp"; "threshold"),
        effect ("fixed" or "ran_pars"), group (missing for coefficients, which belong to none), term,
        estimate, conf_low, conf_high. A limit that a profile does not reach is missing.

        Args:
            method: "wald" for the coefficients of all parts, quick and symmetric; "profile" and "bootstrap"
                for standard deviations and correlations too.
            level: of the intervals.
            df: of Wald limits with a robust variance: "residual" (t on one df fewer than there are clusters)
                or "z".
            effects: "all" that the method can give, the "fixed" ones, or "ran_pars".
            limits: of a bootstrap: "percentile", "basic", "normal" or "bca".
            vcov: of Wald limits, kind of variance as for `vcov(kind=)`.
            cluster: clusters of that variance, a column or labels (n,).
            options: those of `profile()` or `bootstrap()`, for example n=2000, kind="case", seed=1.

        Example:
            >>> import multilevel as ml
            >>> cbpp = ml.datasets.cbpp(frame="polars")
            >>> fit = ml.glmm("incidence / size ~ period + (1 | herd)", cbpp, family="binomial")
            >>> fit.confint("profile", effects="fixed")["conf_low"].round(2).to_list()
            [-1.9, -1.62, -1.8, -2.5]
        """
        checked_choice("method", method, ("wald", "profile", "bootstrap"))
        checked_choice("effects", effects, ("all", "fixed", "ran_pars"))
        if method != "wald":
            refuse_wald_options(method, df, vcov, cluster)
        if method == "profile":
            return self.profile(options.pop("which", effects), **options).confint(level)
        if method == "bootstrap":
            return self.bootstrap(**options).confint(limits, level, effects=effects)
        if options:
            raise ModelError(
                f"{next(iter(options))}= belongs to profiles and bootstraps, not to Wald limits."
            )
        refuse_wald_ran_pars(effects)
        sandwich = self._sandwich(vcov, cluster, df)
        return self._frame(
            confint_columns(self._with_variance(sandwich), checked_level(level), df_of(sandwich))
        )


def refuse_wald_options(method: str, df: str | None, vcov: str | None, cluster: Clustering | None) -> None:
    """Profiles and bootstraps have no standard errors to choose."""
    given = {"df": df, "vcov": vcov, "cluster": cluster}
    for name in (name for name, value in given.items() if value is not None):
        raise ModelError(f'{name}= belongs to confint("wald"); confint("{method}") has no use for it.')
