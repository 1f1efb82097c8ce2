"""Tests of the terms of a generalized linear model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Literal

from multilevel._options import checked_choice
from multilevel._typing import Frame
from multilevel.design.glmm import GLMMDesign
from multilevel.errors import DataError, ModelError
from multilevel.fitted.glm import GLMRecord
from multilevel.inference.anova import checked_type, tests_of_terms
from multilevel.inference.clustering import Clustering
from multilevel.inference.deviance_tests import as_chi_squares, deviance_tests
from multilevel.inference.term_contrasts import Metric, Type, metric_of_fit
from multilevel.report.anova import anova_columns, chi_square_columns
from multilevel.results.testing import Testing


class GLMTesting(Testing[GLMRecord]):
    """Analysis of deviance, and Wald's tests with variances that are robust."""

    model: GLMMDesign

    def anova(
        self,
        type: Literal[1, 2, 3, "I", "II", "III", "sequential"] = 2,
        *,
        test: Literal["lr", "wald"] | None = None,
        df: str | None = None,
        vcov: str | None = None,
        cluster: Clustering | None = None,
        strata: bool = False,
    ) -> Frame:
        """Does each term matter? An analysis of deviance, one row a term.

        The columns are term, statistic, df, p_value: likelihood-ratio chi-squares, which are differences of
        deviances. Families whose dispersion is estimated (gaussian, gamma, inverse_gaussian) have F tests
        instead: term, df_num, df_den, statistic, p_value. With variances that are robust tests are Wald's.

        Args:
            type: 2, each term beside all that do not contain it (`A:B` and `A:x` contain `A`); 1, each term
                beside those before it, as R's `anova`; 3, each term on average over the cells of terms that
                contain it, each cell counting alike, however factors are coded (as R's `car::Anova` with sum
                contrasts).
            test: "lr", by fits without the term; "wald", from this fit alone; if not given "lr" where the
                variance is that of the model, else "wald".
            df: method for the degrees of freedom of Wald tests.
            vcov: kind of variance for Wald tests.
            cluster: clusters of that variance, a column or labels (n,).
            strata: must be False; strata belong to balanced linear models.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.glm("incidence / size ~ period + size", ml.datasets.cbpp(), family="binomial")
            >>> fit.anova().round(4)
                 term  statistic  df  p_value
            0  period    39.7637   3   0.0000
            1    size     0.1619   1   0.6874

        References:
            McCullagh, P. & Nelder, J. A. (1989). Generalized Linear Models, 2nd ed. Chapman & Hall.
            Fox, J. (2016). Applied Regression Analysis and Generalized Linear Models, 3rd ed. Sage.
        """
        checked_choice("test", test, (None, "lr", "wald"))
        if strata:
            raise ModelError("strata=True is for balanced linear models: use ml.lmm or ml.ols.")
        kind = checked_type(type)
        chosen = df is not None or vcov is not None or cluster is not None
        by_likelihood = self._own_vcov() == "model" and not self.record.prior
        if test == "lr" and chosen:
            raise DataError("df=, vcov= and cluster= are for Wald tests; leave them or test='lr' out.")
        if test == "lr" and not by_likelihood:
            why = "with a prior there is no maximum" if self.record.prior else "this fit's variance is robust"
            raise ModelError(f"likelihood-ratio tests trust the likelihood, and {why}; use test='wald'.")
        if test is None:
            test = "lr" if by_likelihood and not chosen else "wald"
        tests = (
            deviance_tests(self.model, self.record, kind)
            if test == "lr"
            else tests_of_terms(
                self.design, self._inference(df, vcov, cluster), kind, self._metric(kind), None
            )
        )
        chi_squares = as_chi_squares(tests)
        return self._frame(anova_columns(tests) if chi_squares is None else chi_square_columns(chi_squares))

    def _metric(self, kind: Type) -> Callable[[], Metric]:  # noqa: ARG002
        """Rows count as the model weighs them: by its own information."""
        return partial(metric_of_fit, self.design.X, self._inference("z", "model"))

    @abstractmethod
    def _own_vcov(self) -> str:
        """The kind of variance that the fit has by itself."""
