"""`ml.ladder`: from the empty model to random slopes, one step after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from multilevel._options import checked_choice, checked_switch
from multilevel._typing import Frame
from multilevel.clusters.ladder import StepNumbers
from multilevel.design.arguments import RowNumbers
from multilevel.design.step_formulas import StepFormulas, quoted, step_formulas
from multilevel.errors import DataError, DataTypeError, FormulaError, ModelError
from multilevel.fitted.lmm import LMMRecord
from multilevel.formula.parse import parse_formula
from multilevel.formula.terms import Formula
from multilevel.frames.column import Categorical
from multilevel.frames.output import to_frame
from multilevel.frames.table import FrameKind, read_table
from multilevel.report.blocks import dropped_notes
from multilevel.report.ladder import component_columns, ladder_page, step_columns
from multilevel.report.step_plots import plot_components
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns
from multilevel.results.dummies import GroupDummies, group_dummies
from multilevel.results.ladder_steps import EMPTY, NO_GROUPS, SLOPES, Climb, climb, step_numbers
from multilevel.results.lmm import LMMFit
from multilevel.results.ols import OLSFit
from multilevel.results.page import Page
from multilevel.results.pooling import GroupLines, group_lines
from multilevel.results.step_fits import Fitter
from multilevel.results.time_shape import TimeShape, refuse_time_of_labels, time_shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True, repr=False)
class Ladder(Page):
    """Mixed models of one response, each a step above another.

    `frame` has a row a step; `fits["intercept"]` is a fit like those of `ml.lmm`.
    """

    groups: str
    formulas: StepFormulas
    fitter: Fitter
    climbed: Climb
    steps: tuple[StepNumbers, ...]
    shape: TimeShape | None  # of time, where a column of times was given
    kind: FrameKind

    @property
    def fits(self) -> dict[str, LMMFit | OLSFit]:
        """The fits by step, as they were asked for (by REML, unless reml=False)."""
        return {name: fits.asked for name, fits in self.climbed.fits.items()}

    @property
    def frame(self) -> Frame:
        """One row a step: criteria, test against another step, variances, and what is explained."""
        return to_frame(self.columns(), self.kind)

    @property
    def components(self) -> Frame:
        """Variances, covariances and correlations of each step's random effects."""
        return to_frame(component_columns(self._records()), self.kind)

    def columns(self) -> Columns:
        """The columns of the table by name."""
        return step_columns(self.steps)

    def page(self) -> Summary:
        """What is printed."""
        design = self.climbed.mixed(self.climbed.full).design
        notes = (*self.climbed.notes, *dropped_notes(design.dropped))
        shape = None if self.shape is None else self.shape.page()
        return ladder_page(design, self.steps, self._records(), notes, shape, reml=self.fitter.reml)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the variance components of each step, end to end."""
        return plot_components(self.steps, self.groups, ax)

    # Views of the same data --------------------------------------------------------------------------

    def pooling(self, step: str | None = None) -> GroupLines:
        """Each group's line in three ways: its own (no pooling), the mixed model's, and the one of all.

        Lines are of the predictors that vary within groups; predictors of groups move their intercepts, and
        products with them their slopes, in partial and complete pooling alike.

        Args:
            step: of the ladder, whose random effects the lines have; unless given, the richest.

        Example:
            >>> import multilevel as ml
            >>> lines = ml.ladder("Reaction ~ Days", ml.datasets.sleepstudy(), "Subject").pooling()
            >>> shown = ["level", "no_pooling", "partial", "complete", "reliability"]
            >>> lines.frame.query("term == 'Days'")[shown].head(3).round(2)
              level  no_pooling  partial  complete  reliability
            1   308       21.76    19.67     10.47         0.85
            3   309        2.26     1.85     10.47         0.85
            5   310        6.11     5.02     10.47         0.85
        """
        name = self._richest() if step is None else self._checked(step)
        return group_lines(name, self.climbed.mixed(name), self._common(name))

    def dummies(self) -> GroupDummies:
        """Coefficients with a dummy for each group beside those with a random intercept.

        Dummies are fitted by what is left within groups, so that thousands of them cost nothing; standard
        errors are those of the regression with dummies.

        Example:
            >>> import multilevel as ml
            >>> both = ml.ladder("Reaction ~ Days", ml.datasets.sleepstudy(), "Subject").dummies()
            >>> both.frame[["term", "dummies", "dummies_std_error", "random"]].round(3)
                    term  dummies  dummies_std_error   random
            0  Intercept      NaN                NaN  251.405
            1       Days   10.467              0.804   10.467

        References:
            Hausman, J. A. (1978). Specification tests in econometrics. Econometrica 46, 1251-1271.
        """
        return group_dummies(self.climbed.mixed(self.climbed.full))

    def time_shape(self, step: str | None = None) -> TimeShape:
        """Time as a line, as a parabola and as categories, all with the random effects of one step.

        Args:
            step: of the ladder; the one with a random slope of time alone unless given, if there is one, else
                the random intercept.

        Example:
            >>> import multilevel as ml
            >>> steps = ml.ladder("Reaction ~ Days", ml.datasets.sleepstudy(), "Subject", time="Days")
            >>> steps.time_shape("intercept").tests[["model", "against", "chisq", "df", "p_value"]].round(3)
                    model    against  chisq   df  p_value
            0   quadratic     linear  1.135  1.0    0.287
            1  categories     linear  3.744  8.0    0.879
            2  categories  quadratic  2.609  7.0    0.919
        """
        if self.shape is None:
            raise DataError('ladder() was not told which column is time; add it, as in time="Days".')
        if step is None or step == self.shape.step:
            return self.shape
        bars = self.climbed.bars[self._checked(step)]
        return time_shape(self.formulas, self.shape.time, step, bars, self.fitter)

    # Steps -------------------------------------------------------------------------------------------

    def _records(self) -> Mapping[str, LMMRecord]:
        names = [name for name in self.climbed.fits if name != NO_GROUPS]
        return {name: self.climbed.mixed(name).record for name in names}

    def _common(self, step: str) -> OLSFit:
        """Least squares with the predictors of a step."""
        has_predictors = step != EMPTY
        formula = self.formulas.with_bars() if has_predictors else self.formulas.without_groups()
        fit = self.fitter.linear(self.fitter.design(formula)).asked
        assert isinstance(fit, OLSFit)
        return fit

    def _checked(self, step: str) -> str:
        checked_choice("step", step, [name for name in self.climbed.fits if name != NO_GROUPS])
        return step

    def _richest(self) -> str:
        """All slopes, the best of them, or the random intercept."""
        if SLOPES in self.climbed.fits:
            return SLOPES
        logliks = {name: self.climbed.fits[name].ml.loglik for name in self.climbed.slopes}
        return max(logliks, key=lambda name: logliks[name]) if logliks else self.climbed.full


def ladder(
    formula: str,
    data: Frame,
    groups: str,
    *,
    time: str | None = None,
    reml: bool = True,
    weights: RowNumbers | None = None,
    freq_weights: RowNumbers | None = None,
    offset: RowNumbers | None = None,
    contrasts: Mapping[str, Any] | None = None,
    missing: Literal["drop", "raise"] = "drop",
) -> Ladder:
    """From the empty model to random slopes: what each step adds, and where to stop.

    The steps, all fitted to the rows that are complete in every column used:

    - "no groups": the mean alone;
    - "empty": a random intercept of `groups` beside it, which shows how alike the members of a group are;
    - "intercept": the predictors beside the random intercept;
    - "slope x": a random slope of one predictor that varies within groups ("effects f": of a factor with more
      than two levels, an intercept for each combination of group and level);
    - "slopes": all of these together, if there are several and the data can carry them.

    Each is tested against a step below by a likelihood ratio (of maximum likelihood; on the boundary where a
    variance is tested, as `ml.compare` does) and has AIC, BIC, variances and what they were reduced by. The
    result prints its reading; `.frame` and `.components` are tables, `.fits` the fits by name, `.plot()`
    draws the variances. `.pooling()`, `.dummies()` and `.time_shape()` look at the data from other sides.

    Args:
        formula: the response and the fixed part, `"y ~ x1 + x2"`, without random effects.
        data: any data frame, or a mapping of equally long columns (n rows).
        groups: the column that names the groups (or "a:b" for the combinations of two).
        time: a numeric column of times, whose shape (line, parabola, categories) is to be looked at.
        reml: variances by restricted maximum likelihood (the default), or by maximum likelihood.
        weights: precision weights, column or array (n,): the variance of an error is sigma^2 / weight.
        freq_weights: counts, column or array (n,): how many observations a row stands for.
        offset: known part of the response, column or array (n,).
        contrasts: coding of factors, as for `ml.lmm`.
        missing: "drop" rows with missing values and say how many, or "raise".

    Example:
        >>> import multilevel as ml
        >>> steps = ml.ladder("Reaction ~ Days", ml.datasets.sleepstudy(), groups="Subject")
        >>> steps.frame[["step", "aic", "chisq", "df", "p_boundary", "icc"]].round(3)
                 step       aic    chisq   df  p_boundary    icc
        0   no groups  1965.049      NaN  NaN         NaN    NaN
        1       empty  1916.541   50.508  1.0         0.0  0.395
        2   intercept  1802.079  116.462  1.0         NaN  0.589
        3  slope Days  1763.939   42.139  2.0         0.0  0.722

    References:
        Raudenbush, S. W. & Bryk, A. S. (2002). Hierarchical Linear Models, 2nd ed. Sage.
        Snijders, T. A. B. & Bosker, R. J. (2012). Multilevel Analysis, 2nd ed., chapters 4 to 6. Sage.
        Barr, D. J., Levy, R., Scheepers, C. & Tily, H. J. (2013). Random effects structure for confirmatory
        hypothesis testing: keep it maximal. Journal of Memory and Language 68, 255-278.
    """
    parsed = parse_formula(formula)
    refuse_random_effects(parsed)
    table = read_table(data)
    formulas = step_formulas(parsed, checked_groups(groups), table.names)
    refuse_one_group(groups, [table.labels(name) for name in formulas.group_columns])
    refuse_groups_as_predictor(formulas, groups)
    if time is not None:
        refuse_time_of_labels(checked_time(time), table)
        formulas = with_time(formulas, time)
    options = {
        "weights": weights,
        "freq_weights": freq_weights,
        "offset": offset,
        "contrasts": contrasts,
        "missing": missing,
    }
    columns = dict.fromkeys([*formulas.predictor_columns, *formulas.group_columns])
    refuse_other_contrasts(contrasts, formulas)
    fitter = Fitter(data, checked_switch("reml", reml), options, tuple(columns), table.names)
    climbed = climb(formulas, fitter)
    shape = None if time is None else first_shape(climbed, formulas, time, fitter)
    steps = tuple(step_numbers(climbed, name) for name in climbed.fits)
    return Ladder(groups, formulas, fitter, climbed, steps, shape, table.kind)


def first_shape(climbed: Climb, formulas: StepFormulas, time: str, fitter: Fitter) -> TimeShape:
    """The shape of time beside its random slope, if the ladder has a step with it."""
    slope = f"slope {formulas.written(time)}"
    step = slope if slope in climbed.fits else climbed.full
    return time_shape(formulas, time, step, climbed.bars[step], fitter)


# ---- arguments ----


def refuse_random_effects(formula: Formula) -> None:
    """The random part is the ladder's to build."""
    if formula.bars:
        raise FormulaError(
            f"ladder() builds the random effects itself, step by step: leave {formula.bars[0].text} out of"
            ' the formula and name the groups, as in groups="Subject".'
        )


