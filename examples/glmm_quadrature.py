"""When is Laplace's approximation not enough? Yes or no, few times a person, and persons far apart."""

import multilevel as ml

toenail = ml.datasets.toenail()
for points in (1, 5, 9, 25):
    fit = ml.glmm("outcome ~ treatment * time + (1 | patientID)", toenail, family="binomial", nagq=points)
    print(f"{points:>2} points: logLik {fit.loglik:.2f}, SD of patients {fit.theta[0]:.2f}")
