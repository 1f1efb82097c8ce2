"""What clustering does to a standard error: the screen that the README shows."""

import multilevel as ml

pupils = ml.datasets.course_demo_10x30()  # 10 schools of 30 pupils; 5 schools treated; true effect: none

alone = ml.ols("y ~ treatment", pupils)
robust = ml.ols("y ~ treatment", pupils, vcov="CR1", cluster="school")
grouped = ml.lmm("y ~ treatment + (1 | school)", pupils)

print("effect of the treatment           estimate     SE      t")
for name, fit in {
    "300 pupils, each on its own": alone,
    "the same, variance by school": robust,
    "300 pupils in 10 schools": grouped,
}.items():
    print(f"  {name:<30}  {fit.fixef[1]:8.3f}  {fit.se[1]:5.3f}  {fit.fixef[1] / fit.se[1]:5.2f}")

print()
print(grouped)
