"""What a fit rests on: one call that reads it, and what it would be without some of the data."""

import multilevel as ml

sleep = ml.datasets.sleepstudy()
fit = ml.lmm("Reaction ~ Days + (1 | Subject)", sleep)
print(fit.check())

better = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleep)
influence = better.influence("Subject")
print()
print(influence)

print()
print(influence.frame[["level", "dfbeta__Days", "sigma", "sd__Days|Subject"]].head(3).to_string(index=False))
