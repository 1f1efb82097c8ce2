"""Intervals of a mixed model beyond Wald's: profiles of the likelihood, and bootstraps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from multilevel._options import Seed, checked_choice
from multilevel._typing import Frame
from multilevel.errors import ModelError
from multilevel.fitted.lmm import LMMRecord
from multilevel.inference.bootstrap import BootstrapKind
from multilevel.inference.bootstrap_intervals import LimitMethod
from multilevel.results.base import Fit
from multilevel.results.bootstrap import Bootstrap, make_bootstrap
from multilevel.results.degrees import DfMethod
from multilevel.results.profile import Profile, make_profile

Effects = Literal["all", "fixed", "ran_pars"]


class Intervals(Fit[LMMRecord]):
    """Profile-likelihood and bootstrap intervals of a linear mixed model."""

    def profile(
        self,
        which: str | Sequence[str] | None = None,
        *,
        level: float = 0.99,
        progress: bool | None = None,
    ) -> Profile:
        """Profile the likelihood: how the best fit worsens as one parameter moves from its estimate.

        Profiles are of the likelihood: a REML fit is refitted by maximum likelihood, and the profile says so.

        Args:
            which: parameters by name ("Days", "sd__Days|Subject", "cor__(Intercept).Days|Subject", "sigma"),
                or "fixed", or "ran_pars"; all by default.
            level: how far to follow each profile: to the limits of this level.
            progress: show a progress bar; on by default when it turns out long.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", ml.datasets.sleepstudy(frame="polars"))
            >>> profile = fit.profile("sigma")
            >>> profile.confint()["conf_low"].round(2).item()
            22.9
            >>> round(profile.zeta("sigma", 22.9), 2)
            -1.96

        References:
            Bates, D., Mächler, M., Bolker, B. & Walker, S. (2015). Fitting linear mixed-effects models using
            lme4. Journal of Statistical Software 67(1), section 5.1.
        """
        if self.sigma == 0.0:
            raise ModelError(
                'profiles need a residual term, which residual="none" leaves out; use bootstrap() instead.'
            )
        by_ml = self._by_ml()
        return make_profile(
            self.design,
            by_ml.record,
            refitted=by_ml is not self,
            which=which,
            level=level,
            progress=progress,
        )

    def bootstrap(
        self,
        n: int = 1000,
        kind: BootstrapKind = "parametric",
        *,
        seed: Seed = None,
        progress: bool | None = None,
        statistic: Callable[[Any], object] | None = None,
    ) -> Bootstrap:
        """Refit the model to `n` replicated samples: standard errors and intervals of all parameters.

        Replicate by replicate the random numbers come from a stream of its own: the same seed gives the same
        numbers on any number of processors. Ctrl-C keeps the replicates that are done.

        Args:
            n: number of replicates.
            kind: "parametric" draws new random effects and errors from the model; "residual" resamples the
                predicted effects and residuals, reflated to the variances that the model estimates; "case"
                draws whole clusters with replacement (of the top grouping factor where factors are nested),
                a cluster drawn twice counting as two.
            seed: of the random streams.
            progress: show a progress bar; on by default when it turns out long.
            statistic: a function of a refitted fit that returns a number, an array or a mapping of names to
                numbers, in the place of the parameters; slower, since each refit is then a whole fit.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", ml.datasets.sleepstudy())
            >>> boot = fit.bootstrap(500, seed=1)
            >>> boot.replicates.shape, bool(abs(boot.se[1] / fit.se[1] - 1.0) < 0.1)
            ((500, 6), True)

        References:
            Davison, A. C. & Hinkley, D. V. (1997). Bootstrap Methods and their Application. Cambridge
            University Press. Carpenter, J. R., Goldstein, H. & Rasbash, J. (2003). A novel bootstrap
            procedure for assessing the relationship between class size and achievement. Journal of the Royal
            Statistical Society C 52, 431-443.
        """
        refuse_bootstrap_without_residual(self.sigma, kind, statistic)
        return make_bootstrap(self, n, kind, seed, progress, statistic)

    def confint(
        self,
        method: Literal["wald", "profile", "bootstrap"] = "wald",
        *,
        level: float = 0.95,
        df: DfMethod | None = None,
        effects: Effects = "all",
        limits: LimitMethod = "percentile",
        **options: Any,
    ) -> Frame:
        """Confidence limits: term, estimate, conf_low, conf_high; by profile or bootstrap of variances too.

        Args:
            method: "wald" for the coefficients, quick and symmetric; "profile" and "bootstrap" for standard
                deviations and correlations too, with the columns effect and group before the others.
            level: of the intervals.
            df: of "wald": the method for the degrees of freedom of t, as in `summary`, by default
                Satterthwaite's; "kenward-roger" has its own standard errors.
            effects: "all" that the method can give, the "fixed" ones, or "ran_pars".
            limits: of a bootstrap: "percentile", "basic", "normal", "bca" or "studentized".
            options: those of `profile()` or `bootstrap()`, for example n=2000, kind="case", seed=1.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.lmm("Reaction ~ Days + (1 | Subject)", ml.datasets.sleepstudy(frame="polars"))
            >>> fit.confint()["conf_high"].round(2).to_list()
            [271.58, 12.06]
            >>> fit.confint("profile", effects="ran_pars")["conf_high"].round(2).to_list()
            [52.94, 34.59]
        """
        checked_choice("method", method, ("wald", "profile", "bootstrap"))
        checked_choice("effects", effects, ("all", "fixed", "ran_pars"))
        if df is not None and method != "wald":
            raise ModelError(f'df= belongs to confint("wald"); confint("{method}") has no use for it.')
        if method == "profile":
            which = options.pop("which", effects)
            return self.profile(which, level=level, **options).confint(level)
        if method == "bootstrap":
            return self.bootstrap(**options).confint(limits, level, effects=effects)
        refuse_wald_ran_pars(effects)
        return super().confint(level=level, df=df, **options)


def refuse_bootstrap_without_residual(
    sigma: float, kind: BootstrapKind, statistic: Callable[[Any], object] | None
) -> None:
    """Without a residual there is none to resample, and refits are whole fits."""
    if sigma == 0.0 and (kind != "parametric" or statistic is None):
        raise ModelError(
            'with residual="none" only kind="parametric" with statistic= can be bootstrapped, for example '
            "statistic=lambda fit: fit.fixef."
        )


def refuse_wald_ran_pars(effects: Effects) -> None:
    """Standard deviations and correlations have no symmetric limits worth printing."""
    if effects == "ran_pars":
        raise ModelError(
            "symmetric (Wald) limits of standard deviations and correlations would mislead; "
            'use confint("profile", effects="ran_pars") or confint("bootstrap", effects="ran_pars").'
        )
