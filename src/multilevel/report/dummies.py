"""The table and the page of dummies beside random effects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from multilevel._typing import Mask
from multilevel.clusters.dummies import DummyRegression, Hausman
from multilevel.design.design import Design
from multilevel.fitted.lmm import LMMRecord
from multilevel.report.numbers import MISSING, format_column, format_fixed, format_p
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import Columns
from multilevel.report.wording import figure

INTERCEPT = "Intercept"


def dummy_columns(design: Design, record: LMMRecord, dummies: DummyRegression) -> Columns:
    """One row a coefficient."""
    std_error = np.sqrt(np.diag(record.vcov))
    return {
        "term": list(design.coef_names),
        "dummies": dummies.beta,
        "dummies_std_error": dummies.std_error,
        "random": record.beta,
        "random_std_error": std_error,
        "difference": dummies.beta - record.beta,
        "se_ratio": dummies.std_error / std_error,
        "identified": dummies.identified,
    }


def dummy_page(
    design: Design, record: LMMRecord, dummies: DummyRegression, hausman: Hausman | None
) -> Summary:
    """Coefficients side by side, what either model costs, and the reading."""
    grouping = design.groupings[0]
    columns = dummy_columns(design, record, dummies)
    estimates = format_column([*columns["dummies"], *columns["random"]], 5)
    n = len(design.coef_names)
    rows = zip(
        design.coef_names,
        estimates[:n],
        format_column(columns["dummies_std_error"]),
        estimates[n:],
        format_column(columns["random_std_error"]),
        format_fixed(columns["se_ratio"], 3),
        strict=True,
    )
    header = ("", "Dummies", "SE", "Random", "SE", "SE ratio")
    return Summary(
        title=f"{grouping.name} as dummies, and as random",
        facts=(
            ("Random", design.formula.text),
            ("Dummies", f"the same with {grouping.n_levels} dummies for {grouping.name}"),
            (
                "Residual SD",
                f"{figure(dummies.sigma)} with dummies on {dummies.df_residual:.0f} df,"
                f" {figure(record.sigma)} with random {grouping.name}",
            ),
        ),
        blocks=(Block("Coefficients", header, tuple(rows)),),
        notes=tuple(reading(design, record, dummies, hausman)),
    )


# ---- words ----


def reading(
    design: Design, record: LMMRecord, dummies: DummyRegression, hausman: Hausman | None
) -> list[str]:
    """What is spent, what is estimated, whether the two agree, and for whom they predict."""
    grouping = design.groupings[0]
    return [
        f"Dummies spend {grouping.n_levels} degrees of freedom on {grouping.name} (residual df"
        f" {dummies.df_residual:.0f}); the random intercept spends one variance.",
        *unidentified_words(design.coef_names, dummies, grouping.name),
        *agreement_words(hausman, dummies, grouping.name),
        f"Dummies take everything constant within {grouping.name} out of the comparison, measured or not,"
        f" and speak of these {grouping.n_levels} levels only. Random effects speak of the population that"
        " these were drawn from, if they are like a sample of it, and suppose that they are unrelated to the"
        " predictors.",
        f"A new level of {grouping.name}: with dummies there is no prediction. The random-intercept model"
        f" predicts the average line, give or take a standard deviation of {figure(spread(record))} between"
        " levels.",
        "Both suppose that slopes are the same in all groups; if they differ, both standard errors are wrong"
        " (see the steps with slopes, or a cluster-robust variance).",
    ]


def spread(record: LMMRecord) -> float:
    """Standard deviation between groups."""
    return float(record.terms[0].sd[0])


def unidentified_words(names: Sequence[str], dummies: DummyRegression, group: str) -> list[str]:
    """What dummies cannot estimate."""
    notes = []
    constant = chosen(names, dummies.constant)
    if constant:
        notes.append(
            f"Not estimable with dummies ({MISSING}): {', '.join(constant)}. What is constant within {group}"
            " is a combination of the dummies; the random intercept leaves room for it."
        )
    dependent = chosen(names, ~dummies.constant & ~dummies.identified)
    if dependent:
        notes.append(
            f"Not told apart within {group} ({MISSING}): {', '.join(dependent)} depends there on the columns"
            " before it."
        )
    return notes


def chosen(names: Sequence[str], mask: Mask) -> list[str]:
    """Names that are marked, but for the intercept's."""
    return [name for name, marked in zip(names, mask, strict=True) if marked and name != INTERCEPT]


def agreement_words(hausman: Hausman | None, dummies: DummyRegression, group: str) -> list[str]:
    """Whether the two sets of coefficients differ by more than chance."""
    if not dummies.identified.any():
        return []
    if hausman is None:
        return [
            "Both give the same coefficients by design: no predictor differs between the means of"
            f" {group}, so that nothing but comparisons within {group} bears on them."
        ]
    (p,) = format_p([hausman.p_value])
    test = f"Hausman's test: chi-square {hausman.statistic:.2f} on {hausman.df} df, p {p}."
    if hausman.p_value < 0.05:
        return [
            f"{test} The coefficients differ by more than chance would have it: effects within {group} are"
            " not those between, and a random intercept blends the two. Split such predictors into a part"
            f" within and a part between, within(x, {group}) + between(x, {group})."
        ]
    return [
        f"{test} The coefficients differ no more than chance may have it, which does not show that they are"
        " the same: the test has little power where groups tell little of the effects between them."
    ]
