"""Effects within and between groups, as tables and as the page that prints them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel.clusters.effect_numbers import EffectNumbers, Estimated
from multilevel.design.design import Design
from multilevel.fitted.lmm import LMMRecord
from multilevel.inference.anova import HypothesisTests
from multilevel.report.blocks import dropped_notes
from multilevel.report.effect_words import effect_words, error_words
from multilevel.report.lmm_summary import convergence_notes, singular_notes
from multilevel.report.numbers import format_column, format_fixed, format_p
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import Columns


def effect_columns(slopes: Estimated) -> Columns:
    """One row a slope."""
    return {
        "term": [term for term, _ in slopes.labels],
        "effect": [effect for _, effect in slopes.labels],
        **number_columns(slopes.tests),
    }


def estimator_columns(numbers: EffectNumbers) -> Columns:
    """One row a slope and estimator."""
    others = numbers.others
    return {
        "term": [term for term, _ in others.labels],
        "effect": [effect for _, effect in others.labels],
        "estimator": list(others.estimator),
        **number_columns(others.tests),
    }


def number_columns(tests: HypothesisTests) -> Columns:
    """Estimates, their tests and limits."""
    return {
        "estimate": tests.estimate,
        "std_error": tests.std_error,
        "statistic": tests.statistic,
        "df": tests.df,
        "p_value": tests.p_value,
        "conf_low": tests.conf_low,
        "conf_high": tests.conf_high,
    }


def test_columns(numbers: EffectNumbers) -> Columns:
    """Mundlak's tests, one row a predictor and one for all, and Hausman's of all."""
    mundlak, hausman = numbers.mundlak, numbers.hausman
    return {
        "test": [*(["Mundlak (F)"] * len(mundlak)), "Hausman (chi-square)"],
        "term": [*(term for term, _ in mundlak), mundlak[-1][0]],
        "statistic": np.array([*(test.statistic for _, test in mundlak), hausman.statistic]),
        "df_num": np.array([*(round(test.df_num) for _, test in mundlak), hausman.df]),
        "df_den": np.array([*(test.df_den for _, test in mundlak), np.inf]),
        "p_value": np.array([*(test.p_value for _, test in mundlak), hausman.p_value]),
    }


def reliability_columns(numbers: EffectNumbers) -> Columns:
    """One row a predictor with two effects."""
    found, about = numbers.found, numbers.reliability
    names = found.chosen(found.both)
    within = [numbers.slopes.tests.estimate[numbers.slopes.labels.index((name, "within"))] for name in names]
    return {
        "term": names,
        "share_between": found.split.share_between[found.both],
        "reliability": about.reliability,
        "contextual": about.contextual,
        "between": np.array(within) + about.contextual,
    }


def effects_page(numbers: EffectNumbers, design: Design, mixed_formula: str, record: LMMRecord) -> Summary:
    """Slopes, other estimates of them, tests, and how to read them."""
    return Summary(
        title=f"Effects within and between groups by {numbers.found.groups}",
        facts=(
            ("Formula", design.formula.text),
            ("Mixed model", mixed_formula),
            ("Data", size_words(numbers)),
        ),
        blocks=(effect_block(numbers), estimator_block(numbers), test_block(numbers)),
        notes=(
            *effect_words(numbers, design.response_name),
            *error_words(numbers),
            *dropped_notes(design.dropped),
            *singular_notes(record),
            *convergence_notes(record.optimum),
        ),
    )


def size_words(numbers: EffectNumbers) -> str:
    """Observations and groups."""
    sizes = numbers.found.split.sizes
    smallest, largest = sizes.min(), sizes.max()
    each = f"{smallest:g} each" if smallest == largest else f"{smallest:g} to {largest:g}"
    return f"{sizes.sum():.0f} observations in {len(sizes)} groups of {each}"


def effect_block(numbers: EffectNumbers) -> Block:
    """Slopes with limits, the name of a predictor on its first row only."""
    slopes = numbers.slopes
    terms = once([term for term, _ in slopes.labels])
    cells = {
        "": terms,
        "effect": [effect for _, effect in slopes.labels],
        **number_cells(slopes.tests),
        "low": format_column(slopes.tests.conf_low),
        "high": format_column(slopes.tests.conf_high),
    }
    title = f"Slopes, with {100.0 * numbers.level:g}% limits"
    return Block(title, tuple(cells), tuple(zip(*cells.values(), strict=True)), n_labels=2)


def estimator_block(numbers: EffectNumbers) -> Block:
    """The same slopes by other estimators, predictor by predictor."""
    others = numbers.others
    cells = {
        "": [term for term, _ in others.labels],
        "effect": [effect for _, effect in others.labels],
        "estimator": list(others.estimator),
        **number_cells(others.tests),
    }
    rows = list(zip(*cells.values(), strict=True))
    rows.sort(key=lambda row: numbers.found.names.index(row[0]))  # keeps the order of estimators
    named = [(name, *row[1:]) for name, row in zip(once([row[0] for row in rows]), rows, strict=True)]
    return Block("By other estimators", tuple(cells), tuple(named), n_labels=3)


def number_cells(tests: HypothesisTests) -> dict[str, list[str]]:
    """Estimate, standard error and test as text."""
    return {
        "Estimate": format_column(tests.estimate),
        "Std. Error": format_column(tests.std_error),
        "df": format_fixed(tests.df, 1),
        "t": format_fixed(tests.statistic, 2),
        "p": format_p(tests.p_value),
    }


def test_block(numbers: EffectNumbers) -> Block:
    """Tests that slopes within and between groups are one."""
    columns = test_columns(numbers)
    cells = {
        "": columns["test"],
        "term": columns["term"],
        "statistic": format_fixed(columns["statistic"], 3),
        "df": format_fixed(columns["df_num"], 0),
        "df (error)": format_fixed(columns["df_den"], 1),
        "p": format_p(columns["p_value"]),
    }
    rows = tuple(zip(*cells.values(), strict=True))
    return Block("Are slopes within and between groups one?", tuple(cells), rows, n_labels=2)


def once(names: Sequence[str]) -> list[str]:
    """Names, blank where they repeat the one before."""
    return [name if k == 0 or names[k - 1] != name else "" for k, name in enumerate(names)]
