"""`ml.pool`: one answer from fits to multiply imputed data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from multilevel._options import checked_choice, checked_switch
from multilevel._typing import Array, Frame
from multilevel.errors import ModelError
from multilevel.families.links import LINKS
from multilevel.frames.output import to_frame
from multilevel.frames.table import FrameKind
from multilevel.inference.anova import joint_test, tests_of_hypotheses
from multilevel.inference.coefficients import CoefficientInference
from multilevel.inference.hypotheses import Asked, read_hypotheses, refuse_contradiction
from multilevel.inference.hypothesis_text import Coefficients
from multilevel.inference.rubin import Pooled, PooledInference
from multilevel.inference.wald import CoefficientTable, inferred_table
from multilevel.report.anova import hypothesis_columns, joint_columns
from multilevel.report.pool import pooled_columns, pooled_page
from multilevel.report.ratios import ratio_of_link
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns, confint_columns, fixed_columns
from multilevel.results.given_fits import AnyFit, given_fits
from multilevel.results.printed_table import PrintedTable


@dataclass(frozen=True, slots=True, repr=False)
class PooledFit(PrintedTable):
    """One model fitted to m imputed data sets, pooled by Rubin's rules; p coefficients.

    It prints its summary; `frame` and `tidy()` hold the coefficients with what missing values cost each.
    """

    model: str  # "lmm"
    formula: str
    response: str
    link: str  # its name
    coef_names: tuple[str, ...]  # (p,)
    aliased: tuple[str, ...]  # columns that the fits dropped
    inference: PooledInference
    observations: tuple[int, ...]  # (m,)
    ran_pars: Columns | None  # mean standard deviations and correlations of random effects, if there are any
    kind: FrameKind

    # Stored numbers ----------------------------------------------------------------------------------

    @property
    def _kind(self) -> FrameKind:
        return self.kind

    @property
    def m(self) -> int:
        """Number of imputed data sets."""
        return self.inference.m

    @property
    def fixef(self) -> Array:
        """Pooled coefficients (p,), in the order of `coef_names`."""
        return self.inference.beta

    @property
    def se(self) -> Array:
        """Their standard errors (p,)."""
        return self.pooled.std_error

    @property
    def pooled(self) -> Pooled:
        """Variances within and between data sets, and shares of missing information, as arrays (p,)."""
        return self.inference.pooled(np.eye(len(self.coef_names)))

    # Tables ------------------------------------------------------------------------------------------

    def vcov(self, part: Literal["total", "within", "between"] = "total") -> Array:
        """Covariance (p, p) of the coefficients: in total, or its part within or between data sets."""
        checked_choice("part", part, ("total", "within", "between"))
        parts = {
            "total": self.inference.covariance,
            "within": self.inference.within,
            "between": self.inference.between,
        }
        return parts[part](np.eye(len(self.coef_names)))

    def tidy(
        self,
        effects: Literal["fixed", "ran_pars"] = "fixed",
        *,
        conf_int: bool = False,
        conf_level: float = 0.95,
        exponentiate: bool = False,
    ) -> Frame:
        """One row a coefficient: broom's columns, within, between, riv, lambda, fmi, relative_efficiency.

        `effects="ran_pars"` has the means over data sets of standard deviations and correlations of random
        effects, which Rubin's rules say no more of.
        """
        checked_choice("effects", effects, ("fixed", "ran_pars"))
        if effects == "ran_pars":
            return to_frame(self._random_parameters(), self.kind)
        limits = conf_level if checked_switch("conf_int", conf_int) else None
        if checked_switch("exponentiate", exponentiate):
            ratio_of_link(LINKS[self.link], self.response)
        columns = fixed_columns(self._table(), limits, exponentiate)
        return to_frame({**columns, **pooled_columns(self.pooled)}, self.kind)

    def confint(self, *, level: float = 0.95) -> Frame:
        """Confidence limits of the coefficients: term, estimate, conf_low, conf_high."""
        return to_frame(confint_columns(self._table(), level), self.kind)

    def test(
        self,
        hypotheses: Asked,
        *,
        rhs: npt.ArrayLike | None = None,
        joint: bool = False,
        level: float = 0.95,
    ) -> Frame:
        """Test linear hypotheses about the pooled coefficients, each alone, or with `joint` all at once (D1).

        Hypotheses are written as for a fit: `"A[T.b] = A[T.c], x = 0"`.

        References:
            Li, K. H., Raghunathan, T. E. & Rubin, D. B. (1991). Large-sample significance levels from
            multiply imputed data using moment-based statistics and an F reference distribution. Journal of
            the American Statistical Association 86, 1065-1073.
        """
        asked = read_hypotheses(hypotheses, rhs, Coefficients(self.coef_names, self.aliased))
        if checked_switch("joint", joint):
            refuse_contradiction(asked)
            rank = int(np.linalg.matrix_rank(asked.L))
            test = joint_test("the joint hypothesis", asked.L, rank, self.inference, asked.rhs)
            return to_frame(joint_columns(asked.labels, test), self.kind)
        return to_frame(hypothesis_columns(tests_of_hypotheses(asked, self.inference, level)), self.kind)

    def summary(self) -> Summary:
        """The pooled coefficients on one page."""
        return self.page()

    def columns(self) -> Columns:
        """The columns of the table by name."""
        return {**fixed_columns(self._table(), None, exponentiate=False), **pooled_columns(self.pooled)}

    def page(self) -> Summary:
        """What is printed."""
        low, high = min(self.observations), max(self.observations)
        each = f"{low} each" if low == high else f"{low} to {high}"
        facts = [("Formula", self.formula), ("Data sets", f"{self.m}; observations: {each}")]
        notes = (
            []
            if low == high
            else ["The data sets differ in rows used: check that all missing values were filled."]
        )
        return pooled_page(f"{self.m} fits by {self.model}, pooled", facts, self._table(), self.pooled, notes)

    def _table(self) -> CoefficientTable:
        return inferred_table(self.coef_names, self.inference)

    def _random_parameters(self) -> Columns:
        if self.ran_pars is None:
            raise ModelError(f"fits by {self.model} have no random effects; leave effects= out.")
        return self.ran_pars


def pool(*fits: AnyFit | Sequence[AnyFit], df: str | None = None) -> PooledFit:
    """Pool fits of one model to multiply imputed data sets: Rubin's rules, with Barnard and Rubin's df.

    Impute the data m times (in Python for example with miceforest or statsmodels), fit the model to each, and
    give the fits. The pooled variance adds to that within data sets the one between them. The result prints,
    has tables under the names that fits have (`tidy`, `confint`, `test`, `vcov`), and says what missing
    values cost each coefficient: `fmi` is the fraction of missing information.

    Args:
        fits: fits by any of the models, one a data set, one by one or as one list.
        df: method for the degrees of freedom of complete data, as the fits' own `summary` has it.

    Example:
        >>> import numpy as np
        >>> import multilevel as ml
        >>> sleep = ml.datasets.sleepstudy()
        >>> rng = np.random.default_rng(1)
        >>> hidden = rng.random(180) < 0.2
        >>> def imputed():
        ...     drawn = rng.normal(251 + 10.5 * sleep["Days"], 45)
        ...     return sleep.assign(Reaction=np.where(hidden, drawn, sleep["Reaction"]))
        >>> pooled = ml.pool([ml.lmm("Reaction ~ Days + (1 | Subject)", imputed()) for _ in range(5)])
        >>> pooled.fixef.round(2), pooled.se.round(2)
        (array([248.63,  10.89]), array([9.51, 1.11]))
        >>> pooled.tidy()[["term", "df", "lambda", "fmi"]].round(2)
                term     df  lambda   fmi
        0  Intercept  21.23    0.12  0.19
        1       Days  32.24    0.30  0.34

    References:
        Rubin, D. B. (1987). Multiple Imputation for Nonresponse in Surveys. Wiley.
        Barnard, J. & Rubin, D. B. (1999). Small-sample degrees of freedom with multiple imputation.
        Biometrika 86, 948-955.
    """
    given = given_fits("pool", fits)
    refuse_different_models(given)
    first = given[0]
    return PooledFit(
        model=first.call.function.__name__,
        formula=first.formula,
        response=first.design.response_name,
        link=first.link,
        coef_names=tuple(first.coef_names),
        aliased=tuple(first.dropped.columns),
        inference=PooledInference(tuple(inference_of(fit, df) for fit in given)),
        observations=tuple(fit.nobs for fit in given),
        ran_pars=mean_ran_pars([fit._ran_pars() for fit in given]),
        kind=first.design.frame_kind,
    )


def inference_of(fit: AnyFit, df: str | None) -> CoefficientInference:
    """What one fit believes of its coefficients."""
    return fit._inference(df)


def refuse_different_models(fits: Sequence[AnyFit]) -> None:
    """Rubin's rules average one model's coefficients."""
    first = fits[0]
    for number, fit in enumerate(fits[1:], start=2):
        if type(fit) is not type(first):
            raise ModelError(
                f"fit 1 is by {first.call.function.__name__} and fit {number} by "
                f"{fit.call.function.__name__}; pool "
                "takes one model fitted to several data sets (ml.sidebyside compares models)."
            )
        if fit.formula != first.formula or (fit.family, fit.link) != (first.family, first.link):
            raise ModelError(
                f"fit 1 is '{first.formula}' ({first.family}) and fit {number} '{fit.formula}' "
                f"({fit.family}); pool "
                "takes one model fitted to several data sets."
            )
        if fit.coef_names != first.coef_names:
            other = sorted({*fit.coef_names} ^ {*first.coef_names})
            raise ModelError(
                f"fit 1 and fit {number} have different coefficients ({', '.join(other)}): levels of a "
                "factor or "
                "columns differ between the data sets. Give the factor the same categories in each."
            )


def mean_ran_pars(given: Sequence[Columns | None]) -> Columns | None:
    """Means over data sets of the standard deviations and correlations of random effects."""
    tables = [table for table in given if table is not None]
    if not tables:
        return None
    return {**tables[0], "estimate": np.mean([table["estimate"] for table in tables], axis=0)}
