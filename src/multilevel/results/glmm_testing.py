"""Tests of the mean's coefficients in a generalized mixed model: chi-square tests by Wald."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from multilevel._options import Seed, checked_choice
from multilevel._typing import Frame
from multilevel.design.fixed_terms import fixed_terms
from multilevel.errors import ModelError, MultilevelWarning
from multilevel.estimation.glmm_rows import Component
from multilevel.fitted.glmm import GLMMRecord
from multilevel.inference.anova import checked_type
from multilevel.inference.clustering import Clustering
from multilevel.inference.coefficients import CoefficientInference, KnownDf
from multilevel.inference.component_means import design_of
from multilevel.inference.glmm_ranova import bootstrap_effects, without_each_effect
from multilevel.inference.glmm_sandwich import GLMMSandwich
from multilevel.inference.hypotheses import Asked, texts_of
from multilevel.inference.hypothesis_text import Coefficients
from multilevel.inference.term_contrasts import Metric, Type, metric_of_fit
from multilevel.inference.wald_terms import wald_terms
from multilevel.report.anova import chi_square_columns
from multilevel.report.simulated_p import simulated_columns
from multilevel.results.glmm_base import GLMMBase, df_of, root_of
from multilevel.results.testing import Testing


class GLMMTesting(Testing[GLMMRecord], GLMMBase):
    """Wald tests of terms and hypotheses."""

    def anova(
        self,
        type: Literal[1, 2, 3, "I", "II", "III", "sequential"] = 2,
        *,
        df: str | None = None,
        vcov: str | None = None,
        cluster: Clustering | None = None,
        strata: bool = False,
        component: Literal["conditional", "zi", "dispersion"] = "conditional",
    ) -> Frame:
        """Does each term matter? Wald's chi-square tests, one row a term.

        The columns are term, statistic, df, p_value. For a likelihood-ratio test fit the model without the
        term and `ml.compare()` the two.

        Args:
            type: 2, each term beside all that do not contain it (`A:B` and `A:x` contain `A`); 3, each term
                beside all others, so that with `A * B` the test of A is at B's reference level, or with
                `contrasts={"B": "sum"}` on average over its levels; 1, each term beside those before it.
            df: None or "z": a chi-square test has no denominator. With few clusters `test(joint=True)` has F.
            vcov: kind of variance, as for `vcov(kind=)`.
            cluster: clusters of that variance, a column or labels (n,).
            strata: must be False; strata belong to balanced linear models.
            component: the part whose terms are tested: the mean, the zeros ("zi") or the "dispersion".

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial")
            >>> fit.anova().round(4)
                 term  statistic  df  p_value
            0  period    24.9486   3      0.0

        References:
            Fox, J. (2016). Applied Regression Analysis and Generalized Linear Models, 3rd ed., section 15.3.
        """
        checked_choice("strata", str(strata), ("False",))
        checked_choice("df", df, (None, "z"))
        checked_choice("component", component, ("conditional", "zi", "dispersion"))
        name: Component = {"zi": "zi", "dispersion": "disp"}.get(component, "cond")  # type: ignore[assignment]
        side = design_of(self.model, name)
        sandwich = self._sandwich(vcov, cluster, df)
        part = self._with_variance(sandwich).part(name)
        assert part is not None
        if sandwich is not None:
            refuse_fewer_clusters(sandwich, len(part.estimate))
        tests = wald_terms(fixed_terms(side), part.estimate, part.vcov, checked_type(type))
        return self._frame(chi_square_columns(tests))

    def ranova(
        self,
        *,
        method: Literal["chi-square", "bootstrap"] = "chi-square",
        n: int = 1000,
        seed: Seed = None,
        progress: bool | None = None,
    ) -> Frame:
        """Take out each random effect in turn, fit again, and test the difference.

        A slope is taken out of its term ("x in (1 + x | g)", with its covariances), a term of one column is
        dropped. `p_value` is that of the chi-square; it is too large, since a variance cannot be negative.
        `p_boundary`, of the mixture of chi-squares that holds then in large samples, is the one to report.
        With few groups prefer method="bootstrap": `p_bootstrap` is the share of gains as large on data
        simulated without the effect. The columns are term, n_parameters, loglik, aic, statistic, df, p_value,
        p_boundary, and by bootstrap p_bootstrap and p_error, its Monte-Carlo error.

        Args:
            method: "chi-square", or "bootstrap" to simulate too.
            n: data sets to simulate for each test.
            seed: of the simulation; the same seed gives the same p-values.
            progress: show a progress bar; on by default when it turns out long.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial")
            >>> fit.ranova()[["term", "statistic", "df", "p_boundary"]].round(4)
                     term  statistic   df  p_boundary
            0      <none>        NaN  NaN         NaN
            1  (1 | herd)    14.0058  1.0      0.0001

        References:
            Stram, D. O. and Lee, J. W. (1994). Variance components testing in the longitudinal mixed effects
            model. Biometrics 50, 1171-1177.
        """
        checked_choice("method", method, ("chi-square", "bootstrap"))
        tests = without_each_effect(self.model, self.record)
        simulated = None
        if method == "bootstrap":
            simulated = (None, *bootstrap_effects(self.model, self.record, tests, n, seed, progress))
            if failed := sum(each.failed for each in simulated if each is not None):
                warnings.warn(
                    f"{failed} of the simulated data sets are left out: a fit to them did not converge.",
                    MultilevelWarning,
                    stacklevel=2,
                )
        loglik = np.array([self.loglik, *(test.loglik for test in tests)])
        n_parameters = np.array([self.df_model, *(test.n_parameters for test in tests)])
        return self._frame(
            {
                "term": ["<none>", *(test.label for test in tests)],
                "n_parameters": n_parameters,
                "loglik": loglik,
                "aic": 2.0 * n_parameters - 2.0 * loglik,
                "statistic": np.array([np.nan, *(test.ratio.chisq for test in tests)]),
                "df": np.array([np.nan, *(test.ratio.df for test in tests)]),
                "p_value": np.array([np.nan, *(test.ratio.p_value for test in tests)]),
                "p_boundary": np.array([np.nan, *(test.ratio.p_boundary for test in tests)]),
                **simulated_columns("p_bootstrap", simulated),
            }
        )

    def _testable(self, hypotheses: Asked) -> Coefficients:
        """The mean's coefficients, or where a hypothesis names another part, "zi~x", those of all parts."""
        if not self._is_of_parts(hypotheses):
            return super()._testable(hypotheses)
        return Coefficients(self.record.joint_names[: self._n_coefficients()], self.dropped.columns)

    def _inference_of(
        self, hypotheses: Asked, df: str | None, vcov: str | None, cluster: Clustering | None = None
    ) -> CoefficientInference:
        if not self._is_of_parts(hypotheses):
            return self._inference(df, vcov, cluster)
        sandwich = self._sandwich(vcov, cluster, df)
        G = self._n_coefficients()
        estimates = np.concatenate([part.estimate for part in self.record.parts])
        covariance = self._with_variance(sandwich).joint_vcov[:G, :G]
        method = "normal" if sandwich is None else sandwich.kind
        return KnownDf(method, estimates, root_of(covariance), df_of(sandwich))

    def _n_coefficients(self) -> int:
        """Coefficients of all parts."""
        return sum(len(part.names) for part in self.record.parts)

    def _is_of_parts(self, hypotheses: Asked) -> bool:
        """Whether a hypothesis names a part other than the mean."""
        marks = [f"{part.component}~" for part in self.record.parts[1:]]
        return any(mark in text for text in texts_of(hypotheses) for mark in marks)

    def _metric(self, kind: Type) -> Callable[[], Metric]:  # noqa: ARG002
        """Rows count as the model weighs them: by its own information."""
        return partial(metric_of_fit, self.design.X, self._inference())

    def _own_vcov(self) -> str:
        return "model"


def refuse_fewer_clusters(sandwich: GLMMSandwich, p: int) -> None:
    """A sum of G outer products has rank G, and cannot be inverted for more coefficients."""
    if sandwich.n_clusters <= p:
        raise ModelError(
            f"{sandwich.n_clusters} clusters of '{sandwich.cluster}' do not bear a joint test of {p} "
            'coefficients; use test() for single ones, or vcov="model".'
        )
