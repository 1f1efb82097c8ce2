"""Is time a straight line? Linear, quadratic and categorical time with the same random effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from multilevel._typing import Array, Frame, Mask
from multilevel.clusters.lack_of_fit import PureError, pure_error, restrictions
from multilevel.clusters.ladder import row_counts
from multilevel.clusters.shrinkage import row_weights
from multilevel.clusters.time_means import TimeMeans, time_means
from multilevel.design.design import Design
from multilevel.design.step_formulas import StepFormulas, quoted
from multilevel.errors import DataError, DataTypeError
from multilevel.frames.column import Categorical
from multilevel.frames.output import to_frame
from multilevel.frames.table import Table, read_table
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns
from multilevel.report.time_plots import plot_time_means
from multilevel.report.time_shape import LackOfFit, shape_page, test_columns
from multilevel.results.lmm import LMMFit
from multilevel.results.page import Page
from multilevel.results.step_fits import Fitter, TwoFits, step_test

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINEAR, QUADRATIC, CATEGORIES = "linear", "quadratic", "categories"
MOST_CATEGORIES = 60  # distinct times


@dataclass(frozen=True, slots=True, repr=False)
class TimeShape(Page):
    """Models that differ in how the mean depends on time; `frame` has a row a model."""

    time: str
    step: str  # whose random effects they have
    both: Mapping[str, TwoFits]
    comparisons: tuple[LackOfFit, ...]
    pure: PureError | None
    means: TimeMeans
    notes: tuple[str, ...]

    @property
    def fits(self) -> dict[str, LMMFit]:
        """The fits by name: "linear", and "quadratic" and "categories" where the times allow them."""
        return {name: mixed(fits.asked) for name, fits in self.both.items()}

    @property
    def frame(self) -> Frame:
        """One row a model: npar, loglik, aic, bic."""
        return to_frame(self.columns(), self._kind())

    @property
    def tests(self) -> Frame:
        """One row a comparison: likelihood ratio, and a test of the coefficients that the larger adds."""
        return to_frame(test_columns(self.comparisons), self._kind())

    def columns(self) -> Columns:
        """The columns of the table by name."""
        ml = {name: fits.ml for name, fits in self.both.items()}
        return {
            "model": list(ml),
            "formula": [fit.formula for fit in ml.values()],
            "npar": np.array([fit.df_model for fit in ml.values()]),
            "loglik": np.array([fit.loglik for fit in ml.values()]),
            "aic": np.array([fit.aic for fit in ml.values()]),
            "bic": np.array([fit.bic for fit in ml.values()]),
        }

    def page(self) -> Summary:
        """What is printed."""
        n_times = len(self.means.times)
        return shape_page(
            self.time, self.step, self.columns(), self.comparisons, self.pure, n_times, self.notes
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the mean of each model at each time, and what was observed."""
        return plot_time_means(self.means, self.time, self._design().response_name, ax)

    def _design(self) -> Design:
        return self.both[LINEAR].asked.design

    def _kind(self) -> str:
        return self._design().frame_kind


def mixed(fit: object) -> LMMFit:
    """A fit that is a mixed model."""
    assert isinstance(fit, LMMFit)
    return fit


def time_shape(
    formulas: StepFormulas, time: str, step: str, bars: Sequence[str], fitter: Fitter
) -> TimeShape:
    """Fit the shapes that so many distinct times allow, and test each against the larger ones."""
    first = fitter.mixed(fitter.design(shape_formula(formulas, time, LINEAR, bars)))
    design = first.asked.design
    times = times_used(time, fitter, design.rows)
    distinct = np.unique(times)
    if len(distinct) < 2:
        raise DataError(
            f"'{time}' is {distinct[0]:g} in every row used, so it has no shape; leave time= out."
        )
    both = {LINEAR: first}
    notes = []
    for name in shapes_for(len(distinct)):
        both[name] = fitter.mixed(fitter.design(shape_formula(formulas, time, name, bars)))
    if len(distinct) > MOST_CATEGORIES:
        notes.append(
            f"{time} has {len(distinct)} distinct values, too many for categories ({MOST_CATEGORIES} at"
            " most); group them into a column of intervals to look for any shape."
        )
    names = list(both)
    comparisons = [
        comparison(both, small, large) for k, small in enumerate(names) for large in names[k + 1 :]
    ]
    lines = times if any(time in term.names for term in design.terms) else None
    pure = pure_error(
        design.y if design.offset is None else design.y - design.offset,
        design.X,
        lines,
        design.groupings[0].codes,
        row_weights(design),
        row_counts(design),
    )
    fitted = {name: mixed(fits.asked).record.fitted_fixed for name, fits in both.items()}
    means = time_means(times, design.y, fitted, row_weights(design))
    return TimeShape(time, step, both, tuple(comparisons), pure, means, tuple(notes))


def shapes_for(n_times: int) -> list[str]:
    """Shapes beyond the line that differ from it, and from each other, on so many distinct times."""
    quadratic = [QUADRATIC] if n_times > 3 else []
    return [*quadratic, *([CATEGORIES] if 3 <= n_times <= MOST_CATEGORIES else [])]


def shape_formula(formulas: StepFormulas, time: str, shape: str, bars: Sequence[str]) -> str:
    """The model with one shape of time."""
    name = quoted(time)
    forms = {LINEAR: [name], QUADRATIC: [name, f"I({name}^2)"], CATEGORIES: [f"factor({name})"]}[shape]
    return formulas.with_fixed(formulas.fixed_with_time(time, forms), *bars)


def comparison(both: Mapping[str, TwoFits], small: str, large: str) -> LackOfFit:
    """Both tests of one shape against a larger one."""
    fits = mixed(both[large].asked)
    L = restrictions(both[small].asked.design.X, fits.design.X)
    inference = fits._inference()
    return LackOfFit(
        small, large, step_test(small, both[small], both[large]), inference.f_test(L), inference.method
    )


def times_used(time: str, fitter: Fitter, rows: Mask) -> Array:
    """Times (n,) of the rows used."""
    return refuse_time_of_labels(time, read_table(fitter.data))[rows]


def refuse_time_of_labels(time: str, table: Table) -> Array:
    """The column of times (n_total,), which must be numbers."""
    column = table.column(time)
    if isinstance(column, Categorical):
        first = next(iter(column.levels), None)
        raise DataTypeError(
            f"time={time!r} needs numbers, to draw a line through them, and '{time}' holds labels like"
            f" {first!r}; convert them to numbers, or leave time= out and use '{time}' as a predictor."
        )
    return np.asarray(column.values, dtype=np.float64)
