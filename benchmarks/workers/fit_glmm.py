"""glmm, without the degrees of freedom and tables of tests that it adds to a fit and others do not."""

from __future__ import annotations

from typing import Any

import glmm
import pandas as pd
from measure import Adapter, Job, Outcome, main

LEAN = {"satterthwaite": False, "wald_se": "rx", "anova_test": "Wald"}


def fit(frame: pd.DataFrame, job: Job) -> glmm.Fit:
    if job.family != "gaussian":
        return glmm.fit(frame, job.formula, job.family, nagq=job.nodes, **LEAN)
    return glmm.fit(frame, job.formula, reml=job.reml, **LEAN)


def refitter(frame: pd.DataFrame, job: Job) -> Any:
    """It has no refit: the whole fit again, on columns already taken from the frame."""
    response = job.formula.split("~")[0].strip()
    columns = {name: frame[name] for name in frame}
    return lambda y: glmm.fit({**columns, response: y}, job.formula, reml=job.reml, **LEAN)


main(
    Adapter(
        package="glmm",
        load=pd.read_parquet,
        fit=fit,
        outcome=lambda fit: Outcome(-2 * fit.loglik, fit.n_eval + fit.n_grad),
        refitter=refitter,
    )
)
