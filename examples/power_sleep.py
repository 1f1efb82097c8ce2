"""Power in a study like one that was made: more persons, a smaller effect."""

import multilevel as ml

fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", ml.datasets.sleepstudy())
found = ml.power(fit, test="Days", fixef={"Days": 4.0}, over={"Subject": [12, 18, 24]}, seed=1)
print(found.frame[["Subject", "formula", "power", "conf_low", "conf_high", "n_singular"]].round(3))
