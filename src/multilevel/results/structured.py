"""The fit that `ml.lmm` returns where residuals correlate or vary unequally."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from multilevel._options import Seed, checked_choice
from multilevel._typing import Array, Frame
from multilevel.clusters.shrinkage import Shrinkage, shrinkage
from multilevel.covariance.residual.specification import Residual
from multilevel.design.design import Design
from multilevel.errors import ModelError, MultilevelWarning
from multilevel.estimation.optimum import Optimum
from multilevel.estimation.residual.mixed import solve
from multilevel.estimation.residual.mixed_search import MixedSolution, fit_mixed
from multilevel.estimation.residual.rows import ResidualRows
from multilevel.fitted.structured import StructuredRecord, assemble_structured
from multilevel.inference.clustering import Clustering
from multilevel.inference.coefficients import CoefficientInference
from multilevel.inference.denominator import containment_df, residual_df
from multilevel.inference.gls_information import parameter_errors
from multilevel.inference.information import Information
from multilevel.inference.matrices import marginal_covariance, residual_variance
from multilevel.inference.prediction import (
    IncludedEffects,
    Request,
    checked,
    predict_rows,
    rows_to_predict,
)
from multilevel.inference.residual_parameters import ParameterTable, parameter_table
from multilevel.inference.structured_information import structured_inference, structured_information
from multilevel.inference.wald import CoefficientTable, checked_level, inferred_table
from multilevel.report.gls_summary import parameter_columns
from multilevel.report.lmm_summary import criteria_block
from multilevel.report.lmm_tables import (
    coef_columns,
    ran_pars_columns,
    ran_vals_columns,
    ranef_columns,
    varcorr_columns,
)
from multilevel.report.structured_summary import structured_summary
from multilevel.report.summary import Summary
from multilevel.results.base import Call
from multilevel.results.checks import checked_response, refuse_wald_limits, rows_of_level
from multilevel.results.labels import own_levels
from multilevel.results.means import Means
from multilevel.results.testing import Testing
from multilevel.simulation.gls import simulate_structured

DfMethod = Literal["satterthwaite", "containment", "residual", "z"]
ResidualKind = Literal["response", "fixed", "pearson", "normalized"]
METHODS = ("satterthwaite", "containment", "residual", "z")
OF_INDEPENDENT_RESIDUALS = frozenset(
    {
        *("bootstrap", "profile", "influence", "check", "ranova", "refit_many"),
        *("icc", "r2", "plausible_ranges", "equation", "matrices"),
    }
)


def fit_structured(design: Design, rows: ResidualRows, reml: bool, call: Call) -> StructuredFit:
    """Estimate a mixed model with a residual structure."""
    fit = StructuredFit(design, call, rows, fit_mixed(design, rows, reml=reml))
    if not fit.converged:
        warnings.warn(f"The search {fit.optimum.message}.", MultilevelWarning, stacklevel=3)
    return fit


class StructuredFit(Means[StructuredRecord], Testing[StructuredRecord]):
    """A linear mixed model whose residuals correlate within groups or vary unequally."""

    _information: Information | None = None  # on all variance parameters, once it has been asked for

    def __init__(self, design: Design, call: Call, rows: ResidualRows, solution: MixedSolution) -> None:
        super().__init__(design, assemble_structured(design, rows, solution), call)
        self.rows = rows
        self.solution = solution

    def __getattr__(self, name: str) -> Any:
        if name in OF_INDEPENDENT_RESIDUALS:
            raise AttributeError(
                f"{name}() rests on independent residuals of equal variance, and a fit with residual= does "
                f"not have it; fit.update(residual=None).{name}() is that of a model without."
            )
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __getstate__(self) -> dict[str, Any]:
        """What pickles: of the solution, all but what the core holds."""
        kept = {name: value for name, value in self.__dict__.items() if name != "solution"}
        point = self.solution.point
        return {**kept, "held": (self.solution.problem, point.phi, point.theta, self.solution.optimum)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        problem, phi, theta, optimum = state.pop("held")
        self.__dict__.update(state)
        point = solve(problem, phi, begin=theta, hold=True)
        assert point is not None
        self.solution = MixedSolution(problem, replace(point, optimum=optimum), optimum)

    # Stored numbers ----------------------------------------------------------------------------------

    @property
    def residual(self) -> Residual:
        """The residual structure that was asked for."""
        return self.rows.residual

    @property
    def theta(self) -> Array:
        """Covariance parameters of the random effects relative to sigma, in lme4's order."""
        return self.record.mixed.theta

    @property
    def reml(self) -> bool:
        """Whether the fit is by restricted maximum likelihood."""
        return self.record.reml

    @property
    def criterion(self) -> float:
        """The REML criterion, or the deviance (-2 log-likelihood) of a fit by maximum likelihood."""
        return self.record.criterion

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of levels of each grouping factor."""
        return {grouping.name: grouping.n_levels for grouping in self.design.groupings}

    @property
    def optimum(self) -> Optimum:
        """The record of the search, with the certificate that it ended at an optimum."""
        return self.record.optimum

    @property
    def converged(self) -> bool:
        """Whether the search converged and its certificate holds."""
        return self.optimum.converged

    @property
    def singular(self) -> bool:
        """Whether a covariance of random effects is on the boundary (a variance 0, a correlation +-1)."""
        return self.record.mixed.singular

    # Tables ------------------------------------------------------------------------------------------

    def summary(self, df: DfMethod | None = None) -> Summary:
        """The fit on one page: random effects, residual structure, coefficients.

        `df` says how degrees of freedom are found: "satterthwaite" (the default), "containment" (as R's nlme
        counts), "residual" (observations less coefficients) or "z" (none: the normal distribution).
        """
        criteria = None if self.reml else criteria_block(self.aic, self.bic, self.loglik, self.df_residual)
        layout = self.rows.layout
        return structured_summary(
            self.design, self.residual, layout, self.record, self._inference(df), criteria
        )

    def tidy(
        self,
        effects: Literal["fixed", "ran_pars", "ran_vals"] = "fixed",
        *,
        conf_int: bool = False,
        conf_level: float = 0.95,
        exponentiate: bool = False,
        df: DfMethod | None = None,
    ) -> Frame:
        """Estimates under broom's names: coefficients, SDs and correlations, or random effects.

        `df` is the method for the degrees of freedom of the coefficients, as in `summary`. The parameters of
        the residuals are in `residual_parameters()`.
        """
        checked_choice("effects", effects, ("fixed", "ran_pars", "ran_vals"))
        if effects == "ran_pars":
            refuse_wald_limits(conf_int)
            return self._frame(ran_pars_columns(self.record.mixed))
        if effects == "ran_vals":
            return self._frame(ran_vals_columns(self._shrinkage(), conf_level if conf_int else None))
        return super().tidy(conf_int=conf_int, conf_level=conf_level, exponentiate=exponentiate, df=df)

    def varcorr(self) -> Frame:
        """Variances, standard deviations, covariances and correlations of the random effects."""
        return self._frame(varcorr_columns(self.record.mixed))

    def residual_parameters(self, *, conf_level: float = 0.95) -> Frame:
        """sigma and the parameters of variance and correlation: group, term, estimate, std_error, limits.

        Limits are normal on a scale without bounds: logarithms of standard deviations and ratios, Fisher's z
        of correlations. They are nulls for a parameter that lies on its boundary.

        Example:
            >>> import multilevel as ml
            >>> residual = ml.Residual("ar1", time="Days")
            >>> sleep = ml.datasets.sleepstudy()
            >>> fit = ml.lmm("Reaction ~ Days + (1 | Subject)", sleep, residual=residual)
            >>> fit.residual_parameters()[["term", "estimate"]].round(3)
                term  estimate
            0  sigma    37.637
            1  alpha     0.653
        """
        return self._frame(parameter_columns(self._parameters(conf_level), conf_int=True))

    def ranef(self) -> Frame:
        """Random effects by level: conditional mode, its SD, raw deviation and reliability."""
        return self._frame(ranef_columns(self._shrinkage()))

    def coef(self) -> Frame:
        """Coefficients in each level: the fixed ones plus the level's own random effects."""
        levels = own_levels(self.design.groupings, self.call.data)
        return self._frame(coef_columns(self.design, self.record.mixed, levels))

    def _shrinkage(self) -> list[Shrinkage]:
        levels = own_levels(self.design.groupings, self.call.data)
        mixed = self.record.mixed
        return [shrinkage(self.design, mixed, m, levels[m.grouping]) for m in mixed.modes]

    def _ran_pars(self) -> dict[str, Any]:
        return ran_pars_columns(self.record.mixed)

    def _coefficients(self, df: str | None = None) -> CoefficientTable:
        return inferred_table(self.coef_names, self._inference(df))

    def _inference(
        self, df: str | None = None, vcov: str | None = None, cluster: Clustering | None = None
    ) -> CoefficientInference:
        if cluster is not None or vcov not in (None, "model"):
            raise ModelError(
                "a mixed model with a residual structure has the model's own variance only; leave vcov= and "
                "cluster= out, or residual=."
            )
        checked_choice("df", df, (None, *METHODS))
        method = "satterthwaite" if df is None else df
        known = self._known_information() if method == "satterthwaite" else None
        counted = None
        if method == "containment":
            counted = containment_df(self.design)
        elif method == "residual":
            counted = residual_df(self.design)
        return structured_inference(self.record, self.solution, known, method, counted)

    def _known_information(self) -> Information:
        if self._information is None:
            self._information = structured_information(self.solution)
        return self._information

    def _parameters(self, level: float) -> ParameterTable:
        model, phi = self.solution.problem.model, self.solution.point.phi
        errors = parameter_errors(model, phi, self._known_information(), mean_scaled=True)
        return parameter_table(self.record, *errors, checked_level(level))

    def _glance(self) -> dict[str, object]:
        return {
            "nobs": self.nobs,
            "sigma": self.sigma,
            "loglik": self.loglik,
            "aic": self.aic,
            "bic": self.bic,
            "criterion": self.criterion,
            "reml": self.reml,
            "df_residual": self.df_residual,
            "corr": self.residual.corr.name,
        }

    def _augmented(self) -> dict[str, Array]:
        return {
            "fitted": self.fitted,
            "fitted_fixed": self.record.mixed.fitted_fixed,
            "residual": self.record.residuals,
            "residual_pearson": self.residuals("pearson"),
            "residual_normalized": self.record.normalized,
        }

    # Inference ---------------------------------------------------------------------------------------

    def vcov(self) -> Array:
        """Covariance (p, p) of the coefficients, given the variances and correlations."""
        return self.record.vcov

    def marginal_cov(self, group: object, *, factor: str | None = None) -> Array:
        """Covariance (m, m) of the m responses in one group, random effects integrated out.

        `group` is a level of `factor`, by default the grouping factor with the fewest levels; rows are in the
        order of the data.

        Example:
            >>> import multilevel as ml
            >>> residual = ml.Residual("ar1", time="Days")
            >>> sleep = ml.datasets.sleepstudy()
            >>> fit = ml.lmm("Reaction ~ Days + (1 | Subject)", sleep, residual=residual)
            >>> fit.marginal_cov(308)[0, :3].round(0)
            array([2422., 1931., 1610.])
        """
        rows = rows_of_level(self.design, group, factor)
        within = self._residual_covariance(rows)
        own = residual_variance(self.design, self.sigma)[rows]
        return marginal_covariance(self.design, self.record.mixed, rows) - np.diag(own) + within

    def _residual_covariance(self, rows: npt.NDArray[np.intp]) -> Array:
        """Of the residuals in whole groups (m, m)."""
        point, n = self.solution.point, self.design.n_rows
        place = np.empty(n, dtype=np.intp)
        place[self.rows.in_order(np.arange(float(n))).astype(np.intp)] = np.arange(n)
        there = place[rows]
        columns = np.zeros((n, len(rows)))
        columns[there, np.arange(len(rows))] = 1.0
        T = point.whitening.whiten(columns)[there]
        half = self.sigma * self.record.relative_sd[rows][:, None] * np.linalg.inv(T)
        return np.asarray(half @ half.T)

    # Data --------------------------------------------------------------------------------------------

    def residuals(self, kind: ResidualKind = "response") -> Array:
        """Residuals (n,): "response" (from the fitted values, random effects included) or one of these.

        "fixed" from the fixed part only; "pearson" over their own standard deviations; "normalized"
        uncorrelated too, each less what the rows of its group before it say.
        """
        checked_choice("kind", kind, ("response", "fixed", "pearson", "normalized"))
        if kind == "normalized":
            return self.record.normalized
        if kind == "fixed":
            return np.asarray(self.design.y - self.record.mixed.fitted_fixed)
        if kind == "response":
            return self.record.residuals
        return np.asarray(self.record.residuals / (self.sigma * self.record.relative_sd))

    def predict(
        self,
        new: Frame | None = None,
        *,
        kind: Literal["response", "link"] = "response",
        re: IncludedEffects = "all",
        new_levels: Literal["error", "population", "sample"] = "error",
        seed: int | None = None,
    ) -> Array:
        """Predicted means (k,) for new rows, or for the rows used, given the groups' random effects.

        What the residuals of earlier rows of a group say about later ones is left out.

        Args:
            new: data with the predictors (and the groups that `re` includes); rows with missing values
                give NaN.
            kind: "response" and "link" are the same in a linear model.
            re: include the random effects of "all" grouping factors (or True), of "none" (or False), or of
                those named.
            new_levels: for groups that the fit has not seen: "error", the "population" (random effect zero),
                or a "sample" from their distribution.
            seed: of the draws for new_levels="sample".
        """
        checked_choice("kind", kind, ("response", "link"))
        request = checked(Request(re, new_levels, None, 0.95, seed))
        rows = rows_to_predict(self.design, new, request, None)
        return predict_rows(self.design, self.record.mixed, rows, request).fitted

    def simulate(self, n: int = 1, seed: Seed = None, re: Literal["new", "keep"] = "new") -> Array:
        """Draw `n` new responses (rows used, n), with new random effects or those of the fit kept."""
        return simulate_structured(self.design, self.record, self.rows, self.solution, n, seed, re)

    # The same model again ----------------------------------------------------------------------------

    def refit(self, y: npt.ArrayLike) -> Self:
        """Fit the same model to another response (n,), over the rows used or all rows of the data."""
        design = replace(self.design, y=checked_response(y, self.design))
        return type(self)(design, self.call, self.rows, fit_mixed(design, self.rows, reml=self.reml))

    def _estimate(self, design: Design) -> StructuredRecord:
        return assemble_structured(design, self.rows, fit_mixed(design, self.rows, reml=self.reml))

    def _by_ml(self) -> Self:
        if not self.reml:
            return self
        call = replace(self.call, options={**self.call.options, "reml": False})
        return type(self)(self.design, call, self.rows, fit_mixed(self.design, self.rows, reml=False))
