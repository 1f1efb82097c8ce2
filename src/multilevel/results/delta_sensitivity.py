"""`ml.delta_sensitivity`: what if responses are missing because of what they would have been?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from multilevel._options import Seed, checked_seed
from multilevel._typing import Array, Frame, Mask
from multilevel.errors import DataError, ModelError
from multilevel.frames.output import to_frame, with_columns
from multilevel.frames.table import FrameKind, Numeric, read_table
from multilevel.inference.conditional_draws import RowsToComplete, draw_missing
from multilevel.inference.wald import checked_level, wald_limits, wald_table
from multilevel.report.delta_sensitivity import (
    TermPath,
    delta_columns,
    delta_page,
    plot_path,
    tipping_columns,
)
from multilevel.report.summary import Summary
from multilevel.report.tables import Columns
from multilevel.results.delta_choices import (
    Where,
    checked_deltas,
    checked_imputations,
    chosen_terms,
    refuse_other_fits,
    response_column,
    shifted_rows,
    where_words,
)
from multilevel.results.given_fits import AnyFit
from multilevel.results.lmm import LMMFit
from multilevel.results.pool import PooledFit, pool
from multilevel.results.printed_table import PrintedTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True, repr=False)
class DeltaSensitivity(PrintedTable):
    """Pooled coefficients over a grid of shifts of the imputed responses.

    `frame` has a row a coefficient and delta, `tipping` one a coefficient.
    """

    paths: tuple[TermPath, ...]
    imputations: Array  # (m, n) responses imputed at delta = 0, of the n rows of `imputed`
    imputed: Mask  # (rows of the data,)
    shifted: Mask  # (n,) which of them delta moves
    formula: str
    response: str
    whom: str
    sd: float  # of the observed response
    level: float
    kind: FrameKind

    @property
    def _kind(self) -> FrameKind:
        return self.kind

    @property
    def tipping(self) -> Frame:
        """One row a coefficient: p-value at delta = 0, and the nearest deltas where limits reach zero."""
        return to_frame(tipping_columns(self.paths), self.kind)

    def tidy(self) -> Frame:
        """One row a coefficient and delta, with its limits and the fraction of missing information."""
        return self.frame

    def columns(self) -> Columns:
        """The columns of the table by name."""
        return delta_columns(self.paths)

    def page(self) -> Summary:
        """What is printed."""
        facts = (
            ("Analysis", self.formula),
            (
                "Imputed",
                f"{self.imputed.sum()} responses, {len(self.imputations)} times; delta shifts {self.whom} "
                f"({self.shifted.sum()})",
            ),
            ("SD", f"{self.sd:.4g}, of {self.response} as observed"),
        )
        return delta_page(facts, self.paths, self.level, self.sd, self.whom)

    def plot(self, term: str | None = None, *, ax: Axes | None = None) -> Axes:
        """Draw one coefficient with its limits over the deltas, the first unless `term` names another."""
        by_term = {path.term: path for path in self.paths}
        if term is not None and term not in by_term:
            raise DataError(
                f"plot(term={term!r}): the coefficients here are {', '.join(map(repr, by_term))}."
            )
        path = self.paths[0] if term is None else by_term[term]
        return plot_path(path, self.level, f"units of {self.response}", ax)


def delta_sensitivity(
    fit: LMMFit,
    *,
    deltas: npt.ArrayLike | None = None,
    where: Where | None = None,
    term: str | Sequence[str] | None = None,
    analysis: Callable[[Frame], AnyFit] | None = None,
    n: int = 20,
    level: float = 0.95,
    seed: Seed = None,
) -> DeltaSensitivity:
    """Sensitivity to data missing not at random: shift imputed responses by delta, and see a result tip.

    A mixed model is right if responses are missing at random given what was observed. If those who left were
    worse off (or better) than their observed values say, it is not, and no data can tell by how much. This
    imputes the missing responses from the fit, given the observed ones (random effects and coefficients drawn
    anew for each of n data sets), adds delta to them, analyses each data set, and pools by Rubin's rules.

    The data of the fit must have a row, with its predictors, for every response that is missing.

    Args:
        fit: a linear mixed model of the response; the imputation model.
        deltas: shifts in units of the response; nine from -1 to 1 standard deviations if not given.
        where: which of the missing responses to shift, `{"arm": "drug"}` or truth values, one a row of the
            data; all if not given. Shifts of one arm alone are what conclusions about arms lean on.
        term: the coefficient or coefficients to look at; all but the intercept if not given.
        analysis: a function of a completed data frame that returns a fit; the model of `fit` if not given.
        n: data sets to impute.
        level: of the limits.
        seed: of the imputations, which are the same at every delta.

    Example:
        >>> import numpy as np
        >>> import multilevel as ml
        >>> sleep = ml.datasets.sleepstudy()
        >>> missed = (sleep["Days"] > 6) & (sleep["Subject"].astype(int) % 2 == 0)
        >>> seen = sleep.assign(Reaction=sleep["Reaction"].mask(missed))
        >>> fit = ml.lmm("Reaction ~ Days + (1 | Subject)", seen)
        >>> found = ml.delta_sensitivity(fit, deltas=[-100, 0, 100], seed=1)
        >>> found.frame[["term", "delta", "estimate"]].round(1)
           term  delta  estimate
        0  Days -100.0       3.3
        1  Days    0.0       9.7
        2  Days  100.0      16.1

    References:
        Carpenter, J. R. & Kenward, M. G. (2013). Multiple Imputation and its Application, chapter 10. Wiley.
        Ratitch, B., O'Kelly, M. & Tosiello, R. (2013). Missing data in clinical trials: from clinical
        assumptions to statistical analysis using pattern mixture models. Pharmaceutical Statistics 12,
        337-347.
    """
    refuse_other_fits(fit)
    response = response_column(fit)
    rows, imputed = rows_to_complete(fit, response)
    level, count = checked_level(level), checked_imputations(n)
    shifted = shifted_rows(where, fit.call.data)[imputed]
    if not shifted.any():
        raise DataError(f"where= chooses none of the {imputed.sum()} responses that are missing.")
    sd = float(fit.design.y.std(ddof=1))
    grid = checked_deltas(deltas, sd)
    draws = impute(fit, rows, count, seed)
    complete = Completed(fit, response, imputed, analysis)
    pooled = [complete.pooled(draws + delta * shifted) for delta in grid]
    chosen = chosen_terms(term, pooled[0].coef_names)
    return DeltaSensitivity(
        paths=tuple(path_of(name, grid, pooled, level) for name in chosen),
        imputations=draws,
        imputed=imputed,
        shifted=shifted,
        formula=pooled[0].formula,
        response=response,
        whom="what is missing" if where is None else f"what is missing{where_words(where)}",
        sd=sd,
        level=level,
        kind=fit.design.frame_kind,
    )


# ---- imputing ----


def impute(fit: LMMFit, rows: RowsToComplete, n: int, seed: Seed) -> Array:
    """Missing responses (n, m): parameters by parametric bootstrap, then draws given the data."""
    of_parameters, of_draws = checked_seed(seed).spawn(2)
    simulated = fit.simulate(n, seed=of_parameters)
    streams = [np.random.default_rng(child) for child in of_draws.spawn(n)]
    return np.array(
        [draw_missing(rows, fit.refit(y).record, rng) for y, rng in zip(simulated.T, streams, strict=True)]
    )


def rows_to_complete(fit: LMMFit, response: str) -> tuple[RowsToComplete, Mask]:
    """The rows of the data with all predictors, and which rows of the data lack only the response."""
    design, data = fit.design, fit.call.data
    new = design.encoder.encode(data)
    y = numbers_of(data, response)
    imputed = new.rows & np.isnan(y)
    if not imputed.any():
        raise ModelError(
            f"'{response}' is missing in no row that has its predictors, so there is nothing to impute. If "
            "those who left have no rows, add these, with their predictors and an empty response."
        )
    codes = [
        np.where(c < 0, g.n_levels + m, c)
        for c, m, g in zip(new.codes, new.new_codes, design.groupings, strict=True)
    ]
    rows = RowsToComplete(
        X=new.X,
        Z=new.Z,
        codes=tuple(codes[term.grouping].astype(np.int32) for term in design.terms),
        offset=np.zeros(new.n_rows) if new.offset is None else new.offset,
        weights=np.ones(new.n_rows) if new.weights is None else new.weights,
        y=y[new.rows],
        observed=~imputed[new.rows],
    )
    return rows, imputed


# ---- fitting to completed data ----


class Completed:
    """Completed data and their analysis: by a function, or by the model of a fit, designed once."""

    def __init__(
        self, fit: LMMFit, response: str, imputed: Mask, analysis: Callable[[Frame], AnyFit] | None
    ) -> None:
        self.fit, self.response, self.imputed, self.analysis = fit, response, imputed, analysis
        self.y = numbers_of(fit.call.data, response)
        self.first: LMMFit | None = None

    def pooled(self, draws: Array) -> PooledFit:
        """The pooled analysis of the data completed by each of the draws (m, n)."""
        return pool([self._fit(each) for each in draws])

    def _fit(self, draw: Array) -> AnyFit:
        y = self.y.copy()
        y[self.imputed] = draw
        if self.first is not None:
            return self.first.refit(y)
        data = with_columns(self.fit.call.data, {self.response: y})
        if self.analysis is not None:
            return self.analysis(data)
        self.first = self.fit.update(data=data)
        return self.first


def numbers_of(data: Frame, name: str) -> Array:
    """A numeric column."""
    column = read_table(data).column(name)
    assert isinstance(column, Numeric)
    return column.values


def path_of(name: str, grid: Array, pooled: Sequence[PooledFit], level: float) -> TermPath:
    """One coefficient over the deltas."""
    rows = []
    for each in pooled:
        k = each.coef_names.index(name)
        row = np.eye(len(each.coef_names))[[k]]
        found = each.inference.pooled(row)
        df = None if np.isinf(found.df).all() else found.df
        table = wald_table((name,), found.estimate, found.std_error, df)
        limits = wald_limits(table, level)
        parts = (table.estimate, table.std_error, found.df, table.p_value, *limits, found.missing_information)
        rows.append([float(np.asarray(part)[0]) for part in parts])
    return TermPath(name, grid, *np.array(rows).T)
