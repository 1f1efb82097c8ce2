"""From the empty model to random slopes, and the same data with more and less pooling."""

import multilevel as ml

sleep = ml.datasets.sleepstudy()  # 18 people, 10 days
steps = ml.ladder("Reaction ~ Days", sleep, groups="Subject", time="Days")
print(steps, end="\n\n")
print(steps.pooling(), end="\n\n")

pupils = ml.datasets.hsb82()  # 7,185 pupils in 160 schools
print(ml.ladder("mAch ~ ses + minrty + sector", pupils, groups="school").dummies())
