"""`ml.dropout_weights`: inverse probability weights for those who stayed, to stand for those who left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from multilevel._options import checked_choice
from multilevel._typing import Array, Frame
from multilevel.design.visits import Visits, read_visits
from multilevel.errors import FormulaError, ModelError
from multilevel.fitted.assemble_dropout import Level, RiskSet, assemble_dropout, risk_set
from multilevel.fitted.dropout import DropoutModel, StayModel
from multilevel.formula.parse import parse_formula
from multilevel.frames.output import to_frame, with_columns
from multilevel.frames.table import FrameKind
from multilevel.inference.wald import CoefficientTable, wald_table
from multilevel.report.dropout import (
    UNLIKELY,
    VisitTable,
    dropout_page,
    lost_notes,
    truncation_words,
    visit_columns,
    weight_notes,
)
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns, fixed_columns
from multilevel.results.dropout_checks import (
    checked_percentiles,
    no_model,
    refuse_incomplete,
    refuse_no_dropout,
    refuse_one_time,
    warn_of_heavy_weights,
)
from multilevel.results.glm import glm
from multilevel.results.printed_table import PrintedTable

STAYS = "stays_next_time"  # response of the dropout model, a column that lives only inside


@dataclass(frozen=True, slots=True, repr=False)
class DropoutWeights(PrintedTable):
    """Weights of n rows, with the model of dropout that they come from.

    It may be given wherever an array of weights may, `weights=w`; `w.weights` is that array. `frame` has the
    weights by time, `tidy()` the coefficients of the model.
    """

    model: DropoutModel  # scores and slopes, for a variance that knows that weights were estimated
    stay: StayModel
    numerator: StayModel | None
    formulas: tuple[str, str | None]
    visits: Visits
    risk: RiskSet
    level: Level
    truncate: tuple[float, float] | None

    @property
    def weights(self) -> Array:
        """Weights (n,) over all rows of the data; NaN for rows not observed, or observed after a gap."""
        return self.model.weights

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.weights, dtype=dtype, copy=True)

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def _kind(self) -> FrameKind:
        return self.visits.kind

    def tidy(self, *, conf_int: bool = False, conf_level: float = 0.95, exponentiate: bool = False) -> Frame:
        """Coefficients of the model that those there stay (log odds), and of the numerator's."""
        tables = [
            (part, fixed_columns(table, conf_level if conf_int else None, exponentiate))
            for part, table in (("denominator", self._table(self.stay)), *self._numerator_tables())
        ]
        joined = {
            name: np.concatenate([np.asarray(each[name]) for _, each in tables]) for name in tables[0][1]
        }
        parts = [part for part, each in tables for _ in each["term"]]
        return to_frame({"part": parts, **joined}, self._kind)

    def columns(self) -> Columns:
        """The columns of the table by name: one row a time."""
        return visit_columns(self._visit_table(), self.visits.time_name)

    def summary(self) -> Summary:
        """The dropout model and the weights on one page."""
        return self.page()

    def page(self) -> Summary:
        """What is printed."""
        observed = self.weights[self.risk.followed]
        p = self.stay.probability
        unseen = int((~self.visits.observed[:, 0]).sum())
        after = int((self.visits.complete & ~self.risk.followed).sum())
        stabilised = "" if self.formulas[1] is None else f", stabilised by {self.formulas[1]}"
        facts = (
            (
                "Model",
                f"P(there at the next {self.visits.time_name}) {self.formulas[0]}, from the row before",
            ),
            ("Weights", f"by {self.level}{stabilised}, {truncation_words(self.truncate)}"),
            (
                "Groups",
                f"{self.visits.n_groups} of {self.visits.grouping.name}, {len(self.visits.times)} times",
            ),
        )
        models = [
            ("Log odds to stay", self._table(self.stay)),
            *((f"Log odds to stay ({part})", table) for part, table in self._numerator_tables()),
        ]
        notes = (
            *weight_notes(observed, float(p.min()), int((p < UNLIKELY).sum())),
            *lost_notes(self.visits.grouping.name, unseen, after),
        )
        return dropout_page(facts, models, self._visit_table(), self.visits.time_name, notes)

    def _numerator_tables(self) -> list[tuple[str, CoefficientTable]]:
        return [] if self.numerator is None else [("numerator", self._table(self.numerator))]

    def _table(self, model: StayModel) -> CoefficientTable:
        covariance = np.linalg.inv(model.information)
        return wald_table(model.names, model.beta, np.sqrt(covariance.diagonal()))

    def _visit_table(self) -> VisitTable:
        risk, n_times = self.risk, len(self.visits.times)
        probability = np.full(len(risk.codes), np.nan)
        probability[risk.at_risk] = self.stay.probability
        by_time = [risk.followed & (risk.visit == t) for t in range(n_times)]
        stay = [probability[rows & risk.at_risk] for rows in by_time]
        return VisitTable(
            time=self.visits.times,
            followed=np.array([float(rows.sum()) for rows in by_time]),
            left=np.array([float((risk.at_risk & rows & (risk.stays == 0.0)).sum()) for rows in by_time]),
            stay_mean=over(stay, np.mean),
            stay_least=over(stay, np.min),
            weight_least=over([self.weights[rows] for rows in by_time], np.min),
            weight_mean=over([self.weights[rows] for rows in by_time], np.mean),
            weight_most=over([self.weights[rows] for rows in by_time], np.max),
        )


