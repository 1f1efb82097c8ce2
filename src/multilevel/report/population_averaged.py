"""Subject-specific and population-averaged coefficients side by side, with words on what each says."""

from __future__ import annotations

import numpy as np

from multilevel.inference.population_averaged import PopulationAveraged
from multilevel.inference.wald import critical_value, two_sided_p
from multilevel.report.numbers import format_column, format_number
from multilevel.report.summary import Block, Summary
from multilevel.report.tables import Columns


def marginal_columns(found: PopulationAveraged, level: float, *, exponentiate: bool) -> Columns:
    """One row a coefficient; estimates and limits as ratios with `exponentiate`."""
    statistic = found.estimate / found.std_error
    half = critical_value(level, None) * found.std_error
    move = np.exp if exponentiate else np.asarray
    scale = np.exp(found.estimate) if exponentiate else 1.0
    columns: Columns = {
        "term": list(found.names),
        "conditional": move(found.conditional),
        "conditional_std_error": (np.exp(found.conditional) if exponentiate else 1.0) * found.conditional_se,
        "estimate": move(found.estimate),
        "std_error": scale * found.std_error,
        "statistic": statistic,
        "p_value": two_sided_p(statistic, None),
        "conf_low": move(found.estimate - half),
        "conf_high": move(found.estimate + half),
    }
    if found.closed_form is not None:
        columns["closed_form"] = move(found.closed_form)
    return columns


def marginal_page(
    found: PopulationAveraged, groups: str, link: str, level: float, ratio: str | None, part: str = ""
) -> Summary:
    """The two kinds of coefficients, and what a reader should make of them.

    `part` says whose mean they are of where the response is more than it.
    """
    columns = marginal_columns(found, level, exponentiate=ratio is not None)
    terms = len(columns["term"])
    limits = format_column([*columns["conf_low"], *columns["conf_high"]], 3)  # one count of decimals for both
    cells = {
        "": columns["term"],
        "Conditional": format_column(columns["conditional"], 4),
        "(SE)": format_column(columns["conditional_std_error"], 3),
        "Marginal": format_column(columns["estimate"], 4),
        "SE": format_column(columns["std_error"], 3),
        f"{100 * level:g}% low": limits[:terms],
        "high": limits[terms:],
        **({"Formula": format_column(columns["closed_form"], 4)} if "closed_form" in columns else {}),
    }
    estimated_too = "" if part else ", and which ml.gee estimates"
    title = "Coefficients" if ratio is None else f"{ratio.capitalize()}s"
    return Summary(
        title="Subject-specific and population-averaged coefficients",
        facts=(
            ("Link", link),
            ("SD of the random effects in the linear predictor", format_number(found.sd, ".3g")),
        ),
        blocks=(Block(title, tuple(cells), tuple(zip(*cells.values(), strict=True))),),
        notes=(
            f"Conditional: the effect within one level of {groups}, its random effects held. Marginal: the"
            " effect on the average over all levels, which a comparison of different ones sees"
            f"{estimated_too}. Both are true; they answer different questions.",
            *((part_note(part),) if part else ()),
            *formula_notes(found, link),
        ),
    )


def part_note(part: str) -> str:
    """What coefficients of one part do not say."""
    return (
        f"Both are of {part}: what the other part does to the zeros is not in them, and so they are not the"
        ' coefficients that ml.gee finds for the response. ame() and emmeans(kind="response") are of the'
        " response itself."
    )


def formula_notes(found: PopulationAveraged, link: str) -> tuple[str, ...]:
    """Where the column of the formula comes from."""
    if found.closed_form is None:
        return ()
    words = {
        "logit": "beta / sqrt(1 + c^2 sigma^2), c = 16 sqrt(3) / (15 pi): an approximation",
        "probit": "beta / sqrt(1 + sigma^2), exact",
        "log": "the intercept moves by sigma^2 / 2, exact: ratios of means are the same for both",
        "identity": "no change, exact",
    }
    return (f"Formula: {words[link]}.",)
