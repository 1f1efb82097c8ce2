"""lme-python, on its own kind of frame (polars); refits through its prepared designs."""

from __future__ import annotations

from typing import Any

import lme_python
import polars as pl
from measure import Adapter, Job, Outcome, main


def fit(frame: pl.DataFrame, job: Job) -> lme_python.PyLmeFit:
    return lme_python.lmer(job.formula, data=frame, reml=job.reml)


def refitter(frame: pl.DataFrame, job: Job) -> Any:
    prepared = lme_python.prepare_lmer(job.formula, frame)
    return lambda y: prepared.fit(y=y.tolist(), reml=job.reml)


main(
    Adapter(
        package="lme-python",
        load=pl.read_parquet,
        fit=fit,
        outcome=lambda fit: Outcome(-2 * fit.log_likelihood, fit.iterations),
        refitter=refitter,
    )
)