def over(parts: Sequence[Array], summary: Any) -> Array:
    """A summary of each part, NaN for empty ones."""
    return np.array([float(summary(part)) if len(part) else np.nan for part in parts])


def dropout_weights(
    data: Frame,
    groups: str,
    time: str,
    formula: str,
    *,
    y: str | Sequence[str] | None = None,
    numerator: str | None = None,
    level: Level = "observation",
    truncate: tuple[float, float] | None = None,
) -> DropoutWeights:
    """Weights for dropout that depends on what was seen before (MAR), as weighted GEE needs them.

    Each group (a patient, say) is followed over the times of the data until it is missed first. A logistic
    model tells the probability that a group seen at one time is there at the next, from its row at that time:
    so `formula="~ y + arm"` means the response and the arm as they were when last seen. The weight of a row
    is one over the probability of having stayed until then: those who stayed stand for those like them who
    left.

    The result is given to a fit as `weights=`; printing it shows the model and the weights, and warns where a
    few rows would stand for many. Rows that are not observed, and those after a gap, have the weight NaN, so
    that fits leave them out and count them.

    Args:
        data: long data, one row a group and time; times not observed may be rows without response or no rows.
        groups: the column that names the groups.
        time: the column of times, numbers or ordered labels. A group is due at every time in the data.
        formula: predictors of staying, `"~ y + arm + factor(week)"`, as they stand in the row before.
        y: columns that make a row observed if they are not missing; without it every row counts as observed.
        numerator: predictors of a stabilised weight's numerator, `"~ arm + factor(week)"`: only what the
            model that is to be weighted conditions on, too.
        level: "observation", for least squares and estimating equations with independence; or "cluster" for
            one weight a group, by the probability of its whole history, for other working correlations.
        truncate: percentiles as shares, (0.01, 0.99), at which weights are bounded.

    Example:
        >>> import numpy as np
        >>> import pandas as pd
        >>> import multilevel as ml
        >>> rng = np.random.default_rng(1)
        >>> trial = pd.DataFrame({"id": np.repeat(range(200), 3), "week": np.tile(range(3), 200)})
        >>> trial["y"] = np.repeat(rng.normal(size=200), 3) + rng.normal(size=600)
        >>> leaves = rng.random(600) < 1 / (1 + np.exp(1.5 - trial["y"]))  # after this week
        >>> gone = leaves.groupby(trial["id"]).cumsum().groupby(trial["id"]).shift(fill_value=0) > 0
        >>> weights = ml.dropout_weights(trial[~gone], "id", "week", "~ y")
        >>> weights.frame[["week", "followed", "left", "weight_mean"]].round(2)
           week  followed  left  weight_mean
        0     0       200    42         1.00
        1     1       158    30         1.25
        2     2       128     0         1.55

    References:
        Robins, J. M., Rotnitzky, A. & Zhao, L. P. (1995). Analysis of semiparametric regression models for
        repeated outcomes in the presence of missing data. Journal of the American Statistical Association 90,
        106-121.
        Fitzmaurice, G. M., Molenberghs, G. & Lipsitz, S. R. (1995). Regression models for longitudinal binary
        responses with informative drop-outs. Journal of the Royal Statistical Society B 57, 691-704.
    """
    checked_choice("level", level, ("observation", "cluster"))
    bounds = checked_percentiles(truncate)
    visits = read_visits(data, groups, time, y)
    refuse_one_time(visits)
    risk = risk_set(visits.observed, visits.grouping.codes, visits.visit)
    refuse_no_dropout(visits, risk, y)
    stay = fit_stay_model("formula", formula, data, visits, risk)
    top = None if numerator is None else fit_stay_model("numerator", numerator, data, visits, risk)
    model = assemble_dropout(visits.grouping.levels, risk, stay, top, level, bounds)
    warn_of_heavy_weights(model.weights[risk.followed])
    return DropoutWeights(model, stay, top, (formula, numerator), visits, risk, level, bounds)


def fit_stay_model(argument: str, formula: str, data: Frame, visits: Visits, risk: RiskSet) -> StayModel:
    """The logistic model that those at risk stay."""
    if not isinstance(formula, str) or not formula.strip().startswith("~"):
        raise FormulaError(f"{argument}={formula!r:.60} has no response: write {argument}='~ y + arm'.")
    text = f"{STAYS} {formula.strip()}"
    if parse_formula(text).bars:
        raise FormulaError(
            f"{argument}='{formula}' has random effects, which the model of dropout cannot have."
        )
    with_stays = with_columns(data, {STAYS: risk.stays[risk.at_risk]}, risk.at_risk)
    try:
        fit = glm(text, with_stays, family="binomial")
    except ModelError as error:
        raise ModelError(no_model(argument, formula, visits, risk)) from error
    refuse_incomplete(argument, formula, data, fit.design, risk)
    return StayModel(tuple(fit.coef_names), fit.fixef, fit.design.X, fit.design.y, fit.fitted)
