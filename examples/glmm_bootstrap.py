"""Standard errors and tests that do not lean on large samples."""

import numpy as np

import multilevel as ml

cases = ml.glmm("incidence / size ~ period + (1 | herd)", ml.datasets.cbpp(), family="binomial")
drawn = cases.bootstrap(1000, kind="case", seed=1)
print(drawn)
print("\n")

ways = {
    "by the model": cases.se,
    "parametric bootstrap": cases.bootstrap(1000, seed=1).se[:4],
    "case bootstrap": drawn.se[:4],
}
print("Standard errors        " + "  ".join(f"{name:>11}" for name in cases.coef_names))
for way, errors in ways.items():
    print(f"  {way:<20} " + "  ".join(f"{error:11.3f}" for error in np.asarray(errors)))
print("\n")

epil = ml.datasets.epil()
without = ml.glmm("y ~ lbase + V4 + (1 | subject)", epil, family="poisson")
treated = ml.glmm("y ~ lbase + V4 + trt + (1 | subject)", epil, family="poisson")
print(ml.compare(without, treated, names=["without", "treated"], method="bootstrap", seed=1))
