"""The same trial, seen from within a patient and from the population: the page on marginal coefficients."""

import multilevel as ml

toenail = ml.datasets.toenail()
fit = ml.glmm("outcome ~ treatment * time + (1 | patientID)", toenail, family="binomial", nagq=25)

print(fit.marginal())
print("\n")
print(fit.icc()[["scale", "group", "icc"]].round(3).to_string(index=False))
print("\n")

# The probability after a year: in a patient like the middle one, and on average over patients.
year = toenail.head(1).assign(time=12.0)
typical, average = (fit.predict(year, re=re)[0] for re in ("none", "integrate"))
print(f"typical patient {typical:.4f}, all patients {average:.4f}")
