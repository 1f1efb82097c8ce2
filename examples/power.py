"""Power of a cluster-randomised trial, by formula and by simulation, and how many schools it takes."""

import multilevel as ml

# Whole schools are treated. The effect is 0.4 of the total standard deviation.
plan = ml.Plan(school=20, pupil=25).assign("treated", at="school")
model = "score ~ treated + (1 | school)"
true = {"test": "treated", "fixef": {"treated": 0.4}, "icc": 0.1}

print(ml.power(model, plan, over={"school": [10, 20, 40], "pupil": [10, 50]}, seed=1, **true))
print("\n")
print(ml.power(model, plan, find="school", n=None, **true))
