"""How far is the fast approximation from the others? Close where groups are large, less so where not."""

import multilevel as ml

data = {"cbpp": ml.datasets.cbpp(), "toenail": ml.datasets.toenail()}
models = {
    "cbpp": "incidence / size ~ period + (1 | herd)",
    "toenail": "outcome ~ treatment * time + (1 | patientID)",
}
for name, formula in models.items():
    for nagq in (0, 1, 25):
        fit = ml.glmm(formula, data[name], family="binomial", nagq=nagq)
        print(f"{name:>7}, nagq={nagq:<2}  logLik {fit.loglik:8.2f}  last slope {fit.fixef[-1]:7.4f}")
