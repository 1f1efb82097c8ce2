"""How alike are members of a group, and how much does a generalized mixed model explain?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from multilevel._options import checked_choice
from multilevel._typing import Frame
from multilevel.clusters.glmm_variance import LatentVariance, Method, latent_variance, usual_method
from multilevel.clusters.observed_icc import observed_icc
from multilevel.design.null import intercept_alone, null_design
from multilevel.errors import DataError
from multilevel.estimation.glmm import minimise_glmm, working_glmm
from multilevel.families.moments import is_truncated
from multilevel.fitted.assemble_glmm import assemble_glmm
from multilevel.inference.normal_average import normal_average
from multilevel.report.tables import Columns
from multilevel.results.glmm_base import GLMMBase

METHODS = (None, "latent", "delta", "lognormal", "trigamma")


class GLMMExplained(GLMMBase):
    """Intraclass correlations and R2, on the latent and on the observed scale."""

    def icc(self, *, method: Method | None = None, mean: float | None = None) -> Frame:
        """Intraclass correlations: how alike two responses of one group are, by grouping factor.

        Rows with scale "latent" are shares of the variance of the linear predictor and an observation about
        it: `icc` of what the fixed part leaves, `icc_unadjusted` of the whole. Rows with scale "observed" are
        the correlation of two responses themselves (of single trials), averaged over rows; they are smaller
        for rare events. Random effects for each row count as variance of the observations.

        Args:
            method: for the latent variance of an observation: "latent" (pi^2 / 3 of the logit, 1 of the
                probit, pi^2 / 6 of the complementary log-log; the usual one there), "lognormal" (with a log
                link, the usual one), "trigamma", or "delta" (any link).
            mean: the mean response at which the last three are taken; if not given, that of the model
                without predictors, averaged over its random effects. Of a truncated family it is the mean
                before zeros are cut off.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial")
            >>> fit.icc()[["scale", "group", "icc"]].round(3)
                  scale group    icc
            0    latent  herd  0.111
            1  observed  herd  0.041

        References:
            Nakagawa, S., Johnson, P. C. D. & Schielzeth, H. (2017). The coefficient of determination R2 and
            intra-class correlation coefficient from generalized linear mixed-effects models revisited and
            expanded. Journal of the Royal Society Interface 14, 20170213.
            Goldstein, H., Browne, W. & Rasbash, J. (2002). Partitioning variation in multilevel models.
            Understanding Statistics 1, 223-231.
        """
        parts, used = self._latent(method, mean)
        columns: Columns = {
            "scale": ["latent"] * len(parts.groups),
            "group": list(parts.groups),
            "method": [used] * len(parts.groups),
            "variance": parts.between,
            "icc": parts.between / parts.left,
            "icc_unadjusted": parts.between / (parts.left + parts.fixed),
        }
        if self.record.family.response != "ordered" and self.record.eta_zi is None:
            observed = observed_icc(self.model, self.record, parts.groups)
            blank = np.full(len(observed), np.nan)
            more = [["observed"] * len(observed), list(parts.groups), ["integration"] * len(observed)]
            numbers = [blank, observed, blank]
            columns = {
                **{name: columns[name] + extra for name, extra in zip(list(columns)[:3], more, strict=True)},
                **{
                    name: np.concatenate([columns[name], extra])
                    for name, extra in zip(list(columns)[3:], numbers, strict=True)
                },
            }
        return self._frame(columns)

    def r2(self, *, method: Method | None = None, mean: float | None = None) -> Frame:
        """Explained variance on the latent scale: marginal and conditional R2.

        "marginal" is the share of the fixed part in the variance of the linear predictor and an observation
        about it, "conditional" that of fixed and random effects together (random effects for each row
        excepted). The columns are measure, method, estimate; the arguments are those of `icc`.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial")
            >>> fit.r2().round(4)
                   measure  method  estimate
            0     marginal  latent    0.0854
            1  conditional  latent    0.1873

        References:
            Nakagawa, S., Johnson, P. C. D. & Schielzeth, H. (2017). The coefficient of determination R2 and
            intra-class correlation coefficient from generalized linear mixed-effects models revisited and
            expanded. Journal of the Royal Society Interface 14, 20170213.
        """
        parts, used = self._latent(method, mean)
        whole = parts.left + parts.fixed
        shares = [parts.fixed / whole, (parts.fixed + float(parts.between.sum())) / whole]
        return self._frame(
            {"measure": ["marginal", "conditional"], "method": [used, used], "estimate": np.array(shares)}
        )

    def _latent(self, method: Method | None, mean: float | None) -> tuple[LatentVariance, Method]:
        """The parts of the latent variance, and the method that was used."""
        checked_choice("method", method, METHODS)
        if mean is not None and not (np.isfinite(mean) and mean > 0.0):
            raise DataError(f"mean={mean} is no mean response; give a positive number, or leave it out.")
        record = self._with_random_effects()
        used = usual_method(record) if method is None else method
        at = 1.0 if used == "latent" else self._typical_mean() if mean is None else float(mean)
        return latent_variance(self.model, self.record, used, at), used

    def _typical_mean(self) -> float:
        """Mean of the family in the model without predictors, averaged over its random effects and rows."""
        main, family = null_design(self.design), self.record.family
        zeros = self.model.zi if is_truncated(family.density) else None  # a hurdle's zeros need their part
        zi = None if zeros is None else intercept_alone(zeros)
        design = replace(self.model, main=main, zi=zi, dispersion=None)
        working = working_glmm(design, family)
        null = assemble_glmm(design, family, working, minimise_glmm(working), nodes=1)
        variance = sum(float(term.covariance[0, 0]) for term in null.terms)
        sd = np.full(main.n_rows, np.sqrt(variance))
        return float(
            np.average(normal_average(family.link.inverse, null.eta_fixed, sd), weights=main.freq_weights)
        )
