"""statsmodels' MixedLM: one grouping factor, and what nests in it as variance components."""

from __future__ import annotations

from typing import Any

import pandas as pd
import statsmodels.formula.api as smf
from measure import Adapter, Job, Outcome, main
from statsmodels.regression.mixed_linear_model import MixedLM

SLOPE = {"formula": "y ~ x1 + x2", "groups": "g", "re_formula": "~ x1"}
SLEEP = {"formula": "Reaction ~ Days", "groups": "Subject", "re_formula": "~ Days"}
MODELS: dict[str, dict[str, Any]] = {
    "warm-up": {"formula": "y ~ x", "groups": "g"},
    "sleepstudy": SLEEP,
    "refit": SLEEP,
    "refits": SLEEP,
    "slope-int": SLOPE,
    "slope-categorical": SLOPE,
    "slope-string": SLOPE,
    "three-level": {"formula": "y ~ x", "groups": "a", "re_formula": "1", "vc_formula": {"b": "0 + C(b)"}},
    "chem97": {
        "formula": "score ~ gcsecnt + gender",
        "groups": "lea",
        "re_formula": "1",
        "vc_formula": {"school": "0 + C(school)"},
    },
    "chem97-slope": {"formula": "score ~ gcsecnt + gender", "groups": "school", "re_formula": "~ gcsecnt"},
}


def model(frame: pd.DataFrame, job: Job) -> Any:
    return smf.mixedlm(data=frame, **MODELS[job.line])


def refitter(frame: pd.DataFrame, job: Job) -> Any:
    """Its model on the matrices of the first: formula and grouping are done once."""
    first = model(frame, job)
    return lambda y: MixedLM(y, first.exog, first.groups, first.exog_re).fit(reml=job.reml)


main(
    Adapter(
        package="statsmodels",
        load=pd.read_parquet,
        fit=lambda frame, job: model(frame, job).fit(reml=job.reml),
        outcome=lambda fit: Outcome(-2 * fit.llf, None),
        refitter=refitter,
    )
)
