"""`ml.gls`: generalised least squares from formula and data, and the fit that the user holds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, Self, TypeVar

import numpy as np
import numpy.typing as npt

from multilevel._options import Seed, checked_choice, checked_switch
from multilevel._typing import Array, Frame
from multilevel.covariance.residual.specification import Residual, as_residual
from multilevel.covariance.residual.variance_functions import VarianceFunction
from multilevel.covariance.working.specification import Correlation
from multilevel.design.build import build_design
from multilevel.design.design import Design, Grouping
from multilevel.design.fixed_terms import fixed_terms
from multilevel.errors import DataError, ModelError, MultilevelWarning
from multilevel.estimation.gls import GLSSolution, fit_gls
from multilevel.estimation.optimum import Optimum
from multilevel.estimation.residual.rows import ResidualRows
from multilevel.fitted.gls import GLSRecord, assemble_gls
from multilevel.formula.parse import parse_formula
from multilevel.inference.anova import TermTests
from multilevel.inference.clustering import Clustering
from multilevel.inference.coefficients import CoefficientInference
from multilevel.inference.gls_information import gls_inference, gls_information, parameter_errors
from multilevel.inference.gls_kenward_roger import gls_kenward_roger
from multilevel.inference.information import Information
from multilevel.inference.linear_prediction import new_rows, used_rows
from multilevel.inference.new_residuals import new_relative_sd
from multilevel.inference.residual_parameters import ParameterTable, parameter_table
from multilevel.inference.wald import CoefficientTable, checked_level, critical_value, inferred_table
from multilevel.report.anova import anova_columns
from multilevel.report.gls_summary import gls_summary, parameter_columns
from multilevel.report.summary import Summary
from multilevel.results.base import Call
from multilevel.results.checks import checked_response
from multilevel.results.gls_setup import Column, columns_of, groups_and_time, refuse_bars, rows_of
from multilevel.results.means import Means
from multilevel.results.testing import Testing
from multilevel.simulation.gls import simulate_gls

DfMethod = Literal["residual", "satterthwaite", "kenward-roger", "z"]
ResidualKind = Literal["response", "pearson", "normalized"]
FitT = TypeVar("FitT", bound="GLSFit")
METHODS = {
    "residual": "t and F, observations less coefficients as degrees of freedom",
    "satterthwaite": "t and F, degrees of freedom by Satterthwaite",
    "kenward-roger": "t and F, standard errors and degrees of freedom by Kenward and Roger",
    "z": "z tests",
}


def gls(
    formula: str,
    data: Frame,
    *,
    residual: Residual | Correlation | VarianceFunction | str | None = None,
    groups: str | npt.ArrayLike | None = None,
    time: str | npt.ArrayLike | None = None,
    by: str | None = None,
    df: DfMethod = "residual",
    reml: bool = True,
    weights: str | npt.ArrayLike | None = None,
    offset: str | npt.ArrayLike | None = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: Literal["drop", "raise"] = "drop",
) -> GLSFit:
    """Generalized least squares: a linear model whose residuals correlate within groups or vary unequally.

    Nothing varies between groups but their residuals, so that coefficients speak of the population; the
    correlation and the variance of the residuals are estimated by (restricted) maximum likelihood.

    Args:
        formula: `"y ~ x1 + x2"`; random effects belong in `ml.lmm`.
        data: any data frame, or a mapping of equally long columns (n rows), in any order.
        residual: correlation within groups: "exchangeable", "ar1", "toeplitz", "unstructured", `ml.AR1(...)`,
            `ml.ARMA(p, q)` and their like; a variance function, such as `ml.VarIdent("sex")` or
            `ml.VarPower("dose")`; or both, `ml.Residual(corr=..., var=..., by=...)`.
        groups: column of labels, or an array (n,) of them: the independent units, within which residuals
            correlate.
        time: column of times or visits, or an array (n,). It puts the rows of a group in order and places
            visits that are missing. "ar1" takes any numbers as times.
        by: column, constant within groups, whose levels have residual parameters of their own.
        df: degrees of freedom of tests: "residual" (observations less coefficients, as R's nlme),
            "satterthwaite", "kenward-roger" (with its standard errors), or "z" (the normal).
        reml: restricted maximum likelihood (the default), or maximum likelihood.
        weights: precision weights, column or array (n,): the variance is divided by them.
        offset: known part of the response, column or array (n,).
        contrasts: coding of factors, for example `{"g": "sum"}`.
        missing: "drop" rows with missing values and say how many, or "raise".

    Example:
        >>> import multilevel as ml
        >>> teeth = ml.datasets.orthodont()
        >>> residual = ml.Residual("ar1", var="Sex")
        >>> fit = ml.gls("distance ~ age * Sex", teeth, residual=residual, groups="Subject", time="age")
        >>> fit.fixef.round(2), fit.se.round(2)
        (array([16.65,  0.77,  0.66, -0.28]), array([1.66, 0.14, 2.  , 0.17]))
        >>> fit.varcorr()["estimate"].round(3).tolist()
        [3.083, 0.565, 0.864]

    References:
        Pinheiro, J. C. & Bates, D. M. (2000). Mixed-Effects Models in S and S-PLUS, chapter 5. Springer.
    """
    data_options: dict[str, Any] = {
        "weights": weights,
        "offset": offset,
        "contrasts": contrasts,
        "missing": missing,
    }
    checked_choice("df", df, tuple(METHODS))
    options = {"residual": residual, "groups": groups, "time": time, "by": by, "df": df, "reml": reml}
    call = Call(gls, data, {**options, **data_options})
    structure = with_strata(as_residual(residual), by)
    return fit_call(GLSFit, formula, call, structure, groups, time, reml, data_options)


def with_strata(residual: Residual, by: str | None) -> Residual:
    """The structure with parameters of its own in each level of a column."""
    if by is None or residual.by is not None:
        return residual
    return Residual(residual.corr, residual.var, by, groups=residual.groups, time=residual.time)


def fit_call(
    kind: type[FitT],
    formula: str,
    call: Call,
    structure: Residual,
    groups: Column,
    time: Column,
    reml: bool,
    data_options: dict[str, Any],
) -> FitT:
    """From what was asked for to the fit, of a class."""
    terms = parse_formula(formula)
    refuse_bars(terms)
    reml = checked_switch("reml", reml)
    groups, time = groups_and_time(structure, groups, time)
    extra = columns_of(structure, groups, time)
    design = build_design(terms, call.data, **data_options, extra_columns=extra)
    rows = rows_of(structure, groups, time, call.data, design)
    fit = kind(design, call, rows, fit_gls(design, rows, reml=reml))
    if not fit.converged:
        warnings.warn(f"The search {fit.optimum.message}.", MultilevelWarning, stacklevel=3)
    return fit


class GLSFit(Means[GLSRecord], Testing[GLSRecord]):
    """A linear model with correlated or unequal residuals, fitted by generalized least squares."""

    title = "Generalized least squares"
    _information: Information | None = None  # on the residual parameters, once it has been asked for

    def __init__(self, design: Design, call: Call, rows: ResidualRows, solution: GLSSolution) -> None:
        super().__init__(design, assemble_gls(design, rows, solution), call)
        self.rows = rows
        self.solution = solution
        self.default_df = str(call.options["df"])

    # Stored numbers ----------------------------------------------------------------------------------

    @property
    def residual(self) -> Residual:
        """The residual structure that was asked for."""
        return self.rows.residual

    @property
    def reml(self) -> bool:
        """Whether the fit is by restricted maximum likelihood."""
        return self.record.reml

    @property
    def criterion(self) -> float:
        """The REML criterion, or the deviance (-2 log-likelihood) of a fit by maximum likelihood."""
        return self.record.criterion

    @property
    def df_residual(self) -> int:
        """Observations less coefficients."""
        return round(self.record.df_residual)

    @property
    def ngroups(self) -> dict[str, int]:
        """Number of groups by the name of their column; empty where rows are independent."""
        layout = self.rows.layout
        return {} if layout is None else {layout.name: layout.n_clusters}

    @property
    def optimum(self) -> Optimum:
        """The record of the search, with the certificate that it ended at an optimum."""
        return self.record.optimum

    @property
    def converged(self) -> bool:
        """Whether the search converged and its certificate holds."""
        return self.optimum.converged

    # Tables ------------------------------------------------------------------------------------------

    def summary(self, df: DfMethod | None = None) -> Summary:
        """Coefficients with their tests, and the residual structure.

        `df` says how degrees of freedom are found, the fit's own way if not given: "residual" (observations
        less coefficients, as R's nlme), "satterthwaite" (from how well the variance of each coefficient is
        known), "kenward-roger" (with its standard errors, for REML fits), or "z" (the normal).
        """
        method = self._df_method(df)
        return gls_summary(
            self.design,
            self.residual,
            self.rows.layout,
            self.record,
            self._coefficients(method),
            METHODS[method],
            self.title,
        )

    def tidy(
        self,
        effects: Literal["fixed", "ran_pars"] = "fixed",
        *,
        conf_int: bool = False,
        conf_level: float = 0.95,
        exponentiate: bool = False,
        df: DfMethod | None = None,
    ) -> Frame:
        """One row a coefficient, or with "ran_pars" one a parameter of the residuals.

        Args:
            effects: "fixed" for term, estimate, std_error, statistic, df, p_value; "ran_pars" for sigma and
                the parameters of variance and correlation: group, term, estimate, std_error.
            conf_int: add limits.
            conf_level: of the limits.
            exponentiate: give exponentials of the coefficients.
            df: degrees of freedom, as in `summary`.
        """
        checked_choice("effects", effects, ("fixed", "ran_pars"))
        if effects == "ran_pars":
            return self._frame(parameter_columns(self._parameters(conf_level), conf_int=conf_int))
        return super().tidy(conf_int=conf_int, conf_level=conf_level, exponentiate=exponentiate, df=df)

    def varcorr(self, *, conf_level: float = 0.95) -> Frame:
        """sigma and the parameters of variance and correlation: group, term, estimate, std_error, limits.

        Limits are normal on a scale without bounds: logarithms of standard deviations and ratios, Fisher's z
        of correlations. They are nulls for a parameter that lies on its boundary.

        Example:
            >>> import multilevel as ml
            >>> sleep = ml.datasets.sleepstudy()
            >>> fit = ml.gls("Reaction ~ Days", sleep, residual="ar1", groups="Subject", time="Days")
            >>> fit.varcorr()[["term", "estimate", "conf_low", "conf_high"]].round(3)
                term  estimate  conf_low  conf_high
            0  sigma    49.515    40.596     60.393
            1  alpha     0.800     0.700      0.869
        """
        return self.residual_parameters(conf_level=conf_level)

    def residual_parameters(self, *, conf_level: float = 0.95) -> Frame:
        """The same as `varcorr`, under the name that it has beside random effects."""
        return self._frame(parameter_columns(self._parameters(conf_level), conf_int=True))

    def anova(
        self,
        type: Any = 3,
        *,
        df: str | None = None,
        vcov: str | None = None,
        cluster: Clustering | None = None,
        strata: bool = False,
    ) -> Frame:
        """Does each term matter? F tests, one row a term.

        Types 1, 2, 3 and "sequential" are those of other fits. "marginal" tests that the coefficients of a
        term are zero beside all others, as R's nlme has it; it depends on how factors are coded.

        Example:
            >>> import multilevel as ml
            >>> sleep = ml.datasets.sleepstudy()
            >>> fit = ml.gls("Reaction ~ Days", sleep, residual="ar1", groups="Subject", time="Days")
            >>> fit.anova()[["term", "df_num", "df_den", "statistic"]].round(2)
               term  df_num  df_den  statistic
            0  Days       1   178.0      37.93
        """
        if type != "marginal":
            return super().anova(type, df=df, vcov=vcov, cluster=cluster, strata=strata)
        inference = self._inference(df, vcov, cluster)
        terms = [term for term in fixed_terms(self.design) if term.columns and not term.is_constant]
        if not terms:
            raise ModelError("the formula has no terms beside the intercept, so there is nothing to test.")
        each = np.eye(len(self.fixef))
        tests = tuple(inference.f_test(each[list(term.columns)]) for term in terms)
        return self._frame(anova_columns(TermTests(tuple(term.name for term in terms), tests, None)))

    def _df_method(self, df: str | None) -> str:
        checked_choice("df", df, (None, *METHODS))
        return self.default_df if df is None else df

    def _coefficients(self, df: str | None = None) -> CoefficientTable:
        return inferred_table(self.coef_names, self._inference(df))

    def _inference(
        self, df: str | None = None, vcov: str | None = None, cluster: Clustering | None = None
    ) -> CoefficientInference:
        if cluster is not None or vcov not in (None, "model"):
            raise ModelError(
                "generalized least squares has the model's own variance only; for a sandwich use ml.gee with "
                "the same correlation."
            )
        method = self._df_method(df)
        if method == "kenward-roger":
            return gls_kenward_roger(self.record, self.rows, self.solution)
        known = self._known_information() if method == "satterthwaite" else None
        return gls_inference(self.record, known, method)

    def _known_information(self) -> Information:
        if self._information is None:
            self._information = gls_information(self.solution)
        return self._information

    def _parameters(self, level: float) -> ParameterTable:
        model, phi = self.solution.problem.model, self.solution.point.phi
        errors = parameter_errors(model, phi, self._known_information())
        return parameter_table(self.record, *errors, checked_level(level))

    def _glance(self) -> dict[str, object]:
        return {
            "sigma": self.sigma,
            "loglik": self.loglik,
            "aic": self.aic,
            "bic": self.bic,
            "criterion": self.criterion,
            "df_residual": self.df_residual,
            "nobs": self.nobs,
            "npar": self.df_model,
            "reml": self.reml,
            "corr": self.residual.corr.name,
            "converged": self.converged,
        }

    def _augmented(self) -> dict[str, Array]:
        return {
            "fitted": self.fitted,
            "residual": self.record.residuals,
            "residual_pearson": self.residuals("pearson"),
            "residual_normalized": self.record.normalized,
        }

    def _clusters(self) -> tuple[Grouping, ...]:
        layout = self.rows.layout
        if layout is None:
            return ()
        codes = np.repeat(np.arange(layout.n_clusters, dtype=np.float64), layout.sizes)
        return (Grouping(layout.name, self.rows.in_data_order(codes).astype(np.int32), layout.labels),)

    # Inference ---------------------------------------------------------------------------------------

    def vcov(self) -> Array:
        """Covariance (p, p) of the coefficients, given the residual structure."""
        return self.record.vcov

    def marginal_cov(self, group: object = None) -> Array:
        """Covariance (m, m) of the m responses of one group, in order of time; of the largest by default.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.gls("distance ~ age", ml.datasets.orthodont(), residual="cs", groups="Subject")
            >>> fit.marginal_cov("M01")[:2, :2].round(2)
            array([[6.52, 4.47],
                   [4.47, 6.52]])
        """
        layout = self.rows.layout
        if layout is None:
            raise ModelError("residuals of this fit are independent, so there are no groups.")
        number = int(layout.sizes.argmax()) if group is None else self._group_number(group)
        rows = slice(int(layout.start[number]), int(layout.start[number + 1]))
        point = self.solution.point
        columns = np.zeros((self.design.n_rows, rows.stop - rows.start))
        columns[rows] = np.eye(rows.stop - rows.start)
        unwhitened = np.linalg.inv(point.whitening.whiten(columns)[rows])
        half = self.sigma * np.exp(point.log_sd[rows])[:, None] * unwhitened
        return np.asarray(half @ half.T)

    def _group_number(self, group: object) -> int:
        layout = self.rows.layout
        assert layout is not None
        if str(group) not in layout.labels:
            raise DataError(f"'{group}' is no group of '{layout.name}'.")
        return layout.labels.index(str(group))

    # Data --------------------------------------------------------------------------------------------

    def residuals(self, kind: ResidualKind = "response") -> Array:
        """Residuals (n,): "response", "pearson" (over their own standard deviations), or "normalized".

        Normalized residuals are uncorrelated too, each less what the rows of its group before it say (of an
        exchangeable correlation: less a part of the group's mean).
        """
        checked_choice("kind", kind, ("response", "pearson", "normalized"))
        if kind == "normalized":
            return self.record.normalized
        if kind == "response":
            return self.record.residuals
        return np.asarray(self.record.residuals / (self.sigma * self.record.relative_sd))

    def predict(
        self,
        new: Frame | None = None,
        *,
        kind: Literal["response", "link"] = "response",
        interval: Literal["confidence", "prediction"] | None = None,
        level: float = 0.95,
        df: DfMethod | None = None,
        weights: npt.ArrayLike | None = None,
    ) -> Array | Frame:
        """Means (k,) for new rows, or for the rows used; with `interval`, a frame with limits.

        The frame has the columns fitted, conf_low and conf_high.

        Args:
            new: data with the predictors; rows with missing values give NaN.
            kind: "response" and "link" are the same in a linear model.
            interval: "confidence" for the mean, "prediction" for a new observation of a new group, whose
                variance is that of its stratum and covariates.
            level: of the interval.
            df: its degrees of freedom, as in `summary`.
            weights: precision weights (k,) of the new observations; if not given, those in the column that
                the fit took them from, or 1.
        """
        checked_choice("kind", kind, ("response", "link"))
        checked_choice("interval", interval, (None, "confidence", "prediction"))
        rows = used_rows(self.design) if new is None else new_rows(self.design, new, weights)
        mean = rows.X @ self.fixef
        if rows.offset is not None:
            mean = mean + rows.offset
        if interval is None:
            return np.asarray(mean)
        error = np.zeros(len(mean))
        if interval == "prediction":
            error = (self.sigma * self._new_relative_sd(new, mean, rows.precision())) ** 2
        half = self._half_width(rows.X, level, df, error)
        return self._predictions(new, {"fitted": mean, "conf_low": mean - half, "conf_high": mean + half})

    def _new_relative_sd(self, new: Frame | None, mean: Array, precision: float | Array) -> Array:
        """Standard deviations (k,) of new residuals over sigma."""
        if new is None:
            return self.record.relative_sd
        point = self.solution.point
        relative = new_relative_sd(self.rows, self.solution.problem.model, point.phi, new, mean)
        return np.asarray(relative / np.sqrt(precision))

    def _half_width(self, X: Array, level: float, df: str | None, error: Array) -> Array:
        """Half the width (k,) of an interval whose errors add to that of the mean."""
        inference = self._inference(df)
        complete = np.isfinite(X).all(axis=1)
        distinct, place = np.unique(X[complete], axis=0, return_inverse=True)
        variance = np.array([inference.covariance(row[None, :])[0, 0] for row in distinct])
        place = place.ravel()
        of_mean = critical_value(level, inference.df(distinct))[place]
        out = np.full(len(X), np.nan)
        out[complete] = of_mean * np.sqrt(variance[place] + error[complete])
        return out

    def simulate(self, n: int = 1, seed: Seed = None) -> Array:
        """Draw `n` new responses (rows used, n) from the fitted model.

        Example:
            >>> import multilevel as ml
            >>> sleep = ml.datasets.sleepstudy()
            >>> fit = ml.gls("Reaction ~ Days", sleep, residual="ar1", groups="Subject", time="Days")
            >>> fit.simulate(3, seed=1).shape
            (180, 3)
        """
        return simulate_gls(self.record, self.rows, self.solution, n, seed)

    # The same model again ----------------------------------------------------------------------------

    def refit(self, y: npt.ArrayLike) -> Self:
        """Fit the same model to another response (n,), over the rows used or all rows of the data."""
        design = replace(self.design, y=checked_response(y, self.design))
        return type(self)(design, self.call, self.rows, fit_gls(design, self.rows, reml=self.reml))

    def _estimate(self, design: Design) -> GLSRecord:
        return assemble_gls(design, self.rows, fit_gls(design, self.rows, reml=self.reml))

    def _by_ml(self) -> Self:
        if not self.reml:
            return self
        call = replace(self.call, options={**self.call.options, "reml": False})
        return type(self)(self.design, call, self.rows, fit_gls(self.design, self.rows, reml=False))
