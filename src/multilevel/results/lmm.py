"""`ml.lmm`: a linear mixed model from formula and data, and the fit that the user holds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Literal, Self, overload

import numpy.typing as npt

from multilevel._options import Seed, checked_choice, checked_switch
from multilevel._typing import Array, Frame
from multilevel.clusters.plausible import plausible_ranges
from multilevel.clusters.shrinkage import Shrinkage, shrinkage
from multilevel.covariance.residual.specification import Residual, as_residual
from multilevel.covariance.residual.variance_functions import VarianceFunction
from multilevel.covariance.working.specification import Correlation
from multilevel.design.build import build_design
from multilevel.design.checks import refuse_saturated_terms
from multilevel.design.design import Design
from multilevel.errors import FormulaError, ModelError, MultilevelWarning
from multilevel.estimation.lmm import WorkingModel, minimise, working_model
from multilevel.estimation.optimum import Optimum
from multilevel.estimation.refits import ResponseFits, fit_all_responses, refit_starts, with_response
from multilevel.fitted.assemble import assemble_lmm
from multilevel.fitted.lmm import LMMRecord
from multilevel.fitted.residual_free import fit_without_residual
from multilevel.formula.parse import parse_formula
from multilevel.formula.terms import Formula
from multilevel.inference.lmm_residuals import ResidualKind, lmm_residuals
from multilevel.inference.matrices import ModelMatrices, marginal_covariance, model_matrices
from multilevel.inference.prediction import IncludedEffects, Request, checked, predict_rows, rows_to_predict
from multilevel.report.equation import equation_sections
from multilevel.report.lmm_summary import criteria_block, lmm_summary
from multilevel.report.lmm_tables import (
    coef_columns,
    plausible_columns,
    ran_pars_columns,
    ran_vals_columns,
    ranef_columns,
    varcorr_columns,
)
from multilevel.report.notation import write_page
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns
from multilevel.results.base import Call
from multilevel.results.checks import (
    checked_response,
    checked_responses,
    refuse_wald_limits,
    rows_of_level,
)
from multilevel.results.degrees import Degrees, DfMethod
from multilevel.results.diagnostics import Diagnostics
from multilevel.results.explained import Explained
from multilevel.results.gls_setup import columns_of
from multilevel.results.intervals import Intervals
from multilevel.results.labels import own_levels
from multilevel.results.means import Means
from multilevel.results.ranks import ranked_columns
from multilevel.results.structured import StructuredFit, fit_structured
from multilevel.results.structured_setup import mixed_rows
from multilevel.results.testing import Testing
from multilevel.results.variance_tests import VarianceTests
from multilevel.simulation.lmm import simulate_responses

Structure = (
    Residual
    | Correlation
    | VarianceFunction
    | Literal["exchangeable", "ar1", "toeplitz", "unstructured", "stationary1", "stationary2"]
)


@overload
def lmm(
    formula: str,
    data: Frame,
    *,
    reml: bool = True,
    weights: str | npt.ArrayLike | None = None,
    freq_weights: str | npt.ArrayLike | None = None,
    offset: str | npt.ArrayLike | None = None,
    contrasts: Mapping[str, Any] | None = None,
    residual: Literal["none"] | None = None,
    missing: Literal["drop", "raise"] = "drop",
) -> LMMFit: ...


@overload
def lmm(
    formula: str,
    data: Frame,
    *,
    reml: bool = True,
    weights: str | npt.ArrayLike | None = None,
    freq_weights: None = None,
    offset: str | npt.ArrayLike | None = None,
    contrasts: Mapping[str, Any] | None = None,
    residual: Structure,
    missing: Literal["drop", "raise"] = "drop",
) -> StructuredFit: ...


def lmm(
    formula: str,
    data: Frame,
    *,
    reml: bool = True,
    weights: str | npt.ArrayLike | None = None,
    freq_weights: str | npt.ArrayLike | None = None,
    offset: str | npt.ArrayLike | None = None,
    contrasts: Mapping[str, Any] | None = None,
    residual: Structure | Literal["none"] | None = None,
    missing: Literal["drop", "raise"] = "drop",
) -> LMMFit | StructuredFit:
    """Linear mixed model: a regression whose intercept and slopes may vary between groups.

    Args:
        formula: lme4's dialect: `"y ~ x + (1 + x | g)"`, `(x || g)`, `(1 | a / b)`, `(1 | a) + (1 | b)`.
        data: any data frame, or a mapping of equally long columns (n rows).
        reml: restricted maximum likelihood (the default), or maximum likelihood.
        weights: precision weights, column or array (n,): the variance of an error is sigma^2 / weight.
        freq_weights: counts, column or array (n,): how many observations a row stands for.
        offset: known part of the response, column or array (n,).
        contrasts: coding of factors, for example `{"g": "sum"}`, or `{"g": "treatment('b')"}` to make b the
            reference level.
        residual: None for independent residuals of equal variance, or "none" for no residual term at all,
            where a structured term such as `ar1(0 + visit | g)` holds all the variation within a group. Or
            residuals with a structure: "ar1", `ml.ARMA(1, 1, time="week")`, `ml.VarPower("dose")`,
            `ml.Residual(corr="ar1", var="sex", time="week")`. They correlate within the innermost grouping
            factor, or within `ml.Residual(groups=...)`.
        missing: "drop" rows with missing values and say how many, or "raise".

    Example:
        >>> import multilevel as ml
        >>> fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", ml.datasets.sleepstudy())
        >>> fit.fixef.round(2), fit.se.round(2)
        (array([251.41,  10.47]), array([6.82, 1.55]))
        >>> round(fit.sigma, 2), round(fit.criterion, 1)
        (25.59, 1743.6)

    References:
        Bates, D., Mächler, M., Bolker, B. & Walker, S. (2015). Fitting linear mixed-effects models using
        lme4. Journal of Statistical Software 67(1).
    """
    data_options: dict[str, Any] = {
        "weights": weights,
        "freq_weights": freq_weights,
        "offset": offset,
        "contrasts": contrasts,
        "missing": missing,
    }
    terms = parse_formula(formula)
    require_bars(terms)
    reml = checked_switch("reml", reml)
    call = Call(lmm, data, {"reml": reml, "residual": residual, **data_options})
    if residual is not None and not (isinstance(residual, str) and residual == "none"):
        structure = as_residual(residual)
        extra = columns_of(structure, structure.groups, structure.time)
        design = build_design(terms, data, **data_options, extra_columns=extra)
        rows = mixed_rows(structure, structure.time, data, design)
        refuse_saturated_terms(design)
        return fit_structured(design, rows, reml, call)
    design = build_design(terms, data, **data_options)
    record, model = solve(design, reml, residual)
    fit = LMMFit(design, record, call)
    fit._keep(model)
    return fit


def solve(
    design: Design, reml: bool, residual: Literal["none"] | None
) -> tuple[LMMRecord, WorkingModel | None]:
    """From design to record: cross-products, search, and what was found; with the cross-products."""
    record, model = (
        (fit_without_residual(design, reml=reml), None) if residual == "none" else fit_design(design, reml)
    )
    if not record.optimum.converged:
        warnings.warn(f"The search {record.optimum.message}.", MultilevelWarning, stacklevel=3)
    return record, model


def estimate(design: Design, reml: bool, residual: Literal["none"] | None = None) -> LMMRecord:
    """From design to record."""
    return solve(design, reml, residual)[0]


def fit_design(design: Design, reml: bool) -> tuple[LMMRecord, WorkingModel]:
    """Estimate a model with independent residuals."""
    refuse_saturated_terms(design)
    model = working_model(design)
    return assemble_lmm(design, model, minimise(model, reml=reml), reml=reml), model


def require_bars(formula: Formula) -> None:
    """Without random effects there is nothing mixed."""
    if not formula.bars:
        raise FormulaError(
            f"'{formula.text}' has no random effects, which a mixed model needs; add a term like "
            "(1 | group), or use ml.ols."
        )


class LMMFit(Intervals, Degrees, Diagnostics, Explained, Means[LMMRecord], VarianceTests, Testing[LMMRecord]):
    """A fitted linear mixed model."""

    _starts: list[Array] | None = None  # where searches of refits begin

    # Stored numbers ----------------------------------------------------------------------------------

    @property
    def theta(self) -> Array:
        """Covariance parameters relative to sigma, in lme4's order."""
        return self.record.theta

    @property
    def reml(self) -> bool:
        """Whether the fit is by restricted maximum likelihood."""
        return self.record.reml

    @property
    def residual(self) -> Literal["none"] | None:
        """The residual asked for: None for independent ones, "none" for none at all."""
        return "none" if self.record.sigma == 0.0 else None

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
        return self.optimum.converged and self.optimum.certificate.holds

    @property
    def singular(self) -> bool:
        """Whether a covariance of random effects is on the boundary (a variance 0, a correlation +-1)."""
        return self.record.singular

    # Tables ------------------------------------------------------------------------------------------

    def summary(self, df: DfMethod | None = None) -> Summary:
        """The fit on one page: criterion, random effects, coefficients, and what deserves notice.

        `df` says how the degrees of freedom of the t tests are found: "satterthwaite" (the default),
        "kenward-roger" (with its standard errors, for REML fits), "z" (none: the normal distribution),
        "residual", "containment" (as nlme counts) or "between-within" (as SAS does).

        Example:
            >>> import multilevel as ml
            >>> fit = ml.lmm("Reaction ~ Days + (1 | Subject)", ml.datasets.sleepstudy())
            >>> print(fit.summary(df="kenward-roger").blocks[-2])
            Fixed effects (standard errors and degrees of freedom: Kenward-Roger)
                         Estimate  Std. Error     df  t value       p
              Intercept   251.405      9.7467   22.8   25.794  <2e-16
              Days         10.467      0.8042  161.0   13.015  <2e-16

        References:
            Satterthwaite, F. E. (1946). Biometrics Bulletin 2, 110-114. Kenward, M. G. & Roger, J. H. (1997).
            Biometrics 53, 983-997.
        """
        criteria = None if self.reml else criteria_block(self.aic, self.bic, self.loglik, self.df_residual)
        return lmm_summary(
            self.design, self.record, self._inference(df), df, self.residuals("scaled"), criteria
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

        `df` is the method for the degrees of freedom of the coefficients, as in `summary`.
        """
        checked_choice("effects", effects, ("fixed", "ran_pars", "ran_vals"))
        if effects == "ran_pars":
            refuse_wald_limits(conf_int)
            return self._frame(ran_pars_columns(self.record))
        if effects == "ran_vals":
            return self._frame(ran_vals_columns(self._shrinkage(), conf_level if conf_int else None))
        return super().tidy(conf_int=conf_int, conf_level=conf_level, exponentiate=exponentiate, df=df)

    def _ran_pars(self) -> Columns:
        return ran_pars_columns(self.record)

    def ranef(
        self, *, ranks: bool | None = None, level: float = 0.95, n: int = 1000, seed: Seed = None
    ) -> Frame:
        """Random effects by level: conditional mode, its SD, raw deviation, reliability and expected rank.

        The mode is the column `estimate`, its conditional SD `std_error`. Levels keep the type that they have
        in the data (text where factors of several types are listed), so the table joins the data by `level`.
        The raw deviation is what the level's rows alone say (their mean residual from the fixed part, for an
        intercept); reliability, 1 - conditional variance / variance, is the weight the mode gives to it.

        BLUPs are not rankings: each is drawn to the mean as far as its own data are few, so that their order
        mixes size with precision. `expected_rank` (1 for the smallest effect) counts how many others a level
        is likely to exceed. Conditional variances alone enter it: what levels share through the coefficients
        and through other grouping factors is left out.

        Args:
            ranks: None adds expected ranks of grouping factors with at most 2,000 levels (others get nulls:
                every pair of levels is compared); True adds them for all, with `percentile_rank` and limits
                `rank_low` and `rank_high`; False adds none.
            level: of the limits.
            n: draws of all effects that the limits are taken from.
            seed: of the draws.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.lmm("Yield ~ 1 + (1 | Batch)", ml.datasets.dyestuff())
            >>> table = fit.ranef(ranks=True, seed=1)
            >>> table[["level", "estimate", "expected_rank", "rank_low", "rank_high"]].round(2)
              level  estimate  expected_rank  rank_low  rank_high
            0     A    -17.61           2.73       1.0        5.0
            1     B      0.39           3.67       2.0        5.0
            2     C     28.56           4.92       3.0        6.0
            3     D    -23.08           2.44       1.0        4.0
            4     E     56.73           5.82       5.0        6.0
            5     F    -45.00           1.43       1.0        3.0

        References:
            Lingsma, H. F. et al. (2010). Comparing and ranking hospitals based on outcome. Quarterly Journal
            of Medicine 103, 99-108.
        """
        parts = self._shrinkage()
        return self._frame({**ranef_columns(parts), **ranked_columns(parts, ranks, level, n, seed)})

    def coef(self) -> Frame:
        """Coefficients in each level: the fixed ones plus the level's own random effects."""
        levels = own_levels(self.design.groupings, self.call.data)
        return self._frame(coef_columns(self.design, self.record, levels))

    def varcorr(self) -> Frame:
        """Variances, standard deviations, covariances and correlations of the random effects."""
        return self._frame(varcorr_columns(self.record))

    def plausible_ranges(self, *, level: float = 0.95) -> Frame:
        """Where the intercept and slopes of a new group would fall with probability `level`."""
        return self._frame(plausible_columns(plausible_ranges(self.record, level)))

    def equation(self, style: Literal["text", "latex"] = "text") -> str:
        """The model written out, level by level and combined, as text or as LaTeX."""
        return write_page(equation_sections(self.design, self.record), style)

    # Inference ---------------------------------------------------------------------------------------

    def matrices(self) -> ModelMatrices:
        """X, and sparse Z, Lambda and Sigma: y = X beta + Z b + e with Var(b) = Sigma."""
        return model_matrices(self.design, self.record)

    def marginal_cov(self, group: object, *, factor: str | None = None) -> Array:
        """Covariance (m, m) of the m responses in one group, random effects integrated out.

        `group` is a level of `factor`, by default the grouping factor with the fewest levels.
        """
        return marginal_covariance(self.design, self.record, rows_of_level(self.design, group, factor))

    # Data --------------------------------------------------------------------------------------------

    def residuals(self, kind: ResidualKind = "response") -> Array:
        """Residuals (n,) of one of these kinds; those from the fixed part hold the random effects.

        - "response": from the fitted values, random effects included; "pearson": times root weight;
          "scaled": by sigma too; "studentized": over their own standard errors, sigma sqrt(1 - leverage).
        - "fixed": from the fixed part only; "standardized": over their own standard errors; "whitened":
          uncorrelated, of variance 1, each row less its prediction from the rows of its group before it.
        """
        return lmm_residuals(self.design, self.record, kind)

    def predict(
        self,
        new: Frame | None = None,
        *,
        kind: Literal["response", "link"] = "response",
        re: IncludedEffects = "all",
        new_levels: Literal["error", "population", "sample"] = "error",
        interval: Literal["confidence", "prediction"] | None = None,
        level: float = 0.95,
        weights: npt.ArrayLike | None = None,
        seed: int | None = None,
    ) -> Array | Frame:
        """Predicted values (k,) for new rows, or for the rows used; with `interval`, a frame with limits.

        The frame has the columns fitted, conf_low and conf_high.

        Args:
            new: data with the predictors (and the groups that `re` includes); rows with missing values
                give NaN.
            kind: "response" and "link" are the same in a linear model.
            re: include the random effects of "all" grouping factors (or True), of "none" (or False), or of
                those named.
            new_levels: for groups that the fit has not seen: "error", the "population" (random effect zero,
                its variance in the interval), or a "sample" from their distribution.
            interval: "confidence" for the predicted mean of the groups included, "prediction" for a new
                observation, which adds every random effect left out and the residual variance.
            level: of the interval.
            weights: precision weights (k,) of the new observations, 1 unless given.
            seed: of the draws for new_levels="sample".
        """
        checked_choice("kind", kind, ("response", "link"))
        request = checked(Request(re, new_levels, interval, level, seed))
        rows = rows_to_predict(self.design, new, request, weights)
        prediction = predict_rows(self.design, self.record, rows, request)
        return prediction.fitted if interval is None else self._predictions(new, asdict(prediction))

    def simulate(self, n: int = 1, seed: Seed = None, re: Literal["new", "keep"] = "new") -> Array:
        """Draw `n` new responses (rows used, n), with new random effects or those of the fit kept."""
        return simulate_responses(self.design, self.record, n, seed, re)

    # The same model again ----------------------------------------------------------------------------

    def refit(self, y: npt.ArrayLike) -> Self:
        """Fit the same model to another response (n,), over the rows used or all rows of the data.

        Formula, design and cross-products are reused; only what depends on the response is made anew.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", ml.datasets.sleepstudy())
            >>> (fit.refit(2.0 * fit.design.y).fixef / fit.fixef).round(6)
            array([2., 2.])
        """
        if self.residual == "none":
            return super().refit(y)
        design = replace(self.design, y=checked_response(y, self.design))
        model = with_response(design, self._working_model(), design.y)
        if self._starts is None:
            self._starts = refit_starts(model, self.optimum)
        optimum = minimise(model, reml=self.reml, begin=self._starts)
        return type(self)(design, assemble_lmm(design, model, optimum, reml=self.reml), self.call)

    def refit_many(self, Y: npt.ArrayLike, *, progress: bool | None = None) -> ResponseFits:
        """Fit the same model to the columns of Y (n, B), on all processors: bootstraps, simulations, power.

        Returns arrays with a row a response: beta, sigma, criterion, converged, singular. The numbers do not
        depend on how many processors there are.

        Args:
            Y: responses over the rows used, (n, B), as `simulate(B)` returns them.
            progress: show a progress bar; on by default when it will be long.

        Example:
            >>> import multilevel as ml
            >>> fit = ml.lmm("Reaction ~ Days + (1 | Subject)", ml.datasets.sleepstudy())
            >>> refits = fit.refit_many(fit.simulate(200, seed=1))
            >>> refits.beta.shape
            (200, 2)
        """
        if self.residual == "none":
            raise ModelError('refit_many needs a residual term; loop over refit(y) for residual="none".')
        responses = checked_responses(Y, self.design)
        # refit() leaves its own response in the core
        model = with_response(self.design, self._working_model(), self.design.y)
        return fit_all_responses(self.design, model, self.optimum, responses, self.reml, progress)

    # What the shared face asks for -------------------------------------------------------------------

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
        }

    def _augmented(self) -> dict[str, Array]:
        return {
            "fitted": self.fitted,
            "fitted_fixed": self.record.fitted_fixed,
            "residual": self.residuals(),
            "residual_scaled": self.residuals("scaled"),
            **self._row_measures(),
        }

    def _estimate(self, design: Design) -> LMMRecord:
        return estimate(design, self.reml, self.residual)

    def _by_ml(self) -> Self:
        if not self.reml:
            return self
        call = replace(self.call, options={**self.call.options, "reml": False})
        return type(self)(self.design, estimate(self.design, reml=False, residual=self.residual), call)

    def _shrinkage(self) -> list[Shrinkage]:
        levels = own_levels(self.design.groupings, self.call.data)
        return [shrinkage(self.design, self.record, m, levels[m.grouping]) for m in self.record.modes]
