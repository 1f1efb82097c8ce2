"""The tables and the page of shapes of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel.clusters.lack_of_fit import PureError
from multilevel.clusters.ladder import StepTest
from multilevel.inference.coefficients import FTest
from multilevel.report.numbers import format_fixed, format_p
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import Columns

LINEAR, QUADRATIC, CATEGORIES = "linear", "quadratic", "categories"


@dataclass(frozen=True, slots=True)
class LackOfFit:
    """Tests of one shape against a larger one."""

    small: str
    large: str
    ratio: StepTest  # by maximum likelihood
    wald: FTest  # of the coefficients that the larger adds
    method: str  # of the Wald test's degrees of freedom

    @property
    def p(self) -> float:
        """The p-value to read: that of the F test where it has degrees of freedom below."""
        return self.wald.p_value if np.isfinite(self.wald.df_den) else self.ratio.p_value


def test_columns(comparisons: Sequence[LackOfFit]) -> Columns:
    """One row a comparison."""
    return {
        "model": [each.large for each in comparisons],
        "against": [each.small for each in comparisons],
        "chisq": np.array([each.ratio.chisq for each in comparisons]),
        "df": np.array([each.ratio.df for each in comparisons]),
        "p_value": np.array([each.ratio.p_value for each in comparisons]),
        "statistic": np.array([each.wald.statistic for each in comparisons]),
        "df_num": np.array([each.wald.df_num for each in comparisons]),
        "df_den": np.array([each.wald.df_den for each in comparisons]),
        "p_f": np.array([each.wald.p_value for each in comparisons]),
    }


def shape_columns(columns: Columns) -> dict[str, list[str]]:
    """Criteria as text."""
    return {
        "": list(columns["model"]),
        "npar": format_fixed(columns["npar"], 0),
        "logLik": format_fixed(columns["loglik"], 2),
        "AIC": format_fixed(columns["aic"], 2),
        "BIC": format_fixed(columns["bic"], 2),
    }


def shape_page(
    time: str,
    step: str,
    columns: Columns,
    comparisons: Sequence[LackOfFit],
    pure: PureError | None,
    n_times: int,
    notes: Sequence[str],
) -> Summary:
    """Models, tests of lack of fit, and the reading."""
    cells = shape_columns(columns)
    criteria = Block(
        f"Shape of {time}: criteria (maximum likelihood)",
        tuple(cells),
        tuple(zip(*cells.values(), strict=True)),
    )
    return Summary(
        title=f"Shape of {time} in the fixed part, random effects as in '{step}'",
        facts=tuple(zip(columns["model"], columns["formula"], strict=True)),
        blocks=(criteria, *([test_block(time, comparisons)] if comparisons else [])),
        notes=(*reading(time, columns, comparisons, n_times), *pure_words(pure), *notes),
    )


def test_block(time: str, comparisons: Sequence[LackOfFit]) -> Block:
    """Likelihood ratios and Wald tests."""
    finite = any(np.isfinite(each.wald.df_den) for each in comparisons)
    cells = {
        "": [f"{each.large} against {each.small}" for each in comparisons],
        "Chisq": format_fixed([each.ratio.chisq for each in comparisons], 2),
        "df": format_fixed([each.ratio.df for each in comparisons], 0),
        "p": format_p([each.ratio.p_value for each in comparisons]),
    }
    if finite:
        cells |= {
            "F": format_fixed([each.wald.statistic for each in comparisons], 2),
            "df num": format_fixed([each.wald.df_num for each in comparisons], 0),
            "df den": format_fixed([each.wald.df_den for each in comparisons], 1),
            "p (F)": format_p([each.wald.p_value for each in comparisons]),
        }
    method = f"; F by {comparisons[0].method}" if finite else ""
    return Block(
        f"Shape of {time}: tests (likelihood ratio{method})",
        tuple(cells),
        tuple(zip(*cells.values(), strict=True)),
    )


# ---- words ----


def reading(time: str, columns: Columns, comparisons: Sequence[LackOfFit], n_times: int) -> list[str]:
    """Whether a line does, and what the criteria prefer."""
    if not comparisons:
        return [f"{time} has {n_times} distinct values: a line fits any means there, and nothing is to test."]
    against_line = [each for each in comparisons if each.small == LINEAR]
    widest = against_line[-1]
    names = list(columns["model"])
    by_aic, by_bic = (names[int(np.argmin(columns[each]))] for each in ("aic", "bic"))
    preferred = (
        f"AIC and BIC both prefer '{by_aic}'"
        if by_aic == by_bic
        else f"AIC prefers '{by_aic}', BIC '{by_bic}'"
    )
    return [*line_words(time, widest), f"{preferred}. {cost_words(time, n_times, names)}"]


def line_words(time: str, test: LackOfFit) -> list[str]:
    """The lack of fit of the line."""
    (p,) = format_p([test.p])
    how = "F test" if np.isfinite(test.wald.df_den) else "likelihood ratio"
    if test.p < 0.05:
        return [
            f"Lack of fit of a straight line in {time}: {how} against '{test.large}' p {p}. The means depart"
            " from a line by more than chance would have it; plot() shows where."
        ]
    return [
        f"Lack of fit of a straight line in {time}: {how} against '{test.large}' p {p}. No departure from a"
        " line is found; that is no proof of one: a test of so many directions at once has little power for"
        " any of them."
    ]


def cost_words(time: str, n_times: int, names: Sequence[str]) -> str:
    """What categories cost."""
    if CATEGORIES not in names:
        return "A parabola is one departure from a line among many."
    return (
        f"Categories of {time} spend {n_times - 1} coefficients where a line spends one; they describe the"
        f" {n_times} times at hand and say nothing of those between or beyond."
    )


def pure_words(pure: PureError | None) -> list[str]:
    """What replicates say of the model within groups."""
    if pure is None:
        return []
    (p,) = format_p([pure.test.p_value])
    return [
        f"Pure error: rows that agree in group and predictors vary by a mean square of"
        f" {pure.pure / pure.df_pure:.4g} on {pure.df_pure:.0f} df; their means depart from the linear model"
        f" (groups' own {'lines' if pure.lines else 'intercepts'}) by"
        f" {pure.lack / pure.df_lack:.4g} on {pure.df_lack:.0f} df: F {pure.test.statistic:.2f}, p {p}."
    ]
