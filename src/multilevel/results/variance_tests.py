"""`fit.ranova()`: does the model need each of its random effects?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from multilevel._options import Seed, checked_choice, checked_count, checked_switch
from multilevel._typing import Frame
from multilevel.design.reduction import reductions
from multilevel.errors import ModelError
from multilevel.fitted.lmm import LMMRecord
from multilevel.frames.output import to_frame
from multilevel.frames.table import FrameKind
from multilevel.inference.ranova import EffectTest, bootstrap_tests, exact_tests, tests_of
from multilevel.inference.simulated_p import SimulatedP
from multilevel.inference.smaller_models import Candidate
from multilevel.report.simulated_p import simulated_columns, simulation_notes
from multilevel.report.summary import Summary
from multilevel.report.variance_tests import (
    convergence_notes,
    exactness_notes,
    nesting_notes,
    variance_test_columns,
    variance_test_page,
)
from multilevel.results.base import Fit

Method = Literal["chi-square", "exact", "bootstrap"]
USUAL_N = {"exact": 10_000, "bootstrap": 1_000}


@dataclass(frozen=True, slots=True)
class RandomEffectsTable:
    """A mixed model without each of its random effects in turn.

    `frame` holds the table in the user's kind of frame; `table["p_value"]` is one of its columns.
    """

    full: Candidate
    tests: tuple[EffectTest, ...]
    method: Method
    simulated: tuple[SimulatedP | None, ...] | None  # a p-value a test, where asked for
    reml: bool
    kind: FrameKind

    @property
    def frame(self) -> Frame:
        """One row a model: term, n_parameters, loglik, aic, statistic, df, p_value, p_boundary.

        With `method="exact"` also p_exact, with `method="bootstrap"` p_bootstrap, and p_error, their
        Monte-Carlo error.
        """
        return to_frame(self.columns(), self.kind)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the table cannot say by itself."""
        exact: tuple[str, ...] = ()
        if self.method == "exact" and self.simulated is not None:
            exact = exactness_notes(self.full, self.tests, self.simulated)
        simulation = simulation_notes(self.method, self.simulated)
        return (*nesting_notes(self.tests), *simulation, *exact, *convergence_notes(self.tests))

    def columns(self) -> dict[str, Any]:
        """The columns of the table by name."""
        simulated = None if self.simulated is None else (None, *self.simulated)
        table = variance_test_columns(self.full, self.tests)
        return {**table, **simulated_columns(f"p_{self.method}", simulated)}

    def __getitem__(self, column: str) -> Any:
        return self.columns()[column]

    def __str__(self) -> str:
        return str(self._page())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self._page()._repr_html_()

    def _page(self) -> Summary:
        formula = self.full.design.formula.text
        return variance_test_page(self.columns(), formula, self.notes, reml=self.reml)


class VarianceTests(Fit[LMMRecord]):
    """Tests of the variances and covariances of the random effects."""

    def ranova(
        self,
        *,
        method: Method = "chi-square",
        reduce: bool = True,
        n: int | None = None,
        seed: Seed = None,
        progress: bool | None = None,
    ) -> RandomEffectsTable:
        """Take out each random effect in turn, fit again by the same criterion, and test the difference.

        A slope is taken out of its term ("Days in (1 + Days | Subject)", with its covariances), a term with
        an intercept alone is dropped. `p_value` is that of the chi-square, as in R; it is too large, since a
        variance cannot be negative. `p_boundary` is that of the mixture of chi-squares which holds in large
        samples, `p_exact` and `p_bootstrap` hold in samples of any size: report one of these.

        Args:
            method: "chi-square"; "exact" to add the exact distribution of the likelihood ratio, where a
                test is of one variance (with other variances in the model it is an approximation that
                takes them for known, and is not given for a factor that another one lies within);
                "bootstrap" to add data simulated without the effect, which serves for every test.
            reduce: take effects out of terms; False drops whole terms.
            n: how many statistics or data sets to simulate: 10,000 or 1,000 unless given.
            seed: of the simulation; the same seed gives the same p-values.
            progress: show a progress bar; on by default when it will be long.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", ml.datasets.sleepstudy())
            >>> table = fit.ranova()
            >>> table["term"], table["statistic"].round(2)
            (['<none>', 'Days in (1 + Days | Subject)'], array([  nan, 42.84]))

        References:
            Stram, D. O. and Lee, J. W. (1994). Variance components testing in the longitudinal mixed effects
            model. Biometrics 50, 1171-1177.

            Crainiceanu, C. M. and Ruppert, D. (2004). Likelihood ratio tests in linear mixed models with one
            variance component. Journal of the Royal Statistical Society B 66, 165-185.

            Greven, S. et al. (2008). Restricted likelihood ratio testing for zero variance components in
            linear mixed models. Journal of Computational and Graphical Statistics 17, 870-891.
        """
        checked_choice("method", method, ("chi-square", "exact", "bootstrap"))
        reduce, record = checked_switch("reduce", reduce), self.record
        n = USUAL_N.get(method) if n is None else checked_count("n", n)
        refuse_no_residual(record)
        smaller = reductions(self.design, self.call.data, reduce=reduce)
        full = Candidate(self.design, record, record.loglik)
        tests = tests_of(full, smaller, reml=record.reml)
        simulated = simulate(full, tests, method, n, seed, progress)
        return RandomEffectsTable(
            full=full,
            tests=tuple(map(without_cross_products, tests)),
            method=method,
            simulated=simulated,
            reml=record.reml,
            kind=self.design.frame_kind,
        )


def without_cross_products(test: EffectTest) -> EffectTest:
    """The test without what its models were refitted from, which is large and does not pickle."""
    return replace(test, smaller=replace(test.smaller, model=None))


def simulate(
    full: Candidate,
    tests: Sequence[EffectTest],
    method: Method,
    n: int | None,
    seed: Seed,
    progress: bool | None,
) -> tuple[SimulatedP | None, ...] | None:
    """The simulated p-values that a method asks for."""
    assert isinstance(full.record, LMMRecord)
    reml = full.record.reml
    if n is None or method == "chi-square":
        return None
    if method == "exact":
        return tuple(exact_tests(full, tests, n, seed, reml=reml))
    return tuple(bootstrap_tests(full, tests, n, seed, progress, reml=reml))


def refuse_no_residual(record: LMMRecord) -> None:
    """Without a residual, the random effects hold all the variation and none can be spared."""
    if record.sigma == 0.0:
        raise ModelError(
            'ranova() takes random effects out, but with residual="none" they hold all the variation of the '
            "response; fit smaller models by hand and compare AIC, or keep the residual."
        )