def checked_groups(groups: object) -> str:
    """The name of a column, or of columns whose combinations are the groups."""
    if not isinstance(groups, str):
        raise DataTypeError(f'groups= takes the name of a column, as in groups="school"; got {groups!r:.60}.')
    return groups


def refuse_one_group(groups: str, labels: Sequence[Categorical]) -> None:
    """Differences between groups need several."""
    if max(map(count_levels, labels)) < 2:
        raise ModelError(
            f"'{groups}' has one group, so nothing can be said of differences between groups; check groups=."
        )


def count_levels(labels: Categorical) -> int:
    """Levels that occur."""
    return int(np.count_nonzero(np.bincount(labels.codes[labels.codes >= 0])))


def refuse_groups_as_predictor(formulas: StepFormulas, groups: str) -> None:
    """A dummy for each group leaves nothing to a random intercept."""
    for expression in formulas.main_effects:
        if expression in (groups, f"factor({groups})", f"C({groups})"):
            raise ModelError(
                f"'{groups}' is a predictor and names the groups, so dummies leave nothing between groups to"
                " random effects; take it out of the formula, and see ladder(...).dummies()."
            )


def refuse_other_contrasts(contrasts: Mapping[str, Any] | None, formulas: StepFormulas) -> None:
    """Contrasts are of predictors."""
    for name in contrasts or {}:
        if name not in formulas.predictor_columns:
            raise DataError(f"contrasts= names '{name}', which is no predictor of this formula.")


def checked_time(time: object) -> str:
    """The name of the column of times."""
    if not isinstance(time, str):
        raise DataTypeError(f'time= takes the name of a column, as in time="Days"; got {time!r:.60}.')
    return time


def with_time(formulas: StepFormulas, time: str) -> StepFormulas:
    """The formula with a line in time, if time is not in it."""
    if time in formulas.predictor_columns:
        return formulas
    text = f"{formulas.response} ~ {formulas.right} + {quoted(time)}"
    return step_formulas(parse_formula(text), ":".join(formulas.group_columns), formulas.available)
