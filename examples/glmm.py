"""Probabilities, counts with too many zeros, and ordered ratings: the page on generalized mixed models."""

import multilevel as ml

# Cases of a disease among the animals of 15 herds, in four periods.
cbpp = ml.datasets.cbpp()
cases = ml.glmm("incidence / size ~ period + (1 | herd)", cbpp, family="binomial")
print(cases.summary(exponentiate=True))
print("\n")

# Owlets begging: counts beyond Poisson's, more zeros than any, and nests that differ in both.
owls = ml.datasets.owls()
begging = ml.glmm(
    "SiblingNegotiation ~ FoodTreatment + scale(ArrivalTime) + offset(logBroodSize) + (1 | Nest)",
    owls,
    family="negative_binomial",
    zi="~ FoodTreatment + (1 | Nest)",
)
print(begging)
print("\n")
print(begging.check(seed=1))
print("\n")

# How bitter is the wine? Five ordered categories.
wine = ml.datasets.wine()
print(ml.glmm("rating ~ temp + contact + (1 | judge)", wine, family="ordinal"))
