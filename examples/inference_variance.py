"""Which random effects does a model need? Tests of variances, and which p-value to report."""

import multilevel as ml

pastes = ml.datasets.pastes()  # strength of a paste: two assays from each of three casks in ten batches
fit = ml.lmm("strength ~ 1 + (1 | batch / cask)", pastes)

print(fit.ranova(method="exact", seed=1))

sleep = ml.datasets.sleepstudy()
intercepts = ml.lmm("Reaction ~ Days + (1 | Subject)", sleep)
slopes = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleep)

print()
print(ml.compare(intercepts, slopes, method="bootstrap", n=1000, seed=1))
