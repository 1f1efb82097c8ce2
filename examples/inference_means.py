"""Which nitrogen level yields how much, and what are the differences worth: the page on marginal means."""

import multilevel as ml

oats = ml.datasets.oats()  # 6 blocks; varieties on whole plots, nitrogen on subplots
fit = ml.lmm("Y ~ V + N + (1 | B / V)", oats)

print(fit.emmeans("N"))
print("\n")
print(fit.contrasts("N", "consecutive"))
print("\n")

growth = ml.lmm("distance ~ age * Sex + (1 + age | Subject)", ml.datasets.orthodont())
print(growth.emmeans("Sex | age", at={"age": [8, 14]}).contrasts())
print("\n")
print(growth.emtrends("Sex", var="age"))
