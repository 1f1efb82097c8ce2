"""Tests of terms and of smaller models, and criteria, of estimating equations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from multilevel._typing import Array, Frame
from multilevel.design.fixed_terms import fixed_terms
from multilevel.errors import DataTypeError, ModelError
from multilevel.estimation.gee.problem import EstimatingProblem
from multilevel.estimation.gee.solve import EstimatingSolution, solve
from multilevel.estimation.glm import proportions
from multilevel.fitted.gee import GEERecord, assemble_gee
from multilevel.inference.clustering import Clustering
from multilevel.inference.coefficients import CoefficientInference
from multilevel.inference.gee_inference import gee_inference
from multilevel.inference.gee_kinds import chosen_kind
from multilevel.inference.gee_tests import ChiSquareTest, score_test, sequential_wald, smaller_hypothesis
from multilevel.inference.qic import QIC, qic_of
from multilevel.results.gee_setup import Equations, checked_scale, problem_of
from multilevel.results.testing import Testing


class GEETesting(Testing[GEERecord]):
    """Comparisons of estimating equations with smaller ones, and with others of the same rows."""

    equations: Equations
    problem: EstimatingProblem
    solution: EstimatingSolution

    @property
    def n_clusters(self) -> int:
        """Clusters, the independent units."""
        return self.record.n_clusters

    def anova(
        self,
        type: Any = 3,
        *,
        df: str | None = None,
        vcov: str | None = None,
        cluster: Clustering | None = None,
        strata: bool = False,
    ) -> Frame:
        """Does each term matter? F tests of terms, or with "sequential" chi-squares as R's geepack has them.

        Types 1, 2 and 3 are tests in this fit, as for other models. "sequential" fits a model for each term,
        the term with all before it, and tests the term there: columns term, statistic, df, p_value.

        Example:
            >>> import multilevel as ml
            >>> sleep = ml.datasets.sleepstudy()
            >>> fit = ml.gee("Reaction ~ Days", sleep, groups="Subject", corr="exchangeable")
            >>> fit.anova("sequential")["statistic"].round(2).tolist()
            [48.55]
        """
        if type != "sequential":
            return super().anova(type, df=df, vcov=vcov, cluster=cluster, strata=strata)
        tested = [term for term in fixed_terms(self.design) if term.columns]
        names = [(term.name, term.columns) for term in tested]
        tests = sequential_wald(names, lambda columns: self._part(columns, vcov))
        shown = [(n, t) for (n, _), t, term in zip(names, tests, tested, strict=True) if not term.is_constant]
        return self._chi_squares([name for name, _ in shown], [test for _, test in shown])

    def wald_test(self, smaller: GEETesting | str, *, vcov: str = "sandwich") -> Frame:
        """Wald chi-square test that a smaller model is enough: term, statistic, df, p_value.

        `smaller` is a fit to the same rows, or a formula of this one's, as `". ~ . - x"`. For small samples
        use `test(..., joint=True)`, an F test.
        """
        other = self.update(smaller) if isinstance(smaller, str) else smaller
        L = self._restriction(other)
        inference = self._inference("z", vcov)
        test = inference.f_test(L)
        statistic, rank = test.statistic * test.df_num, int(test.df_num)
        return self._chi_squares([other.formula], [ChiSquareTest(statistic, rank, test.p_value)])

    def score_test(self, smaller: GEETesting | str) -> Frame:
        """Score chi-square test that a smaller model is enough, from that model's estimates alone.

        It keeps its size better than Wald's with few clusters, being rather too careful there.

        Example:
            >>> import multilevel as ml
            >>> ohio = ml.datasets.ohio()
            >>> fit = ml.gee("resp ~ age * smoke", ohio, groups="id", family="binomial", corr="exchangeable")
            >>> fit.score_test(". ~ . - age:smoke")["p_value"].round(3).tolist()
            [0.423]

        References:
            Rotnitzky, A. & Jewell, N. P. (1990). Biometrika 77, 485-497.
        """
        other = self.update(smaller) if isinstance(smaller, str) else smaller
        L = self.problem.centring.contrasts(self._restriction(other))
        linear = other.problem.X @ other.solution.beta
        beta = np.asarray(np.linalg.lstsq(self.problem.X, linear, rcond=None)[0], dtype=np.float64)
        test = score_test(self.problem, beta, other.record.alpha, L)
        return self._chi_squares([other.formula], [test])

    def qic(self, *others: GEETesting, scale: float | None = None) -> Frame:
        """QIC, QICu, CIC and their like, of this fit or of several over one common scale; smaller is better.

        Choose the mean model by QIC or QICu and the working correlation by CIC or QIC, among fits to the same
        rows. The columns are formula, corr, npar, quasi_likelihood, qic, qicu, qicc, cic, rj, scale.

        Args:
            others: fits to compare this one with.
            scale: that quasi-likelihoods are divided by: of the independence model of the fit with most
                coefficients, if not given; 1 gives the figures of R's geepack.

        Example:
            >>> import multilevel as ml
            >>> ohio = ml.datasets.ohio()
            >>> fit = ml.gee("resp ~ age + smoke", ohio, groups="id", family="binomial", corr="exchangeable")
            >>> fit.qic(scale=1)[["qic", "cic"]].round(2).values.tolist()
            [[1829.48, 4.8]]

        References:
            Pan, W. (2001). Akaike's information criterion in generalized estimating equations. Biometrics 57,
            120-125.
            Hin, L.-Y. & Wang, Y.-G. (2009). Working-correlation-structure identification in generalized
            estimating equations. Statistics in Medicine 28, 642-658.
        """
        fits = (self, *others)
        refuse_different_rows(fits)
        common = checked_scale(scale)
        if common is None:
            largest = max(fits, key=lambda fit: len(fit.fixef))
            common = qic_of(largest.problem, largest.record, None).scale
        return self._frame(qic_columns(fits, [qic_of(fit.problem, fit.record, common) for fit in fits]))

    def _restriction(self, smaller: GEETesting) -> Array:
        refuse_different_rows((self, smaller))
        return smaller_hypothesis(smaller.design.X, self.design.X)

    def _part(self, columns: Sequence[int], vcov: str | None) -> CoefficientInference:
        """The fit of some columns of X alone."""
        problem = problem_of(self.design, self.equations, columns)
        solution = solve(problem)
        names = tuple(self.coef_names[j] for j in columns)
        record = assemble_gee(problem, solution, names, self.design.n_rows)
        kind = "sandwich" if vcov is None else chosen_kind(vcov, self.n_clusters)
        return gee_inference(problem, solution, record, kind, "z")

    def _chi_squares(self, terms: list[str], tests: list[ChiSquareTest]) -> Frame:
        return self._frame(
            {
                "term": terms,
                "statistic": [test.statistic for test in tests],
                "df": [test.df for test in tests],
                "p_value": [test.p_value for test in tests],
            }
        )


def refuse_different_rows(fits: Sequence[GEETesting]) -> None:
    """Models are compared on the same responses."""
    first = fits[0]
    for fit in fits[1:]:
        if not isinstance(fit, GEETesting):
            raise DataTypeError(
                f"estimating equations are compared with fits of ml.gee, and this is of type "
                f"{type(fit).__name__}: fit its formula by ml.gee to the same rows."
            )
        same = np.array_equal(proportions(fit.design), proportions(first.design))
        if not same or fit.family != first.family or not np.array_equal(fit.design.rows, first.design.rows):
            raise ModelError(
                f"'{fit.formula}' was fitted to other rows, another response or another family than "
                f"'{first.formula}'; fit both to the same complete rows."
            )


def qic_columns(fits: Sequence[GEETesting], found: Sequence[QIC]) -> dict[str, Any]:
    """A row a fit."""
    return {
        "formula": [fit.formula for fit in fits],
        "corr": [fit.equations.corr.name for fit in fits],
        "npar": [each.n_coefficients for each in found],
        "quasi_likelihood": [each.quasi_likelihood for each in found],
        "qic": [each.qic for each in found],
        "qicu": [each.qicu for each in found],
        "qicc": [each.qicc for each in found],
        "cic": [each.cic for each in found],
        "rj": [each.rj for each in found],
        "scale": [each.scale for each in found],
    }
