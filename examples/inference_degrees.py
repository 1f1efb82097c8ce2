"""Degrees of freedom for the coefficients of a mixed model."""

import multilevel as ml

pupils = ml.datasets.course_demo_10x30()  # 10 schools of 30 pupils; 5 schools treated; true effect: none
schools = ml.lmm("y ~ treatment + (1 | school)", pupils)
print("Ten schools: which degrees of freedom has the effect of the treatment?")
for df in ["z", "residual", "satterthwaite", "kenward-roger", "between-within"]:
    effect = schools.tidy(df=df).iloc[1]
    print(f"  {df:<15} {effect.get('df', float('inf')):6.1f}   p = {effect['p_value']:.3f}")

sleep = ml.datasets.sleepstudy().iloc[:44]  # four persons, and some days of a fifth
few = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleep)
print()
print(few.confint().round(2).to_string(index=False))
for df in [None, "kenward-roger"]:
    print()
    print(few.summary(df=df).blocks[2])
