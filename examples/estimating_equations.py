"""Means of a population from visits of the same people: estimating equations."""

import numpy as np

import multilevel as ml

ohio = ml.datasets.ohio()  # wheezing of 537 children at four ages, and whether the mother smoked
call = {"groups": "id", "time": "age", "family": "binomial"}
wheeze = ml.gee("resp ~ age + smoke", ohio, corr="exchangeable", **call)
print(wheeze, "\n")
ratios = wheeze.tidy(exponentiate=True, conf_int=True)
print(ratios[["term", "estimate", "conf_low", "conf_high"]].round(3), "\n")

others = [wheeze.update(corr=corr) for corr in ("independence", "ar1", "unstructured")]
print(wheeze.qic(*others)[["corr", "qic", "cic", "rj"]].round(3), "\n")
print(wheeze.score_test(". ~ . - smoke").round(3), "\n")

pupils = ml.datasets.course_demo_10x30()  # 10 schools, 5 of them treated
school = ml.gee("y ~ treatment", pupils, groups="school", corr="exchangeable")
print(f"{'The treatment of 10 schools':<34}{'SE':>8}{'df':>7}{'p':>8}")
for kind in ("sandwich", "fay-graubard", "kauermann-carroll", "mancl-derouen", "gosho"):
    row = school.tidy(vcov=kind).iloc[-1]
    print(f"  {kind:<32}{row['std_error']:8.3f}{row.get('df', np.inf):7.1f}{row['p_value']:8.3f}")
