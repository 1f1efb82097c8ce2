"""Intervals of a mixed model beyond Wald's: profiles of the likelihood, and bootstraps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from multilevel._options import checked_choice
from multilevel._typing import Frame
from multilevel.errors import ModelError
from multilevel.fitted.lmm import LMMRecord
from multilevel.results.base import Fit
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
            which: parameters by name ("Days", "sd__Days|Subject", "cor__(Intercept).Days|Subject", "sigma"), or
                "fixed", or "ran_pars"; all by default.
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

    def confint(  # type: ignore[override]  # more methods, and parameters of the random part with them
        self,
        method: Literal["wald", "profile", "bootstrap"] = "wald",
        *,
        level: float = 0.95,
        effects: Effects = "all",
        **options: Any,
    ) -> Frame:
        """Confidence limits: term, estimate, conf_low, conf_high; by profile or bootstrap of variances too.

        Args:
            method: "wald" for the coefficients, quick and symmetric; "profile" and "bootstrap" for standard
                deviations and correlations too, with the columns effect and group before the others.
            level: of the intervals.
            effects: "all" that the method can give, the "fixed" ones, or "ran_pars".
            options: of `profile()` or `bootstrap()`; `limits=` chooses among the bootstrap's intervals.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.lmm("Reaction ~ Days + (1 | Subject)", ml.datasets.sleepstudy(frame="polars"))
            >>> fit.confint("profile", effects="ran_pars")["conf_high"].round(2).to_list()
            [52.94, 34.59]
        """
        checked_choice("method", method, ("wald", "profile", "bootstrap"))
        checked_choice("effects", effects, ("all", "fixed", "ran_pars"))
        if method == "profile":
            return self.profile(effects, **options).confint(level)
        refuse_wald_ran_pars(effects)
        return super().confint(level=level, **options)


def refuse_wald_ran_pars(effects: Effects) -> None:
    """Standard deviations and correlations have no symmetric limits worth printing."""
    if effects == "ran_pars":
        raise ModelError(
            "symmetric (Wald) limits of standard deviations and correlations would mislead; "
            'use confint("profile", effects="ran_pars") or confint("bootstrap", effects="ran_pars").'
        )
