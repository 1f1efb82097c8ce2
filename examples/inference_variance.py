"""Which random effects does a model need? Tests of variances, and which p-value to report."""

import multilevel as ml

dyes = ml.datasets.dyestuff()  # yield of a dyestuff: five samples from each of six batches
print(ml.lmm("Yield ~ 1 + (1 | Batch)", dyes).ranova(method="exact", seed=1))

pastes = ml.datasets.pastes()  # strength of a paste: two assays from each of three casks in ten batches
print("\n")
print(ml.lmm("strength ~ 1 + (1 | batch / cask)", pastes).ranova(method="bootstrap", seed=1))

sleep = ml.datasets.sleepstudy()
intercepts = ml.lmm("Reaction ~ Days + (1 | Subject)", sleep)
slopes = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleep)
print("\n")
print(ml.compare(intercepts, slopes, method="bootstrap", seed=1))
