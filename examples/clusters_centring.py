"""Centring, and the effects of one predictor within groups and between them."""

import multilevel as ml

people = ml.datasets.income_blood_pressure()  # simulated: 1,093 people in 40 neighbourhoods
paradox = ml.decompose_effect("blood_pressure ~ income", people, groups="neighbourhood")
print(paradox, end="\n\n")

pupils = ml.datasets.hsb82()  # 7,185 pupils in 160 schools
print(ml.center(pupils, "ses", by="school"), end="\n\n")

status = ml.decompose_effect("mAch ~ ses + sector", pupils, groups="school", slopes="ses")
columns = ["term", "effect", "estimate", "std_error", "df", "conf_low", "conf_high"]
print(status.frame[columns].round(3).to_string(index=False), end="\n\n")
print(status.tests.round(3).to_string(index=False), end="\n\n")

fit = ml.lmm("mAch ~ within(ses, school) + between(ses, school) + (1 | school)", pupils)
new = {"ses": [0.0, 1.0, 0.0, 1.0], "school": ["1224", "1224", "a new one", "a new one"]}
print("Predicted, in a school of the fit and in a new one:", fit.predict(new, re="none").round(2))
