"""Groups as dummies beside groups as random: what either estimates."""

from __future__ import annotations

from dataclasses import dataclass

from multilevel._typing import Frame
from multilevel.clusters.dummies import DummyRegression, Hausman, dummy_regression, hausman
from multilevel.clusters.ladder import row_counts
from multilevel.clusters.shrinkage import row_weights
from multilevel.errors import ModelError
from multilevel.frames.output import to_frame
from multilevel.report.dummies import dummy_columns, dummy_page
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns
from multilevel.results.lmm import LMMFit
from multilevel.results.page import Page

INTERCEPT = "Intercept"


@dataclass(frozen=True, slots=True, repr=False)
class GroupDummies(Page):
    """Coefficients beside a dummy for each group, and beside a random intercept; K coefficients."""

    fit: LMMFit  # with the random intercept
    dummies: DummyRegression
    hausman: Hausman | None

    @property
    def frame(self) -> Frame:
        """term, dummies, dummies_std_error, random, random_std_error, difference, se_ratio, identified."""
        return to_frame(self.columns(), self.fit.design.frame_kind)

    @property
    def df_residual(self) -> float:
        """Observations less dummies less coefficients."""
        return self.dummies.df_residual

    def columns(self) -> Columns:
        """The columns of the table by name."""
        return dummy_columns(self.fit.design, self.fit.record, self.dummies)

    def page(self) -> Summary:
        """What is printed."""
        return dummy_page(self.fit.design, self.fit.record, self.dummies, self.hausman)


def group_dummies(fit: LMMFit) -> GroupDummies:
    """Dummies beside the random-intercept model that `fit` is."""
    design, record = fit.design, fit.record
    if design.coef_names == (INTERCEPT,):
        raise ModelError(
            f"'{design.formula.text}' has no predictors, whose coefficients dummies would change; add some,"
            " or see pooling() for the means of groups."
        )
    y = design.y if design.offset is None else design.y - design.offset
    codes, weights = design.groupings[0].codes, row_weights(design)
    found = dummy_regression(design.X, y, codes, weights, row_counts(design).sum())
    return GroupDummies(fit, found, hausman(found, fit.fixef, record.vcov, fit.sigma))
