"""Logistic, Poisson and other regressions of independent rows, and of rows in clusters."""

import multilevel as ml

# 537 children, four yearly visits each: wheezing or not.
ohio = ml.datasets.ohio()
alone = ml.glm("resp ~ age + smoke", ohio, family="binomial")
print(alone, end="\n\n")

# Visits of a child are alike: standard errors by child, as odds ratios.
print(
    ml.glm("resp ~ age + smoke", ohio, family="binomial", cluster="id").summary(exponentiate=True), end="\n\n"
)

# Cases among animals: trials on the left, and a warning below.
print(ml.glm("incidence / size ~ period", ml.datasets.cbpp(), family="binomial"))
print()

# How much do probabilities change, does the term matter, and what would an expert say of the fit?
cases = ml.glm("incidence / size ~ period", ml.datasets.cbpp(), family="binomial")
print(cases.ame()[["contrast", "estimate", "std_error", "conf_low", "conf_high"]].round(3), end="\n\n")
print(cases.anova().round(4), end="\n\n")
print(cases.confint("profile").round(3), end="\n\n")
print(cases.r2().round(3), end="\n\n")
print(cases.check("herd", seed=1))
