"""`ml.decompose_effect`: what is an effect within groups, between them, and over all rows?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from multilevel._typing import Array, Frame, Mask
from multilevel.clusters.effect_numbers import (
    EffectNumbers,
    Estimated,
    OtherEstimates,
    in_order,
    mixed_rows,
    mundlak_tests,
    named_rows,
    tested,
    together,
)
from multilevel.clusters.effects import Hausman, fixed_effects, hausman, reliability_of_means
from multilevel.clusters.predictors import Predictors, predictors_of
from multilevel.design.arguments import RowNumbers
from multilevel.design.design import Design
from multilevel.design.grouped import grouped_design
from multilevel.frames.output import to_frame
from multilevel.inference.coefficients import KnownDf
from multilevel.inference.wald import checked_level
from multilevel.report.effect_plot import Axes, draw_effect
from multilevel.report.effects import (
    effect_columns,
    effects_page,
    estimator_columns,
    reliability_columns,
    test_columns,
)
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns
from multilevel.results.degrees import DfMethod
from multilevel.results.effect_fits import EffectFits, checked_slopes, fit_effects, response
from multilevel.results.effect_picture import effect_picture
from multilevel.results.lmm import LMMFit
from multilevel.results.ols import OLSFit
from multilevel.results.page import Page


@dataclass(frozen=True, slots=True, repr=False)
class EffectDecomposition(Page):
    """Effects of predictors within groups, between groups and over all rows.

    `frame` holds the table in the user's kind of frame; `result["estimate"]` is one of its columns.
    """

    numbers: EffectNumbers
    fits: EffectFits
    design: Design  # of the formula as given

    @property
    def frame(self) -> Frame:
        """A row a slope: term, effect, estimate, std_error, statistic, df, p_value, conf_low, conf_high.

        `effect` is "total" (one slope over all rows), "within", "between", or "contextual", which is between
        less within. A predictor that varies one way only has the total and that one effect.
        """
        return to_frame(self.columns(), self.design.frame_kind)

    @property
    def tests(self) -> Frame:
        """Are slopes within and between groups one? test, term, statistic, df_num, df_den, p_value.

        Mundlak's are F tests in the model with both slopes. Hausman's is a chi-square (`df_den` infinite); it
        is missing where the variance that it needs is none.
        """
        return to_frame(test_columns(self.numbers), self.design.frame_kind)

    @property
    def estimators(self) -> Frame:
        """The same slopes by other estimators: term, effect, estimator, estimate, std_error, and tests."""
        return to_frame(estimator_columns(self.numbers), self.design.frame_kind)

    @property
    def reliability(self) -> Frame:
        """How well group means are known: term, share_between, reliability, contextual, between.

        The last two are without the noise of means of few members (Lüdtke et al. 2008).
        """
        return to_frame(reliability_columns(self.numbers), self.design.frame_kind)

    def columns(self) -> Columns:
        """The columns of the table by name."""
        return effect_columns(self.numbers.slopes)

    def page(self) -> Summary:
        """What is printed."""
        mixed = self.fits.within_between
        return effects_page(self.numbers, self.design, mixed.formula, mixed.record)

    def plot(self, term: str | None = None, ax: Axes | None = None) -> Axes:
        """Draw the slopes of one predictor: within each group, between group means, and over all rows.

        Dots are group means, as large as the group; a thin line through each has the slope within it. Returns
        matplotlib's axes.

        Args:
            term: a predictor with two effects; the first if not given.
            ax: axes to draw on; new ones if not given.
        """
        return draw_effect(effect_picture(self.numbers, self.fits, self.design.response_name, term), ax)


def decompose_effect(
    formula: str,
    data: Frame,
    groups: str,
    *,
    slopes: bool | str | Sequence[str] = False,
    vcov: str | None = None,
    df: DfMethod | None = None,
    level: float = 0.95,
    freq_weights: RowNumbers | None = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: Literal["drop", "raise"] = "drop",
) -> EffectDecomposition:
    """Effects within groups, between groups, and over all rows, side by side.

    A predictor that varies within groups and between them has two slopes, which may differ in size and even
    in sign; a regression over all rows blends them. Four slopes of each such predictor are compared:

    - "total": least squares over all rows.
    - "within" and "between": of deviations from group means, and of these means, in one mixed model with
      random intercepts (Mundlak's, or "within-between", model). The first is that of fixed effects.
    - "contextual": between less within; what the group's mean goes with beside the row's own value.

    Predictors that are constant within groups stay in and have the one slope. Columns of factors and of terms
    such as `poly(x, 2)` are taken apart one by one.

    Args:
        formula: `"y ~ x + z"`, without random effects and with an intercept.
        data: any data frame, or a mapping of equally long columns (n rows).
        groups: the column that names the groups (or "a:b" for the combinations of two).
        slopes: let slopes within groups vary between them: True for all predictors, or names of some.
        vcov: variance of the slopes. If None, total slopes have CR2, robust to clustering by groups, and the
            others that of the mixed model. "CR0" to "CR3" take both robustly, as for `ml.ols`, and so assume
            less of the groups; "model" takes both by the model, for the total as if there were no groups.
        df: method for the degrees of freedom in the mixed model, as for `fit.summary`.
        level: of the confidence limits.
        freq_weights: how many observations a row stands for, column or array (n,).
        contrasts: coding of factors, as for `ml.lmm`.
        missing: "drop" rows with missing values and say how many, or "raise".

    Example:
        >>> import multilevel as ml
        >>> people = ml.datasets.income_blood_pressure()
        >>> paradox = ml.decompose_effect("blood_pressure ~ income", people, groups="neighbourhood")
        >>> paradox.frame[["term", "effect", "estimate", "conf_low", "conf_high"]].round(2)
             term      effect  estimate  conf_low  conf_high
        0  income       total      0.21      0.12       0.30
        1  income      within     -0.34     -0.39      -0.30
        2  income     between      0.46      0.39       0.53
        3  income  contextual      0.81      0.72       0.89

    References:
        Mundlak, Y. (1978). On the pooling of time series and cross section data. Econometrica 46, 69-85.
        Enders, C. K. & Tofighi, D. (2007). Centering predictor variables in cross-sectional multilevel
        models. Psychological Methods 12, 121-138.
        Bell, A. & Jones, K. (2015). Explaining fixed effects: random effects modeling of time-series
        cross-sectional and panel data. Political Science Research and Methods 3, 133-153.
    """
    level = checked_level(level)
    grouped = grouped_design(
        formula, data, groups, freq_weights=freq_weights, contrasts=contrasts, missing=missing
    )
    found = predictors_of(grouped)
    fits = fit_effects(grouped, found, checked_slopes(slopes, found), vcov)
    return EffectDecomposition(
        numbers=effect_numbers(found, fits, response(grouped), df, vcov, level),
        fits=fits,
        design=grouped.design,
    )


def effect_numbers(
    found: Predictors, fits: EffectFits, y: Array, df: str | None, vcov: str | None, level: float
) -> EffectNumbers:
    """Everything that the fits say of the slopes; y (n,) is the response less the offset."""
    pooled, mixed = fits.pooled._inference(), fits.within_between._inference(df, vcov)
    totals = of_fit(fits.pooled, found, found.within | found.between, "total", level)
    labels, L = mixed_rows(found, fits.within_between.coef_names, len(mixed.beta))
    parts = tested(labels, L, mixed, level)
    fixed = fixed_effects(y, found.split, found.within, found.counts)
    return EffectNumbers(
        found=found,
        slopes=in_order([totals, parts], found.names),
        others=other_estimates(found, fits, fixed, level),
        mundlak=mundlak_tests(labels, L, mixed),
        hausman=hausman_test(found, fits, fixed),
        reliability=reliability_of_means(
            found.split, slopes_on_means(parts, found), found.both, ~found.within, found.counts
        ),
        level=level,
        methods=(pooled.method, mixed.method),
    )


def of_fit(fit: OLSFit | LMMFit, found: Predictors, which: Mask, effect: str, level: float) -> Estimated:
    """Coefficients of some predictors in one fit, as an effect of theirs."""
    names = found.chosen(which)
    labels = [(name, effect) for name in names]
    return tested(labels, named_rows(fit.coef_names, names), fit._inference(), level)


def other_estimates(found: Predictors, fits: EffectFits, fixed: KnownDf, level: float) -> OtherEstimates:
    """The slopes by fixed effects, by regressions of group means, and by one slope for all."""
    within = [(name, "within") for name in found.chosen(found.within)]
    tables = {
        "fixed effects": tested(within, np.eye(len(within)), fixed, level),
        "group means": of_fit(fits.means, found, found.between, "between", level),
        "group means, by size": of_fit(fits.means_by_size, found, found.between, "between", level),
        "random intercepts, one slope": of_fit(fits.one_slope, found, found.both, "total", level),
    }
    return OtherEstimates(
        labels=tuple(label for table in tables.values() for label in table.labels),
        estimator=tuple(name for name, table in tables.items() for _ in table.labels),
        tests=together([table.tests for table in tables.values()]),
    )


def hausman_test(found: Predictors, fits: EffectFits, fixed: KnownDf) -> Hausman:
    """Fixed effects against random intercepts with one slope, for the predictors that vary both ways."""
    both = found.chosen(found.both)
    random = fits.one_slope._inference("z")
    L, own = named_rows(fits.one_slope.coef_names, both), named_rows(found.chosen(found.within), both)
    return hausman(own @ fixed.beta, fixed.covariance(own), L @ random.beta, random.covariance(L))


def slopes_on_means(parts: Estimated, found: Predictors) -> Array:
    """Slopes of what is constant within groups: contextual effects, then those of other such predictors."""
    wanted = [(name, "contextual") for name in found.chosen(found.both)]
    wanted += [(name, "between") for name in found.chosen(~found.within)]
    return parts.tests.estimate[[parts.labels.index(label) for label in wanted]]
