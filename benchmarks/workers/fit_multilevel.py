"""multilevel, as a user calls it."""

from __future__ import annotations

from typing import Any

import pandas as pd
from measure import Adapter, Job, Outcome, main

import multilevel as ml


def fit(frame: pd.DataFrame, job: Job) -> Any:
    if job.family != "gaussian":
        return ml.glmm(job.formula, frame, family=job.family, nagq=job.nodes)
    return ml.lmm(job.formula, frame, reml=job.reml)


def many(frame: pd.DataFrame, job: Job) -> Any:
    refit_many = fit(frame, job).refit_many

    def outcomes(Y: Any) -> list[Outcome]:
        fits = refit_many(Y)
        return list(map(Outcome, fits.criterion.tolist(), fits.evaluations.tolist()))

    return outcomes


main(
    Adapter(
        package="multilevel",
        load=pd.read_parquet,
        fit=fit,
        outcome=lambda fit: Outcome(fit.criterion, fit.optimum.evaluations),
        refitter=lambda frame, job: fit(frame, job).refit,
        many=many,
        questions={
            "satterthwaite": lambda fit: fit.tidy(df="satterthwaite"),
            "kenward-roger": lambda fit: fit.tidy(df="kenward-roger"),
            "profile": lambda fit: fit.confint("profile"),
            "bootstrap": lambda fit: fit.confint("bootstrap", n=1000, seed=1),
        },
    )
)
