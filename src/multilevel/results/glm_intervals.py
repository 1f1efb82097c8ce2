"""Confidence limits of a generalized linear model's coefficients."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from multilevel._options import checked_choice
from multilevel._typing import Array, Frame
from multilevel.errors import DataError, ModelError, MultilevelWarning
from multilevel.inference.glm_profile import ProfiledGLM, profile_limits
from multilevel.inference.wald import checked_level
from multilevel.report.tables import confint_columns
from multilevel.results.glm_testing import GLMTesting


class GLMIntervals(GLMTesting):
    """Wald's limits, and those of the likelihood's profile."""

    def confint(
        self,
        method: Literal["wald", "profile"] = "wald",
        *,
        level: float = 0.95,
        df: Any = None,
        which: str | Sequence[str] | None = None,
    ) -> Frame:
        """Confidence limits of the coefficients: term, estimate, conf_low, conf_high.

        Profile limits, R's default, hold what the likelihood does not speak against: a coefficient is held
        where all others, fitted again, leave a likelihood ratio at its quantile (of the normal; of Student's
        t where the dispersion is estimated). They need not be symmetric, and serve small samples, and
        probabilities near 0 or 1, better than Wald's.

        Args:
            method: "wald", quick and symmetric, by the variance of the fit; or "profile".
            level: of the intervals.
            df: of "wald": a method for degrees of freedom, as in `summary`.
            which: names of coefficients; all by default.

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
        checked_choice("method", method, ("wald", "profile"))
        places = self._chosen(which)
        if method == "wald":
            columns = confint_columns(self._coefficients(df), level)
            return self._frame({name: [values[k] for k in places] for name, values in columns.items()})
        if df is not None:
            raise ModelError('df= belongs to confint("wald"); profiles are of the likelihood.')
        limits = self._profile_limits(places, checked_level(level))
        return self._frame(
            {
                "term": [self.coef_names[k] for k in places],
                "estimate": self.fixef[places],
                "conf_low": limits[:, 0],
                "conf_high": limits[:, 1],
            }
        )

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
