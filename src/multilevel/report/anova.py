"""Tables of tests: terms, hypotheses, and the strata of an experiment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel.inference.anova import HypothesisTests, TermTests
from multilevel.inference.coefficients import FTest
from multilevel.inference.strata import StratumRow
from multilevel.inference.wald_terms import ChiSquareTests
from multilevel.report.tables import Columns


def anova_columns(tests: TermTests) -> Columns:
    """One row a term; sums of squares where there is a residual variance to compare them with."""
    df_num = np.array([test.df_num for test in tests.tests])
    mean_sq = tests.mean_sq
    return {
        "term": list(tests.term),
        **({} if mean_sq is None else {"sum_sq": df_num * mean_sq, "mean_sq": mean_sq}),
        "df_num": df_num.astype(int),
        "df_den": np.array([test.df_den for test in tests.tests]),
        "statistic": np.array([test.statistic for test in tests.tests]),
        "p_value": np.array([test.p_value for test in tests.tests]),
    }


def chi_square_columns(tests: ChiSquareTests) -> Columns:
    """One row a term: Wald's chi-square, where the variance is known up to what was estimated with it."""
    return {
        "term": list(tests.term),
        "statistic": tests.statistic,
        "df": tests.df.astype(int),
        "p_value": tests.p_value,
    }


def hypothesis_columns(tests: HypothesisTests) -> Columns:
    """One row a hypothesis: what is estimated, and its distance from what the hypothesis says."""
    return {
        "term": list(tests.term),
        "null_value": tests.null,
        "estimate": tests.estimate,
        "std_error": tests.std_error,
        "statistic": tests.statistic,
        "df": tests.df,
        "p_value": tests.p_value,
        "conf_low": tests.conf_low,
        "conf_high": tests.conf_high,
    }


def joint_columns(labels: Sequence[str], test: FTest) -> Columns:
    """One row: all hypotheses at once."""
    return {
        "term": [", ".join(labels)],
        "df_num": [round(test.df_num)],
        "df_den": [test.df_den],
        "statistic": [test.statistic],
        "p_value": [test.p_value],
    }


def strata_columns(rows: Sequence[StratumRow]) -> Columns:
    """One row a term in each stratum, with the residuals it is compared with."""
    return {
        "stratum": [row.stratum for row in rows],
        "term": [row.term for row in rows],
        "df": [row.df for row in rows],
        "sum_sq": [row.sum_sq for row in rows],
        "mean_sq": [row.sum_sq / row.df for row in rows],
        "statistic": [row.statistic for row in rows],
        "p_value": [row.p_value for row in rows],
    }
