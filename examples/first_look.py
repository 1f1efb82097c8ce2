"""What clustering does to a standard error: the screen that the README shows."""

import multilevel as ml

pupils = ml.datasets.course_demo_10x30()  # 10 schools of 30 pupils; 5 schools treated; true effect: none

naive = ml.ols("y ~ treatment", pupils)
mixed = ml.lmm("y ~ treatment + (1 | school)", pupils)

print("Effect of the treatment        estimate     SE      t")
for label, fit in {"300 pupils, each on its own": naive, "300 pupils in 10 schools": mixed}.items():
    effect, error = fit.fixef[1], fit.se[1]
    print(f"  {label:<28} {effect:8.3f}  {error:5.3f}  {effect / error:5.2f}")

print()
print(mixed)
