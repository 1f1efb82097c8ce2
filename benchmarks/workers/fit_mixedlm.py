"""mixedlm, as its quick start has it."""

from __future__ import annotations

import mixedlm
import pandas as pd
from measure import Adapter, Job, Outcome, main


def fit(frame: pd.DataFrame, job: Job) -> mixedlm.LmerResult:
    return mixedlm.lmer(job.formula, frame, REML=job.reml)


main(
    Adapter(
        package="mixedlm",
        load=pd.read_parquet,
        fit=fit,
        outcome=lambda fit: Outcome(fit.REMLcrit(), fit.function_evals),
        refitter=lambda frame, job: fit(frame, job).refit,
    )
)
