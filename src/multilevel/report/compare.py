"""The printed comparison of several fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from multilevel.report.numbers import format_column, format_fixed, format_p
from multilevel.report.summary import Block, Summary

BOUNDARY_NOTE = (
    "p (boundary): a variance cannot be negative, so the naive p-value of a variance is too large;"
    " this one is by the mixture of chi-squares (Self and Liang 1987; Stram and Lee 1994)."
)


def comparison_page(columns: Mapping[str, Any], notes: Sequence[str]) -> Summary:
    """Models and formulas as facts, the criteria and tests as one table."""
    models = tuple(f"Model {name}" for name in columns["model"])
    boundary = bool(np.isfinite(columns["p_boundary"]).any())
    cells = {
        "": list(columns["model"]),
        "npar": format_fixed(columns["npar"], 0),
        "AIC": format_fixed(columns["aic"], 2),
        "BIC": format_fixed(columns["bic"], 2),
        "logLik": format_fixed(columns["loglik"], 2),
        "deviance": format_fixed(columns["deviance"], 2),
        "Chisq": blank_missing(columns["chisq"], format_column(columns["chisq"], 5)),
        "df": blank_missing(columns["df"], format_fixed(columns["df"], 0)),
        "p": blank_missing(columns["p_value"], format_p(columns["p_value"])),
    }
    if boundary:
        cells["p (boundary)"] = blank_missing(columns["p_boundary"], format_p(columns["p_boundary"]))
    if "p_bootstrap" in columns:
        cells["p (bootstrap)"] = blank_missing(columns["p_bootstrap"], format_p(columns["p_bootstrap"]))
    return Summary(
        title="Comparison of models (maximum likelihood)",
        facts=tuple(zip(models, columns["formula"], strict=True)),
        blocks=(
            Block(
                "Each model against the one before", tuple(cells), tuple(zip(*cells.values(), strict=True))
            ),
        ),
        notes=(*notes, *([BOUNDARY_NOTE] if boundary else [])),
    )


def blank_missing(values: Sequence[float], texts: Sequence[str]) -> list[str]:
    """Texts, with blanks where no test is made."""
    return [text if np.isfinite(value) else "" for value, text in zip(values, texts, strict=True)]
