"""multilevel's estimating equations, as a user calls them: PATH FAMILY CORR."""

from __future__ import annotations

import json
import sys
import time

import pandas as pd

import multilevel as ml

path, family, corr = sys.argv[1:]
frame = pd.read_parquet(f"{path}.parquet")
seconds = []
for data in (frame.head(1000), *[frame] * 5):
    start = time.perf_counter()
    fit = ml.gee(
        "y ~ x1 + x2 + x3", data, groups="id", time="visit", family=family, corr=corr, vcov="sandwich"
    )
    errors = fit.se
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": min(seconds[1:]), "x1": fit.fixef[1], "se": errors[1]}))
