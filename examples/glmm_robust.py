"""Are a model's standard errors right where its random effects are not quite?"""

import multilevel as ml

women = ml.datasets.contraception()  # who uses contraception, in 60 districts of Bangladesh
alike = ml.glmm("use ~ age + urban + (1 | district)", women, family="binomial")
print(alike.summary(vcov="CR1").blocks[-2])
print("\n")

varying = ml.glmm("use ~ age + urban + (1 + urban | district)", women, family="binomial")
print("SE of town against country     by the model    CR1")
for label, fit in {"the same in all districts": alike, "its own in each": varying}.items():
    robust = fit.tidy(vcov="CR1").iloc[2]["std_error"]
    print(f"  {label:<30} {fit.se[2]:10.3f} {robust:6.3f}")
