"""statsmodels' GEE, as a user calls it: PATH FAMILY CORR."""

from __future__ import annotations

import json
import sys
import time

import pandas as pd
import statsmodels.api as sm
import statsmodels.formula.api as smf

path, family, corr = sys.argv[1:]
frame = pd.read_parquet(f"{path}.parquet")
families = {"binomial": sm.families.Binomial, "poisson": sm.families.Poisson}
structures = {
    "independence": sm.cov_struct.Independence,
    "exchangeable": sm.cov_struct.Exchangeable,
    "ar1": lambda: sm.cov_struct.Autoregressive(grid=True),
    "unstructured": sm.cov_struct.Unstructured,
}
seconds = []
for data in (frame.head(1000), frame):
    start = time.perf_counter()
    model = smf.gee(
        "y ~ x1 + x2 + x3",
        "id",
        data,
        time=data["visit"].to_numpy() if corr in {"ar1", "unstructured"} else None,
        family=families[family](),
        cov_struct=structures[corr](),
    )
    fit = model.fit()
    errors = fit.bse
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": seconds[-1], "x1": fit.params["x1"], "se": errors["x1"]}))
