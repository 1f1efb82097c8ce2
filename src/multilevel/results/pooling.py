"""Each group's line in three ways: no pooling, partial pooling, complete pooling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from multilevel._options import checked_count
from multilevel._typing import Array, Frame
from multilevel.clusters.cell_effects import cell_lines
from multilevel.clusters.ladder import row_counts
from multilevel.clusters.pooling import (
    ThreeLines,
    in_places,
    line_terms,
    own_lines,
)
from multilevel.clusters.shrinkage import reliability, row_weights
from multilevel.errors import DataError, ModelError
from multilevel.frames.output import to_frame
from multilevel.report.pooling import pooling_columns, pooling_page
from multilevel.report.pooling_plots import LinesToDraw, plot_lines, plot_means
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns
from multilevel.results.labels import own_levels
from multilevel.results.lmm import LMMFit
from multilevel.results.ols import OLSFit
from multilevel.results.page import Page

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_PANELS = 24


@dataclass(frozen=True, slots=True, repr=False)
class GroupLines(Page):
    """Lines of J groups in three ways; `frame` has a row a group and coefficient."""

    step: str
    fit: LMMFit  # partial pooling
    common: OLSFit  # complete pooling
    lines: ThreeLines
    levels: tuple[object, ...]  # (J,) as the data call them
    sizes: Array  # (J,) observations

    @property
    def frame(self) -> Frame:
        """level, n, term, no_pooling, std_error, partial, complete, pull, reliability."""
        return to_frame(self.columns(), self.fit.design.frame_kind)

    def columns(self) -> Columns:
        """The columns of the table by name."""
        return pooling_columns(self.lines, self.levels, self.sizes)

    def page(self) -> Summary:
        """What is printed."""
        return pooling_page(self.step, self.fit.design, self.lines, self.levels, self.sizes)

    def plot(
        self, x: str | None = None, *, levels: Sequence[object] | None = None, n: int = MOST_PANELS
    ) -> npt.NDArray[Any] | Axes:
        """Draw the lines: a panel a group, or one pair of axes where lines are but intercepts.

        Args:
            x: the predictor along the axis, the first that varies within groups unless given; the others
                are at their mean in the group.
            levels: the groups to draw, in order; unless given `n` of them, spread over the intercepts.
            n: how many groups to draw.
        """
        names = self.lines.names
        count = checked_count("n", n)
        if len(names) == 1:
            return plot_means(self.lines, self._to_draw(0), self.fit.design.response_name)
        if x is not None and x not in names[1:]:
            known = ", ".join(map(repr, names[1:]))
            raise DataError(f"plot(x={x!r}): the predictors that vary within groups are {known}.")
        chosen = spread(self.lines.partial[:, 0], count) if levels is None else self._places(levels)
        return plot_lines(self.lines, self._to_draw(1 if x is None else names.index(x)), chosen)

    def _places(self, levels: Sequence[object]) -> list[int]:
        places = {level: j for j, level in enumerate(self.levels)}
        unknown = [level for level in levels if level not in places]
        if unknown or not len(levels):
            raise DataError(
                f"plot(levels=): {unknown[0]!r} is no group." if unknown else "plot(levels=) is empty."
            )
        return [places[level] for level in levels]

    def _to_draw(self, place: int) -> LinesToDraw:
        design = self.fit.design
        columns = [design.X[:, design.coef_names.index(name)] for name in self.lines.names[1:]]
        y = design.y if design.offset is None else design.y - design.offset
        return LinesToDraw(y, columns, place, design.groupings[0].codes, self.levels, design.response_name)


def group_lines(step: str, fit: LMMFit, common: OLSFit) -> GroupLines:
    """The three lines of each group, random effects as `fit` has them, one line for all as `common`."""
    design = fit.design
    codes, counts = design.groupings[0].codes, row_counts(design)
    terms = line_terms(design.X, design.coef_names, codes)
    complete, average = terms.lines(common.fixef), terms.lines(fit.fixef)
    columns, residuals = design.X[:, terms.columns], common.record.residuals
    random = random_lines(step, fit, terms.names)
    lines = ThreeLines(
        names=terms.names,
        own=own_lines(columns, residuals, complete, codes, row_weights(design), counts),
        partial=average + random.coefficients,
        average=average,
        complete=complete,
        sd=np.sqrt(random.variance),
        reliability=random.reliability,
    )
    (levels, *_) = own_levels(design.groupings[:1], fit.call.data)
    sizes = np.bincount(codes, weights=counts).astype(np.float64)
    return GroupLines(step, fit, common, lines, levels, sizes)


@dataclass(frozen=True, slots=True)
class RandomLines:
    """What random effects add to the lines of J groups."""

    coefficients: Array  # (J, q)
    variance: Array  # (q,)
    reliability: Array  # (J, q)


def random_lines(step: str, fit: LMMFit, names: tuple[str, ...]) -> RandomLines:
    """Random effects of the groups, and of their combinations with factors, as coefficients of lines."""
    term, modes = fit.record.terms[0], fit.record.modes[0]
    refuse_effects_without_line(step, term.names, names)
    variance = np.diag(term.covariance)
    known = reliability(np.diagonal(modes.variance, axis1=1, axis2=2), variance)
    found = RandomLines(
        in_places(modes.values, names, term.names),
        in_places(variance[None], names, term.names)[0],
        in_places(known, names, term.names),
    )
    for number in range(1, len(fit.design.groupings)):
        found = with_cells(step, fit, number, names, found)
    return found


def with_cells(
    step: str, fit: LMMFit, number: int, names: tuple[str, ...], found: RandomLines
) -> RandomLines:
    """Lines with the effects of combinations added to the coefficients of their factor."""
    groups, cells = fit.design.groupings[0], fit.design.groupings[number]
    factor = cells.name.removeprefix(f"{groups.name}:")
    own = [name for name in names if name.startswith(f"{factor}[")]
    X = fit.design.X[:, [fit.design.coef_names.index(name) for name in own]]
    added = cell_lines(fit.record.modes[number].values[:, 0], groups.codes, cells.codes, X)
    if added is None:
        refuse_effects_without_line(step, [factor], names)
        return found
    places = [0, *map(names.index, own)]
    coefficients, variance, known = (
        each.copy() for each in (found.coefficients, found.variance, found.reliability)
    )
    coefficients[:, places] += added.coefficients
    variance[places] += added.variance * fit.record.terms[number].covariance[0, 0]
    known[:, places] = np.nan
    return RandomLines(coefficients, variance, known)


def refuse_effects_without_line(step: str, effects: Sequence[str], names: Sequence[str]) -> None:
    """A random slope needs its column among the predictors."""
    for effect in effects:
        if effect not in names:
            raise ModelError(
                f"'{effect}' has a random effect in '{step}' and no column of its own in the fixed part, so"
                " there is no line to draw it to; ask for the lines of another step, as in"
                " pooling('intercept')."
            )


def spread(values: Array, count: int) -> list[int]:
    """Places of `count` values, evenly spaced in their order."""
    order = np.argsort(values, kind="stable")
    chosen = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int)
    return [int(order[k]) for k in chosen]
